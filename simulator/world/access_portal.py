"""What a person sees in the AWS access portal, the role sessions that they open there, and whether those may act."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from simulator.world import iam_policy
from simulator.world.aws_state import Account, PermissionSet, PortalSession, RoleSession, StoreUser
from simulator.world.durations import parse_duration
from simulator.world.errors import WorldError

if TYPE_CHECKING:
    from simulator.world.world import World

ANYTHING = "ec2:DescribeInstances"  # an action like any other


@dataclass(frozen=True)
class Entry:
    """One line of the access portal."""

    account: Account
    permission_set: PermissionSet


@dataclass(frozen=True)
class Verdict:
    """Whether a role session may act: it may when there is no `refusal`. `denied_by` names the policy that denies."""

    refusal: str = ""
    denied_by: str = ""

    @property
    def allowed(self) -> bool:
        """Whether it may act."""
        return not self.refusal


class AccessPortal:
    """The access portal. A membership that was removed opens new sessions for up to an hour (a switch)."""

    def __init__(self, world: "World") -> None:
        self._world = world

    # ------------------------------------------------------------ signing in

    def sign_in(self, person: str) -> PortalSession:
        """Sign in (Entra object id) for as long as the instance says. Raises WorldError 403 for who can't."""
        user = self.store_user(person)
        if user is None or not user.active:
            raise WorldError(403, "ForbiddenException", "No access")
        center, now = self._world.state.identity_center, self._world.now()
        session = PortalSession(
            id=self._world.dice.guid(),
            user_id=user.id,
            signed_in_at=now,
            ends_at=now + parse_duration(center.portal_session_duration),
        )
        running = {key: each for key, each in center.portal_sessions.items() if each.ends_at > now}
        center.portal_sessions = running | {session.id: session}
        self._world.trail.signed_in(session)
        return session

    def portal_session(self, session_id: str) -> PortalSession | None:
        """A sign-in that still holds: not over, not ended, its user neither disabled nor deleted."""
        center = self._world.state.identity_center
        found = center.portal_sessions.get(session_id)
        user = center.users.get(found.user_id) if found is not None else None
        if found is None or user is None or not user.active or found.ends_at <= self._world.now():
            return None
        return found

    def end_portal_sessions(self, person: str) -> None:
        """What an administrator's console does; nothing in AWS's public API does it."""
        user, center = self.store_user(person), self._world.state.identity_center
        center.portal_sessions = {
            key: each
            for key, each in center.portal_sessions.items()
            if user is None or each.user_id != user.id
        }

    def end_portal_session(self, session_id: str) -> None:
        """The person signs out."""
        self._world.state.identity_center.portal_sessions.pop(session_id, None)

    # ------------------------------------------------------------ what is there to open

    def visible(self, person: str) -> list[Entry]:
        """What this person would see after signing in now, by account and set name; empty when disabled."""
        user = self.store_user(person)
        return self._entries(user, self._world.now()) if user is not None and user.active else []

    def shown(self, portal_session_id: str) -> list[Entry]:
        """What an open portal shows: memberships that came after the sign-in only later (a switch)."""
        session = self.portal_session(portal_session_id)
        if session is None:
            return []
        return self._entries(self._world.identity_store.user(session.user_id), session.signed_in_at)

    def _entries(self, user: StoreUser, signed_in_at: datetime) -> list[Entry]:
        now, switches = self._world.now(), self._world.switches
        late = timedelta(seconds=switches.portal_shows_new_after_seconds)
        cache = timedelta(seconds=switches.membership_cache_seconds)
        center = self._world.identity_center
        memberships = [
            *self._world.identity_store.memberships_of(user.id),
            *(
                past
                for past in center.state.past_memberships
                if past.user_id == user.id and past.removed_at and now < past.removed_at + cache
            ),
        ]
        principals = {user.id} | {
            each.group_id
            for each in memberships
            if each.created_at <= signed_in_at or now >= each.created_at + late
        }
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

    # ------------------------------------------------------------ role sessions

    def open_session(
        self, person: str, account_id: str, permission_set: str, *, portal_session_id: str = ""
    ) -> RoleSession:
        """Open a role session, by the set's name; it lasts for the set's own duration whatever happens then.

        Without `portal_session_id` the person signs in for it. Raises WorldError 403 when the person doesn't see
        that account with that set.
        """
        user = self.store_user(person)
        wanted = (account_id, permission_set)
        entries = self.shown(portal_session_id) if portal_session_id else self.visible(person)
        entry = next((e for e in entries if (e.account.id, e.permission_set.name) == wanted), None)
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
            session_name=user.user_name,
            access_key_id=f"ASIA{self._world.dice.hex(16).upper()}",
        )
        sessions = self._world.state.identity_center.sessions
        self._world.state.identity_center.sessions = [each for each in sessions if each.ends_at > now] + [
            session
        ]
        self._world.journal(
            "session opened", f"{user.display_name} opened {permission_set} on {entry.account.name}"
        )
        self._world.trail.federated(session, portal_session_id or session.id, entry.permission_set)
        return session

    def sessions(self, person: str) -> list[RoleSession]:
        """Role sessions of this person that still run."""
        user = self.store_user(person)
        now = self._world.now()
        rows = self._world.state.identity_center.sessions
        return [each for each in rows if user is not None and each.user_id == user.id and each.ends_at > now]

    def session(self, session_id: str) -> RoleSession:
        """One role session that still runs or ended lately. Raises WorldError 404."""
        for each in self._world.state.identity_center.sessions:
            if each.id == session_id:
                return each
        raise WorldError(404, "ResourceNotFoundException", "There is no such session.")

    def may_act(self, session_id: str, action: str = ANYTHING, resource: str = "*") -> Verdict:
        """May this session do `service:Operation` now? Denials only: what its role is allowed isn't judged.

        Raises WorldError 404 for a session that nobody remembers.
        """
        session = self.session(session_id)
        if session.ends_at <= self._world.now():
            return Verdict("The session is over.")
        permission_set = self._world.state.identity_center.permission_sets.get(session.permission_set_arn)
        account = self._world.state.organization.accounts.get(session.account_id)
        if session.role_name:
            if refusal := self._world.account_access.refusal(session):
                return Verdict(refusal)
        elif permission_set is None or session.account_id not in permission_set.provisioned:
            return Verdict("The role is gone.")
        if account is None or account.state != "ACTIVE":
            return Verdict("The account isn't active.")
        context = self._context(session)
        for policy in self._world.control_policies.acting_on(session.account_id):
            if iam_policy.parse(policy.acting_content).denies(action, resource, context):
                return Verdict("A service control policy denies it.", policy.name)
        inline = permission_set.role_policies.get(session.account_id, "") if permission_set else ""
        if permission_set and inline and iam_policy.parse(inline).denies(action, resource, context):
            return Verdict("The permission set's inline policy denies it.", permission_set.name)
        return Verdict()

    def act(
        self, session_id: str, action: str = ANYTHING, *, resource: str = "*", region: str = ""
    ) -> Verdict:
        """Try it; CloudTrail of the account keeps that it was done, or refused. Raises as `may_act` does."""
        session, verdict = self.session(session_id), self.may_act(session_id, action, resource)
        known = (
            session.role_name
            or session.permission_set_arn in self._world.state.identity_center.permission_sets
        )
        if known and session.ends_at > self._world.now():
            self._world.trail.acted(
                session, self.role(session), action, region=region, resource=resource, refusal=verdict.refusal
            )
        return verdict

    def role(self, session: RoleSession) -> tuple[str, str]:
        """Name and ARN of the session's role. Raises WorldError for a permission set that is gone."""
        if session.role_name:
            return self._world.account_access.role(session)
        center = self._world.identity_center
        permission_set = center.permission_set(session.permission_set_arn)
        return (
            center.role_name(session.account_id, permission_set),
            center.role_arn(session.account_id, permission_set),
        )

    def role_id(self, session: RoleSession) -> str:
        """The unique id of the session's role."""
        dice = self._world.dice
        of = session.permission_set_arn or session.role_name
        return "AROA" + dice.named_hex(f"id {session.account_id} {of}", 17).upper()

    def _context(self, session: RoleSession) -> iam_policy.Context:
        organization = self._world.state.organization
        return {
            "identitystore:userid": (session.user_id,),
            "identitystore:identitystorearn": (self._world.identity_center.store_arn(),),
            "aws:principalarn": (self.role(session)[1],),
            "aws:principalaccount": (session.account_id,),
            "aws:principalorgid": (organization.id,),
            "aws:principaltype": ("AssumedRole",),
            "aws:userid": (f"{self.role_id(session)}:{session.session_name}",),
            "aws:tokenissuetime": (session.started_at.isoformat(),),
            "aws:currenttime": (self._world.now().isoformat(),),
        }

    def store_user(self, person: str) -> StoreUser | None:
        """Who this person (Entra object id) is in the identity store."""
        found = self._world.identity_store.find_user_by_external_id(person)
        if found is None:
            known = self._world.directory.find_user(person)
            if known is not None:
                found = self._world.identity_store.find_user_by_name(known.user_principal_name)
        return found
