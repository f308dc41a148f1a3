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
        pairs = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def audit_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes beside the way from a leaf to the head, lowest first: RFC 6962 section 2.1.1. Raises IndexError."""
    level, path = list(leaves), []
    if not 0 <= index < len(level):
        raise IndexError(index)
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            path.append(level[beside])
        pairs = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level, index = pairs + level[len(pairs) * 2 :], index // 2
    return path


def seal_hash(prev_seal: bytes, root: bytes, n: int, batch: int, at: datetime) -> bytes:
    """SHA-256(prev_seal || root || n || batch || microseconds since 1970), numbers big-endian in 8 bytes."""
    micros = (at - _EPOCH) // _MICROSECOND
    numbers = b"".join(number.to_bytes(8, "big", signed=True) for number in (n, batch, micros))
    return hashlib.sha256(prev_seal + root + numbers).digest()
