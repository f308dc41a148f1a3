"""A grant from the click to the proof of its end, in a world that behaves as documented."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from audit.ledger.models import Event
from requests_app.lifecycle import GRANT
from requests_app.models import Attempt, RequestItem
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def events(play: Stage) -> list[str]:
    return list(Event.objects.filter(grant_id=play.grant().pk).order_by("id").values_list("type", flat=True))


def test_from_the_click_to_the_proof_of_its_end(play: Stage) -> None:
    play.decide(play.ask())
    grant = play.play_to("active")
    assert play.in_entra()
    assert play.in_aws()
    assert grant.ends_at - grant.starts_at == timedelta(hours=1)

    grant = play.play_to("deprovisioning")
    assert not play.in_entra()
    assert grant.out_of_entra_at is not None
    assert timedelta(0) <= grant.out_of_entra_at - grant.ends_at < timedelta(minutes=2)
    assert play.in_aws(), "the removal waits for a cycle"

    grant = play.play_to("draining")
    assert not play.in_aws()
    assert grant.out_of_aws_at is not None
    assert grant.last_possible_use_at == grant.out_of_aws_at + timedelta(hours=1) + timedelta(hours=1)

    grant = play.play_out()
    assert grant.status == "ended"
    assert grant.ended_at is not None
    assert grant.last_possible_use_at is not None
    assert grant.ended_at >= grant.last_possible_use_at
    assert play.assignments_made() == 1


def test_each_step_leaves_exactly_one_event(play: Stage) -> None:
    play.decide(play.ask())
    grant = play.play_out()
    edges = {edge.event for edge in GRANT.edges}
    moved = [name for name in events(play) if name in edges]
    assert moved == [
        "grant.scheduled",
        "grant.activation_started",
        "grant.assigned",
        "grant.arrived",
        "grant.removal_started",
        "grant.out_of_entra",
        "grant.out_of_aws",
        "grant.ended",
    ]
    assert grant.version == len(moved)


def test_outside_writes_leave_intent_and_outcome_with_the_vendors_id(play: Stage) -> None:
    play.decide(play.ask())
    play.play_to("active")
    names = [name for name in events(play) if name.startswith("outside.")]
    assert names == [
        "outside.assignment_sent",
        "outside.assignment_answered",
        "outside.provisioning_sent",
        "outside.provisioning_answered",
    ]
    written = Attempt.objects.get(kind=Attempt.Kind.ASSIGN)
    assert written.outcome == "done"
    assert written.vendor_request_id


def test_without_on_demand_provisioning_the_cycle_brings_it(as_role: AsRole) -> None:
    with stage(as_role, on_demand=False) as play:
        play.decide(play.ask())
        grant = play.play_to("active")
        assert grant.arrived_at is not None
        assert timedelta(minutes=1) < grant.arrived_at - grant.starts_at <= timedelta(minutes=45)


def test_done_early_waits_for_the_fifth_minute_and_says_so(play: Stage) -> None:
    play.decide(play.ask())
    grant = play.play_to("active")
    play.finish_early(grant)
    play.work()
    grant = play.grant()
    assert grant.status == "removing"
    assert grant.problem_code == "queued"
    assert play.in_entra()
    grant = play.play_to("deprovisioning")
    assert grant.out_of_entra_at is not None
    assert grant.assigned_at is not None
    assert timedelta(minutes=5) <= grant.out_of_entra_at - grant.assigned_at < timedelta(minutes=7)
    assert play.play_out().status == "ended"


def test_a_membership_that_aws_never_showed_is_called_never_arrived_only_after_a_cycle(
    as_role: AsRole,
) -> None:
    with stage(as_role, on_demand=False) as play:
        play.world.provisioning.pause()
        item = play.ask(duration=timedelta(minutes=30))
        play.world.provisioning.start()
        play.decide(item)
        play.work()
        play.world.happen("quarantine")
        grant = play.play_to("deprovisioning")
        play.step(timedelta(hours=3))
        play.work()
        assert play.grant().status == "deprovisioning", "no cycle has run since, so nothing is proven"
        play.world.happen("quarantine_lifted")
        play.world.provisioning.run_cycle()
        grant = play.play_out()
        assert grant.status == "never_arrived"
        assert grant.arrived_at is None


def test_a_denial_grants_nothing(play: Stage) -> None:
    item = play.ask()
    play.decide(item, "deny")
    play.play(lambda: RequestItem.objects.get(pk=item.pk).status != "pending")
    assert RequestItem.objects.get(pk=item.pk).status == "denied"
    assert play.assignments_made() == 0


def test_nobody_answers_and_it_lapses(play: Stage) -> None:
    item = play.ask()
    play.step(timedelta(days=1, seconds=1))
    play.work()
    assert RequestItem.objects.get(pk=item.pk).status == "lapsed"
