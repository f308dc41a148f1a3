"""Hashes of leaves, batches and seals: RFC 6962 section 2.1 trees, joined into a chain of seals."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from audit.ledger.canonical import instant

EMPTY_ROOT = hashlib.sha256(b"").digest()
NO_SEAL = bytes(32)  # what the first seal follows
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def leaf_hash(event_id: int, at: datetime, canon: str) -> bytes:
    """SHA-256(0x00 || id, LF, instant, LF, canon): the event's place and time are sealed with its text."""
    return hashlib.sha256(b"\x00" + f"{event_id}\n{instant(at)}\n{canon}".encode()).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_hash(leaves: Sequence[bytes]) -> bytes:
    """The tree's head over leaf hashes. A lone last node rises unchanged, which gives RFC 6962's split."""
    level = list(leaves)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        level = _above(level)
    return level[0]


def _above(level: list[bytes]) -> list[bytes]:
    pairs = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
    return pairs + level[len(pairs) * 2 :]


class Tree:
    """A tree with all its levels, hashed once: for the paths of many of its leaves."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            self._levels.append(_above(self._levels[-1]))

    def path(self, index: int) -> list[bytes]:
        """The hashes beside the way from a leaf to the head, lowest first: RFC 6962 section 2.1.1. Raises IndexError."""
        if not 0 <= index < len(self._levels[0]):
            raise IndexError(index)
        found = []
        for level in self._levels[:-1]:
            beside = index ^ 1
            if beside < len(level):
                found.append(level[beside])
            index //= 2
        return found


def audit_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The path of one leaf. Raises IndexError."""
    return Tree(leaves).path(index)


def seal_hash(prev_seal: bytes, root: bytes, n: int, batch: int, at: datetime) -> bytes:
    """SHA-256(prev_seal || root || n || batch || microseconds since 1970), numbers big-endian in 8 bytes."""
    micros = (at - _EPOCH) // _MICROSECOND
    numbers = b"".join(number.to_bytes(8, "big", signed=True) for number in (n, batch, micros))
    return hashlib.sha256(prev_seal + root + numbers).digest()
