"""Everything that the simulated world knows, as plain dataclasses that save to JSON.

Fronts read these objects and never write to them: all changes go through the methods of the World's parts.
Instants are aware UTC datetimes of the world's clock. Ids are the vendors' strings.
"""

from dataclasses import dataclass, field
from datetime import datetime

from simulator.world.aws_state import Bucket, IdentityCenterState, Organization
from simulator.world.switches import Switches

# ---------------------------------------------------------------- directory


@dataclass
class User:
    """A person in the tenant."""

    id: str
    user_principal_name: str
    display_name: str
    given_name: str | None = None
    surname: str | None = None
    mail: str | None = None
    employee_id: str | None = None
    extension_attributes: dict[str, str] = field(default_factory=dict)  # extensionAttribute1 to 15
    account_enabled: bool = True
    user_type: str = "Member"  # or "Guest"
    job_title: str | None = None
    department: str | None = None
    manager_id: str | None = None
    app_roles: list[str] = field(default_factory=list)  # values for the portal's sign-in app, e.g. "auditor"
    directory_roles: list[str] = field(default_factory=list)  # display names, e.g. "Groups Administrator"
    featured: str = ""  # what to try as this person in the demo; "" for most
    featured_order: int = 0
    created_at: datetime | None = None


@dataclass
class Membership:
    """A direct member of a group, now or in the past."""

    id: str
    principal_id: str
    added_at: datetime
    schedule_id: str | None = None  # the PIM schedule that put it there; None: by other means
    removed_at: datetime | None = None


@dataclass
class Group:
    """A group and its direct members."""

    id: str
    display_name: str
    description: str | None = None
    security_enabled: bool = True
    mail_enabled: bool = False
    mail_nickname: str = ""
    is_assignable_to_role: bool = False
    on_premises_sync_enabled: bool | None = None
    group_types: list[str] = field(default_factory=list)  # "DynamicMembership", "Unified"
    membership_rule: str | None = None
    owners: list[str] = field(default_factory=list)
    members: dict[str, Membership] = field(default_factory=dict)  # by principal id
    past_members: list[Membership] = field(default_factory=list)
    created_at: datetime | None = None
    pim_onboarded: bool = False


@dataclass
class AppRoleAssignment:
    """A principal assigned to the enterprise application of IAM Identity Center."""

    id: str
    app_role_id: str
    principal_id: str
    principal_type: str  # "User" | "Group"
    created_at: datetime
    removed_at: datetime | None = None


@dataclass
class EnterpriseApplication:
    """The service principal of IAM Identity Center in the tenant, whose job carries people and groups."""

    id: str
    app_id: str
    display_name: str
    assignments: dict[str, AppRoleAssignment] = field(default_factory=dict)  # by assignment id
    past_assignments: list[AppRoleAssignment] = field(default_factory=list)  # for stale reads


# ---------------------------------------------------------------- PIM


@dataclass
class Policy:
    """The settings of one group for one access (member or owner): 17 rules, kept as what varies in them."""

    guid: str
    activation_maximum: str = "PT8H"
    activation_expiration_required: bool = True
    activation_rules: list[str] = field(default_factory=lambda: ["Justification"])
    approval_required: bool = False
    approver_users: list[str] = field(default_factory=list)
    approver_groups: list[str] = field(default_factory=list)
    authentication_context: str | None = None  # e.g. "c1"; None: not enabled
    assignment_maximum: str = "P180D"
    assignment_expiration_required: bool = True
    assignment_rules: list[str] = field(default_factory=lambda: ["Justification"])
    eligibility_maximum: str = "P365D"
    eligibility_expiration_required: bool = True
    modified_at: datetime | None = None


@dataclass
class Expiration:
    """When a schedule ends, as it was asked for."""

    type: str = "notSpecified"  # noExpiration | afterDateTime | afterDuration | notSpecified
    duration: str | None = None  # ISO-8601
    end: datetime | None = None


@dataclass
class Identity:
    """Who asked: `user_id` for a delegated call, `application_id` for both kinds."""

    application_id: str | None = None
    application_name: str | None = None
    user_id: str | None = None
    user_name: str | None = None


@dataclass
class ScheduleRequest:
    """An assignment or eligibility schedule request, kept as history."""

    id: str
    kind: str  # "assignment" | "eligibility"
    action: str
    status: str
    group_id: str
    principal_id: str
    access_id: str
    created_at: datetime
    created_by: Identity
    completed_at: datetime | None = None
    approval_id: str | None = None
    custom_data: str | None = None
    justification: str | None = None
    ticket_number: str | None = None
    ticket_system: str | None = None
    is_validation_only: bool = False
    start: datetime | None = None
    expiration: Expiration | None = None  # None: the request carried no scheduleInfo
    target_schedule_id: str | None = None


