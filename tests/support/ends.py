"""How access ends, measured on the simulated clock: for benchmarks, and for whoever wants to compare settings."""

from __future__ import annotations

from datetime import timedelta

from django.test import override_settings

from requests_app.lifecycle import GrantStatus
from tests.requests_app.conftest import AsRole
from tests.requests_app.cutting.scene import scene

OFTEN = ((timedelta(minutes=10), timedelta(seconds=10)), (timedelta(days=1), timedelta(minutes=1)))


def gone_from_aws(as_role: AsRole, fast_removal: str) -> timedelta:
    """From the end of a 1-hour window to the read-back that the membership is gone from IAM Identity Center.

    `fast_removal` is the setting: off (by the cycle), on_demand (where Entra carries removals so) or direct.
    """
    with (
        override_settings(FAST_REMOVAL=fast_removal),
        scene(as_role, polls=OFTEN, SESSION_SEVERING="off") as made,
    ):
        made.play.world.switches.on_demand_removes = True
        made.grant()
        ended = made.play.play_to(GrantStatus.DRAINING, GrantStatus.ENDED)
        if ended.out_of_aws_at is None:
            raise AssertionError(made.play.describe())
        return ended.out_of_aws_at - ended.ends_at


def last_use_after_approval(as_role: AsRole, *, severing: bool, fast_removal: str = "off") -> timedelta:
    """From the approval of a 1-hour grant with 1-hour sessions to its last possible use, as the page says in the end."""
    switch = "on" if severing else "off"
    with (
        override_settings(FAST_REMOVAL=fast_removal),
        scene(as_role, polls=OFTEN, SESSION_SEVERING=switch) as made,
    ):
        made.grant()
        ended = made.play.play_out()
        if ended.last_possible_use_at is None:
            raise AssertionError(made.play.describe())
        return ended.last_possible_use_at - ended.starts_at
