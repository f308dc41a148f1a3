"""A channel to people that keeps what it was told, or refuses."""

from __future__ import annotations

from clients.errors import Unreachable
from clients.types import Notice


class FakeNotifier:
    """Stands in for any port with `send(notice)`; `away` makes it refuse."""

    def __init__(self) -> None:
        self.told: list[Notice] = []
        self.away = False

    def send(self, notice: Notice) -> None:
        """Keep it, or raise Unreachable."""
        if self.away:
            raise Unreachable("The channel is away.", code="away")
        self.told.append(notice)
