"""A start that was asked for: kept by the approval, asked about again when it comes, never shortened silently."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from audit.ledger.models import Event
from base.clock import business_now
from base.errors import Invalid
from catalog.models import AccountAssignment, ProvisioningState
from requests_app.actions.submitting import submit_request
from requests_app.models import Decision, RequestItem
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
pytestmark = pytest.mark.django_db


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        ProvisioningState.objects.create(
            job_id="job", code="Active", last_cycle_completed=True, observed_at=business_now()
        )
        yield made


def ask(play: Stage, start: datetime | None) -> RequestItem:
    with play.as_role("portal_web"):
        request_id = submit_request(
            requester_id=play.asker.pk,
            group_object_id=play.group.object_id,
            duration=HOUR,
            justification="Release on Tuesday morning",
            reference="",
            wanted_start=start,
            actor=make.actor(play.asker),
        )
        return RequestItem.objects.get(request_id=request_id)


def test_it_begins_when_it_was_asked_for(play: Stage) -> None:
    start = play.time.now + DAY
    item = ask(play, start)
    play.decide(item)
    grant = play.play_to("scheduled")
    assert (grant.starts_at, grant.ends_at) == (start, start + HOUR)
    play.step(DAY - timedelta(minutes=1))
    play.work()
    assert not play.in_entra()
    grant = play.play_to("active")
    assert play.assignments_made() == 1
    assert grant.assigned_at is not None
    assert grant.assigned_at >= start
    assert (grant.starts_at, grant.ends_at) == (start, start + HOUR)
    asked = Event.objects.get(type="item.requested")
    assert asked.data["fields"]["wanted_start"]


def test_an_approval_after_the_wanted_start_keeps_the_duration(play: Stage) -> None:
    item = ask(play, play.time.now + HOUR)
    play.step(3 * HOUR)
    approved_at = play.time.now
    play.decide(item)
    grant = play.play_to("active")
    assert timedelta(0) <= grant.starts_at - approved_at < timedelta(minutes=1)
    assert grant.ends_at - grant.starts_at == HOUR


@pytest.mark.parametrize(
    ("ahead", "code"),
    [(timedelta(0), "start.past"), (-HOUR, "start.past"), (15 * DAY, "start.far")],
)
def test_a_start_that_is_over_or_too_far_ahead_is_refused_at_its_field(
    play: Stage, ahead: timedelta, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        ask(play, play.time.now + ahead)
    assert (refused.value.code, refused.value.field) == (code, "start")


def test_the_last_moment_that_is_allowed(play: Stage) -> None:
    assert ask(play, play.time.now + 14 * DAY).wanted_start == play.time.now + 14 * DAY


def test_while_one_is_to_start_another_is_had_before_it(play: Stage) -> None:
    play.decide(ask(play, play.time.now + DAY))
    later = play.play_to("scheduled")
    play.step(timedelta(seconds=1))  # the newest grant is known by its instant
    play.decide(ask(play, None))
    now = play.play_to("active")
    assert now.pk != later.pk
    assert now.ends_at < later.starts_at
    later.refresh_from_db()
    assert (later.status, later.revision) == ("scheduled", 1)


def lose_eligibility(play: Stage) -> None:
    for schedule in list(play.world.state.schedules.values()):
        if schedule.kind == "eligibility" and schedule.principal_id == play.world_asker.id:
            schedule.end = schedule.ended_at = play.time.now
            schedule.status = "Revoked"


def disable(play: Stage) -> None:
    play.world_asker.account_enabled = False


def grow(play: Stage) -> None:
    group = make.pim_group(accounts=1)
    AccountAssignment.objects.filter(group=group).update(group=play.group)
    type(play.group).objects.filter(pk=play.group.pk).update(scope_hash="grown")


@pytest.mark.parametrize(
    ("happens", "words"),
    [(lose_eligibility, "no longer eligible"), (disable, "disabled or gone"), (grow, "now opens")],
)
def test_what_was_approved_is_asked_again_at_the_start(play: Stage, happens: object, words: str) -> None:
    play.decide(ask(play, play.time.now + DAY))
    play.play_to("scheduled")
    assert callable(happens)
    happens(play)
    grant = play.play_to("not_granted", "active")
    assert grant.status == "not_granted"
    assert words in grant.problem
    assert play.assignments_made() == 0


def test_an_eligibility_that_ends_before_the_wanted_start_is_not_approved(as_role: AsRole) -> None:
    with stage(as_role, eligible_for=timedelta(hours=12)) as play:
        ProvisioningState.objects.create(
            job_id="job", code="Active", last_cycle_completed=True, observed_at=business_now()
        )
        play.decide(ask(play, play.time.now + DAY))
        play.play(lambda: Decision.objects.get().status == "refused")
        assert "eligibility ends before" in Decision.objects.get().reason


def test_its_holder_calls_it_off_before_it_begins(play: Stage) -> None:
    play.decide(ask(play, play.time.now + DAY))
    play.finish_early(play.play_to("scheduled"))
    play.step(2 * DAY)
    play.work()
    assert play.grant().status == "cancelled"
    assert play.assignments_made() == 0
