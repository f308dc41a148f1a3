"""A decision is about what its page showed, and may give less time than was asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from audit.ledger.models import Event
from base.clock import real_now
from base.errors import Invalid
from catalog.models import AccountAssignment, PermissionSet, PimGroup
from policy.document import document_hash
from policy.models import Rule, RuleVersion
from requests_app.actions.deciding import Changed, check_decision
from requests_app.models import Decision, RequestItem
from requests_app.shown import Facts, read_facts, since_asked
from tests.requests_app import factories as make
from tests.requests_app.deciding_scene import (
    ask_under,
    colleague,
    people,
    play,
    policy,
    refused,
    rule_of,
    submit,
)
from tests.support.stage import Stage

__all__ = ["play"]
pytestmark = pytest.mark.django_db


# ------------------------------------------------------------ for less than was asked


def test_the_window_is_as_long_as_was_approved(play: Stage) -> None:
    item = play.ask()
    decision_id = submit(play, item.pk, play.boss, duration=timedelta(minutes=20))
    policy(play, activation_maximum="PT30M")  # which is less than was asked for
    check_decision(decision_id=decision_id)
    grant = play.grant()
    assert grant.ends_at - grant.starts_at == timedelta(minutes=20)
    for event in ("decision.submitted", "item.approved"):
        assert Event.objects.get(type=event).data["fields"]["duration"] == 1200
    assert Decision.objects.get(pk=decision_id).duration == timedelta(minutes=20)


def test_the_shortest_approval_decides(play: Stage) -> None:
    first, last = colleague(play, "Olga Other"), colleague(play, "Lea Later")
    item = ask_under(play, rule_of(play, people(first, play.boss, quorum=2), people(last)))
    for approver, minutes in ((first, 40), (play.boss, 15), (last, None)):
        shorter = timedelta(minutes=minutes) if minutes else None
        check_decision(decision_id=submit(play, item.pk, approver, duration=shorter))
    assert play.grant().ends_at - play.grant().starts_at == timedelta(minutes=15)


def test_what_was_not_counted_shortens_nothing(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other)))
    play.world.provisioning.pause()
    check_decision(decision_id=submit(play, item.pk, play.boss, duration=timedelta(minutes=15)))
    play.world.provisioning.start()
    check_decision(decision_id=submit(play, item.pk, other, duration=timedelta(hours=1)))
    assert Decision.objects.get(approver=other).duration is None, "as asked"
    assert play.grant().ends_at - play.grant().starts_at == timedelta(hours=1)


def test_a_time_is_one_that_can_be_given(play: Stage) -> None:
    item = play.ask()
    for minutes in (-5, 0, 9, 61):
        submitting = partial(submit, play, item.pk, play.boss, duration=timedelta(minutes=minutes))
        error = refused(Invalid, submitting)
        assert error.field == "duration"
    submit(play, item.pk, play.boss, "deny", duration=timedelta(minutes=90))
    assert Decision.objects.get().duration is None, "a denial has no time"


# ------------------------------------------------------------ bound to what was shown


def next_version(play: Stage) -> None:
    """The rule says something else from now on."""
    document = {**play.rule.document, "shortest_justification": 12}
    version = RuleVersion.objects.create(
        rule=play.rule.rule,
        number=2,
        document=document,
        document_hash=document_hash(document),
        created_at=real_now(),
        created_by="tests",
    )
    Rule.objects.filter(pk=play.rule.rule_id).update(current=version)


CHANGES: dict[str, tuple[Callable[[Stage], object], str]] = {
    "a new version of the rule": (next_version, "The rules have changed"),
    "another rule": (lambda play: rule_of(play, people(play.boss)), "Other rules judge this PIM group now"),
    "no rule": (lambda _: Rule.objects.update(retired=True), "No rule says who decides"),
    "what the group opens": (
        lambda play: PimGroup.objects.filter(pk=play.group.pk).update(scope_hash="other"),
        "What this PIM group opens has changed",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_word_on_what_is_not_so_any_more_is_not_taken(play: Stage, case: str) -> None:
    change, sentence = CHANGES[case]
    item = play.ask()
    shown = make.shown(item)
    change(play)
    for verdict in ("approve", "deny"):
        error = refused(Changed, lambda: submit(play, item.pk, play.boss, verdict, shown=shown))  # noqa: B023 - called at once
        assert sentence in error.sentence
    submit(play, item.pk, play.boss)


def test_a_word_for_one_stage_is_not_taken_at_the_next(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other), people(play.boss, other)))
    shown = make.shown(item)
    check_decision(decision_id=play.decide(item))
    error = refused(Changed, lambda: submit(play, item.pk, other, shown=shown))
    assert "moved to another stage" in error.sentence


def test_a_word_says_what_it_is_about(play: Stage) -> None:
    item = play.ask()
    for shown in ("", "x", "a.b", "a.b.c.d"):
        refused(Changed, lambda: submit(play, item.pk, play.boss, shown=shown))  # noqa: B023 - called at once


def test_an_approval_does_not_count_once_its_rule_has_changed_and_a_denial_does(play: Stage) -> None:
    item = play.ask()
    approval = play.decide(item)
    next_version(play)
    assert check_decision(decision_id=approval) == ()
    decision = Decision.objects.get(pk=approval)
    assert decision.status == "refused"
    assert "The rules have changed" in decision.reason
    assert Event.objects.get(type="decision.submitted").data["fields"]["shown"] == decision.shown != ""
    denial = play.decide(item, "deny")
    Rule.objects.update(retired=True)
    check_decision(decision_id=denial)
    assert RequestItem.objects.get(pk=item.pk).status == "denied"


def test_what_differs_from_what_was_asked_for_is_said(play: Stage) -> None:
    item = play.ask()
    rows = list(play.group.account_assignments.select_related("account", "permission_set").order_by("pk"))
    first, more = rows[0], make.pim_group(accounts=1).account_assignments.get()
    assert since_asked(facts_of(item)) == []
    AccountAssignment.objects.create(
        group=play.group, account=more.account, permission_set=first.permission_set
    )
    PimGroup.objects.filter(pk=play.group.pk).update(scope_hash="other")
    told = " ".join(since_asked(facts_of(item)))
    assert f"opens what was not asked for: {first.permission_set.name} on {more.account.name}." in told
    assert "the requester has to ask again" in told
    AccountAssignment.objects.filter(pk=first.pk).delete()
    assert f"doesn't open any more: {first.permission_set.name} on {first.account.name}." in " ".join(
        since_asked(facts_of(item))
    )


def test_other_contents_are_said_by_the_name_of_their_permission_set(play: Stage) -> None:
    opened = play.group.account_assignments.select_related("permission_set").order_by("pk")[0]
    PermissionSet.objects.update(content_hash="before")
    item = play.ask()
    PermissionSet.objects.filter(pk=opened.permission_set_id).update(content_hash="after")
    PimGroup.objects.filter(pk=play.group.pk).update(scope_hash="other")
    next_version(play)
    rule, contents, last = since_asked(facts_of(item))
    assert "They say now: The justification has at least 12" in rule
    assert contents == f"The contents are others in: {opened.permission_set.name}."
    assert "has to ask again" in last


def facts_of(item: RequestItem) -> Facts:
    return read_facts(
        RequestItem.objects.select_related("request", "requester", "group", "terms").get(pk=item.pk)
    )
