"""Users, groups, their members, and who is assigned to the enterprise application."""

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from simulator.world.errors import bad_request, not_found
from simulator.world.state import AppRoleAssignment, EnterpriseApplication, Group, Membership, User

if TYPE_CHECKING:
    from simulator.world.world import World

MOST_PAST_MEMBERS = 200
APP_ROLE = "8fdf8b0c-9a0e-4c9e-8f3c-5d6a6f4d1e20"  # the enterprise application's only role, "User"
_USER_FIELDS = {each.name for each in fields(User)} - {"id", "created_at"}


class Directory:
    """Entra's directory. Reads of members honour stale-read faults; everything else is current."""

    def __init__(self, world: "World") -> None:
        self._world = world

    # ------------------------------------------------------------ reads

    @property
    def application(self) -> EnterpriseApplication:
        """The service principal of IAM Identity Center."""
        return self._world.state.application

    def users(self) -> list[User]:
        """Everybody of the tenant."""
        return list(self._world.state.users.values())

    def groups(self) -> list[Group]:
        """Every group."""
        return list(self._world.state.groups.values())

    def find_user(self, user_id: str) -> User | None:
        """The person with this object id, or None."""
        return self._world.state.users.get(user_id)

    def find_group(self, group_id: str) -> Group | None:
        """The group with this object id, or None."""
        return self._world.state.groups.get(group_id)

    def user(self, user_id: str) -> User:
        """The person with this object id. Raises WorldError 404."""
        found = self.find_user(user_id)
        if found is None:
            raise not_found(user_id)
        return found

    def group(self, group_id: str) -> Group:
        """The group with this object id. Raises WorldError 404."""
        found = self.find_group(group_id)
        if found is None:
            raise not_found(group_id)
        return found

    def find_user_by_name(self, user_principal_name: str) -> User | None:
        """The person with this user principal name, whatever its case, or None."""
        wanted = user_principal_name.casefold()
        return next((u for u in self.users() if u.user_principal_name.casefold() == wanted), None)

    def find_group_by_name(self, display_name: str) -> Group | None:
        """The first group of this name, or None; names need not be unique."""
        return next((g for g in self.groups() if g.display_name == display_name), None)

    def members(self, group_id: str) -> list[User | Group]:
        """Direct members, oldest first. Raises WorldError 404."""
        at = self._world.now() - self._world.faults.staleness("directory.read")
        return self._resolve(member_ids_at(self.group(group_id), at))

    def transitive_members(self, group_id: str) -> list[User | Group]:
        """Members through any depth of groups, the groups themselves included. Raises WorldError 404."""
        at = self._world.now() - self._world.faults.staleness("directory.read")
        seen: dict[str, None] = {}
        waiting = [self.group(group_id)]
        while waiting:
            for member_id in member_ids_at(waiting.pop(), at):
                if member_id not in seen:
                    seen[member_id] = None
                    nested = self.find_group(member_id)
                    if nested is not None:
                        waiting.append(nested)
        seen.pop(group_id, None)
        return self._resolve(list(seen))

    def owner_ids(self, group_id: str) -> list[str]:
        """Ids of the people and applications that own a group; those of a group from on-premises are unknown here.

        Raises WorldError 404.
        """
        group = self.group(group_id)
        return [] if group.on_premises_sync_enabled else list(group.owners)

    def member_groups(self, principal_id: str, *, transitive: bool = True) -> list[Group]:
        """Groups that hold this principal."""
        found: dict[str, Group] = {}
        waiting = [principal_id]
        while waiting:
            current = waiting.pop()
            for group in self.groups():
                if current in group.members and group.id not in found:
                    found[group.id] = group
                    if transitive:
                        waiting.append(group.id)
        return list(found.values())

    def is_member(self, group_id: str, user_id: str, *, transitive: bool = False) -> bool:
        """Whether the person is in the group now."""
        group = self.find_group(group_id)
        if group is None:
            return False
        if user_id in group.members:
            return True
        return transitive and any(g.id == group_id for g in self.member_groups(user_id))

    def _resolve(self, ids: list[str]) -> list[User | Group]:
        found = [self.find_user(each) or self.find_group(each) for each in ids]
        return [each for each in found if each is not None]

    # ------------------------------------------------------------ members

    def add_member(self, group_id: str, principal_id: str) -> None:
        """Add through the plain Groups API: a permanent membership that PIM didn't make.

        Raises WorldError 404 for an unknown id, 400 for a member and for a dynamic group.
        """
        group = self.group(group_id)
        if self.find_user(principal_id) is None and self.find_group(principal_id) is None:
            raise not_found(principal_id)
        if "DynamicMembership" in group.group_types:
            raise bad_request(
                "Request_BadRequest", "Insufficient privileges to add or remove dynamic membership."
            )
        if principal_id in group.members:
            raise bad_request(
                "Request_BadRequest",
                "One or more added object references already exist for the following modified properties: "
                "'members'.",
            )
        self.put_member(group, principal_id, schedule_id=None)
        self._world.journal("member added", f"{self.name(principal_id)} added to {group.display_name}")

    def remove_member(self, group_id: str, principal_id: str) -> None:
        """Remove through the plain Groups API; overrides PIM, whose assignment ends. Raises WorldError 404."""
        group = self.group(group_id)
        if principal_id not in group.members:
            raise not_found(principal_id)
        self._world.pim.ended_elsewhere(group_id, principal_id)
        if principal_id in group.members:
            self.take_member(group, principal_id)
        self._world.journal("member removed", f"{self.name(principal_id)} removed from {group.display_name}")

    def add_owner(self, group_id: str, principal_id: str) -> None:
        """Make a person or an application an owner through the plain Groups API. Raises WorldError 404, 400 for an owner."""
        group = self.group(group_id)
        if self.find_user(principal_id) is None and principal_id != self.application.id:
            raise not_found(principal_id)
        if principal_id in group.owners:
            raise bad_request(
                "Request_BadRequest",
                "One or more added object references already exist for the following modified properties: "
                "'owners'.",
            )
        group.owners.append(principal_id)
        self._world.journal("owner added", f"{self.name(principal_id)} owns {group.display_name}")

    def remove_owner(self, group_id: str, principal_id: str) -> None:
        """Take an ownership away through the plain Groups API. Raises WorldError 404."""
        group = self.group(group_id)
        if principal_id not in group.owners:
            raise not_found(principal_id)
        group.owners.remove(principal_id)
        self._world.journal("owner removed", f"{self.name(principal_id)} no longer owns {group.display_name}")

    def put_member(self, group: Group, principal_id: str, *, schedule_id: str | None) -> None:
        """For the world's own parts: make somebody a member, or hand the membership to another schedule."""
        existing = group.members.get(principal_id)
        if existing is not None:
            existing.schedule_id = schedule_id
            return
        group.members[principal_id] = Membership(
            id=self._world.dice.guid(),
            principal_id=principal_id,
            added_at=self._world.now(),
            schedule_id=schedule_id,
        )
        self._world.provisioning.note("member_added", group_id=group.id, principal_id=principal_id)

    def take_member(self, group: Group, principal_id: str) -> None:
        """For the world's own parts: end a membership and remember it for stale reads."""
        membership = group.members.pop(principal_id)
        membership.removed_at = self._world.now()
        group.past_members = [*group.past_members[-MOST_PAST_MEMBERS:], membership]
        self._world.provisioning.note("member_removed", group_id=group.id, principal_id=principal_id)

    # ------------------------------------------------------------ people and groups

    def name(self, object_id: str) -> str:
        """What to call a person or group in the journal."""
        found = self.find_user(object_id) or self.find_group(object_id)
        return found.display_name if found is not None else object_id

    def create_user(self, user: User) -> User:
        """Put a person into the tenant. Raises ValueError for an id that is taken."""
        if user.id in self._world.state.users:
            raise ValueError(f"user {user.id} exists")
        user.created_at = user.created_at or self._world.now()
        self._world.state.users[user.id] = user
        self._world.provisioning.note("user", principal_id=user.id)
        return user

    def create_group(self, group: Group) -> Group:
        """Put an empty group into the tenant. Raises ValueError for an id that is taken."""
        if group.id in self._world.state.groups:
            raise ValueError(f"group {group.id} exists")
        group.created_at = group.created_at or self._world.now()
        self._world.state.groups[group.id] = group
        self._world.provisioning.note("group", group_id=group.id)
        return group

    def update_user(self, user_id: str, **changes: Any) -> User:
        """Change properties of a person. Raises WorldError 404, ValueError for an unknown property."""
        user = self.user(user_id)
        for name, value in changes.items():
            if name not in _USER_FIELDS:
                raise ValueError(f"a user has no property {name}")
            setattr(user, name, value)
        self._world.provisioning.note("user", principal_id=user_id)
        return user

    def set_enabled(self, user_id: str, enabled: bool) -> None:
        """Enable or disable a person's sign-in. Raises WorldError 404."""
        user = self.update_user(user_id, account_enabled=enabled)
        word = "enabled" if enabled else "disabled"
        self._world.journal(f"user {word}", f"{user.display_name} was {word}")

    def rename_group(self, group_id: str, display_name: str) -> None:
        """Give a group another name. Raises WorldError 404."""
        self.group(group_id).display_name = display_name
        self._world.provisioning.note("group", group_id=group_id)

    def delete_group(self, group_id: str) -> None:
        """Delete a group with everything that hangs on it. Raises WorldError 404."""
        group = self.group(group_id)
        self._world.pim.group_deleted(group_id)
        for holder in self.groups():
            if group_id in holder.members:
                self.take_member(holder, group_id)
        self._drop_assignments(group_id)
        del self._world.state.groups[group_id]
        self._world.provisioning.note("group", group_id=group_id)
        self._world.journal("group deleted", f"{group.display_name} was deleted")

    def recreate_group(self, group_id: str, *, assigned: bool = True) -> Group:
        """Delete a group and make one of the same name with another id, empty and without eligibilities."""
        old = self.group(group_id)
        self.delete_group(group_id)
        new = self.create_group(
            Group(
                id=self._world.dice.guid(),
                display_name=old.display_name,
                description=old.description,
                mail_nickname=old.mail_nickname,
            )
        )
        if assigned:
            self.assign_to_application(new.id)
        self._world.journal("group recreated", f"{new.display_name} exists again, as {new.id}")
        return new

    # ------------------------------------------------------------ enterprise application

    def app_role_assignments(self) -> list[AppRoleAssignment]:
        """Who is assigned to the enterprise application of IAM Identity Center."""
        at = self._world.now() - self._world.faults.staleness("directory.read")
        past = [row for row in self.application.past_assignments if row.removed_at and row.removed_at > at]
        return [row for row in (*past, *self.application.assignments.values()) if row.created_at <= at]

    def assign_to_application(self, principal_id: str) -> AppRoleAssignment:
        """Assign a person or group to the enterprise application. Raises WorldError 404, 400 if assigned."""
        principal = self.find_user(principal_id) or self.find_group(principal_id)
        if principal is None:
            raise not_found(principal_id)
        if any(row.principal_id == principal_id for row in self.application.assignments.values()):
            raise bad_request("Request_BadRequest", "Permission being assigned already exists on the object")
        row = AppRoleAssignment(
            id=self._world.dice.guid(),
            app_role_id=APP_ROLE,
            principal_id=principal_id,
            principal_type="User" if isinstance(principal, User) else "Group",
            created_at=self._world.now(),
        )
        self.application.assignments[row.id] = row
        self._note_assignment(principal)
        return row

    def unassign_from_application(self, principal_id: str) -> None:
        """Take an assignment to the enterprise application away; nothing happens without one."""
        principal = self.find_user(principal_id) or self.find_group(principal_id)
        if self._drop_assignments(principal_id) and principal is not None:
            self._note_assignment(principal)

    def _drop_assignments(self, principal_id: str) -> bool:
        """Take the principal's assignments away and remember them for stale reads; whether there were any."""
        application = self.application
        gone = [row for row in application.assignments.values() if row.principal_id == principal_id]
        for row in gone:
            row.removed_at = self._world.now()
            del application.assignments[row.id]
        application.past_assignments = [*application.past_assignments, *gone][-MOST_PAST_MEMBERS:]
        return bool(gone)

    def _note_assignment(self, principal: User | Group) -> None:
        if isinstance(principal, User):
            self._world.provisioning.note("user", principal_id=principal.id)
        else:
            self._world.provisioning.note("assignment", group_id=principal.id)

    def is_in_scope(self, group_id: str) -> bool:
        """Whether provisioning carries this group: assigned to the application and security-enabled."""
        group = self.find_group(group_id)
        return (
            group is not None
            and group.security_enabled
            and any(row.principal_id == group_id for row in self.application.assignments.values())
        )


def member_ids_at(group: Group, at: datetime) -> list[str]:
    """Ids of the direct members at that moment, oldest membership first."""
    past = [m for m in group.past_members if m.removed_at is not None and m.removed_at > at]
    rows = sorted((m for m in (*past, *group.members.values()) if m.added_at <= at), key=_by_age)
    return list(dict.fromkeys(row.principal_id for row in rows))


def _by_age(membership: Membership) -> tuple[datetime, str]:
    return membership.added_at, membership.principal_id
