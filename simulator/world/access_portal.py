"""What a person sees in the AWS access portal, and the role sessions that they open there."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from simulator.world.aws_state import Account, PermissionSet, RoleSession, StoreUser
from simulator.world.durations import parse_duration
from simulator.world.errors import WorldError

if TYPE_CHECKING:
    from simulator.world.world import World


@dataclass(frozen=True)
class Entry:
    """One line of the access portal."""

    account: Account
    permission_set: PermissionSet


class AccessPortal:
    """The access portal. A membership that was removed opens new sessions for up to an hour (a switch)."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def visible(self, person: str) -> list[Entry]:
        """What this person (Entra object id) could open now, by account and set name; empty when disabled."""
        user = self._store_user(person)
        if user is None or not user.active:
            return []
        principals = {user.id} | {m.group_id for m in self._world.identity_store.memberships_of(user.id)}
        cache = timedelta(seconds=self._world.switches.membership_cache_seconds)
        for past in self._world.state.identity_center.past_memberships:
            if past.user_id == user.id and past.removed_at and self._world.now() < past.removed_at + cache:
                principals.add(past.group_id)
        center = self._world.identity_center
        found = {
            (row.account_id, row.permission_set_arn)
            for row in center.state.assignments
            if row.principal_id in principals
        }
        accounts = self._world.state.organization.accounts
        entries = [
            Entry(accounts[account_id], center.permission_set(arn))
            for account_id, arn in found
            if account_id in accounts and accounts[account_id].state == "ACTIVE"
        ]
        return sorted(entries, key=lambda each: (each.account.name, each.permission_set.name))

    def open_session(self, person: str, account_id: str, permission_set: str) -> RoleSession:
        """Open a role session, by the set's name; it lasts for the set's own duration whatever happens then.

        Raises WorldError 403 when the person doesn't see that account with that set.
        """
        user = self._store_user(person)
        wanted = (account_id, permission_set)
        entry = next(
            (each for each in self.visible(person) if (each.account.id, each.permission_set.name) == wanted),
            None,
        )
        if user is None or entry is None:
            raise WorldError(403, "ForbiddenException", "No access")
        now = self._world.now()
        session = RoleSession(
            id=self._world.dice.guid(),
            user_id=user.id,
            account_id=account_id,
            permission_set_arn=entry.permission_set.arn,
            started_at=now,
            ends_at=now + parse_duration(entry.permission_set.session_duration or "PT1H"),
        )
        sessions = self._world.state.identity_center.sessions
        self._world.state.identity_center.sessions = [each for each in sessions if each.ends_at > now] + [
            session
        ]
        self._world.journal(
            "session opened", f"{user.display_name} opened {permission_set} on {entry.account.name}"
        )
        return session

    def sessions(self, person: str) -> list[RoleSession]:
        """Role sessions of this person that still run."""
        user = self._store_user(person)
        now = self._world.now()
        rows = self._world.state.identity_center.sessions
        return [each for each in rows if user is not None and each.user_id == user.id and each.ends_at > now]

    def _store_user(self, person: str) -> StoreUser | None:
        found = self._world.identity_store.find_user_by_external_id(person)
        if found is None:
            known = self._world.directory.find_user(person)
            if known is not None:
                found = self._world.identity_store.find_user_by_name(known.user_principal_name)
        return found
