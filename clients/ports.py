"""The ports through which workers speak to the clouds. Synchronous, small, vendor-neutral.

Each method may raise any `clients.errors.ClientError`. Writes take a `client_request_id`
that the caller has recorded before calling, so that a crash leaves a trace on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from clients.types import (
    AssignmentOrder,
    AwsIdentity,
    ControlPolicyDocument,
    DirectoryGroup,
    DirectoryUser,
    EntraIdentity,
    GroupAssignment,
    GroupMembers,
    IdentityCenterInstance,
    Mail,
    Notice,
    ObjectVersion,
    OnDemandResult,
    OrganizationAccount,
    OrganizationUnit,
    PermissionSetDetails,
    PersonTokens,
    PimAssignment,
    PimEligibility,
    PimPolicy,
    PimRequest,
    ProvisioningJob,
    ProvisioningProgress,
    Reading,
    Receipt,
    RemovalOrder,
    StoredObject,
    StoreGroup,
    StoreMembership,
    StoreUser,
    TrailPage,
    TrailQuestion,
)


class EntraDirectory(Protocol):
    """People and groups of the tenant."""

    def read_user(self, object_id: str) -> Reading[DirectoryUser | None]:
        """One person, or None when the directory has nobody (any more) with this object id."""
        ...

    def read_manager(self, object_id: str) -> Reading[str]:
        """The object id of a person's manager; "" when they have none, or one who is no person of the directory."""
        ...

    def read_groups(self, group_ids: Sequence[str]) -> Reading[tuple[DirectoryGroup, ...]]:
        """The groups that exist among these ids, in one call for up to fifteen ids each."""
        ...

    def read_members(self, group_id: str, *, transitive: bool = False) -> Reading[GroupMembers]:
        """Members of a group; `transitive` flattens nested groups into people."""
        ...

    def read_owners(self, group_id: str) -> Reading[tuple[str, ...]]:
        """Object ids of the people who own a group; applications that do are left out."""
        ...

    def application_groups(self) -> Reading[frozenset[str]]:
        """Object ids of the groups assigned to the enterprise application, the only ones that SCIM carries."""
        ...


class EntraPim(Protocol):
    """PIM for Groups, members only."""

    def group_eligibilities(self, group_id: str) -> Reading[tuple[PimEligibility, ...]]:
        """Everyone (people and groups) eligible for this group."""
        ...

    def principal_eligibilities(self, principal_id: str) -> Reading[tuple[PimEligibility, ...]]:
        """Every group this principal is eligible for, directly."""
        ...

    def group_policy(self, group_id: str) -> Reading[PimPolicy]:
        """The group's member settings; ids change at onboarding, so it is always read by group."""
        ...

    def assignments(self, group_id: str, *, principal_id: str = "") -> Reading[tuple[PimAssignment, ...]]:
        """What PIM holds now for this group, optionally for one principal."""
        ...

    def requests(self, group_id: str, principal_id: str) -> Reading[tuple[PimRequest, ...]]:
        """PIM's own history of asks for this pair, newest first; carries our tags."""
        ...

    def assign(self, order: AssignmentOrder, *, client_request_id: str) -> Reading[PimRequest]:
        """Put time-bound membership in place (adminAssign). Never retried inside: the caller reads back."""
        ...

    def extend(self, order: AssignmentOrder, *, client_request_id: str) -> Reading[PimRequest]:
        """Move the end of the assignment that the pair has (adminUpdate). Never retried inside: the caller reads back.

        Whether PIM moves the end of an assignment that runs is not established: it may be `Refused`.
        """
        ...

    def remove(self, order: RemovalOrder, *, client_request_id: str) -> Reading[PimRequest]:
        """Take the membership away (adminRemove). Never retried inside."""
        ...


