"""Where one feature meets another: what each keeps on its own must hold when they come together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from requests_app.actions.deciding import check_decision
from requests_app.models import Attempt, Decision, RequestItem
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
