"""The sample rules name what exists in the sample organisation, and judge every PIM group of it once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from policy.reading import read_rules
from simulator.sample import load_sample, sample_approvers
from simulator.world.clock import WorldClock

FILE = Path(__file__).parents[2] / "simulator" / "sample" / "rules.yaml"


def test_every_group_is_judged_by_whom_the_organisation_suggests() -> None:
    world = load_sample(WorldClock.stepping(datetime(2026, 11, 23, tzinfo=UTC)))
    rules = read_rules(FILE.read_text()).rules
    decided_by = {
        group: approvers
        for document in rules.values()
        for group in document.applies_to.groups
        for approvers in document.demands.stages[0].approvers.groups
    }
    assert decided_by == sample_approvers(world)
    named = Counter(group for document in rules.values() for group in document.applies_to.groups)
    assert set(named.values()) == {1}


def test_the_names_beside_the_ids_are_right() -> None:
    world = load_sample(WorldClock.stepping(datetime(2026, 11, 23, tzinfo=UTC)))
    for line in FILE.read_text().splitlines():
        entry, found, comment = line.strip().partition("  # ")
        if found:
            group = world.directory.find_group(entry.removeprefix("- "))
            assert group is not None, line
            assert group.display_name == comment
