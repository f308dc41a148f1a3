"""Comparing the chain of seals with what a place outside the database kept of it.

Each anchored line is a seal as it was signed. The database must hold the very same: one that is gone or different
shows that the trail was cut, rewritten or put back, and which of them is told by what is there instead.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from pathlib import Path

from django.db import connection

from audit.ledger.anchors import SignedSeal
from audit.ledger.canonical import instant
from audit.ledger.findings import Finding
from audit.ledger.keys import Trust, TrustedKey, judge
from audit.ledger.merkle import seal_hash

_CHUNK = 1_000  # lines compared at once


@dataclass(slots=True)
class Compared:
    """How far a comparison has come: what agrees, and what it needs for its conclusion."""

    agreeing: int = 0
    newest: SignedSeal | None = None  # of those that agree
    torn: int = 0  # lines that a crash cut off, with sound ones after them
    _kept: SignedSeal | None = None  # the last that agrees before the first that doesn't
    _lost: SignedSeal | None = None  # the lowest that doesn't
    _newest_lost: SignedSeal | None = None
    _lost_count: int = 0
    _unreadable: list[int] = field(default_factory=list)  # line numbers since the last sound line

    def compare(self, lines: Iterable[str], keys: Mapping[str, TrustedKey]) -> Iterator[Finding]:
        """Everything that is wrong, the conclusion last. Reads the lines once, some at a time."""
        for chunk in batched(enumerate(lines, 1), _CHUNK):
            sound: list[SignedSeal] = []
            for number, text in chunk:
                yield from self._read(number, text, keys, sound)
            here = _seals_here([seal.batch for seal in sound])
            for seal in sound:
                self._note(seal, agrees=here.get(seal.batch) == seal.seal)
        if self._unreadable:
            number = self._unreadable[0]
            sentence = f"Line {number} of the anchors can't be read, and no sound one follows it."
            yield Finding("anchor_unreadable", sentence)
        if self._lost is not None and self._newest_lost is not None:
            yield self._conclusion(self._lost, self._newest_lost)
        elif self.newest is None:
            yield Finding("anchors_empty", "The anchors hold no seal of this trail: they prove nothing.")

    def _read(
        self, number: int, text: str, keys: Mapping[str, TrustedKey], sound: list[SignedSeal]
    ) -> Iterator[Finding]:
        if not text.strip():
            return
        try:
            seal = SignedSeal.parse(text)
        except ValueError:
            self._unreadable.append(number)
            return
        expected = seal_hash(seal.prev_seal, seal.root, seal.n, seal.batch, seal.at)
        if seal.seal != expected or judge(keys, seal) is not Trust.GOOD:
            sentence = f"Line {number} of the anchors holds a seal {seal.batch} that no trusted key signed."
            yield Finding("anchor_forged", sentence, seal.batch)
            return
        # What a torn line would have shown, the chain up to a later seal shows, too.
        self.torn += len(self._unreadable)
        self._unreadable.clear()
        sound.append(seal)

    def _note(self, seal: SignedSeal, *, agrees: bool) -> None:
        if agrees:
            self.agreeing += 1
            if self.newest is None or seal.batch > self.newest.batch:
                self.newest = seal
            if self._lost is None:
                self._kept = seal
            return
        self._lost_count += 1
        if self._lost is None or seal.batch < self._lost.batch:
            self._lost = seal
        if self._newest_lost is None or seal.at > self._newest_lost.at:
            self._newest_lost = seal

    def _conclusion(self, lost: SignedSeal, newest: SignedSeal) -> Finding:
        """What happened, judged by what stands where the lost seals were."""
        last, last_at, instead_at = _ends(lost.batch)
        first = f"seal {lost.batch}, which was anchored and signed at {instant(lost.at)}"
        if lost.batch > last:
            ends = f"The trail ends at seal {last}{f' of {instant(last_at)}' if last_at else ''}"
            if _has_receipt_after(last):
                sentence = (
                    f"{ends}, and {first}, is gone while its receipt is here: the newest events were cut off."
                )
                return Finding("tail_cut", sentence, lost.batch)
            sentence = (
                f"{ends}, and {first}, is unknown here, receipt and all: an older backup was put back, or "
                "everything newer was cut off."
            )
            return Finding("old_backup", sentence, lost.batch)
        if instead_at is None:
            sentence = f"There is no {first}, though later ones are here."
            return Finding("anchored_seal_missing", sentence, lost.batch)
        since = self._kept.at if self._kept else None
        if instead_at <= newest.at or _sealed_anew(lost.batch, since, newest.at):
            sentence = (
                f"The trail was rewritten with new seals: another stands in the place of {first} "
                f"({self._lost_count} anchored seals don't agree)."
            )
            return Finding("rewritten", sentence, lost.batch)
        sentence = (
            f"An older backup was put back and sealing went on at {instant(instead_at)}: what {first}, and "
            f"{self._lost_count - 1} more stood for, up to {instant(newest.at)}, is unknown here."
        )
        return Finding("old_backup", sentence, lost.batch)


def anchored_lines(path: Path) -> Iterator[str]:
    """The lines that the file holds now, whatever is added while they are read. Raises OSError.

    Call it before the database's snapshot is taken: then every line's seal is in that.
    """
    file = path.open("rb")
    try:
        fcntl.flock(file, fcntl.LOCK_SH)  # not in the middle of a line
        left = os.fstat(file.fileno()).st_size
        fcntl.flock(file, fcntl.LOCK_UN)
    except OSError:
        file.close()
        raise

    def lines() -> Iterator[str]:
        nonlocal left
        with file:
            while left > 0 and (line := file.readline(left)):
                left -= len(line)
                yield line.decode("utf-8", "replace")

    return lines()


def _seals_here(batches: list[int]) -> dict[int, bytes]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT batch, seal FROM audit_seal WHERE batch = ANY(%s)", [batches])
        return {batch: bytes(seal) for batch, seal in cursor.fetchall()}


def _ends(batch: int) -> tuple[int, datetime | None, datetime | None]:
    """The last seal's batch and time, and the time of the seal of that batch."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(max(batch), 0), max(at), max(at) FILTER (WHERE batch = %s) FROM audit_seal",
            [batch],
        )
        ((last, last_at, at),) = cursor.fetchall()
    return last, last_at, at


def _has_receipt_after(batch: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM audit_anchor WHERE batch > %s)", [batch])
        ((found,),) = cursor.fetchall()
    return bool(found)


def _sealed_anew(batch: int, since: datetime | None, until: datetime) -> bool:
    """Whether events of the time that the lost seals stood for are here, under seals made after it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM audit_leaf leaf JOIN audit_seal seal USING (batch) "
            "WHERE leaf.batch >= %s AND leaf.at > coalesce(%s::timestamptz, '-infinity') "
            "AND leaf.at <= %s AND seal.at > %s)",
            [batch, since, until, until],
        )
        ((found,),) = cursor.fetchall()
    return bool(found)
