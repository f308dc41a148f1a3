"""A million events leave as they come: what an export holds in memory doesn't grow with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.exporting import streaming
from audit.exporting.streaming import FORMS, stream
from audit.ledger import reading
from audit.ledger.reading import EventFilter, Page, Position
from tests.audit.forwarding.entries import AT, entry_of
from tests.audit.history.conftest import AsRole
from tests.audit.ledger.factories import ADA

MEGABYTE = 1024 * 1024
MOST_MEMORY = 100 * MEGABYTE


def peak_since(action: Callable[[], None]) -> int:
    """By how many bytes the process's memory grew at most while this ran."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (proc(5))
    before = _peak()
    action()
    return _peak() - before


def _peak() -> int:
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) * 1024


@pytest.mark.proof
@pytest.mark.django_db
@pytest.mark.parametrize(("form", "rows"), [("csv", 1_000_000), ("xlsx", FORMS["xlsx"].most)])
def test_memory_stays_below_a_hundred_megabytes(
    form: str, rows: int, monkeypatch: pytest.MonkeyPatch, as_role: AsRole
) -> None:
    """The trail is one page of events over and over; everything after reading it is as it is."""
    entries = [entry_of("grant.revoked", "A sentence of some length") for _ in range(streaming.PAGE)]
    monkeypatch.setattr(
        reading, "events", lambda wanted, limit, before=None: Page(entries[:limit], Position(AT, 1))
    )
    seen = [0, 0]  # bytes, ends of lines

    def take() -> None:
        for chunk in stream(form, EventFilter(), query="", actor=ADA):
            seen[0] += len(chunk)
            seen[1] += chunk.count(b"\r\n")

    with as_role("portal_web"):
        grown = peak_since(take)
    assert grown < MOST_MEMORY, f"{grown / MEGABYTE:.0f} MB more for {seen[0] / MEGABYTE:.0f} MB of {form}"
    assert form != "csv" or seen[1] == rows + 1
    assert seen[0] > rows * 50
