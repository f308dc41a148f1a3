"""What a case of the port contract gets, and how it says of which methods it is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from clients.ports import MembershipRemoval, ObjectStore, SessionDenials
from clients.registry import Clients
from clients.types import AssignmentOrder, Reading, RemovalOrder
from tests.simulator.world.factory import Small

NOBODY = "00000000-0000-4000-8000-00000000dead"


@dataclass
class Cloud:
    """A small world and the ports over it, by whichever way."""

    small: Small
    clients: Clients
    removal: MembershipRemoval
    denials: SessionDenials
    store: Callable[[str], ObjectStore]  # by the bucket's name

    @property
    def store_group(self) -> str:
        return self.small.builder.store_group(self.small.group).id

    @property
    def store_ada(self) -> str:
        return self.small.user_id_in_store(self.small.ada)

    def order(self, *, hours: float = 2, tag: str = "grant:1", person: str = "") -> AssignmentOrder:
        return AssignmentOrder(
            group_id=self.small.group.id,
            principal_id=person or self.small.ada.id,
            starts_at=self.small.world.now(),
            ends_at=self.small.world.now() + timedelta(hours=hours),
            tag=tag,
            justification="rotate keys",
        )

    def assign(self, **changes: Any) -> None:
        self.clients.pim.assign(self.order(**changes), client_request_id="one")

    def remove(self) -> Reading[Any]:
        order = RemovalOrder(self.small.group.id, self.small.ada.id, tag="grant:1", justification="done")
        return self.clients.pim.remove(order, client_request_id="two")

    def carried(self) -> None:
        """Ada's membership is in AWS."""
        self.assign()
        self.small.step(minutes=41)


CASES: dict[str, list[Callable[[Cloud], None]]] = {}


def case(*methods: str) -> Callable[[Callable[[Cloud], None]], Callable[[Cloud], None]]:
    """This is a case of these methods, named `Port.method`."""

    def note(function: Callable[[Cloud], None]) -> Callable[[Cloud], None]:
        for method in methods:
            CASES.setdefault(method, []).append(function)
        return function

    return note
