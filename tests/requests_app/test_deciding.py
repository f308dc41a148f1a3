"""Deciding: what a page refuses at once, and what a worker refuses or waits for before a decision counts."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from unittest.mock import Mock, patch
from uuid import UUID

import pytest

from audit.ledger.models import Event
from base.clock import real_now
from base.errors import Conflict, Denied, DomainError, Invalid, Missing
from catalog.models import AccountAssignment, PermissionSet, PimGroup
from clients.registry import clients
from identity.models import DirectoryGroup, DirectoryMembership, Person
from policy.document import document_hash
from policy.models import Rule, RuleVersion
from requests_app.actions.checking import EligibilityCheck, fresh_eligibility
from requests_app.actions.deciding import Changed, check_decision, submit_decision
from requests_app.actions.sweeping import lapse_unanswered
from requests_app.actions.withdrawing import withdraw_item
from requests_app.models import Decision, Grant, RequestItem
from requests_app.selectors import decision_page, waiting_count
from requests_app.shown import Facts, read_facts, since_asked
from simulator.sample.builder import Builder
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def colleague(play: Stage, name: str) -> Person:
    """Another person, in Entra and here."""
    user = Builder(play.world).user(f"{name.lower().replace(' ', '.')}@acme.example", name)
    return make.person(name, object_id=user.id, user_principal_name=user.user_principal_name)


def rule_of(play: Stage, *stages: dict[str, object]) -> RuleVersion:
    """A rule with these stages, which judges the group from now on."""
    document = {
        "groups": [play.group.object_id],
        "stages": list(stages),
        "shortest_justification": 10,
        "lapses_after": "P1D",
    }
    Rule.objects.update(retired=True)
    made = Rule.objects.create(name=f"rule {uuid.uuid4()}")
    version = RuleVersion.objects.create(
        rule=made,
        number=1,
        document=document,
        document_hash=document_hash(document),
        created_at=real_now(),
        created_by="tests",
    )
    Rule.objects.filter(pk=made.pk).update(current=version)
    return version


def people(*deciders: Person, quorum: int = 1) -> dict[str, object]:
    return {"people": [each.object_id for each in deciders], "groups": [], "quorum": quorum}


def ask_under(play: Stage, rule: RuleVersion, *, duration: timedelta = timedelta(hours=1)) -> RequestItem:
    return replace(play, rule=rule).ask(duration=duration)


def submit(
    play: Stage,
    item_id: UUID,
    approver: Person,
    verdict: str = "approve",
    comment: str = "Because",
    shown: str | None = None,
    duration: timedelta | None = None,
) -> UUID:
    if shown is None:
        item = RequestItem.objects.filter(pk=item_id).first()
        shown = make.shown(item) if item else ""
    with play.as_role("portal_web"):
        return submit_decision(
            item_id=item_id,
            approver_id=approver.pk,
            verdict=verdict,
            comment=comment,
            shown=shown,
            duration=duration,
            actor=make.actor(approver),
        )


def refused(kind: type[DomainError], action: Callable[[], object]) -> DomainError:
    """What the action refuses with; nothing was stored."""
    before = Decision.objects.count(), Event.objects.count()
    with pytest.raises(kind) as caught:
        action()
    assert (Decision.objects.count(), Event.objects.count()) == before
    assert str(caught.value).endswith(".")
    return caught.value


# ------------------------------------------------------------ on the page, at once


def test_nobody_decides_on_their_own_request(play: Stage) -> None:
    item = ask_under(play, rule_of(play, people(play.asker, play.boss)))
    error = refused(Denied, lambda: submit(play, item.pk, play.asker))
    assert error.code == "decision.own_request"


def test_nor_with_a_second_account_of_the_same_employee(play: Stage) -> None:
    second = colleague(play, "Ada Admin")
    Person.objects.filter(pk=second.pk).update(employee_id=play.asker.employee_id)
    item = ask_under(play, rule_of(play, people(second, play.boss)))
    error = refused(Denied, lambda: submit(play, item.pk, second))
    assert error.code == "decision.own_request"


def test_two_people_without_an_employee_number_are_two(play: Stage) -> None:
    Person.objects.filter(pk__in=[play.asker.pk, play.boss.pk]).update(employee_id="")
    submit(play, play.ask().pk, play.boss)


def test_absent_and_forbidden_are_the_same(play: Stage) -> None:
    item = play.ask()
    stranger = colleague(play, "Sam Stranger")
    forbidden = refused(Missing, lambda: submit(play, item.pk, stranger))
    absent = refused(Missing, lambda: submit(play, uuid.uuid4(), stranger))
    assert (forbidden.code, forbidden.sentence, forbidden.status) == (absent.code, absent.sentence, 404)


def test_a_disabled_approver_sees_nothing_to_decide(play: Stage) -> None:
    item = play.ask()
    Person.objects.filter(pk=play.boss.pk).update(enabled=False)
    refused(Missing, lambda: submit(play, item.pk, play.boss))


@pytest.mark.parametrize("verdict", ["", "Approve", "approved", "approve ", "1' OR '1'='1"])
def test_a_verdict_is_one_of_two_words(play: Stage, verdict: str) -> None:
    item = play.ask()
    assert refused(Invalid, lambda: submit(play, item.pk, play.boss, verdict)).field == "verdict"


@pytest.mark.parametrize("comment", ["", "   ", "\n\t"])
def test_a_denial_says_why(play: Stage, comment: str) -> None:
    item = play.ask()
    assert refused(Invalid, lambda: submit(play, item.pk, play.boss, "deny", comment)).field == "comment"


@pytest.mark.parametrize("comment", ["x" * 2001, "zero \x00 byte"])
def test_a_comment_is_readable_and_short(play: Stage, comment: str) -> None:
    item = play.ask()
    assert refused(Invalid, lambda: submit(play, item.pk, play.boss, "deny", comment)).field == "comment"


def test_the_same_approver_decides_once(play: Stage) -> None:
    item = play.ask()
    submit(play, item.pk, play.boss)
    assert refused(Conflict, lambda: submit(play, item.pk, play.boss, "deny")).code == "decision.exists"


def test_what_is_over_is_not_decided(play: Stage) -> None:
    item = play.ask()
    with play.as_role("portal_web"):
        withdraw_item(item_id=item.pk, person_id=play.asker.pk, actor=make.actor(play.asker))
    error = refused(Conflict, lambda: submit(play, item.pk, play.boss))
    assert "withdrawn" in error.sentence


def test_another_stage_decides_first(play: Stage) -> None:
    later = colleague(play, "Lea Later")
    item = ask_under(play, rule_of(play, people(play.boss), people(later)))
    assert refused(Denied, lambda: submit(play, item.pk, later)).code == "decision.other_stage"


# ------------------------------------------------------------ by the worker, before it counts


def policy(play: Stage, **changes: object) -> None:
    """Change what PIM demands of an activation."""
    row = play.world.policies.policy(play.world_group.id)
    for name, value in changes.items():
        assert hasattr(row, name)
        setattr(row, name, value)


REFUSALS: dict[str, tuple[Callable[[Stage], object], str]] = {
    "approver disabled": (
        lambda play: play.world.directory.set_enabled(play.boss.object_id, enabled=False),
        "approver's account is disabled or gone",
    ),
    "requester disabled": (
        lambda play: play.world.directory.set_enabled(play.asker.object_id, enabled=False),
        "requester's account is disabled or gone",
    ),
    "eligibility gone": (
        lambda play: play.world.happen(
            "eligibility_ended", group=play.world_group.id, person=play.world_asker.id
        ),
        "no longer eligible",
    ),
    "MFA demanded": (
        lambda play: policy(play, activation_rules=["MultiFactorAuthentication"]),
        "multifactor authentication",
    ),
    "ticket demanded": (lambda play: policy(play, activation_rules=["Ticketing"]), "ticket information"),
    "approval in PIM demanded": (lambda play: policy(play, approval_required=True), "approval inside PIM"),
    "authentication context demanded": (
        lambda play: policy(play, authentication_context="c1"),
        "an authentication context",
    ),
    "policy shorter than asked": (
        lambda play: policy(play, activation_maximum="PT30M"),
        "now allows only 30 min",
    ),
    "provisioning paused": (lambda play: play.world.provisioning.pause(), "not running (state: Paused)"),
    "provisioning in quarantine": (
        lambda play: play.world.happen("quarantine"),
        "not running (state: Quarantine)",
    ),
    "what the group opens has changed": (
        lambda play: PimGroup.objects.filter(pk=play.group.pk).update(scope_hash="other"),
        "has changed since it was asked for",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_decision_is_refused(play: Stage, case: str) -> None:
    change, sentence = REFUSALS[case]
    item = play.ask()
    decision_id = play.decide(item)
    change(play)
    assert check_decision(decision_id=decision_id) == ()
    decision = Decision.objects.get(pk=decision_id)
    assert decision.status == "refused"
    assert sentence in decision.reason
    assert decision.settled_at is not None
    assert RequestItem.objects.get(pk=item.pk).status == "pending", "somebody else may still decide"
    assert not Grant.objects.exists()
    assert Event.objects.filter(type="decision.refused", request_id=item.request_id).count() == 1
    assert check_decision(decision_id=decision_id) == (), "settled once"


def test_two_accounts_that_turn_out_to_be_one_person(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    Person.objects.filter(pk=play.boss.pk).update(employee_id=play.asker.employee_id)
    assert check_decision(decision_id=decision_id) == ()
    assert Decision.objects.get(pk=decision_id).reason == "Nobody decides on their own request."
    assert not Grant.objects.exists()


def test_after_a_refusal_the_same_approver_may_decide_again(play: Stage) -> None:
    item = play.ask()
    play.world.provisioning.pause()
    assert check_decision(decision_id=play.decide(item)) == ()
    play.world.provisioning.start()
    assert check_decision(decision_id=play.decide(item))
    assert RequestItem.objects.get(pk=item.pk).status == "approved"


def test_a_denial_needs_neither_eligibility_nor_provisioning(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item, "deny")
    play.world.provisioning.pause()
    play.world.happen("eligibility_ended", group=play.world_group.id, person=play.world_asker.id)
    check_decision(decision_id=decision_id)
    assert RequestItem.objects.get(pk=item.pk).status == "denied"


def test_an_eligibility_that_ends_bounds_the_access(as_role: AsRole) -> None:
    with stage(as_role, eligible_for=timedelta(minutes=25)) as play:
        check_decision(decision_id=play.decide(play.ask()))
        grant = play.grant()
        assert grant.ends_at - grant.starts_at == timedelta(minutes=25)


def test_an_eligibility_that_ends_in_moments_is_refused(as_role: AsRole) -> None:
    with stage(as_role, eligible_for=timedelta(minutes=25)) as play:
        item = play.ask()
        play.step(timedelta(minutes=21))
        decision_id = play.decide(item)
        assert check_decision(decision_id=decision_id) == ()
        assert "ends within five minutes" in Decision.objects.get(pk=decision_id).reason


def test_an_eligibility_that_has_ended_is_none(as_role: AsRole) -> None:
    with stage(as_role, eligible_for=timedelta(minutes=25)) as play:
        item = play.ask()
        play.step(timedelta(minutes=26))
        decision_id = play.decide(item)
        assert check_decision(decision_id=decision_id) == ()
        assert "no longer eligible" in Decision.objects.get(pk=decision_id).reason


@pytest.mark.parametrize("still_a_member", [True, False])
def test_an_eligibility_through_a_group(play: Stage, still_a_member: bool) -> None:
    build = Builder(play.world)
    team = build.group("Team - Storefront")
    build.member(team, play.world_asker)
    build.eligible(play.world_group, team)
    play.world.happen("eligibility_ended", group=play.world_group.id, person=play.world_asker.id)
    item = play.ask()
    decision_id = play.decide(item)
    if not still_a_member:
        play.world.happen("member_removed", group=team.id, person=play.world_asker.id)
    check_decision(decision_id=decision_id)
    assert RequestItem.objects.get(pk=item.pk).status == ("approved" if still_a_member else "pending")


def eligible_colleagues(play: Stage, number: int) -> None:
    build = Builder(play.world)
    for n in range(number):
        build.eligible(play.world_group, build.user(f"colleague{n}@acme.example", f"Colleague {n}"))


def test_one_s_own_endless_eligibility_is_looked_for_nowhere_else(play: Stage) -> None:
    eligible_colleagues(play, 40)
    team = Builder(play.world).group("Team - Storefront")
    Builder(play.world).eligible(play.world_group, team)
    before = dict(play.calls.made)
    assert len(check_decision(decision_id=play.decide(play.ask()))) == 1
    assert play.calls.count("graph.GET groups") == before.get("graph.GET groups", 0)
    assert play.calls.count("graph.GET members") == before.get("graph.GET members", 0)


def test_only_groups_among_the_eligible_are_asked_for_their_members(play: Stage) -> None:
    eligible_colleagues(play, 40)
    build = Builder(play.world)
    team = build.group("Team - Storefront")
    build.member(team, play.world_asker)
    build.eligible(play.world_group, team)
    play.world.happen("eligibility_ended", group=play.world_group.id, person=play.world_asker.id)
    asked = Mock(wraps=clients().directory.read_members)
    with patch.object(type(clients().directory), "read_members", asked):
        assert len(check_decision(decision_id=play.decide(play.ask()))) == 1
    assert [call.args for call in asked.call_args_list] == [(team.id,)]
    assert play.calls.count("graph.GET groups") == 1


def test_a_group_may_be_eligible_for_longer_than_the_person(as_role: AsRole) -> None:
    with stage(as_role, eligible_for=timedelta(minutes=25)) as play:
        build = Builder(play.world)
        team = build.group("Team - Storefront")
        build.member(team, play.world_asker)
        build.eligible(play.world_group, team, ends_in=None)
        check_decision(decision_id=play.decide(play.ask()))
        assert play.grant().ends_at - play.grant().starts_at == timedelta(hours=1)


def test_the_case_of_an_object_id_means_nothing(play: Stage) -> None:
    held = fresh_eligibility(play.asker.object_id.upper(), play.group.object_id)
    assert held == EligibilityCheck(held=True, ends_at=None)


@pytest.mark.parametrize("still_a_member", [True, False])
def test_an_approver_through_a_group(play: Stage, still_a_member: bool) -> None:
    build = Builder(play.world)
    approvers = build.group("Access approvers")
    boss = play.world.directory.user(play.boss.object_id)
    build.member(approvers, boss)
    row = DirectoryGroup.objects.create(
        object_id=approvers.id, display_name=approvers.display_name, synced_at=real_now()
    )
    DirectoryMembership.objects.create(group=row, person=play.boss)
    item = ask_under(play, rule_of(play, {"people": [], "groups": [approvers.id], "quorum": 1}))
    decision_id = play.decide(item)
    if not still_a_member:
        play.world.happen("member_removed", group=approvers.id, person=boss.id)
    check_decision(decision_id=decision_id)
    decision = Decision.objects.get(pk=decision_id)
    assert decision.status == ("counted" if still_a_member else "refused")
    if not still_a_member:
        assert "no longer among those who may decide" in decision.reason


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
    for minutes in (-5, 0, 4, 61):
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
    "a new version of the rule": (next_version, "is at version 2 now"),
    "another rule": (lambda play: rule_of(play, people(play.boss)), "Another rule judges this PIM group now"),
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
    assert "is at version 2 now" in decision.reason
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
    assert "This request is judged by version 1. It says now: The justification has at least 12" in rule
    assert contents == f"The contents are others in: {opened.permission_set.name}."
    assert "has to ask again" in last


def facts_of(item: RequestItem) -> Facts:
    return read_facts(
        RequestItem.objects.select_related("request", "group", "rule_version__rule").get(pk=item.pk)
    )


# ------------------------------------------------------------ a quorum and stages


def test_two_must_agree(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other, quorum=2)))
    assert check_decision(decision_id=play.decide(item)) == ()
    assert RequestItem.objects.get(pk=item.pk).status == "pending"
    assert refused(Conflict, lambda: submit(play, item.pk, play.boss)).code == "decision.exists"
    assert len(check_decision(decision_id=play.decide(item, who=other))) == 1
    assert RequestItem.objects.get(pk=item.pk).status == "approved"
    assert Grant.objects.count() == 1


def test_one_denial_is_enough_whatever_the_quorum(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other, quorum=2)))
    check_decision(decision_id=play.decide(item))
    check_decision(decision_id=play.decide(item, "deny", who=other))
    assert RequestItem.objects.get(pk=item.pk).status == "denied"
    assert not Grant.objects.exists()


def test_one_stage_after_the_other(play: Stage) -> None:
    later = colleague(play, "Lea Later")
    item = ask_under(play, rule_of(play, people(play.boss), people(later)))
    assert check_decision(decision_id=play.decide(item)) == ()
    item.refresh_from_db()
    assert (item.status, item.stage) == ("pending", 1)
    assert refused(Denied, lambda: submit(play, item.pk, play.boss)).code == "decision.other_stage"
    assert len(check_decision(decision_id=play.decide(item, who=later))) == 1
    assert RequestItem.objects.get(pk=item.pk).status == "approved"


def test_a_decision_for_a_stage_that_is_over_does_not_count(play: Stage) -> None:
    other, later = colleague(play, "Olga Other"), colleague(play, "Lea Later")
    item = ask_under(play, rule_of(play, people(play.boss, other), people(later)))
    first, second = play.decide(item), play.decide(item, "deny", who=other)
    check_decision(decision_id=first)
    check_decision(decision_id=second)
    decision = Decision.objects.get(pk=second)
    assert decision.status == "refused"
    assert "stage" in decision.reason


# ------------------------------------------------------------ one human, one word


def second_account(play: Stage, of: Person) -> Person:
    twin = colleague(play, f"{of.display_name} Admin")
    Person.objects.filter(pk=twin.pk).update(employee_id=of.employee_id)
    twin.refresh_from_db()
    return twin


def test_a_second_account_is_no_second_approver(play: Stage) -> None:
    twin = second_account(play, play.boss)
    item = ask_under(play, rule_of(play, people(play.boss, twin, quorum=2)))
    check_decision(decision_id=play.decide(item))
    assert refused(Conflict, lambda: submit(play, item.pk, twin)).code == "decision.exists"
    assert RequestItem.objects.get(pk=item.pk).status == "pending"
    for who in (play.boss, twin):
        assert waiting_count(who) == 0
        assert not decision_page(who, item.pk).may_decide


@pytest.mark.parametrize("by_second_account", [True, False])
def test_who_approved_one_stage_does_not_approve_another(play: Stage, by_second_account: bool) -> None:
    who = second_account(play, play.boss) if by_second_account else play.boss
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss), people(who, other)))
    check_decision(decision_id=play.decide(item))
    assert refused(Conflict, lambda: submit(play, item.pk, who)).code == "decision.exists"
    assert waiting_count(who) == 0
    assert not decision_page(who, item.pk).may_decide
    assert waiting_count(other) == 1
    assert decision_page(other, item.pk).may_decide
    assert len(check_decision(decision_id=play.decide(item, who=other))) == 1


@pytest.mark.parametrize("later_first", [True, False])
def test_two_approvers_that_turn_out_to_be_one_person(play: Stage, later_first: bool) -> None:
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other, quorum=2)))
    earlier = play.decide(item)
    play.step(timedelta(seconds=1))
    later = play.decide(item, who=other)
    Person.objects.filter(pk=other.pk).update(employee_id=play.boss.employee_id)
    for decision_id in (later, earlier) if later_first else (earlier, later):
        assert check_decision(decision_id=decision_id) == ()
    assert Decision.objects.get(pk=earlier).status == "counted"
    assert "decides once" in Decision.objects.get(pk=later).reason
    assert not Grant.objects.exists()


def test_one_stage_s_approver_is_refused_at_the_next_by_the_worker_too(play: Stage) -> None:
    item = ask_under(play, rule_of(play, people(play.boss), people(play.boss)))
    check_decision(decision_id=play.decide(item))
    item.refresh_from_db()
    with play.as_role("portal_web"):
        decision_id = make.submitted_decision(item, play.boss)
    assert check_decision(decision_id=decision_id) == ()
    assert "decides once" in Decision.objects.get(pk=decision_id).reason
    assert not Grant.objects.exists()


def test_an_approver_who_became_a_guest_does_not_decide(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    play.world.directory.user(play.boss.object_id).user_type = "Guest"
    assert check_decision(decision_id=decision_id) == ()
    assert "is a guest" in Decision.objects.get(pk=decision_id).reason
    assert RequestItem.objects.get(pk=item.pk).status == "pending"


# ------------------------------------------------------------ somebody was faster


def test_withdrawn_before_it_counted(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    with play.as_role("portal_web"):
        withdraw_item(item_id=item.pk, person_id=play.asker.pk, actor=make.actor(play.asker))
    assert check_decision(decision_id=decision_id) == ()
    assert "was withdrawn before this decision" in Decision.objects.get(pk=decision_id).reason


def test_denied_by_another_before_it_counted(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    item = ask_under(play, rule_of(play, people(play.boss, other)))
    approval, denial = play.decide(item), play.decide(item, "deny", who=other)
    check_decision(decision_id=denial)
    assert check_decision(decision_id=approval) == ()
    assert "was denied before this decision" in Decision.objects.get(pk=approval).reason
    assert not Grant.objects.exists()


def test_what_is_being_checked_does_not_lapse_and_what_lapsed_is_not_decided(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    play.step(timedelta(days=1, seconds=1))
    assert lapse_unanswered() == 0, "the decision was made in time"
    play.world.provisioning.pause()
    check_decision(decision_id=decision_id)
    assert lapse_unanswered() == 1
    error = refused(Conflict, lambda: submit(play, item.pk, play.boss))
    assert "lapsed" in error.sentence


def test_what_nobody_answered_in_time_is_not_decided_even_when_no_sweep_ran(play: Stage) -> None:
    item = play.ask()
    play.step(timedelta(days=1) - timedelta(seconds=1))
    assert waiting_count(play.boss) == 1
    play.step(timedelta(seconds=1))
    assert refused(Conflict, lambda: submit(play, item.pk, play.boss)).code == "item.lapsed"
    assert waiting_count(play.boss) == 0
    assert not decision_page(play.boss, item.pk).may_decide


def test_what_was_decided_in_time_counts_later(play: Stage) -> None:
    decision_id = play.decide(play.ask())
    play.step(timedelta(days=2))
    assert lapse_unanswered() == 0
    assert len(check_decision(decision_id=decision_id)) == 1


def late_decision(play: Stage, item: RequestItem) -> UUID:
    """A decision stored at the lapse: by a web process whose clock, or whose mind, is not the worker's."""
    play.step(timedelta(days=1))
    with play.as_role("portal_web"):
        return make.submitted_decision(item, play.boss)