@dataclass
class Schedule:
    """A current, future or past assignment or eligibility. `ended_at` set: history."""

    id: str  # {groupId}_{access}_{guid}
    kind: str  # "assignment" | "eligibility"
    group_id: str
    principal_id: str
    access_id: str
    start: datetime
    end: datetime | None  # None: permanent
    created_at: datetime
    created_using: str | None  # request id
    instance_id: str
    status: str = "Provisioned"  # "Granted" while it lies in the future
    member_type: str = "direct"  # "group" when held through a group
    assignment_type: str = "assigned"  # "activated" by the person; unused on eligibilities
    activated_using: str | None = None  # eligibility schedule id
    started_at: datetime | None = None
    ended_at: datetime | None = None
    modified_at: datetime | None = None


@dataclass
class ApprovalStage:
    id: str
    status: str = "InProgress"
    review_result: str = "NotReviewed"
    justification: str | None = None
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None


@dataclass
class Approval:
    """The approval of an activation; its id is the request's."""

    id: str
    stages: list[ApprovalStage]
    approver_ids: list[str]


# ---------------------------------------------------------------- provisioning


@dataclass
class Execution:
    """One cycle of the provisioning job."""

    id: str
    began_at: datetime
    ended_at: datetime
    state: str = "Succeeded"  # Succeeded | Failed | EntryLevelErrors
    imported: int = 0
    entitled: int = 0
    exported: int = 0
    escrowed: int = 0
    error_code: str | None = None
    error_message: str | None = None


@dataclass
class Quarantine:
    reason: str
    began_at: datetime
    next_attempt_at: datetime
    series_count: int = 1
    error_code: str | None = None
    error_message: str | None = None
    held: bool = False  # asked for by a fault: attempts fail until somebody lifts it


@dataclass
class Change:
    """A change of the directory, in the order in which it happened: what the next cycle looks at."""

    number: int
    kind: str  # member_added | member_removed | user | group | assignment
    group_id: str | None = None
    principal_id: str | None = None


@dataclass
class Job:
    """The synchronization job of the enterprise application."""

    id: str
    rule_user: str
    rule_group: str
    code: str = "NotRun"  # NotRun | Active | Paused | Quarantine
    next_cycle_at: datetime | None = None
    running: Execution | None = None
    last: Execution | None = None
    last_successful: Execution | None = None
    last_with_exports: Execution | None = None
    failures_in_row: int = 0
    quarantine: Quarantine | None = None
    disabled: bool = False  # after four weeks of quarantine
    first_steady_at: datetime | None = None
    watermark: int = 0
    changes: list[Change] = field(default_factory=list)
    change_counter: int = 0
    exported_users: dict[str, str] = field(default_factory=dict)  # object id -> fingerprint sent
    exported_groups: dict[str, str] = field(default_factory=dict)  # object id -> fingerprint sent
    exported_members: dict[str, list[str]] = field(default_factory=dict)  # group id -> object ids
    escrowed_users: list[str] = field(default_factory=list)
    lost_removals: list[str] = field(default_factory=list)  # "group/user": a fault, never exported
    bucket: list[datetime] = field(default_factory=list)  # recent fast activations and on-demand calls
    on_demand_calls: list[datetime] = field(
        default_factory=list
    )  # when a switch gives them a bucket of their own


@dataclass
class ProvisioningLogRow:
    """One row of the provisioning log."""

    id: str
    at: datetime
    cycle_id: str
    change_id: str
    action: str  # create | update | delete | disable | other
    status: str  # success | failure | skipped
    source_id: str
    source_name: str
    source_type: str  # User | Group
    target_id: str
    modified: list[dict[str, str | None]] = field(default_factory=list)
    error_code: str | None = None
    reason: str | None = None
    milliseconds: int = 812
    on_demand: bool = False


# ---------------------------------------------------------------- the whole


@dataclass
class Due:
    """Something that will happen at `at` by itself."""

    at: datetime
    number: int
    kind: str
    arguments: dict[str, str] = field(default_factory=dict)


@dataclass
class JournalEntry:
    at: datetime
    kind: str
    sentence: str
    about: dict[str, str] = field(default_factory=dict)


@dataclass
class State:
    """All of it."""

    seed: str
    tenant_id: str
    tenant_name: str
    application: EnterpriseApplication
    job: Job
    organization: Organization
    identity_center: IdentityCenterState
    access_portal_url: str
    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    foreign_users: dict[str, User] = field(default_factory=dict)  # people of another tenant
    foreign_tenant_id: str = ""
    managed_group_ids: list[str] = field(default_factory=list)  # the allow-list that the demo deploys
    authentication_contexts: dict[str, str] = field(default_factory=dict)  # c1 -> name
    policies: dict[str, Policy] = field(default_factory=dict)  # "{groupId}/{access}"
    requests: dict[str, ScheduleRequest] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    approvals: dict[str, Approval] = field(default_factory=dict)
    provisioning_log: list[ProvisioningLogRow] = field(default_factory=list)
    buckets: dict[str, Bucket] = field(default_factory=dict)  # S3's, by name
    due: list[Due] = field(default_factory=list)  # a heap by (at, number)
    due_counter: int = 0
    id_counter: int = 0
    journal: list[JournalEntry] = field(default_factory=list)
    switches: Switches = field(default_factory=Switches)
