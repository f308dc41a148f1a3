"""Where one feature meets another: what each keeps on its own must hold when they come together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest

from audit.ledger.models import Event
from base import crash
from clients.breaker import FAILURES, CircuitOpen, LocalBreaker, Verdict
from clients.errors import Throttled
from clients.registry import clients, using
from requests_app.actions.deciding import check_decision
from requests_app.actions.pathing import hold_if_asked
from requests_app.models import Decision, RequestItem
from requests_app.path_models import NarrowPath, PathUse
from tests.requests_app.conftest import AsRole
from tests.requests_app.test_revoking import end_it
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def approve(play: Stage, duration: timedelta = HOUR) -> RequestItem:
    """A request that is approved at once; nobody has acted on it yet."""
    item = play.ask(duration=duration)
    check_decision(decision_id=play.decide(item))
    item.refresh_from_db()
    assert item.status == "approved", Decision.objects.filter(item=item).values_list("reason", flat=True)
    return item


@pytest.mark.parametrize("shows_after", [20, 300])
def test_done_before_pims_reads_show_the_assignment_it_is_removed_all_the_same(
    play: Stage, shows_after: int
) -> None:
    play.world.switches.replication_seconds = shows_after
    approve(play, 8 * HOUR)
    grant = play.grant()
    play.play(lambda: bool(play.grant().pim_schedule_id), at_most=timedelta(minutes=2))
    assert play.grant().status == "activating", "accepted, and not read back yet"
    play.finish_early(play.grant())
    play.play(
        lambda: play.grant().status not in {"removing", "deprovisioning"} and not play.in_entra(),
        at_most=3 * HOUR,
    )
    assert play.time.now < grant.ends_at - 4 * HOUR
    assert not play.in_aws()


def test_an_approval_from_before_a_revocation_grants_nothing_after_it(play: Stage) -> None:
    approve(play)
    play.play_to("active")
    play.step(timedelta(minutes=10))
    further = play.ask()
    stale = play.decide(further)
    play.step(timedelta(seconds=1))
    end_it(play, play.boss)
    check_decision(decision_id=stale)
    word, further = Decision.objects.get(pk=stale), RequestItem.objects.get(pk=further.pk)
    assert (word.status, further.status) == ("refused", "pending")
    assert "was revoked after this approval" in word.reason
    play.step(timedelta(seconds=1))
    check_decision(decision_id=play.decide(further))
    assert RequestItem.objects.get(pk=further.pk).status == "approved", (
        "who knows of the revocation may approve"
    )


def test_who_is_disabled_while_earlier_access_goes_out_is_not_let_in_again(play: Stage) -> None:
    approve(play)
    first = play.play_to("active")
    play.step(timedelta(minutes=10))
    play.finish_early(first)
    approve(play)
    play.step(timedelta(minutes=5))
    play.world.happen("person_disabled", person=play.world_asker.id)
    second = play.play_out()
    assert second.pk != first.pk
    assert (second.status, play.assignments_made()) == ("not_granted", 1)
    assert "disabled or gone" in second.problem


def refused_extension(play: Stage, duration: timedelta = HOUR) -> None:
    """Active, extended, and PIM keeps the earlier end."""
    play.world.switches.update_reaches_running = False
    approve(play)
    play.play_to("active")
    approve(play, duration)
    play.play(lambda: play.grant().extension_refused == 2, at_most=timedelta(minutes=2))


def test_the_rest_of_a_window_is_not_assigned_anew_to_who_is_disabled(play: Stage) -> None:
    refused_extension(play)
    held_until = play.grant().sure_until
    play.play(lambda: play.time.now >= held_until - timedelta(minutes=2))
    with patch("requests_app.actions.leaving.CHECK_EVERY", timedelta(days=1)):
        play.world.happen("person_disabled", person=play.world_asker.id)
        play.play(lambda: play.time.now > held_until + timedelta(minutes=1))
    assert play.assignments_made() == 1
    told = Event.objects.get(grant_id=play.grant().pk, type="grant.activation_abandoned")
    assert "disabled or gone" in str(told.canon)


def test_what_was_used_once_is_never_called_never_arrived(play: Stage) -> None:
    refused_extension(play, timedelta(minutes=15))
    first_arrival = play.grant().arrived_at

    def gone_in_between(reached: str) -> None:
        if reached == "extending.before_continuing":
            play.world.faults.add("graph.POST provisionOnDemand", "error", count=None)
            play.world.happen("job_paused")
            play.world.happen("store_member_removed", group=play.world_group.id, person=play.world_asker.id)

    crash.install(gone_in_between)
    play.play(lambda: play.grant().status in {"removing", "deprovisioning", "draining"})
    assert play.assignments_made() == 2
    assert play.grant().arrived_at == first_arrival
    play.world.happen("job_started")
    assert play.play_to("draining", "never_arrived").status == "draining", (
        "sessions of its first hour may run"
    )


def test_calls_that_were_not_made_hold_nobody_back_on_the_narrow_path() -> None:
    hold_if_asked(CircuitOpen("It has not answered.", retry_after=timedelta(minutes=1), code="CircuitOpen"))
    assert not NarrowPath.objects.filter(held_until__isnull=False).exists()
    hold_if_asked(Throttled("Wait.", retry_after=timedelta(minutes=1), code="429"))
    assert NarrowPath.objects.filter(held_until__isnull=False).exists()


def away(cloud: str) -> LocalBreaker:
    """A cloud that doesn't answer until somebody says that it did."""
    breaker = LocalBreaker(now=lambda: 1.0)
    for _ in range(FAILURES):
        breaker.leave(cloud, Verdict.FAILED)
    return breaker


@pytest.mark.proof
def test_without_the_provisioning_service_the_cycle_s_arrival_is_seen(play: Stage) -> None:
    approve(play)
    with using(replace(clients(), breaker=away("provisioning"))):
        play.play_to("active")
    assert not Event.objects.filter(type="outside.provisioning_sent").exists()


def test_a_cloud_that_is_away_gets_no_events_for_each_retry(play: Stage) -> None:
    """The grant waits and says why; with the cloud it goes on. Of an outage the trail tells once, by its alert."""
    breaker = away("graph")
    approve(play)
    with using(replace(clients(), breaker=breaker)):
        for _ in range(5):
            play.work()
            play.step(timedelta(milliseconds=300))
        grant = play.grant()
        assert (grant.status, grant.unknown_writes) == ("activating", 0)
        assert "Microsoft Graph has not answered" in grant.problem
        assert not PathUse.objects.exists()
        assert not Event.objects.filter(type="outside.assignment_sent").exists()
        breaker.leave("graph", Verdict.ANSWERED)
        play.play_to("active")
    assert Event.objects.filter(type="outside.assignment_sent").count() == 1