def test_a_late_decision_does_not_keep_a_request_alive(play: Stage) -> None:
    item = play.ask()
    decision_id = late_decision(play, item)
    assert lapse_unanswered() == 1
    assert check_decision(decision_id=decision_id) == ()
    assert RequestItem.objects.get(pk=item.pk).status == "lapsed"


def test_a_late_decision_does_not_count_before_the_sweep_either(play: Stage) -> None:
    decision_id = late_decision(play, play.ask())
    assert check_decision(decision_id=decision_id) == ()
    assert "after the request had lapsed" in Decision.objects.get(pk=decision_id).reason
    assert not Grant.objects.exists()


def test_access_that_one_has_already_is_lengthened(play: Stage) -> None:
    first = check_decision(decision_id=play.decide(play.ask()))
    assert check_decision(decision_id=play.decide(play.ask())) == first
    assert Grant.objects.get().revision == 2


def test_a_rule_that_judges_no_more_decides_no_more(play: Stage) -> None:
    item = play.ask()
    decision_id = play.decide(item)
    rule_of(play, people(play.boss))
    assert check_decision(decision_id=decision_id) == ()
    assert "Another rule judges" in Decision.objects.get(pk=decision_id).reason


def test_checking_again_changes_nothing(play: Stage) -> None:
    decision_id = play.decide(play.ask())
    assert len(check_decision(decision_id=decision_id)) == 1
    events = Event.objects.count()
    assert check_decision(decision_id=decision_id) == ()
    assert check_decision(decision_id=uuid.uuid4()) == ()
    assert Event.objects.count() == events
    assert Grant.objects.count() == 1
