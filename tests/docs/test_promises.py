"""docs/promises.md names faults that the simulator has, pages and events that there are, and tests that look at both."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.urls import resolve

from audit.ledger.registry import event_type
from simulator.world.faults import KINDS
from simulator.world.happenings import NAMES
from simulator.world.switches import Switches
from stack.running import ROOT
from tests.docs.test_documents import table_after

SWITCHED_ON = {
    "fault": frozenset(KINDS),
    "event": frozenset(NAMES),
    "switch": frozenset(field.name for field in fields(Switches)),
    "setting": frozenset(dir(settings)),
}


class Row(NamedTuple):
    promise: str
    switched_on: str
    shown_by: str
    test: str


ROWS = [Row(*cells) for cells in table_after(ROOT / "docs" / "promises.md", "What holds")]


def sources_of(row: Row) -> tuple[str, str]:
    """The source of the row's test, and that of its file: helpers beside it open pages for it."""
    path, _, name = row.test.strip("`").partition("::")
    text = (ROOT / path).read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return ast.get_source_segment(text, node) or "", text
    raise AssertionError(f"there is no test {row.test}")


def test_what_is_switched_on_can_be_and_the_tests_do_so() -> None:
    for row in ROWS:
        named = re.findall(r"`(\w+):(\w+)`", row.switched_on)
        assert 2 * len(named) == row.switched_on.count("`"), (
            f"neither fault, event, switch nor setting: {row}"
        )
        source, _ = sources_of(row)
        for kind, name in named:
            assert name in SWITCHED_ON[kind], f"{kind}:{name}"
            # A scene is a stage with severing on.
            does = (
                "with scene(" in source if name == "SESSION_SEVERING" else re.search(rf"\b{name}\b", source)
            )
            assert does, f"{row.test} doesn't switch {name} on"


def test_what_shows_it_is_there_and_the_tests_look_at_it() -> None:
    for row in ROWS:
        source, file = sources_of(row)
        named = re.findall(r"`([^`]+)`", row.shown_by)
        assert named, row
        for each in named:
            if each.startswith("/"):
                resolve(each.replace("<id>", str(UUID(int=0))))
                assert each.partition("<")[0] in file, f"{row.test} doesn't look at {each}"
            else:
                event_type(each)
                assert f'"{each}"' in source, f"{row.test} doesn't look for {each}"
