"""What verification finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a code for machines, a sentence for people, and where it is."""

    code: str
    sentence: str
    batch: int | None = None
    event_id: int | None = None
