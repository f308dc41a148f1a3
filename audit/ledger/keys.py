"""Ed25519 keys of the seals: the private half is the sealer's alone, the public one for whoever verifies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

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


def load_public_keys(paths: Iterable[Path]) -> Mapping[str, Ed25519PublicKey]:
    """Public keys in PEM files, by key id. Raises KeyFileError."""
    found: dict[str, Ed25519PublicKey] = {}
    for path in paths:
        try:
            key = serialization.load_pem_public_key(path.read_bytes())
        except (OSError, ValueError) as error:
            raise KeyFileError(f"The public key {path} can't be read: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise KeyFileError(f"{path} holds a public key, but not of the kind Ed25519.")
        found[key_id(key)] = key
    return found
