"""What the simulated AWS knows: the organization, the IAM Identity Center instance, its identity store, its sessions.

Plain dataclasses, part of `simulator.world.state.State` and under its rules.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class OrganizationalUnit:
    id: str
    name: str
    parent_id: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Account:
    """An AWS account of the organization."""

    id: str
    name: str
    email: str
    parent_id: str
    joined_at: datetime
    state: str = "ACTIVE"
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class ControlPolicy:
    """A service control policy as it was written last, and as it acts already: changes take a while to act."""

    id: str
    name: str
    description: str
    content: str
    targets: list[str] = field(default_factory=list)  # root, OUs and accounts that it is attached to
    acting_content: str = ""
    acting_targets: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class TrailEvent:
    """One CloudTrail event; `record` is its JSON."""

    id: str
    at: datetime
    account_id: str
    region: str
    name: str
    source: str
    read_only: bool
    username: str
    access_key_id: str
    record: str
    resources: list[str] = field(default_factory=list)  # ARNs


@dataclass
class Organization:
    id: str
    root_id: str
    management_account_id: str
    units: dict[str, OrganizationalUnit] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    delegated_administrators: list[str] = field(default_factory=list)  # accounts, for sso.amazonaws.com
    policies: dict[str, ControlPolicy] = field(default_factory=dict)  # by id, without FullAWSAccess
    deleted_policies: dict[str, ControlPolicy] = field(default_factory=dict)  # that may act for a while still
    trail: list[TrailEvent] = field(default_factory=list)  # of all accounts, oldest first


@dataclass
class PermissionSet:
    arn: str
    name: str
    created_at: datetime
    description: str | None = None
    session_duration: str | None = "PT1H"
    relay_state: str | None = None
    managed_policies: dict[str, str] = field(default_factory=dict)  # arn -> name
    customer_managed_policies: list[dict[str, str]] = field(default_factory=list)  # {Name, Path}
    inline_policy: str = ""
    boundary: dict[str, Any] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    revision: int = 1
    provisioned: dict[str, int] = field(default_factory=dict)  # account id -> revision there
    role_policies: dict[str, str] = field(default_factory=dict)  # account id -> inline policy that acts there


@dataclass
class AccountAssignment:
    account_id: str
    permission_set_arn: str
    principal_type: str  # GROUP | USER
    principal_id: str


@dataclass
class ProvisioningRequest:
    """A ProvisionPermissionSet call under way."""

    id: str
    permission_set_arn: str
    accounts: list[str]
    created_at: datetime
    status: str = "IN_PROGRESS"
    account_id: str | None = None
    failure: str | None = None
    revision: int = 0  # of the set when it was asked for
    inline_policy: str = ""


@dataclass
class StoreUser:
    """A user of the identity store. Only SCIM sets `external_id`."""

    id: str
    user_name: str
    display_name: str
    given_name: str
    family_name: str
    created_at: datetime
    updated_at: datetime
    external_id: str | None = None
    email: str | None = None
    email_type: str = "work"
    title: str | None = None
    active: bool = True
    revision: int = 1
    attributes: dict[str, Any] = field(default_factory=dict)  # further SCIM attributes, kept as sent


@dataclass
class StoreMembership:
    id: str
    group_id: str
    user_id: str
    created_at: datetime
    by: str = "SCIM"
    removed_at: datetime | None = None


@dataclass
class StoreGroup:
    id: str
    display_name: str
    created_at: datetime
    updated_at: datetime
    external_id: str | None = None
    description: str | None = None
    revision: int = 1
    members: dict[str, StoreMembership] = field(default_factory=dict)  # by user id


@dataclass
class ObjectVersion:
    """A version of an object in S3, or a delete marker."""

    id: str
    key: str
    at: datetime
    body: str = ""  # base64
    etag: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # ContentType and what else describes it
    checksums: dict[str, str] = field(default_factory=dict)  # ChecksumSHA256 …
    lock_mode: str | None = None  # COMPLIANCE | GOVERNANCE
    locked_until: datetime | None = None
    marker: bool = False


@dataclass
class Bucket:
    """A bucket of S3. One that locks has versioning, the others have none."""

    name: str
    region: str
    locks: bool = False
    objects: dict[str, list[ObjectVersion]] = field(default_factory=dict)  # by key, the newest first


@dataclass
class RoleSession:
    """Credentials of a permission set on an account, which outlive the membership that opened them."""

    id: str
    user_id: str
    account_id: str
    permission_set_arn: str
    started_at: datetime  # also what aws:TokenIssueTime is
    ends_at: datetime
    session_name: str = ""  # the user name at the time
    access_key_id: str = ""
    role_name: str = ""  # of account access manager's sessions, which have no permission set


@dataclass
class RoleEntitlement:
    """What account access manager opens to a group: a role that exists in an account."""

    group_id: str
    account_id: str
    role_name: str


@dataclass
class PortalSession:
    """A person's sign-in to the access portal."""

    id: str
    user_id: str
    signed_in_at: datetime
    ends_at: datetime


@dataclass
class IdentityCenterState:
    """The IAM Identity Center instance with its identity store."""

    instance_arn: str
    identity_store_id: str
    region: str
    owner_account_id: str
    created_at: datetime
    external_id_issuer: str
    scim_tenant_id: str
    scim_token: str
    scim_token_valid: bool = True
    permission_sets: dict[str, PermissionSet] = field(default_factory=dict)  # by arn
    assignments: list[AccountAssignment] = field(default_factory=list)
    provisioning_requests: dict[str, ProvisioningRequest] = field(default_factory=dict)
    users: dict[str, StoreUser] = field(default_factory=dict)
    groups: dict[str, StoreGroup] = field(default_factory=dict)
    past_memberships: list[StoreMembership] = field(default_factory=list)
    sessions: list[RoleSession] = field(default_factory=list)
    entitlements: list[RoleEntitlement] = field(default_factory=list)
    portal_sessions: dict[str, PortalSession] = field(default_factory=dict)  # by id, running ones
    portal_session_duration: str = "PT8H"
