"""Two workers, and a person, at one grant: a worker is stopped at a point and the others act meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import override_settings

from base import crash
from base.errors import Conflict
from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciding import check_decision
from requests_app.actions.sweeping import sweep
from requests_app.lifecycle import TERMINAL
from requests_app.models import Grant
from tests.faults.test_crash_sweep import usual
from tests.races.scene import Paused
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, check_invariants, stage

pytestmark = pytest.mark.usefixtures("committed_db")

# The lease is held at these on a grant's way to its end; after `settled` it has been given back, and deciding has
# leases of its own.
HELD = tuple(
    point
    for point in crash.registered()
    if usual(point) and not point.endswith("settled") and not point.startswith("deciding.")
)
MAIN = {
    "advancing.claimed",
    "write.intent_recorded",
    "write.answered",
    "activating.looked",
    "removing.looked",
}
POINTS = [pytest.param(point, marks=() if point in MAIN else pytest.mark.proof) for point in HELD]


def begin(play: Stage) -> Grant:
    """An approved request; nobody has begun with its grant."""
    for decision_id in sweep().decisions:
        check_decision(decision_id=decision_id)
    return play.grant()


def play_to_point(play: Stage, paused: Paused) -> bool:
    """Play on, in the worker that is to be stopped, until it is stopped; False when it never passed there."""
    for _ in range(100):
        grant = play.grant()
        if grant.status in TERMINAL:
            return False
        play.world.advance()
        if paused.start(lambda pk=grant.pk: advance_grant(grant_id=pk)):  # type: ignore[misc] # bound on purpose
            return True
        play.step(play._until_next())
    raise AssertionError(play.describe())


@pytest.mark.parametrize("point", POINTS)
def test_nobody_gets_a_lease_that_is_held(as_role: AsRole, point: str) -> None:
    with stage(as_role) as play:
        item = play.ask()
        play.decide(item)
        grant = begin(play)
        paused = Paused(point)
        assert play_to_point(play, paused)
        before = Grant.objects.get(pk=grant.pk), dict(play.calls.made)
        assert advance_grant(grant_id=grant.pk) == 0
        after = Grant.objects.get(pk=grant.pk), dict(play.calls.made)
        assert (before[0].lease_token, before[1]) == (after[0].lease_token, after[1])
        assert grant.pk not in sweep().grants
        paused.go_on()
        assert paused.errors == []
        play.play_out()
        check_invariants(play, item)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_wakes_after_its_lease_harms_nothing(as_role: AsRole, point: str) -> None:
    with stage(as_role) as play:
        item = play.ask()
        play.decide(item)
        grant = begin(play)
        paused = Paused(point)
        assert play_to_point(play, paused)
        play.step(timedelta(seconds=61))
        assert advance_grant(grant_id=grant.pk) > 0, "the lease has run out, so somebody takes over"
        paused.go_on()
        assert paused.errors == []
        play.play_out()
        check_invariants(play, item)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_wakes_when_all_is_over_sends_nothing(as_role: AsRole, point: str) -> None:
    wake_when_all_is_over(as_role, point)


def test_where_pim_draws_on_no_narrow_path_the_lease_alone_holds_it_back(as_role: AsRole) -> None:
    with override_settings(NARROW_PATH_SHARED_WITH_PIM=False):
        wake_when_all_is_over(as_role, "write.intent_recorded")


def wake_when_all_is_over(as_role: AsRole, point: str) -> None:
    with stage(as_role) as play:
        item = play.ask(duration=timedelta(hours=8))
        play.decide(item)
        begin(play)
        paused = Paused(point)
        assert play_to_point(play, paused)
        play.step(timedelta(seconds=61))
        if play.grant().status in {"scheduled", "activating", "provisioning", "active"}:
            play.play_to("provisioning", "active", "removing")
            if play.grant().status != "removing":
                play.finish_early(play.grant())
        play.play_to("draining", *TERMINAL)
        paused.go_on()
        assert paused.errors == []
        assert not play.in_entra(), "given back, and assigned again by a worker that woke late"
        play.play_out()
        check_invariants(play, item)


@pytest.mark.parametrize("point", POINTS)
def test_the_holder_is_done_while_a_worker_is_at_it(as_role: AsRole, point: str) -> None:
    with stage(as_role) as play:
        item = play.ask()
        play.decide(item)
        begin(play)
        paused = Paused(point)
        assert play_to_point(play, paused)
        ended = _try(lambda: play.finish_early(play.grant()))
        paused.go_on()
        assert paused.errors == []
        grant = play.play_out()
        assert grant.status in ({"ended", "cancelled", "never_arrived"} if ended else {"ended"})
        assert play.assignments_made() <= 1
        assert not play.in_entra()
        assert not play.in_aws()
        if grant.status == "ended":
            check_invariants(play, item)


def _try(action: Callable[[], object]) -> bool:
    try:
        action()
    except Conflict:
        return False
    return True
