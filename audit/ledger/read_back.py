"""Reading back what a place outside the database holds, and comparing it with the receipts.

Only some places can be read: a bucket of objects. Everything is read before the database's snapshot is taken, and no
call stands inside a transaction. What is read goes on into the comparison of `anchored`, like the lines of a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from django.db import connection

from audit.ledger.anchors import Anchor, SignedSeal
from audit.ledger.findings import Finding

MOST = 1_500  # newest receipts that are looked up: a day of seals, one a minute


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that a place holds: where it stands, as the receipt names it, the line, and what is wrong with it."""

    where: str
    line: str
    problem: str = ""  # a sentence that ends the one about the thing


class ReadablePlace(Anchor, Protocol):
    """An anchor that can be read again."""

    def read_back(self, after: str) -> Iterator[Kept]:
        """Everything that it holds after what that receipt names ("": from the first). Raises AnchorError."""
        ...


@dataclass(slots=True)
class ReadBack:
    """What was read: lines for the comparison, and what is wrong with the place itself."""

    lines: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read_back(place: ReadablePlace, *, most: int = MOST) -> ReadBack:
    """Read what the place holds since its `most`th newest receipt. Raises AnchorError."""
    receipts = _receipts(place.name, most + 1)
    before = receipts[0].where if len(receipts) > most else ""
    receipts = receipts[-most:]
    found = ReadBack()
    held: dict[str, Kept] = {}
    for kept in place.read_back(before):
        held[kept.where] = kept
        if kept.line:
            found.lines.append(kept.line)
        if kept.problem:
            found.findings.append(Finding("anchor_object_loose", f"{kept.where} {kept.problem}"))
    for receipt in receipts:
        where = receipt.where
        there = held.get(where)
        if there is None:
            sentence = f"What {place.name} receipted for seal {receipt.batch} is gone: {where}."
            found.findings.append(Finding("anchor_object_missing", sentence, receipt.batch))
        elif receipt.line and there.line != receipt.line:
            sentence = f"What {place.name} holds of seal {receipt.batch} isn't what was put there: {where}."
            found.findings.append(Finding("anchor_object_altered", sentence, receipt.batch))
    return found


@dataclass(frozen=True, slots=True)
class _Receipt:
    batch: int
    where: str
    line: str  # of the seal here; "" where another was receipted, which the comparison names


def _receipts(place: str, most: int) -> Sequence[_Receipt]:
    """The newest receipts, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, [place, most])
        rows = cursor.fetchall()
    return [
        _Receipt(batch, receipt.partition(",")[0], _line(batch, *seal) if same else "")
        for batch, receipt, same, *seal in rows
    ][::-1]


def _line(
    batch: int, n: int, root: bytes, prev: bytes, value: bytes, key: str, signature: bytes, at: object
) -> str:
    return SignedSeal(
        batch,
        n,
        bytes(root),
        bytes(prev),
        bytes(value),
        key,
        bytes(signature),
        at,  # type: ignore[arg-type] # a row's
    ).line()


_NEWEST = """
SELECT kept.batch, kept.receipt, coalesce(seal.seal = kept.seal, false),
       seal.n, seal.root, seal.prev_seal, seal.seal, seal.key_id, seal.signature, seal.at
FROM audit_anchor kept LEFT JOIN audit_seal seal ON seal.batch = kept.batch
WHERE kept.place = %s ORDER BY kept.batch DESC LIMIT %s
"""
