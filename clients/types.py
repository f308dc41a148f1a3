"""Values that cross the ports: frozen, vendor-neutral, in UTC.

Every instant is an aware UTC datetime on the vendor's clock (business time here), every
duration a timedelta, every identifier the vendor's own string.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Receipt:
    """What proves that a call took place: our id for it and the vendor's."""

    client_request_id: str
    vendor_request_id: str = ""


@dataclass(frozen=True, slots=True)
class Reading[T]:
    """An answer together with the proof of the call that gave it."""

    value: T
    receipt: Receipt


# --- Entra directory


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """A person as Entra describes them; mutable names are for display, never for identity."""

    object_id: str
    display_name: str
    user_principal_name: str
    given_name: str = ""
    surname: str = ""
    mail: str = ""
    employee_id: str = ""  # or what ENTRA_PERSON_ATTRIBUTE names in its place: its first that has a value
    further_marks: tuple[str, ...] = ()  # the values of those that it names after that one
    department: str = ""
    job_title: str = ""
    enabled: bool = True
    guest: bool = False


@dataclass(frozen=True, slots=True)
class DirectoryGroup:
    """A group and the properties that decide whether PIM and SCIM can carry it."""

    object_id: str
    display_name: str
    description: str = ""
    security_enabled: bool = True
    role_assignable: bool = False
    synced_from_on_premises: bool = False
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """Members of a group, people and groups apart."""

    users: tuple[DirectoryUser, ...]
    group_ids: tuple[str, ...]


# --- The product's own identities


@dataclass(frozen=True, slots=True)
class EntraIdentity:
    """Who the worker is at Entra, by its own access token, and how the clocks differ."""

    tenant_id: str
    application_id: str
    roles: frozenset[str]  # application permissions that have admin consent
    credential_ends_at: datetime | None  # real time; None where the credential has no end that we can see
    clock_skew: timedelta | None  # Graph's clock minus ours; None when no answer carried a Date


@dataclass(frozen=True, slots=True)
class AwsIdentity:
    """Who the worker is at AWS, and how the clocks differ."""

    account_id: str
    arn: str
    clock_skew: timedelta | None  # AWS's clock minus ours; None when the answer carried no Date


# --- PIM for Groups


@dataclass(frozen=True, slots=True)
class PimEligibility:
    """One eligibility schedule instance: this principal may activate membership of this group."""

    instance_id: str
    group_id: str
    principal_id: str
    starts_at: datetime | None
    ends_at: datetime | None  # None: permanent
    through_group: bool  # memberType "group": held through another eligible group


@dataclass(frozen=True, slots=True)
class PimPolicy:
    """What a group's PIM settings for members demand (entra-graph contract, 17 fixed rules)."""

    group_id: str
    policy_id: str
    activation_maximum: timedelta
    requires_justification: bool
    requires_mfa: bool
    requires_ticket: bool
    requires_approval: bool
    authentication_context: str  # "" when none
    assignment_maximum: timedelta | None  # admin assignments; None: may be permanent
    # Whom PIM names as approvers, by object id; none: it names nobody, or demands no approval.
    approver_people: tuple[str, ...] = ()
    approver_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PimAssignment:
    """One assignment schedule instance: membership that PIM holds right now."""

    instance_id: str
    schedule_id: str
    group_id: str
    principal_id: str
    starts_at: datetime | None
    ends_at: datetime | None  # None: permanent
    activated: bool  # assignmentType "activated" (by the person) rather than "assigned"


class PimRequestStatus(StrEnum):
    """The statuses of a PIM request that matter here; anything else is UNKNOWN (the vendor's list is open)."""

    PROVISIONED = "Provisioned"
    GRANTED = "Granted"
    PENDING = "Pending"
    DENIED = "Denied"
    FAILED = "Failed"
    REVOKED = "Revoked"
    CANCELED = "Canceled"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class PimRequest:
    """One assignment schedule request, PIM's own record of an ask, with the tag that we gave it."""

    request_id: str
    group_id: str
    principal_id: str
    action: str  # vendor's word, e.g. adminAssign
    status: PimRequestStatus
    vendor_status: str
    tag: str  # "" when the request carries none of ours
    schedule_id: str
    created_at: datetime | None
    starts_at: datetime | None
    ends_at: datetime | None
    # The tag on what the person asked for with their own token. They could write one, too: it says nothing where the
    # portal acts for itself.
    personal_tag: str = ""


@dataclass(frozen=True, slots=True)
class PersonTokens:
    """A person's tokens for the moment. Secrets: their text shows none of them, and only a call takes them."""

    access_token: str = field(repr=False)
    refresh_token: str = field(
        default="", repr=False
    )  # to be kept instead of the one that was traded; "" for none


@dataclass(frozen=True, slots=True)
class AssignmentOrder:
    """Time-bound membership to put in place: both instants fixed, so that a retry never moves the end.

    `tag` is our idempotency mark (grant id and revision); it travels in ticketInfo and in the
    justification, because which of them PIM echoes is not established.
    """

    group_id: str
    principal_id: str
    starts_at: datetime
    ends_at: datetime
    tag: str
    justification: str
    ticket: str = ""  # the person's own reference, where PIM demands a ticket of an activation


@dataclass(frozen=True, slots=True)
class RemovalOrder:
    """Membership to take away; PIM refuses one that is younger than five minutes."""

    group_id: str
    principal_id: str
    tag: str
    justification: str


