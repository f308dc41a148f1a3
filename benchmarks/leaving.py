"""From the end of a window to the membership's absence in AWS, on the simulated clock, in each way that there is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from statistics import median

from django.test import override_settings

from benchmarks.measuring import Figure
from benchmarks.setting import on_a_stage
from requests_app.lifecycle import GrantStatus
from tests.support.ends import last_use_after_approval
from tests.support.servers import PostgresServer, as_role
from tests.support.stage import stage

# Looks as the product has them while it is young; the stage's own are seldom.
POLLS = ((timedelta(minutes=5), timedelta(seconds=15)), (timedelta(days=1), timedelta(seconds=60)))
# The end comes early, in the middle and late in the forty-minute cycle.
OFFSETS = tuple(timedelta(minutes=minutes) for minutes in (0, 13, 27))
WAYS = {
    "by the provisioning cycle": "off",
    "by on-demand provisioning": "on_demand",
    "by fast removal": "direct",
}


def run(server: PostgresServer, *, offsets: tuple[timedelta, ...] = OFFSETS) -> Iterator[Figure]:
    """Ratios to the cycle: of the medians over the moments of a cycle at which the window ends."""
    gone: dict[str, list[float]] = {}
    last: dict[str, float] = {}
    for way, setting in WAYS.items():
        with on_a_stage(server):
            taken = [_leave(setting, offset) for offset in offsets]
        gone[way] = sorted(after.total_seconds() for after, _ in taken)
        last[way] = max(use / timedelta(hours=1) for _, use in taken)
    cycle = median(gone["by the provisioning cycle"])
    for way, spans in gone.items():
        yield Figure(
            f"leaving: end of the window to gone from AWS, {way}, to the cycle's",
            f"{median(spans) / cycle:.2f}",
            detail=f"{median(spans):,.0f} s in the middle, {spans[-1]:,.0f} s at worst",
        )
    for way, hours in last.items():
        yield Figure(
            f"leaving: last possible use of an hour with sessions of an hour, {way}, in hours after its end",
            f"{hours:.2f}",
            detail="at worst, as computed from the read-back; sessions aren't severed",
        )
    # The window, an hour, is taken off: both are counted from its end.
    for severing, how in ((False, "not severed"), (True, "severed")):
        with on_a_stage(server):
            use = last_use_after_approval(as_role, severing=severing, fast_removal="direct") - timedelta(
                hours=1
            )
        yield Figure(
            f"leaving: last possible use with fast removal, sessions {how}, in minutes after its end",
            f"{use / timedelta(minutes=1):.0f}",
            detail="an hour's window, sessions of an hour",
        )


def _leave(setting: str, offset: timedelta) -> tuple[timedelta, timedelta]:
    """After the end of the window: when the membership was gone, and when a session could be used at last."""
    with override_settings(FAST_REMOVAL=setting), stage(as_role, polls=POLLS) as play:
        play.world.switches.on_demand_removes = True
        play.step(offset)
        play.decide(play.ask(duration=timedelta(hours=1)))
        grant = play.play_to(GrantStatus.DRAINING)
        if grant.out_of_aws_at is None or grant.last_possible_use_at is None:
            raise ValueError("draining without a read-back")
        return grant.out_of_aws_at - grant.ends_at, grant.last_possible_use_at - grant.ends_at