class PersonalPim(Protocol):
    """PIM for Groups as the person, with a token of theirs. The worker's own permissions play no part in it.

    Besides the usual errors: `StepUpRequired` with the claims to sign in with, `SignInNeeded` when the token is over.
    """

    def sign_in(self, refresh_token: str, *, context: str = "") -> Reading[PersonTokens]:
        """Tokens for a refresh token; `context` is the authentication context that the access token has to prove."""
        ...

    def activate(
        self, order: AssignmentOrder, tokens: PersonTokens, *, client_request_id: str
    ) -> Reading[PimRequest]:
        """Activate for the person (selfActivate), for the time from `starts_at`, which is now, to `ends_at`.

        Never retried inside. The answer may be pending: PIM may want an approval of its own.
        """
        ...

    def deactivate(
        self, order: RemovalOrder, tokens: PersonTokens, *, client_request_id: str
    ) -> Reading[PimRequest]:
        """End the person's activation (selfDeactivate). Never retried inside."""
        ...

    def approve(
        self, request_id: str, tokens: PersonTokens, *, justification: str, client_request_id: str
    ) -> Reading[None]:
        """Approve somebody else's pending activation, as the person of the tokens. Never retried inside.

        `clients.errors.Conflicting`: somebody has decided already. `Refused`: this person is no approver of PIM's.
        """
        ...

    def withdraw(self, request_id: str, tokens: PersonTokens, *, client_request_id: str) -> Reading[None]:
        """Cancel the person's own pending activation. Never retried inside; `Refused` when it isn't pending."""
        ...


class EntraProvisioning(Protocol):
    """The enterprise application's synchronization job."""

    def job(self) -> Reading[ProvisioningJob]:
        """State of the job and its last cycle."""
        ...

    def provision_on_demand(
        self, group_id: str, principal_ids: Sequence[str], *, client_request_id: str
    ) -> Reading[OnDemandResult]:
        """Ask for one group and at most five of its members to be carried now (5 calls per 10 s per application)."""
        ...


class IdentityCenter(Protocol):
    """IAM Identity Center: permission sets, the policies they name, account assignments and its identity store."""

    def instance(self) -> Reading[IdentityCenterInstance]: ...

    def permission_set_arns(self) -> Reading[tuple[str, ...]]: ...

    def permission_set(self, arn: str) -> Reading[PermissionSetDetails]:
        """One permission set with its policies, boundary and tags (six calls at the vendor)."""
        ...

    def managed_policy_version(self, arn: str) -> Reading[str]:
        """Which version of an AWS managed policy holds now, e.g. v12. AWS changes them without anybody's doing."""
        ...

    def managed_policy_document(self, arn: str, version: str) -> Reading[str]:
        """That version of an AWS managed policy as JSON text."""
        ...

    def group_assignments(self, store_group_id: str) -> Reading[tuple[GroupAssignment, ...]]:
        """All account assignments of one group, organisation-wide."""
        ...

    def groups(self) -> Reading[tuple[StoreGroup, ...]]: ...

    def users(self) -> Reading[tuple[StoreUser, ...]]: ...

    def find_user(self, user_name: str) -> Reading[StoreUser | None]: ...

    def memberships(self, store_user_id: str, store_group_ids: Iterable[str]) -> Reading[Mapping[str, bool]]:
        """The cheapest read-back: is this person a member of each of these groups (100 groups a call).

        An unknown group has no members; an unknown person is `clients.errors.NotFound`, for their id may be stale.
        """
        ...

    def membership(self, store_user_id: str, store_group_id: str) -> Reading[StoreMembership | None]:
        """One membership with its creation stamp, or None."""
        ...

    def group_memberships(self, store_group_id: str) -> Reading[tuple[StoreMembership, ...]]: ...


class Organization(Protocol):
    """AWS Organizations, read slowly and in the background only."""

    def units(self) -> Reading[tuple[OrganizationUnit, ...]]: ...

    def accounts(self) -> Reading[tuple[OrganizationAccount, ...]]: ...

    def account_tags(self, account_id: str) -> Reading[Mapping[str, str]]: ...


class ActivityTrail(Protocol):
    """What CloudTrail keeps of an account and Region: management events, as far as the source has them.

    The event history of each account stands behind it, or a store of one's own: a CloudTrail Lake event data store, or
    Athena over a trail's bucket. Each answers an exact attribute with exact matches, newest first, in pages that can be
    asked for again.
    """

    def look_up(self, question: TrailQuestion, *, page: str = "") -> Reading[TrailPage]:
        """One page of events; `page` is the `next_page` of the one before, of the very same question.

        `clients.errors.NotPermitted` says why this account or Region can't be read; the others may be readable.
        `Refused` for a `page` that isn't known (any more): begin anew. `StillRunning` where the answer takes longer
        than a call should: its `page` goes on with it. `QueryFailed` where it has ended without one.
        """
        ...


