"""Ed25519 keys of the seals: the private half is the sealer's alone, the public one for whoever verifies."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.ledger.canonical import instant

# What is signed is this and the seal, so that the key can't be made to sign anything else.
_CONTEXT = b"access-portal audit seal 1\n"


class KeyFileError(Exception):
    """A key file is missing, unreadable or not an Ed25519 key; the message says which and what to do."""


def key_id(public: Ed25519PublicKey) -> str:
    """The first 16 hex digits of the SHA-256 of the raw public key."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A private key and its id."""

    private: Ed25519PrivateKey

    @property
    def id(self) -> str:
        return key_id(self.private.public_key())

    @property
    def trusted(self) -> TrustedKey:
        """Its public half, trusted for every seal."""
        return TrustedKey(self.private.public_key())

    def sign(self, seal: bytes) -> bytes:
        """64 bytes that only the holder of this key can make for this seal."""
        return self.private.sign(_CONTEXT + seal)


def signed(public: Ed25519PublicKey, seal: bytes, signature: bytes) -> bool:
    """Whether the signature was made for this seal by the holder of that key."""
    try:
        public.verify(signature, _CONTEXT + seal)
    except InvalidSignature:
        return False
    return True


class SignedThing(Protocol):
    """A seal with its signature."""

    @property
    def batch(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def seal(self) -> bytes: ...
    @property
    def key_id(self) -> str: ...
    @property
    def signature(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key and the seals that it is trusted for: between two batches or two instants, both included.

    An end that is None is open.
    """

    public: Ed25519PublicKey
    since: int | datetime | None = None
    until: int | datetime | None = None

    def covers(self, batch: int, at: datetime) -> bool:
        """Whether it is trusted for the seal of that batch and time."""
        return not (_before(batch, at, self.since) or _after(batch, at, self.until))

    @property
    def words(self) -> str:
        """The span in words."""
        return f"from {_written(self.since)} to {_written(self.until)}"


def _before(batch: int, at: datetime, bound: int | datetime | None) -> bool:
    return bound is not None and (at < bound if isinstance(bound, datetime) else batch < bound)


def _after(batch: int, at: datetime, bound: int | datetime | None) -> bool:
    return bound is not None and (at > bound if isinstance(bound, datetime) else batch > bound)


def _written(bound: int | datetime | None) -> str:
    if bound is None:
        return "any"
    return instant(bound) if isinstance(bound, datetime) else f"batch {bound}"


class Trust(Enum):
    """What a signature is worth."""

    GOOD = "good"
    UNKNOWN = "unknown"  # no such key is trusted
    OUTSIDE = "outside"  # the key is trusted, but not for seals of that batch or time
    WRONG = "wrong"  # the key didn't make that signature


def judge(keys: Mapping[str, TrustedKey], seal: SignedThing) -> Trust:
    """What the signature of a seal is worth, by the keys that are trusted, by key id."""
    key = keys.get(seal.key_id)
    if key is None:
        return Trust.UNKNOWN
    if not signed(key.public, seal.seal, seal.signature):
        return Trust.WRONG
    return Trust.GOOD if key.covers(seal.batch, seal.at) else Trust.OUTSIDE


def make_key(path: Path) -> SealingKey:
    """Write a new private key (mode 0600) and `path`.pub beside it. Raises FileExistsError."""
    private = Ed25519PrivateKey.generate()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    public_path(path).write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return SealingKey(private)


def public_path(path: Path) -> Path:
    """Where `make_key` puts the public half of the key at `path`."""
    return path.with_name(path.name + ".pub")


def load_key(path: Path) -> SealingKey:
    """The private key in a PEM file. Raises KeyFileError."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyFileError(f"The sealing key {path} can't be read: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a private key, but not of the kind Ed25519.")
    return SealingKey(key)


_SPAN = re.compile(r"(?P<path>.+)@(?P<since>[^@]*)\.\.(?P<until>[^@]*)")


def load_public_keys(named: Iterable[str | Path]) -> Mapping[str, TrustedKey]:
    """Public keys in PEM files, by key id, each as PATH or PATH@SINCE..UNTIL.

    SINCE and UNTIL are a batch's number or an instant like 2026-05-01T12:00:00Z, both included; either may be
    left out. Raises KeyFileError.
    """
    found: dict[str, TrustedKey] = {}
    for each in named:
        path, since, until = Path(each), None, None
        if match := _SPAN.fullmatch(str(each)):
            path, since, until = Path(match["path"]), _bound(match["since"]), _bound(match["until"])
        try:
            key = serialization.load_pem_public_key(path.read_bytes())
        except (OSError, ValueError) as error:
            raise KeyFileError(f"The public key {path} can't be read: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise KeyFileError(f"{path} holds a public key, but not of the kind Ed25519.")
        if key_id(key) in found:
            raise KeyFileError(f"The public key {path} is named twice: each has one span.")
        found[key_id(key)] = TrustedKey(key, since, until)
    return found


def _bound(text: str) -> int | datetime | None:
    if not text:
        return None
    if text.isdecimal():
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise KeyFileError(
            f"{text!r} bounds no span: write a batch's number or an instant like 2026-05-01T12:00:00Z."
        )
    return at
