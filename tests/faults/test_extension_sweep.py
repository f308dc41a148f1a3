"""Kill the worker between every two steps of an extension: nothing is lost, lengthened twice or held too long."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from base import crash
from requests_app.models import GrantInterval
from tests.requests_app.conftest import AsRole
from tests.support.stage import Died, Stage, stage

pytestmark = pytest.mark.usefixtures("committed_db")

ACCEPTED = (
    "deciding.before_commit",
    "write.intent_recorded",
    "write.answered",
    "extending.before_settle",
    "extending.held",
)
REFUSED = ("extending.before_continuing", "write.answered", "activating.before_settle")
MAIN = {(True, "write.answered"), (True, "extending.held"), (False, "extending.before_continuing")}
PLAYS = [
    pytest.param(*play, marks=() if play in MAIN else pytest.mark.proof)
    for play in (*((True, point) for point in ACCEPTED), *((False, point) for point in REFUSED))
]


def play_until_death(play: Stage, point: str) -> bool:
    """Play on and die at the point; True when that came. The lease of the dead then runs out."""

    def die(reached: str) -> None:
        if reached == point:
            raise Died(reached)

    crash.install(die)
    try:
        play.play_out()
    except Died:
        play.step(timedelta(seconds=61))
        return True
    finally:
        crash.install(None)
    return False


def check(play: Stage) -> None:
    """What holds however often somebody died."""
    grant = play.play_to("ended")
    assert grant.revision == GrantInterval.objects.filter(grant=grant).count() == 2
    rows = [row for row in play.world.state.schedules.values() if row.kind == "assignment"]
    rows = sorted((row for row in rows if row.started_at is not None), key=lambda row: row.start)
    assert max(row.end for row in rows if row.end is not None) <= grant.ends_at, "longer than was approved"
    for earlier, later in pairwise(rows):
        assert earlier.ended_at is not None
        assert later.started_at is not None
        assert earlier.ended_at <= later.started_at, "two assignments of one pair at once"
    assert not play.in_entra()
    assert not play.in_aws()


@pytest.mark.parametrize(("reaches", "point"), PLAYS)
def test_an_extension_survives_a_death(as_role: AsRole, reaches: bool, point: str) -> None:
    with stage(as_role) as play:
        play.world.switches.update_reaches_running = reaches
        play.decide(play.ask())
        first = play.play_to("active")
        play.decide(play.ask())
        assert play_until_death(play, point), f"never passed {point}"
        check(play)
        assert play.grant().pk == first.pk