class MembershipRemoval(Protocol):
    """The one thing that the remover may do to AWS: take a membership away. It can't give any."""

    def membership(self, store_user_id: str, store_group_id: str) -> Reading[StoreMembership | None]:
        """The membership of this person in this group with its creation stamp, or None."""
        ...

    def delete(self, membership_id: str, *, client_request_id: str) -> Reading[None]:
        """Delete this very membership; one that was made anew since has another id. Never retried inside.

        `clients.errors.NotFound`: it is gone already.
        """
        ...


class SessionDenials(Protocol):
    """Where denials of sessions are written: a service control policy, or a permission set's inline policy.

    Documents are JSON text. Writes are never retried inside: the caller reads back.
    """

    def service_control_policy(self, policy_id: str) -> Reading[ControlPolicyDocument]: ...

    def put_service_control_policy(
        self, policy_id: str, document: str, *, client_request_id: str
    ) -> Reading[None]: ...

    def policy_targets(self, policy_id: str) -> Reading[frozenset[str]]:
        """Ids of the root, the organisational units and the accounts that the policy is attached to."""
        ...

    def inline_policy(self, permission_set_arn: str) -> Reading[str]:
        """The inline policy of a permission set; "" when it has none."""
        ...

    def put_inline_policy(
        self, permission_set_arn: str, document: str, *, client_request_id: str
    ) -> Reading[None]: ...

    def provision_permission_set(
        self, permission_set_arn: str, *, client_request_id: str
    ) -> Reading[ProvisioningProgress]:
        """Carry a permission set's policies to every account that has it; accounts keep the old ones until then."""
        ...

    def provisioning_progress(self, vendor_id: str) -> Reading[ProvisioningProgress]:
        """How far that is. `clients.errors.NotFound` when AWS has forgotten it."""
        ...


class EntraStanding(Protocol):
    """The worker's own standing at Entra; `manage.py doctor` asks, nothing else does."""

    def identity(self) -> Reading[EntraIdentity]:
        """A fresh look at our access token and one answer of Graph, whatever that answer says."""
        ...


class AwsStanding(Protocol):
    """The worker's own standing at AWS; `manage.py doctor` asks, nothing else does."""

    def identity(self) -> Reading[AwsIdentity]:
        """Who we are there; needs no permission."""
        ...


class Notifier(Protocol):
    """One channel to operators."""

    def send(self, notice: Notice) -> None:
        """Tell it once. Raises clients.errors.Unreachable; trying again may tell it twice, with the same id."""
        ...


class Postman(Protocol):
    """Mail to people."""

    def send(self, mail: Mail) -> None:
        """Hand it over once. Trying again may send it twice, with the same id.

        Raises:
            clients.errors.Refused: it would be refused again: no such mailbox, an address that is none.
            clients.errors.Unreachable: the mail server didn't take it now.
        """
        ...


class ObjectStore(Protocol):
    """One bucket, as whoever keeps objects in it sees it. Putting the same object again does no harm."""

    def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        encoding: str = "",
        locked_until: datetime | None = None,
    ) -> Reading[ObjectVersion]:
        """Keep it, durably before this returns; with `locked_until`, so that nobody can delete it before then.

        `clients.errors.Refused` where the bucket can't lock objects.
        """
        ...

    def locks(self) -> Reading[bool]:
        """Whether objects of this bucket can be locked."""
        ...

    def versions(self, prefix: str, *, after: str = "") -> Iterator[ObjectVersion]:
        """Every version and delete marker whose key begins with `prefix` and follows `after`, in the order of keys."""
        ...

    def read(self, key: str, version_id: str) -> Reading[StoredObject]:
        """One version. `clients.errors.NotFound` when there is none (any more)."""
        ...


class CallObserver(Protocol):
    """Told about every outside call; what it records has an expiry (polls are not audit events)."""

    def __call__(
        self, *, port: str, operation: str, outcome: str, receipt: Receipt, milliseconds: int
    ) -> None: ...
