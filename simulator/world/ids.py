"""Identifiers and dice that come out the same for the same seed."""

import hashlib
import uuid


class Dice:
    """Ids and random numbers from a seed and a counter; the counter is part of the saved state."""

    def __init__(self, seed: str, counter: int = 0) -> None:
        self.seed = seed
        self.counter = counter

    def _bytes(self, name: str) -> bytes:
        return hashlib.sha256(f"{self.seed}:{name}".encode()).digest()

    def _next(self) -> bytes:
        self.counter += 1
        return self._bytes(f"#{self.counter}")

    def guid(self) -> str:
        """A fresh GUID."""
        return str(uuid.UUID(bytes=self._next()[:16], version=4))

    def named_guid(self, name: str) -> str:
        """The GUID that belongs to a name, whatever was drawn before."""
        return str(uuid.UUID(bytes=self._bytes(name)[:16], version=4))

    def named_hex(self, name: str, length: int) -> str:
        """Hexadecimal digits that belong to a name."""
        return self._bytes(name).hex()[:length]

    def named_digits(self, name: str, length: int) -> str:
        """Decimal digits that belong to a name; the first is never 0."""
        number = int.from_bytes(self._bytes(name)[:16])
        return str(10 ** (length - 1) + number % (9 * 10 ** (length - 1)))

    def hex(self, length: int) -> str:
        """Fresh hexadecimal digits."""
        return self._next().hex()[:length]

    def fraction(self) -> float:
        """A number from 0 up to 1."""
        return int.from_bytes(self._next()[:6]) / 2**48
