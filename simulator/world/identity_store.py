"""The identity store of IAM Identity Center: what SCIM wrote, and what was done to it behind SCIM's back."""

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from simulator.world.aws_state import IdentityCenterState, StoreGroup, StoreMembership, StoreUser
from simulator.world.errors import WorldError

if TYPE_CHECKING:
    from simulator.world.world import World

REMEMBERED = timedelta(hours=2)  # longer than AWS's own caches


def no_such(kind: str, resource_id: str = "") -> WorldError:
    """ResourceNotFoundException as the identity store words it; `kind` is USER, GROUP, GROUP_MEMBERSHIP, …"""
    details = {"ResourceType": kind} | ({"ResourceId": resource_id} if resource_id else {})
    return WorldError(400, "ResourceNotFoundException", f"{kind} not found.", details=details)


class IdentityStore:
    """Users, groups and memberships; ids are the store's own."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._memberships: dict[str, StoreMembership] = {}
        self._groups_of: dict[str, set[str]] = defaultdict(set)
        self._by_external: dict[str, str] = {}
        self._by_name: dict[str, str] = {}
        self._groups_by_external: dict[str, str] = {}
        self._groups_by_name: dict[str, str] = {}
        self.reindex()

    @property
    def _state(self) -> IdentityCenterState:
        return self._world.state.identity_center

    def reindex(self) -> None:
        """Rebuild the indexes; needed after somebody wrote into the state directly."""
        self._memberships.clear()
        self._groups_of.clear()
        for user in self._state.users.values():
            self.index_user(user)
        for group in self._state.groups.values():
            self.index_group(group)
            for membership in group.members.values():
                self._memberships[membership.id] = membership
                self._groups_of[membership.user_id].add(group.id)

    def index_user(self, user: StoreUser) -> None:
        """Find this user by its present name and external id; stale entries are checked when used."""
        self._by_name[user.user_name.casefold()] = user.id
        if user.external_id:
            self._by_external[user.external_id] = user.id

    def index_group(self, group: StoreGroup) -> None:
        """Find this group by its present name and external id."""
        self._groups_by_name[group.display_name.casefold()] = group.id
        if group.external_id:
            self._groups_by_external[group.external_id] = group.id

    # ------------------------------------------------------------ reads

    def users(self) -> list[StoreUser]:
        """Everybody, oldest first."""
        return list(self._state.users.values())

    def groups(self) -> list[StoreGroup]:
        """Every group, oldest first."""
        return list(self._state.groups.values())

    def user(self, user_id: str) -> StoreUser:
        """One user. Raises WorldError ResourceNotFoundException."""
        found = self._state.users.get(user_id)
        if found is None:
            raise no_such("USER", user_id)
        return found

    def group(self, group_id: str) -> StoreGroup:
        """One group. Raises WorldError ResourceNotFoundException."""
        found = self._state.groups.get(group_id)
        if found is None:
            raise no_such("GROUP", group_id)
        return found

    def membership(self, membership_id: str) -> StoreMembership:
        """One membership. Raises WorldError ResourceNotFoundException."""
        found = self._memberships.get(membership_id)
        if found is None:
            raise no_such("GROUP_MEMBERSHIP", membership_id)
        return found

    def find_user_by_name(self, user_name: str) -> StoreUser | None:
        """The user of this name, by a switch without regard to case."""
        found = self._state.users.get(self._by_name.get(user_name.casefold(), ""))
        if found is None or found.user_name.casefold() != user_name.casefold():
            return None
        if not self._world.switches.case_insensitive_user_name and found.user_name != user_name:
            return None
        return found

    def find_user_by_external_id(self, external_id: str) -> StoreUser | None:
        """The user that SCIM gave this external id."""
        found = self._state.users.get(self._by_external.get(external_id, ""))
        return found if found is not None and found.external_id == external_id else None

    def find_user_by_email(self, email: str) -> StoreUser | None:
        """The user with this work e-mail address."""
        wanted = email.casefold()
        return next((u for u in self._state.users.values() if (u.email or "").casefold() == wanted), None)

    def find_group_by_name(self, display_name: str) -> StoreGroup | None:
        """The group of this name."""
        found = self._state.groups.get(self._groups_by_name.get(display_name.casefold(), ""))
        return (
            found if found is not None and found.display_name.casefold() == display_name.casefold() else None
        )

    def find_group_by_external_id(self, external_id: str) -> StoreGroup | None:
        """The group that SCIM gave this external id (the Entra group's object id)."""
        found = self._state.groups.get(self._groups_by_external.get(external_id, ""))
        return found if found is not None and found.external_id == external_id else None

    def memberships_of(self, user_id: str) -> list[StoreMembership]:
        """Memberships of one user."""
        groups = (self._state.groups[each] for each in sorted(self._groups_of.get(user_id, ())))
        return [group.members[user_id] for group in groups]

    def is_member(self, user_id: str, group_id: str) -> bool:
        """Whether the user is in the group; False for unknown ids."""
        group = self._state.groups.get(group_id)
        return group is not None and user_id in group.members

    # ------------------------------------------------------------ writes

    def new_id(self) -> str:
        """An id in the store's form."""
        return f"{self._state.identity_store_id.removeprefix('d-')}-{self._world.dice.guid()}"

    def put_user(self, user: StoreUser) -> None:
        """Add a user, or index one that was changed."""
        self._state.users[user.id] = user
        self.index_user(user)

    def put_group(self, group: StoreGroup) -> None:
        """Add a group, or index one that was changed."""
        self._state.groups[group.id] = group
        self.index_group(group)

    def delete_user(self, user_id: str) -> None:
        """Delete a user with its memberships. Raises WorldError ResourceNotFoundException."""
        self.user(user_id)
        for membership in self.memberships_of(user_id):
            self.remove_member(membership.group_id, user_id)
        del self._state.users[user_id]

    def delete_group(self, group_id: str) -> None:
        """Delete a group with its memberships and account assignments. Raises ResourceNotFoundException."""
        group = self.group(group_id)
        for user_id in list(group.members):
            self.remove_member(group_id, user_id)
        del self._state.groups[group_id]
        self._state.assignments = [row for row in self._state.assignments if row.principal_id != group_id]

    def add_member(self, group_id: str, user_id: str, *, by: str = "SCIM") -> StoreMembership:
        """Make a user a member; the membership that exists if there is one. Raises ResourceNotFoundException."""
        group, user = self.group(group_id), self.user(user_id)
        if user_id in group.members:
            return group.members[user_id]
        membership = StoreMembership(self.new_id(), group_id, user_id, self._world.now(), by)
        group.members[user_id] = membership
        group.updated_at = membership.created_at
        self._memberships[membership.id] = membership
        self._groups_of[user_id].add(group_id)
        self._world.journal("membership in AWS", f"{user.display_name} is in {group.display_name} now ({by})")
        return membership

    def remove_member(self, group_id: str, user_id: str, *, by: str = "SCIM") -> bool:
        """End a membership; False when there was none. Raises WorldError ResourceNotFoundException."""
        group = self.group(group_id)
        membership = group.members.pop(user_id, None)
        if membership is None:
            return False
        now = self._world.now()
        membership.removed_at = now
        group.updated_at = now
        self._memberships.pop(membership.id, None)
        self._groups_of[user_id].discard(group_id)
        recent = [m for m in self._state.past_memberships if m.removed_at and now - m.removed_at < REMEMBERED]
        self._state.past_memberships = [*recent, membership]
        name = self._state.users[user_id].display_name if user_id in self._state.users else user_id
        self._world.journal("membership gone in AWS", f"{name} is out of {group.display_name} ({by})")
        return True
