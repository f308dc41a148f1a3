"""Sealing text to a worker's public key, so that whoever seals can't read it back.

X25519 with a key pair of one use, HKDF-SHA256, ChaCha20-Poly1305: the sender's half of the exchange is thrown away,
so the sealed text opens with the worker's private key alone. It is bound to whom it is for: sealed text that is put
into somebody else's row doesn't open.

Layout: version (1 byte), key id (8), the one-time public key (32), ciphertext with its tag.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"\x01"
_ID_BYTES = 8
_PUBLIC_BYTES = 32
_HEADER_BYTES = len(_VERSION) + _ID_BYTES + _PUBLIC_BYTES
# The derived key is used once, so its nonce may be fixed.
_NONCE = bytes(12)
_PURPOSE = b"access-portal personal token 1"
_END = "-----END PRIVATE KEY-----"


class SealError(Exception):
    """A key that is none, or sealed text that can't be opened; the text is fit for an operator."""


class SealingKey:
    """The public half: seals, and can't open."""

    def __init__(self, public: X25519PublicKey) -> None:
        self._public = public
        self.raw = public.public_bytes_raw()
        self._id = hashlib.sha256(self.raw).digest()[:_ID_BYTES]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key that `text` writes (base64 of its 32 bytes). Raises SealError."""
        try:
            raw = base64.b64decode(text.strip(), validate=True)
            return cls(X25519PublicKey.from_public_bytes(raw))
        except ValueError as error:
            raise SealError("That is no public key: it is base64 of 32 bytes.") from error

    @property
    def id(self) -> str:
        """A short name that says nothing about the key."""
        return self._id.hex()

    @property
    def text(self) -> str:
        """As `parse` reads it."""
        return base64.b64encode(self.raw).decode("ascii")

    def seal(self, text: str, *, bound_to: str) -> bytes:
        """`text`, for the holder of the private key and this one purpose."""
        once = X25519PrivateKey.generate()
        header = _VERSION + self._id + once.public_key().public_bytes_raw()
        key = _derive(once.exchange(self._public), header, self.raw)
        return header + ChaCha20Poly1305(key).encrypt(_NONCE, text.encode(), header + bound_to.encode())


class Keyring:
    """The private halves, newest first. Sealed text names the one that opens it."""

    def __init__(self, keys: Iterable[X25519PrivateKey]) -> None:
        self._keys = list(keys)
        if not self._keys:
            raise SealError("There is no private key in the file.")
        self._by_id = {SealingKey(key.public_key()).id: key for key in self._keys}

    @classmethod
    def load(cls, path: Path) -> Self:
        """The keys of a file of PEM blocks, newest first. Raises SealError."""
        try:
            text = path.read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise SealError(f"{path} can't be read: {type(error).__name__}.") from error
        keys = []
        for block in text.split(_END)[:-1]:
            try:
                key = serialization.load_pem_private_key((block + _END).strip().encode(), password=None)
            except (ValueError, TypeError) as error:
                raise SealError(f"{path} holds a block that is no private key without password.") from error
            if not isinstance(key, X25519PrivateKey):
                raise SealError(
                    f"{path} holds a key that is not X25519; `manage.py make_token_key` makes one."
                )
            keys.append(key)
        return cls(keys)

    @property
    def newest(self) -> SealingKey:
        """What to seal with from now on."""
        return SealingKey(self._keys[0].public_key())

    def open(self, sealed: bytes, *, bound_to: str) -> str:
        """The text. Raises SealError when it is for another key or purpose, or was changed."""
        header, body = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        if len(header) < _HEADER_BYTES or header[:1] != _VERSION:
            raise SealError("This is not sealed as this version of the portal seals.")
        key = self._by_id.get(header[1 : 1 + _ID_BYTES].hex())
        if key is None:
            raise SealError("It is sealed for a key that this worker doesn't have (any more).")
        sender = X25519PublicKey.from_public_bytes(header[-_PUBLIC_BYTES:])
        derived = _derive(key.exchange(sender), header, key.public_key().public_bytes_raw())
        try:
            return ChaCha20Poly1305(derived).decrypt(_NONCE, body, header + bound_to.encode()).decode()
        except InvalidTag:
            raise SealError("It was changed, or it is somebody else's.") from None


def add_key(path: Path) -> SealingKey:
    """Make a key and put it before those of the file, which is made when there is none; gives its public half.

    Raises SealError for a file that holds something else, OSError when it can't be written.
    """
    before = ""
    if path.exists():
        Keyring.load(path)
        before = path.read_text(encoding="ascii")
    key = X25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
    made = path.with_name(path.name + ".new")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(pem + before)
    made.replace(path)
    return SealingKey(key.public_key())


def _derive(shared: bytes, header: bytes, recipient: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=header + recipient, info=_PURPOSE).derive(shared)
