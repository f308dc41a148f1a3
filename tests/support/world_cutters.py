"""The ports of remover and severer over a simulated world in the same process."""

from __future__ import annotations

from clients.types import Reading, StoreMembership
from simulator.world.world import World
from tests.support.world_clients import Calls, WorldIdentityCenter, WorldPort


class WorldRemoval(WorldPort):
    """Implements clients.ports.MembershipRemoval."""

    def __init__(self, world: World, calls: Calls) -> None:
        super().__init__(world, calls)
        self._center = WorldIdentityCenter(world, calls)

    def membership(self, store_user_id: str, store_group_id: str) -> Reading[StoreMembership | None]:
        return self._center.membership(store_user_id, store_group_id)

    def delete(self, membership_id: str, *, client_request_id: str) -> Reading[None]:
        def answer() -> None:
            store = self._world.identity_store
            found = store.membership(membership_id)
            store.remove_member(found.group_id, found.user_id, by="remover")

        return self._write("aws.identitystore.DeleteGroupMembership", answer, client_request_id)


__all__ = ["WorldRemoval"]