# --- Provisioning (SCIM from Entra to IAM Identity Center)


class ProvisioningCode(StrEnum):
    """State of the provisioning job (synchronizationStatus.code)."""

    ACTIVE = "Active"
    PAUSED = "Paused"
    QUARANTINE = "Quarantine"
    NOT_RUN = "NotRun"
    NOT_CONFIGURED = "NotConfigured"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class ProvisioningJob:
    """The enterprise application's synchronization job, as far as it explains arrivals and removals."""

    job_id: str
    rule_id: str
    code: ProvisioningCode
    interval: timedelta | None
    last_cycle_id: str
    last_cycle_began_at: datetime | None
    last_cycle_ended_at: datetime | None
    last_cycle_completed: bool  # it looked at everything; single entries may have failed
    quarantine_reason: str
    next_attempt_at: datetime | None


class OnDemandOutcome(StrEnum):
    SUCCESS = "Success"
    SKIPPED = "Skipped"
    FAILURE = "Failure"
    UNKNOWN = "Unknown"  # the answer could not be read; the cycle decides


@dataclass(frozen=True, slots=True)
class OnDemandResult:
    """The answer of provisionOnDemand, read defensively (both halves are JSON inside strings)."""

    outcome: OnDemandOutcome
    reason: str


# --- IAM Identity Center and Organizations


@dataclass(frozen=True, slots=True)
class IdentityCenterInstance:
    instance_arn: str
    identity_store_id: str
    region: str
    owner_account_id: str = ""  # the account that the instance belongs to; "" where AWS doesn't say


@dataclass(frozen=True, slots=True)
class PermissionSetDetails:
    arn: str
    name: str
    description: str
    session_duration: timedelta
    relay_state: str
    managed_policies: tuple[tuple[str, str], ...]  # (name, arn)
    customer_managed_policies: tuple[tuple[str, str], ...]  # (path, name)
    inline_policy: str  # JSON text, "" when none
    permissions_boundary: str  # arn or path+name, "" when none
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupAssignment:
    """One account assignment of a group: this permission set on this account."""

    account_id: str
    permission_set_arn: str


@dataclass(frozen=True, slots=True)
class StoreUser:
    user_id: str
    user_name: str
    external_ids: tuple[str, ...]
    enabled: bool


@dataclass(frozen=True, slots=True)
class StoreGroup:
    group_id: str
    display_name: str
    external_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoreMembership:
    membership_id: str
    group_id: str
    user_id: str
    created_at: datetime | None  # the moment SCIM landed, where AWS says it


@dataclass(frozen=True, slots=True)
class OrganizationUnit:
    unit_id: str
    name: str
    parent_id: str  # "" for the root


@dataclass(frozen=True, slots=True)
class OrganizationAccount:
    account_id: str
    name: str
    email: str
    state: str  # PENDING_ACTIVATION, ACTIVE, SUSPENDED, PENDING_CLOSURE, CLOSED
    unit_id: str  # the OU (or root) that holds it


class ProgressCode(StrEnum):
    """How far AWS is with carrying a permission set to its accounts."""

    RUNNING = "IN_PROGRESS"
    DONE = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class ProvisioningProgress:
    """One request to provision a permission set; `reason` says why it failed."""

    vendor_id: str
    code: ProgressCode
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ControlPolicyDocument:
    """A service control policy's text, and the organisation's management account, which no such policy binds."""

    content: str
    owner_account_id: str


# --- CloudTrail


@dataclass(frozen=True, slots=True)
class TrailQuestion:
    """Which events of one account and Region are looked for. `attribute` "": all; else its exact `value`."""

    account_id: str
    region: str
    starts_at: datetime
    ends_at: datetime
    attribute: str = ""  # as LookupEvents names it: Username, EventName
    value: str = ""


@dataclass(frozen=True, slots=True)
class TrailEvent:
    """What is kept of one event: who, what, when, and whether it was refused. "" where the event doesn't say."""

    event_id: str
    at: datetime
    source: str  # the service, e.g. ec2.amazonaws.com
    name: str  # the action, e.g. StopInstances
    account_id: str  # in which it happened
    identity_type: str
    principal_id: str = ""  # of a role session: <role id>:<session name>
    role_arn: str = ""  # of a role session: the role that it was opened with
    store_user_id: str = ""  # on whose behalf, by IAM Identity Center
    session_started_at: datetime | None = None
    error_code: str = ""
    opened_account_id: str = ""  # of a session that IAM Identity Center opened
    opened_permission_set: str = ""


@dataclass(frozen=True, slots=True)
class TrailPage:
    """Some events, newest first. `unreadable` ones are counted, not shown."""

    events: tuple[TrailEvent, ...]
    next_page: str = ""
    unreadable: int = 0


# --- Notices to operators


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that operators are told. `id` is the same in every try; `path` is a page of the portal."""

    id: str
    title: str
    sentence: str
    path: str
    kind: str
    over: bool  # it is no longer so
    at: datetime  # real time


# --- Letters to people


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail. `id` is the same in every try, so that mail programs drop a second copy; `to` are plain addresses."""

    id: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str = ""


# --- Objects in a bucket


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object; `version_id` "" in a bucket without versions. A marker says that it was deleted."""

    key: str
    version_id: str
    marker: bool = False


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A version with its contents; `locked_until` None where no lock in the mode COMPLIANCE holds it."""

    key: str
    version_id: str
    body: bytes
    locked_until: datetime | None
