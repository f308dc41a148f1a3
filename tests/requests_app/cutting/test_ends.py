"""What fast removal and severing are worth, on the simulated clock."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.requests_app.conftest import AsRole
from tests.support.ends import gone_from_aws, last_use_after_approval

pytestmark = [pytest.mark.usefixtures("committed_db"), pytest.mark.proof]


def test_fast_removal_beats_the_cycle(as_role: AsRole) -> None:
    assert gone_from_aws(as_role, "off") > timedelta(minutes=10)
    assert gone_from_aws(as_role, "on_demand") < timedelta(minutes=3)
    assert gone_from_aws(as_role, "direct") < timedelta(minutes=3)


def test_severing_ends_the_third_hour(as_role: AsRole) -> None:
    assert last_use_after_approval(as_role, severing=False, fast_removal="direct") > timedelta(hours=3)
    assert last_use_after_approval(as_role, severing=True, fast_removal="direct") < timedelta(minutes=75)
