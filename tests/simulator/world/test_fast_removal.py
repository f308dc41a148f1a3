"""A membership that is taken out of the identity store behind the provisioning job's back."""

import pytest

from simulator.world.provisioning import Subject
from tests.simulator.world.factory import Small, small_world


def arrived() -> Small:
    """Ada's membership is in the identity store because a cycle carried it."""
    small = small_world()
    small.assign(small.ada, duration="PT8H")
    small.step(minutes=41)
    assert small.in_aws(small.ada)
    return small


def test_the_cycle_does_not_look_again_after_its_own_success() -> None:
    small = arrived()
    small.remove_behind_back()
    small.step(hours=3)
    assert small.world.directory.is_member(small.group.id, small.ada.id)
    assert not small.in_aws(small.ada), "nobody noticed, and nobody put it back"


def test_a_removal_that_the_job_carries_later_changes_nothing_more() -> None:
    small = arrived()
    small.remove(small.ada)
    small.remove_behind_back()
    small.step(minutes=41)
    assert small.world.provisioning.job.exported_members[small.group.id] == []
    assert not small.in_aws(small.ada)
    small.assign(small.ada, duration="PT8H")
    small.step(minutes=41)
    assert small.in_aws(small.ada), "the job knows that it is gone, so a new membership arrives"


@pytest.mark.parametrize("skips", [True, False])
def test_added_again_before_the_next_cycle(skips: bool) -> None:
    small = arrived()
    small.world.switches.skip_readd_before_cycle = skips
    small.remove(small.ada)
    small.remove_behind_back()
    small.assign(small.ada, duration="PT8H")
    small.step(minutes=41)
    assert small.in_aws(small.ada) is not skips
    small.step(hours=4)
    assert small.in_aws(small.ada) is not skips, "the job believes that it is there"


def test_on_demand_looks_at_the_target_and_puts_it_back() -> None:
    small = arrived()
    small.remove_behind_back()
    small.world.provisioning.on_demand([Subject(small.group.id, "Group", (small.ada.id,))])
    assert small.in_aws(small.ada)
