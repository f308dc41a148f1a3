"""Never believing that everything is gone: a list that empties or halves is doubted before it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


class Implausible(Exception):
    """A source's answer would take away too much at once; the message is a sentence for an operator."""


def plausible(before: int, after: int) -> bool:
    """Whether a list may have gone from `before` to `after` entries: not to none, nor below half."""
    return before == 0 or after * 2 >= before


def check_plausible(what: str, *, before: int, after: int, accepted: bool, part: str) -> None:
    """Refuse an answer that would take away too much, unless an operator accepted it.

    Raises:
        Implausible: nothing was written; the sentence names the command that accepts the answer.
    """
    if accepted or plausible(before, after):
        return
    raise Implausible(
        f"The answer held {after} {what} where {before} were known, so the last good data is kept. "
        f"If that is right, run: manage.py sync_catalogue --part {part} --accept-shrinking"
    )


def digest(entries: Iterable[object]) -> str:
    """A short mark of a list's contents, the same for the same contents in any order."""
    return hashlib.sha256("\n".join(sorted(map(str, entries))).encode()).hexdigest()[:16]
