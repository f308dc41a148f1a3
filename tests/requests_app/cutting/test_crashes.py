"""The remover, the severer or a worker dies between every two steps of cutting access short: it still ends right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import override_settings

from audit.ledger.models import Event
from base import crash
from requests_app.cutting.models import Severance
from tests.requests_app.conftest import AsRole
from tests.requests_app.cutting.scene import LOOKS, scene
from tests.support.stage import Died, Stage, stage

pytestmark = pytest.mark.usefixtures("committed_db")


def points(area: str) -> list[str]:
    found = sorted(point for point in crash.registered() if point.startswith(f"{area}."))
    assert found
    return found


def dies_at(play: Stage, point: str, act: Callable[[], object]) -> None:
    """The process dies where it passes the point for the first time; then the leases of the dead run out."""

    def handler(reached: str) -> None:
        if reached == point:
            raise Died(point)

    crash.install(handler)
    with pytest.raises(Died):
        act()
    crash.install(None)
    play.step(timedelta(seconds=61))


def newest_event() -> int:
    return Event.objects.order_by("-id").values_list("id", flat=True).first() or 0


def check(play: Stage, since: int) -> None:
    """The play came to its end; `since` is the newest event from before it."""
    grant = play.grant()
    assert grant.status == "ended", play.describe()
    assert play.assignments_made() == 1
    assert not play.in_entra()
    assert not play.in_aws()
    told = Event.objects.filter(id__gt=since)
    sent = told.filter(type__in=("fast_removal.sent", "severing.sent")).count()
    answered = told.filter(type__in=("fast_removal.answered", "severing.answered")).count()
    assert sent - 1 <= answered <= sent, "only the one who died in between left a call without its answer"


@pytest.mark.proof
@pytest.mark.parametrize(("area", "mode"), [("fast_removal", "direct"), ("hastening", "on_demand")])
def test_fast_removal(as_role: AsRole, area: str, mode: str) -> None:
    for point in points(area):
        since = newest_event()
        with override_settings(FAST_REMOVAL=mode), stage(as_role, polls=LOOKS) as play:
            play.decide(play.ask())
            dies_at(play, point, play.play_out)
            play.play_out()
            check(play, since)


@pytest.mark.proof
def test_severing(as_role: AsRole) -> None:
    for point in points("severing"):
        since = newest_event()
        with scene(as_role) as made:
            made.play.decide(made.play.ask())
            dies_at(made.play, point, made.play.play_out)
            made.play.play_out()
            check(made.play, since)
            made.wait(180)
            assert not Severance.objects.filter(lifted_at=None).exists()
            assert "AccessPortalSevering" not in made.policy.content
