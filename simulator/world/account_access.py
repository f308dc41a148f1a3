"""Account access manager: groups of IAM Identity Center that are entitled to roles which exist in accounts already.

AWS documents that it opens such roles without any permission set, and that sso-admin doesn't show it (AWS contract, 0 and
1.5). How its sessions end with the membership, and how CloudTrail names their role, isn't established: both are switches.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from simulator.world.aws_state import RoleEntitlement, RoleSession
from simulator.world.errors import WorldError

if TYPE_CHECKING:
    from simulator.world.world import World

LASTS = timedelta(hours=1)


class AccountAccess:
    """Entitlements, and the sessions that they open; those stand among the other role sessions."""

    def __init__(self, world: "World") -> None:
        self._world = world

    @property
    def _entitlements(self) -> list[RoleEntitlement]:
        return self._world.state.identity_center.entitlements

    def entitle(self, group_id: str, account_id: str, role_name: str) -> RoleEntitlement:
        """Entitle a group of the identity store to a role. Raises WorldError for an unknown group or account."""
        self._world.identity_store.group(group_id)
        self._world.organization.account(account_id)
        made = RoleEntitlement(group_id, account_id, role_name)
        if made not in self._entitlements:
            self._entitlements.append(made)
        return made

    def entitled(self, user_id: str, account_id: str, role_name: str) -> bool:
        """Whether a membership of now opens this role to the user."""
        groups = {each.group_id for each in self._world.identity_store.memberships_of(user_id)}
        return any(
            each.group_id in groups and (each.account_id, each.role_name) == (account_id, role_name)
            for each in self._entitlements
        )

    def open_session(self, person: str, account_id: str, role_name: str) -> RoleSession:
        """Open a session of a role (Entra object id). Raises WorldError 403 for who isn't entitled."""
        user = self._world.access_portal.store_user(person)
        if user is None or not user.active or not self.entitled(user.id, account_id, role_name):
            raise WorldError(403, "ForbiddenException", "No access")
        now = self._world.now()
        session = RoleSession(
            id=self._world.dice.guid(),
            user_id=user.id,
            account_id=account_id,
            permission_set_arn="",
            started_at=now,
            ends_at=now + LASTS,
            session_name=user.user_name,
            access_key_id=f"ASIA{self._world.dice.hex(16).upper()}",
            role_name=role_name,
        )
        self._world.state.identity_center.sessions.append(session)
        self._world.journal("session opened", f"{user.display_name} opened the role {role_name}")
        return session

    def role(self, session: RoleSession) -> tuple[str, str]:
        """Name and ARN of the session's role, as CloudTrail and conditions have them (a switch)."""
        name = session.role_name
        if self._world.switches.account_access_keeps_role_name:
            return name, f"arn:aws:iam::{session.account_id}:role/{name}"
        return self._world.identity_center.reserved_role(session.account_id, name, f"entitled {name}")

    def refusal(self, session: RoleSession) -> str:
        """Why the role isn't open any more, apart from policies; "" where it is."""
        ends = self._world.switches.account_access_ends_with_membership
        if ends and not self.entitled(session.user_id, session.account_id, session.role_name):
            return "The membership that opened it is gone."
        return ""
