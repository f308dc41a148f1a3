"""The narrow path: four in any ten seconds, whatever happens; its queue; and calls that carry several."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from unittest.mock import patch
from uuid import UUID

import pytest
from django.test import override_settings

from audit.ledger.models import Event
from base import crash
from base.errors import Conflict, Missing
from clients import errors
from clients.breaker import CircuitOpen
from clients.errors import Throttled
from clients.registry import clients, using
from clients.types import OnDemandOutcome, OnDemandResult, Reading, Receipt
from requests_app import narrow_path
from requests_app.actions import attempts
from requests_app.actions.advancing import advance_grant
from requests_app.actions.claiming import Claim, Superseded, claim_grant
from requests_app.actions.deciding import check_decision
from requests_app.actions.pathing import (
    Place,
    Wait,
    call_up,
    hold_if_asked,
    hold_path,
    move_to_front,
    take_place,
)
from requests_app.actions.sweeping import sweep
from requests_app.lifecycle import GrantStatus
from requests_app.models import Attempt, Grant
from requests_app.narrow_path import read_queue, waiting_of, window
from requests_app.path_models import PathKind, PathTicket, PathUse
from tests.pages.moving import bring, step
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.requests_app.test_interplay import away
from tests.support import invariants
from tests.support.burst import approve_all, burst, crowd, logged, most_in
from tests.support.fleet import fleet
from tests.support.invariants import ON_DEMAND
from tests.support.seldom import seldom
from tests.support.stage import Died, Stage, stage
from tests.support.world_personal import PIM_PATCH

TEN_SECONDS = timedelta(seconds=10)
pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role, polls=((timedelta(days=1), timedelta(seconds=5)),)) as made:
        yield made


def waiting_grants(play: Stage, count: int, status: GrantStatus = GrantStatus.ACTIVATING) -> list[Grant]:
    """Grants that want a place, in the order of their start."""
    everybody = crowd(play, count, groups=1)
    rule = make.rule(play.boss, groups=tuple(here for here, _ in everybody.groups))
    found = []
    for person, group in everybody.members:
        with play.as_role("portal_web"):
            item = make.pending_item(person, group, rule)
        found.append(bring(make.scheduled_grant(item), status))
        play.step(timedelta(milliseconds=1))
    return found


def took(answer: Place | Wait) -> bool:
    return isinstance(answer, Place)


def test_four_go_and_the_fifth_waits_for_the_first_place(play: Stage) -> None:
    grants = waiting_grants(play, 6)
    answers = [take_place(grant, PathKind.ASSIGN) for grant in grants]
    assert [took(answer) for answer in answers] == [True] * 4 + [False] * 2
    assert isinstance(answers[4], Wait)
    assert timedelta(0) < answers[4].span <= window()
    play.step(answers[4].span - timedelta(milliseconds=1))
    assert not took(take_place(grants[4], PathKind.ASSIGN))
    play.step(timedelta(milliseconds=1))
    assert took(take_place(grants[4], PathKind.ASSIGN))
    assert PathTicket.objects.count() == 1


def test_redis_has_no_part_in_it(play: Stage, settings: object) -> None:
    """What was used is in PostgreSQL, so a process that has just started knows it."""
    grants = waiting_grants(play, 5)
    with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
        assert [took(take_place(grant, PathKind.ASSIGN)) for grant in grants] == [True] * 4 + [False]


def test_whoever_comes_later_stays_behind_those_who_wait(play: Stage) -> None:
    *first, late = waiting_grants(play, 6)
    for grant in first:
        take_place(grant, PathKind.ASSIGN)
    play.step(window())
    assert took(take_place(late, PathKind.ASSIGN)), "three are free besides the one that is waited for"
    for _ in range(2):
        PathUse.objects.create(
            application=narrow_path.application(),
            kind=PathKind.ASSIGN,
            grant=late,
            used_at=play.time.now,
            leaves_by=play.time.now,
            frees_at=play.time.now + window(),
        )
    assert not took(take_place(late, PathKind.CARRY)), "one is free, and that is the fifth's"
    assert took(take_place(first[4], PathKind.ASSIGN))


def test_removals_overtake(play: Stage) -> None:
    *arriving, leaving = waiting_grants(play, 7)
    bring(leaving, GrantStatus.ACTIVATING)
    for grant in arriving:
        take_place(grant, PathKind.ASSIGN)
    for status in (GrantStatus.PROVISIONING, GrantStatus.ACTIVE, GrantStatus.REMOVING):
        bring_one(leaving, status)
    assert not took(take_place(leaving, PathKind.REMOVE))
    assert [w.ticket.grant_id for w in read_queue().waiting] == [leaving.pk, arriving[4].pk, arriving[5].pk]
    assert waiting_of(leaving) is not None
    place = waiting_of(arriving[5])
    assert place is not None
    assert (place.place, place.of) == (3, 3)


def bring_one(grant: Grant, status: GrantStatus) -> None:
    changes = {"end_reason": "ended_early"} if status == GrantStatus.REMOVING else {}
    step(grant, status, **changes)


def test_an_operator_moves_one_to_the_front_and_that_is_an_event(play: Stage, as_role: AsRole) -> None:
    grants = waiting_grants(play, 7)
    for grant in grants:
        take_place(grant, PathKind.ASSIGN)
    last = PathTicket.objects.get(grant=grants[6])
    with as_role("portal_web"):
        move_to_front(ticket_id=last.pk, actor=make.actor(play.boss))
        with pytest.raises(Conflict, match="next already"):
            move_to_front(ticket_id=last.pk, actor=make.actor(play.boss))
    assert [w.ticket.grant_id for w in read_queue().waiting] == [grants[6].pk, grants[4].pk, grants[5].pk]
    event = Event.objects.get(type="queue.moved_to_front")
    assert (event.grant_id, event.request_id) == (grants[6].pk, grants[6].first_request_id)
    play.step(window())
    assert call_up() == (grants[6].pk, grants[4].pk, grants[5].pk)
    assert took(take_place(grants[6], PathKind.ASSIGN))
    with as_role("portal_web"), pytest.raises(Missing, match="doesn't wait any more"):
        move_to_front(ticket_id=last.pk, actor=make.actor(play.boss))


def test_the_vendors_429_stops_everybody(play: Stage) -> None:
    grants = waiting_grants(play, 3)
    assert took(take_place(grants[0], PathKind.ASSIGN))
    hold_if_asked(Throttled("Entra asks to wait.", retry_after=timedelta(seconds=30), code="429"))
    hold_path(timedelta(seconds=5))  # never shortens what is held already
    answer = take_place(grants[1], PathKind.ASSIGN)
    assert isinstance(answer, Wait)
    assert answer.span == timedelta(seconds=30)
    assert call_up() == ()
    play.step(timedelta(seconds=30))
    assert took(take_place(grants[1], PathKind.ASSIGN))


@pytest.mark.parametrize("code", ["LocalRateLimit", "portal.not_sent"])
def test_our_own_limits_hold_nothing(play: Stage, code: str) -> None:
    (grant,) = waiting_grants(play, 1)
    hold_if_asked(Throttled("Not yet.", retry_after=timedelta(seconds=30), code=code))
    hold_if_asked(errors.Unreachable("Entra is away."))
    assert took(take_place(grant, PathKind.ASSIGN))


def test_who_was_called_and_does_not_come_keeps_nobody_waiting(play: Stage) -> None:
    grants = waiting_grants(play, 9)
    for grant in grants:
        take_place(grant, PathKind.ASSIGN)
    play.step(window())
    assert call_up() == tuple(grant.pk for grant in grants[4:8])
    assert not took(take_place(grants[8], PathKind.ASSIGN)), "the places are kept for those who were called"
    play.step(narrow_path.PATIENCE)
    assert took(take_place(grants[8], PathKind.ASSIGN))
    assert took(take_place(grants[4], PathKind.ASSIGN)), "and it is let in when it comes after all"


def test_a_ticket_is_void_once_its_grant_has_moved_on(play: Stage) -> None:
    grants = waiting_grants(play, 6)
    for grant in grants:
        take_place(grant, PathKind.ASSIGN)
    bring_one(grants[4], GrantStatus.REMOVING)
    assert [w.ticket.grant_id for w in read_queue().waiting] == [grants[5].pk]
    assert waiting_of(Grant.objects.get(pk=grants[4].pk)) is None
    call_up()
    assert not PathTicket.objects.filter(grant=grants[4]).exists()


def test_approvals_that_are_passed_on_late_keep_to_it_too(as_role: AsRole) -> None:
    """What PIM was asked together is approved together only as far as there are places."""
    count = 6
    with fleet(as_role, people=count, groups=count, one_each=True, as_person=range(count)) as play:
        for _, group in play.groups:
            play.world.policies.change(
                group.id, approval_required=True, approver_users=[play.approvers[0][1].id]
            )
        play.sign_in(play.approvers[0][0])
        play.world.faults.add(PIM_PATCH, "throttle", count=4, retry_after=20)
        for number in range(count):
            play.sign_in(play.people[number][0])
            play.approve(play.ask(number, number))
        for _ in range(200):
            play.work()
            invariants.check(play.scene())
            if Grant.objects.filter(status=GrantStatus.ACTIVE).count() == count:
                break
            play.step(play.until_next())
        approvals = [each.stages[0].reviewed_at for each in play.world.state.approvals.values()]
        assert len([at for at in approvals if at]) == count, play.describe()
        assert Attempt.objects.filter(kind=Attempt.Kind.PASS_ON, outcome=Attempt.Outcome.RETRY).count() == 4


def test_assignments_pass_by_when_they_do_not_share_the_path(play: Stage) -> None:
    grants = waiting_grants(play, 6)
    with override_settings(NARROW_PATH_SHARED_WITH_PIM=False):
        assert all(took(take_place(grant, PathKind.ASSIGN)) for grant in grants)
    assert not PathUse.objects.exists()


def test_a_call_that_is_late_for_its_turn_does_not_leave(play: Stage) -> None:
    """The worker stood still between its place and its call: nothing is sent, and others have the place at once."""
    item = play.ask()
    play.decide(item)

    def dawdle(point: str) -> None:
        if point == "write.intent_recorded":
            crash.install(None)
            play.step(narrow_path.LEAVES_WITHIN)

    crash.install(dawdle)
    with logged(play) as log:
        grant = play.play_to("active")
    assert (
        Attempt.objects.filter(kind=Attempt.Kind.ASSIGN, code="portal.not_sent", outcome="retry").count() == 1
    )
    assert len(log.assigned) == 1
    assert grant.unknown_writes == 0
    assert PathUse.objects.filter(kind=PathKind.ASSIGN).count() == 1


def claimed(grant: Grant) -> Claim:
    found = claim_grant(grant.pk, early=True)
    assert found is not None
    return found


def write(claim: Claim, place: Place | Wait, raises: errors.ClientError) -> attempts.Answer[object]:
    """An assignment in whose stead the port raises this."""

    def call(_: str) -> Reading[object]:
        raise raises

    assert isinstance(place, Place)
    grant = claim.grant
    sent = {"tag": grant.tag, "starts_at": grant.starts_at, "ends_at": grant.ends_at}
    return attempts.write(claim, Attempt.Kind.ASSIGN, call, sent=sent, place=place)


@pytest.mark.parametrize("code", ["CircuitOpen", "LocalRateLimit"])
def test_a_call_that_was_never_made_gives_its_place_back(play: Stage, code: str) -> None:
    """The circuit opened, or our own limit was met, only when the call was about to leave."""
    (grant,) = waiting_grants(play, 1)
    kind = CircuitOpen if code == "CircuitOpen" else Throttled
    claim = claimed(grant)
    answer = write(
        claim, take_place(grant, PathKind.ASSIGN), kind("Away.", retry_after=TEN_SECONDS, code=code)
    )
    assert answer.error is not None
    assert not PathUse.objects.exists()
    # What the vendor answers has used its place, a refusal, too.
    write(claim, take_place(grant, PathKind.ASSIGN), Throttled("Wait.", retry_after=TEN_SECONDS, code="429"))
    assert PathUse.objects.count() == 1


def test_who_lost_the_grant_before_the_call_gives_the_place_back(play: Stage) -> None:
    (grant,) = waiting_grants(play, 1)
    claim, place = claimed(grant), take_place(grant, PathKind.ASSIGN)
    bring_one(grant, GrantStatus.REMOVING)
    with pytest.raises(Superseded):
        write(claim, place, Throttled("never raised", retry_after=TEN_SECONDS))
    assert not PathUse.objects.exists()


def test_while_the_cloud_is_away_nobody_takes_a_place_and_whoever_waits_keeps_theirs(play: Stage) -> None:
    grants = waiting_grants(play, 5)
    for grant in grants:
        take_place(grant, PathKind.ASSIGN)
    play.step(window())
    with using(replace(clients(), breaker=away("graph"))):
        with pytest.raises(CircuitOpen):
            attempts.place_for(grants[4], PathKind.ASSIGN)
        assert took(attempts.place_for(grants[0], PathKind.CARRY)), "only Graph is away"
    assert [waiting.ticket.grant_id for waiting in read_queue().waiting] == [grants[4].pk]
    assert PathUse.objects.filter(kind=PathKind.ASSIGN).count() == 4


@pytest.mark.proof
def test_a_call_that_counts_late_keeps_its_place_from_then_on(play: Stage) -> None:
    """Its answer came after a minute: PIM may have taken it up only then, together with whoever goes next."""
    grants, began = waiting_grants(play, 6), play.time.now
    play.calls.pause = lambda seconds: play.step(timedelta(seconds=seconds))
    play.world.faults.add("graph.POST assignmentScheduleRequests", "delay", seconds=70)
    for _ in range(30):
        for grant in grants:
            advance_grant(grant_id=grant.pk)
        play.step(timedelta(seconds=1))
    assigned = [r.created_at for r in play.world.state.requests.values() if r.created_at >= began]
    carried = [at for operation, _, at in play.calls.writes if operation == ON_DEMAND]
    assert len(assigned) == len(grants)
    assert carried
    assert most_in(assigned + carried, TEN_SECONDS) == 4


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(1, 12))])
def test_never_more_than_four_in_any_ten_seconds_arrive_at_the_vendor(play: Stage, seed: int) -> None:
    """Workers that are slow, die between place and call, or stand still; a vendor that holds the path."""
    dice = random.Random(seed)
    by_id = {grant.pk: grant for grant in waiting_grants(play, 6)}
    arrived = []
    underway: list[datetime] = []
    for _ in range(240):
        now = play.time.now
        arrived += [at for at in underway if at <= now]
        underway = [at for at in underway if at > now]
        if dice.random() < 0.02:
            hold_path(timedelta(seconds=dice.choice([1, 5, 20])))
        called = [each for each in call_up() if dice.random() > 0.2]
        answer = take_place(by_id[dice.choice(called or list(by_id))], PathKind.ASSIGN)
        if isinstance(answer, Place) and dice.random() > 0.1:
            assert answer.leaves_by is not None
            leaves_at = now + timedelta(seconds=dice.uniform(0, 2))
            if leaves_at < answer.leaves_by:
                travel = narrow_path.TRAVELS_WITHIN * dice.random()
                underway.append(leaves_at + travel)
        play.step(timedelta(seconds=dice.choice([0, 0, 0.05, 0.4, 1.3, 3])))
    arrived += underway
    assert len(arrived) > 12
    assert most_in(arrived, TEN_SECONDS) <= 4


@pytest.mark.proof
def test_thirty_at_once_are_paced_and_nobody_falls_into_the_cycle(as_role: AsRole) -> None:
    came = burst(as_role)
    assert most_in(came.log.all(), TEN_SECONDS) == 4
    assert len(came.log.assigned) == 30
    assert sum(members for _, members in came.log.carried) == 30, "each is asked for once"
    assert len(came.log.carried) < 20, "members of a group go together"
    assert came.share(1) < timedelta(minutes=4)


def provisioning_grants(play: Stage, count: int, *, groups: int = 1) -> list[Grant]:
    """Grants that PIM holds already and that nobody has asked to be provisioned."""
    everybody = crowd(play, count, groups=groups)
    with override_settings(NARROW_PATH_SHARED_WITH_PIM=False):
        approve_all(play, everybody, duration=timedelta(hours=1))
        for decision_id in sweep().decisions:
            for grant_id in check_decision(decision_id=decision_id):
                stop_before_the_call(grant_id)
    PathUse.objects.all().delete()
    grants = list(Grant.objects.filter(person__in=[person for person, _ in everybody.members]).order_by("pk"))
    assert {grant.status for grant in grants} == {GrantStatus.PROVISIONING}
    return grants


def stop_before_the_call(grant_id: UUID) -> None:
    """A worker dies with its place on the narrow path in hand; its lease has run out."""

    def stop(point: str) -> None:
        if point == "pathing.taken":
            raise Died(point)

    hold = PathUse.objects.count()
    crash.install(stop)
    try:
        advance_grant(grant_id=grant_id)
    except Died:
        assert PathUse.objects.count() == hold + 1
    finally:
        crash.install(None)
        PathUse.objects.all().delete()
        Grant.objects.filter(pk=grant_id).update(lease_until=None, lease_token=None, retry_at=None)


def test_five_of_a_group_are_one_call(play: Stage) -> None:
    grants = provisioning_grants(play, 7)
    with logged(play) as log:
        advance_grant(grant_id=grants[0].pk)
    assert [members for _, members in log.carried] == [5]
    assert PathUse.objects.count() == 1
    assert Grant.objects.filter(status=GrantStatus.ACTIVE, lease_token=None).count() == 5
    sent = list(Event.objects.filter(type="outside.provisioning_sent"))
    answered = list(Event.objects.filter(type="outside.provisioning_answered"))
    assert len(sent) == len(answered) == 5
    assert len({event.grant_id for event in sent}) == 5
    assert len({str(event.data["fields"]["client_request_id"]) for event in (*sent, *answered)}) == 1


@pytest.mark.proof
def test_only_members_of_the_same_group_go_together(play: Stage) -> None:
    grants = provisioning_grants(play, 6, groups=2)
    with logged(play) as log:
        advance_grant(grant_id=grants[0].pk)
    assert [members for _, members in log.carried] == [3]


@pytest.mark.proof
def test_who_is_asked_for_again_goes_alone(play: Stage) -> None:
    grants = provisioning_grants(play, 3)
    play.world.faults.add("graph.POST provisionOnDemand", "lose_request")
    with logged(play) as log:
        advance_grant(grant_id=grants[0].pk)
        assert Grant.objects.filter(status=GrantStatus.PROVISIONING).count() == 3
        play.step(timedelta(minutes=6))
        for grant in grants:
            advance_grant(grant_id=grant.pk)
    assert [members for _, members in log.carried] == [3, 1, 1, 1]
    assert Grant.objects.filter(status=GrantStatus.ACTIVE).count() == 3


@pytest.mark.proof
@pytest.mark.parametrize(
    "point",
    ["write.intent_recorded", "write.answered", "provisioning.asked", "provisioning.looked"],
)
def test_a_death_with_five_in_hand_loses_none_of_them(play: Stage, point: str) -> None:
    grants = provisioning_grants(play, 5)

    def die(reached: str) -> None:
        if reached == point:
            raise Died(point)

    crash.install(die)
    with logged(play) as log, pytest.raises(Died):
        advance_grant(grant_id=grants[0].pk)
    crash.install(None)
    assert Grant.objects.exclude(lease_token=None).count() >= 4
    assert all(
        advance_grant(grant_id=grant.pk) == 0
        for grant in grants
        if grant.status == GrantStatus.PROVISIONING and Grant.objects.get(pk=grant.pk).lease_token
    )
    play.play(
        lambda: Grant.objects.filter(status=GrantStatus.ACTIVE).count() == 5, at_most=timedelta(hours=1)
    )
    assert len(log.carried) <= 1


@pytest.mark.proof
def test_another_worker_has_one_of_them_in_hand(play: Stage) -> None:
    grants = provisioning_grants(play, 3)
    busy = claim_grant(grants[1].pk)
    assert busy is not None
    with logged(play) as log:
        advance_grant(grant_id=grants[0].pk)
    assert [members for _, members in log.carried] == [2]
    assert Grant.objects.get(pk=grants[1].pk).lease_token == busy.token


ANSWERS = {
    "success": (OnDemandOutcome.SUCCESS, ""),
    "skipped": (OnDemandOutcome.SKIPPED, "sees nothing to provision yet: RedundantExport"),
    "failure": (OnDemandOutcome.FAILURE, "could not provision the membership at once: RedundantExport"),
    "something else": (OnDemandOutcome.UNKNOWN, "could not be understood"),
}


@pytest.mark.parametrize("name", seldom(ANSWERS, unless="skipped".__eq__))
def test_no_answer_is_believed_and_the_cycle_is_waited_for(play: Stage, name: str) -> None:
    outcome, sentence = ANSWERS[name]
    grants = provisioning_grants(play, 2)
    answer = Reading(OnDemandResult(outcome, "RedundantExport" if sentence else ""), Receipt(""))
    with patch.object(type(clients().provisioning), "provision_on_demand", lambda *_, **__: answer):
        advance_grant(grant_id=grants[0].pk)
        for grant in Grant.objects.all():
            assert grant.status == GrantStatus.PROVISIONING
            assert sentence in grant.problem
            assert ("cycle brings it within 40 minutes" in grant.problem) == bool(sentence)
        play.play(
            lambda: Grant.objects.filter(status=GrantStatus.ACTIVE).count() == 2,
            at_most=timedelta(minutes=41),
        )


@pytest.mark.proof
@pytest.mark.marathon
def test_without_pacing_most_of_thirty_fall_into_the_cycle(as_role: AsRole) -> None:
    """What the pacing is for, where the portal has nothing but Entra's own fast path."""
    paced, unpaced = burst(as_role, on_demand=False), burst(as_role, on_demand=False, paced=False)
    assert most_in(unpaced.log.assigned, TEN_SECONDS) == 30, (
        "the calls for provisioning are refused, and counted apart"
    )
    assert paced.share(1) < timedelta(minutes=13), "ten minutes of the fast path, and its turn"
    assert unpaced.share(1) > timedelta(minutes=20)
    assert unpaced.share(0.5) > paced.share(0.5)
