"""Going without an approval: what a page refuses, what a worker settles, and what goes on as any other request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from unittest.mock import patch

import pytest
from django.core.management import call_command

from audit.ledger.models import Event
from base.errors import Conflict, Denied, DomainError, Invalid
from catalog.events import GROUP_MODE
from catalog.models import PimGroup
from clients.errors import Unreachable
from clients.registry import clients
from identity.models import DirectoryGroup, DirectoryMembership, Person
from policy.models import Rule
from requests_app import selectors
from requests_app.actions.checking import EligibilityCheck
from requests_app.actions.freezing import freeze
from requests_app.actions.sweeping import sweep
from requests_app.actions.withdrawing import withdraw_item
from requests_app.models import Grant, RequestItem
from requests_app.permissions import can_decide
from requests_app.waivers.models import OwedReview, Waiver
from requests_app.waivers.settling import check_waiver
from tests.requests_app import factories as make
from tests.requests_app.deciding_scene import colleague, play
from tests.requests_app.waiver_scene import (
    ask,
    emergency,
    only_rule,
    operator,
    review_of,
    rule_with,
    waiver_of,
)
from tests.support.by_hand import known
from tests.support.stage import Died, Stage

__all__ = ["play"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer(play: Stage) -> Person:
    """Somebody who reviews what the asker uses in an emergency; the rule says so."""
    person = colleague(play, "Rita Reviewer")
    only_rule(play, emergency(play.asker, reviewers=[person]))
    return person


def settle(item: RequestItem) -> tuple[object, ...]:
    return check_waiver(waiver_id=waiver_of(item).pk)


def test_an_emergency_goes_on_like_an_approved_request_and_owes_a_review(
    play: Stage, reviewer: Person
) -> None:
    item = ask(play)
    assert item.status == "pending", "the page only records the ask"
    (grant_id,) = settle(item)
    item.refresh_from_db()
    assert (item.status, waiver_of(item).status) == ("approved", "granted")
    owed = review_of(item)
    assert (owed.person, owed.due_at - owed.owed_at) == (play.asker, timedelta(days=2))
    assert owed.blocks_at - owed.owed_at == timedelta(days=7)
    told = list(
        Event.objects.filter(request_id=item.request_id).order_by("id").values_list("type", flat=True)
    )
    assert told[:3] == ["request.submitted", "item.requested", "waiver.submitted"]
    assert told[3:] == ["waiver.granted", "emergency.review_owed", "item.approved", "grant.scheduled"]
    grant = play.play_to("active")
    assert grant.pk == grant_id
    assert play.in_aws()


def test_the_sweeper_finds_it_without_a_doorbell(play: Stage, reviewer: Person) -> None:
    item = ask(play)
    assert sweep().waivers == (waiver_of(item).pk,)
    settle(item)
    assert sweep().waivers == ()
    assert check_waiver(waiver_id=waiver_of(item).pk) == (), "settled once"
    assert Grant.objects.count() == 1


def test_without_celery_the_sweep_command_settles_it(play: Stage, reviewer: Person) -> None:
    item = ask(play)
    out = StringIO()
    call_command("sweep", stdout=out)
    assert out.getvalue() == "1 owed\n"
    assert waiver_of(item).granted
    assert play.grant().status != "scheduled", "its grant is carried on too"


def nobody_allowed(play: Stage, reviewer: Person) -> None:
    only_rule(play, emergency(reviewer, reviewers=[play.boss]))


def one_rule_of_two(play: Stage, reviewer: Person) -> None:
    rule_with(play, {})


def no_emergency(play: Stage, reviewer: Person) -> None:
    only_rule(play, {})


@pytest.mark.parametrize(
    ("arranged", "kind", "code"),
    [
        (nobody_allowed, Denied, "emergency.not_allowed"),
        (one_rule_of_two, Denied, "emergency.no_rule"),
        (no_emergency, Denied, "emergency.no_rule"),
    ],
)
def test_who_may_not_is_told_so_at_once(
    play: Stage,
    reviewer: Person,
    arranged: Callable[[Stage, Person], None],
    kind: type[DomainError],
    code: str,
) -> None:
    arranged(play, reviewer)
    with pytest.raises(kind) as refused:
        ask(play)
    assert refused.value.code == code
    assert not RequestItem.objects.exists()


def test_all_mistakes_of_an_ask_are_named_at_once(play: Stage, reviewer: Person) -> None:
    with pytest.raises(Invalid) as refused:
        ask(play, why="now", minutes=120)
    assert [each.field for each in refused.value.parts] == ["why", "duration"]


def test_nobody_has_to_be_able_to_decide(play: Stage) -> None:
    only_rule(play, emergency(play.asker, reviewers=[play.boss]))
    Rule.objects.update(retired=True)
    rule_with(play, emergency(play.asker, reviewers=[play.boss]), deciders=[play.asker])
    with pytest.raises(Invalid):
        ask(play, ordinary=True)
    settle(item := ask(play))
    assert RequestItem.objects.get(pk=item.pk).status == "approved"


def loses_eligibility(play: Stage, item: RequestItem) -> None:
    none = EligibilityCheck(held=False, ends_at=None)
    patch("requests_app.actions.checking.fresh_eligibility", return_value=none).start()


def rules_change(play: Stage, item: RequestItem) -> None:
    rule_with(play, {})


def pim_wants_an_approval(play: Stage, item: RequestItem) -> None:
    now = clients().pim.group_policy(item.group.object_id)
    wanted = replace(now, value=replace(now.value, requires_approval=True))
    patch.object(type(clients().pim), "group_policy", return_value=wanted).start()
    item.group.as_person = True
    item.group.save(update_fields=["as_person"])
    known(GROUP_MODE, [item.group])


def is_frozen(play: Stage, item: RequestItem) -> None:
    chief = operator(play, colleague(play, "Otto Operator"))
    with play.as_role("portal_web"):
        freeze(
            kind="person",
            subject=play.asker.object_id,
            person_id=chief.pk,
            reason="Laptop stolen",
            actor=make.actor(chief),
        )


def is_withdrawn(play: Stage, item: RequestItem) -> None:
    with play.as_role("portal_web"):
        withdraw_item(item_id=item.pk, person_id=play.asker.pk, actor=make.actor(play.asker))


def time_is_over(play: Stage, item: RequestItem) -> None:
    play.step(timedelta(days=1, minutes=1))


@pytest.mark.parametrize(
    ("happens", "sentence"),
    [
        (loses_eligibility, "no longer eligible"),
        (rules_change, "Other rules judge"),
        (pim_wants_an_approval, "PIM itself demands an approval"),
        (is_frozen, "is frozen in an incident"),
        (is_withdrawn, "was withdrawn before"),
        (time_is_over, "lapsed before"),
    ],
)
def test_a_worker_refuses_it_and_nothing_is_granted(
    play: Stage, reviewer: Person, happens: Callable[[Stage, RequestItem], None], sentence: str
) -> None:
    item = ask(play)
    try:
        happens(play, item)
        assert settle(item) == ()
    finally:
        patch.stopall()
    waiver = waiver_of(item)
    assert waiver.status == "refused"
    assert sentence in waiver.reason
    assert not Grant.objects.exists()
    assert not OwedReview.objects.exists()
    item.refresh_from_db()
    assert item.status in ("pending", "withdrawn"), "refused, it waits for whoever decides"


def test_the_right_to_it_is_read_afresh(play: Stage) -> None:
    """The portal's snapshot has the asker in the group that the rule names; Entra hasn't, by now."""
    named = DirectoryGroup.objects.create(object_id=make.oid(), display_name="On call")
    DirectoryMembership.objects.create(group=named, person=play.asker)
    only_rule(play, emergency(reviewers=[play.boss], allowed={"groups": [named.object_id]}))
    settle(item := ask(play))
    assert "among those who may go without" in waiver_of(item).reason
    assert not Grant.objects.exists()


def test_what_can_not_be_read_is_no_yes(play: Stage, reviewer: Person) -> None:
    item = ask(play)
    with patch("requests_app.actions.checking.fresh_eligibility", side_effect=Unreachable("it is down.")):
        assert settle(item) == ()
    waiver = waiver_of(item)
    assert (waiver.status, waiver.failures) == ("submitted", 1)
    assert waiver.reason.startswith("Waiting for the check")
    play.step(timedelta(minutes=10))
    settle(item)
    assert waiver_of(item).status == "granted"


def test_a_drill_goes_the_whole_way_and_is_granted_nothing(play: Stage, reviewer: Person) -> None:
    item = ask(play, drill=True)
    shown = selectors.inbox(selectors.waits_for(play.boss))
    assert not shown, "nobody decides on it"
    assert not can_decide(play.boss, RequestItem.objects.get(pk=item.pk))
    assert settle(item) == ()
    item.refresh_from_db()
    assert item.status == "drilled"
    assert review_of(item).drill
    assert not Grant.objects.exists()
    assert not play.in_entra()


def test_a_drill_that_is_refused_is_over(play: Stage, reviewer: Person) -> None:
    item = ask(play, drill=True)
    rules_change(play, item)
    settle(item)
    item.refresh_from_db()
    assert (item.status, item.close_reason) == ("closed", waiver_of(item).reason)


def test_an_operator_drills_without_being_among_those_who_may(play: Stage, reviewer: Person) -> None:
    nobody_allowed(play, reviewer)
    operator(play, play.asker)
    with pytest.raises(Denied):
        ask(play)
    settle(item := ask(play, drill=True))
    item.refresh_from_db()
    assert item.status == "drilled"


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("waiving.claimed", marks=pytest.mark.proof),
        pytest.param("waiving.checked", marks=pytest.mark.proof),
        "waiving.before_commit",
        "waiving.settled",
    ],
)
def test_who_dies_over_it_is_followed_by_one_who_settles_it_once(
    play: Stage, reviewer: Person, point: str
) -> None:
    item = ask(play)

    def die(reached: str) -> None:
        if reached == point:
            raise Died(reached)

    with patch("base.crash._handler", die), pytest.raises(Died):
        settle(item)
    play.step(timedelta(minutes=10))
    for waiver_id in sweep().waivers:
        check_waiver(waiver_id=waiver_id)
    item.refresh_from_db()
    assert item.status == "approved"
    assert Grant.objects.count() == OwedReview.objects.count() == 1


def test_an_unreviewed_use_blocks_the_next_one_and_a_drill_does_not(play: Stage, reviewer: Person) -> None:
    settle(ask(play))
    settle(ask(play, drill=True))
    play.step(timedelta(days=8))
    PimGroup.objects.update(policy_read_at=play.time.now)
    with pytest.raises(Conflict) as refused:
        ask(play)
    assert refused.value.code == "emergency.blocked"
    assert Waiver.objects.count() == 2
    settle(ask(play, drill=True))


# ------------------------------------------------------------ automatically

AUTOMATIC = {"automatic": {"longest_duration": "PT1H"}}


def test_what_meets_the_conditions_needs_nobody_to_decide(play: Stage) -> None:
    only_rule(play, {"automatic": {"longest_duration": "PT1H", "reference_required": True}})
    item = ask(play, ordinary=True, reference="INC0012345")
    settle(item)
    item.refresh_from_db()
    assert item.status == "approved"
    waiver = waiver_of(item)
    assert waiver.conditions == ["It is for at most 1 h.", "It has a reference."]
    event = Event.objects.get(type="waiver.granted")
    assert "It has a reference." in event.data["fields"]["conditions"]
    assert not OwedReview.objects.exists()


@pytest.mark.parametrize(
    ("extra", "others", "minutes"),
    [
        (AUTOMATIC, {}, 90),  # too long
        ({"automatic": {"longest_duration": "PT1H", "reference_required": True}}, None, 30),
        ({"automatic": {"longest_duration": "PT1H", "read_only": True}}, None, 30),  # not judged: not known
        (AUTOMATIC, {"lapses_after": "P1D"}, 30),  # another rule that doesn't agree
    ],
)
def test_what_does_not_meet_them_waits_for_a_decision(
    play: Stage, extra: dict[str, object], others: dict[str, object] | None, minutes: int
) -> None:
    only_rule(play, extra)
    if others:
        rule_with(play, others)
    item = ask(play, ordinary=True, minutes=minutes)
    assert not Waiver.objects.exists()
    assert item.status == "pending"


def test_a_condition_that_fails_when_a_worker_looks_leaves_it_to_those_who_decide(play: Stage) -> None:
    only_rule(
        play, {"automatic": {"longest_duration": "PT1H", "only": {"account_tags": {"stage": ["sandbox"]}}}}
    )
    account = play.group.account_assignments.get().account
    account.tags = {"stage": "sandbox"}
    account.save()
    item = ask(play, ordinary=True)
    account.tags = {"stage": "production"}
    account.save()
    settle(item)
    assert "It opens what the rule doesn't allow" in waiver_of(item).reason
    item.refresh_from_db()
    assert item.status == "pending"
    assert can_decide(play.boss, item)
