"""What the vendors don't document: each open question is a switch, so that the product meets both answers."""

from dataclasses import dataclass


@dataclass
class Switches:
    """Defaults are the less convenient answer, or the one that somebody has observed."""

    # --- PIM for Groups
    echo_ticket_info: bool = True
    """Requests give ticketInfo back; when off, it is accepted and forgotten."""
    admin_mfa_rule_blocks_app: bool = False
    """A policy that demands MFA for admin assignments refuses an application (MfaRule)."""
    app_may_assign_role_assignable: bool = True
    """An application may assign into a role-assignable group."""
    admin_remove_reaches_future: bool = True
    """adminRemove also takes away an assignment that starts later; when off only `cancel` does."""
    update_reaches_running: bool = True
    """adminUpdate moves the end of an assignment that runs; when off it is refused (InvalidRoleAssignmentRequest)."""
    update_keeps_schedule: bool = True
    """An updated assignment keeps its schedule's id; when off another schedule takes its place without a gap."""
    update_counts_from_start: bool = True
    """A duration in adminUpdate counts from the assignment's start; when off from now."""
    missing_principal_code: str = "SubjectNotFound"
    """Error code for a principal that doesn't exist."""
    missing_group_code: str = "ResourceNotFound"
    """Error code for a group that doesn't exist, where PIM is asked for an assignment in it."""
    pim_calls_per_ten_seconds: int = 0
    """How many calls of PIM and its policies an application may make in ten real seconds; 0: as many as it likes."""
    pending_request_code: str = "PendingRoleAssignmentRequest"
    """Error code when a request for the same pair waits for approval."""
    eligibility_lists_inherited: bool = False
    """Lists by groupId also hold a row per person who is eligible through a group."""
    read_requests_needs_read_write: bool = False
    """Reading assignmentScheduleRequests needs the ReadWrite permission (used by the Graph front)."""
    application_reads_managers: bool = True
    """An application with User.Read.All reads who somebody's manager is (used by the Graph front)."""
    approval_segment: str = "stages"
    """`stages`, `steps` or `both` below assignmentApprovals (used by the Graph front)."""
    acrs_needs_capability: bool = True
    """PIM takes no authentication context from a client that didn't declare cp1 (observed by others)."""
    context_refusal_code: str = "RoleAssignmentRequestAcrsValidationFailed"
    """Error code of an activation that lacks its authentication context; `UnknownError` was seen too."""
    expand_group_works: bool = True
    """`$expand=group` returns the group (used by the Graph front)."""
    replication_seconds: float = 0.0
    """How long after a write Graph reads still show the time before (a fault can ask for it per operation)."""

    # --- Sign-in and directory
    owners_list_applications: bool = False
    """Service principals are listed among a group's owners; a note of Microsoft's says not yet (used by the Graph front)."""
    old_keys_stay_published: bool = True
    """After a rotation the key before stays among the published ones; when off only the new one is there."""
    member_groups_per_call: int = 20
    """How many groups checkMemberGroups takes (used by the Graph front)."""
    directory_audit_seconds: float = 0.0
    """How long a row of the directory's audit log takes to appear (used by the Graph front)."""

    # --- Provisioning
    admin_assign_fast_path: bool = False
    """Assignments by an application are carried within 2-10 minutes, as activations by the person are."""
    removal_fast_path: bool = False
    """Removals are carried within 2-10 minutes too (AWS says so, Microsoft says: only in the cycle)."""
    on_demand_removes: bool = False
    """provisionOnDemand takes a person who is named, but no longer a member, out of the target group."""
    on_demand_shares_bucket: bool = True
    """provisionOnDemand and the fast path draw on the same five per ten seconds."""
    skip_readd_before_cycle: bool = True
    """Removed and added again between two cycles counts as no change, whatever the target looks like."""
    start_triggers_cycle: bool = False
    """POST start on a job that runs begins a cycle at once."""
    provisioning_log_seconds: float = 0.0
    """How long a row of the provisioning log takes to appear."""
    provisioning_log_days: int = 30
    """How long a row of the provisioning log is kept."""
    provisioning_log_by_source: bool = True
    """The log can be filtered by sourceIdentity/id; when off such a filter is refused."""
    one_rule_for_users_and_groups: bool = False
    """The job's schema has one synchronization rule for both kinds of objects; when off one for each."""
    job_template_id: str = "aws"
    """What the job's templateId says."""
    user_external_id: str = "objectId"
    """Source of a user's externalId: `objectId` or `mailNickname`."""
    job_interval: str = "PT40M"
    """What the job's schedule.interval says; cycles follow it."""

    # --- IAM Identity Center
    membership_created_at: bool = True
    """Memberships that SCIM made carry CreatedAt."""
    case_insensitive_user_name: bool = True
    """get_user_id finds UserName without regard to case."""
    delegated_administrator_may_list_for_principal: bool = True
    """list_account_assignments_for_principal answers a delegated administrator."""
    user_assignments_include_inherited: bool = False
    """list_account_assignments_for_principal of a USER also gives the rows of the person's groups."""
    organizations_per_second: float = 5.0
    """Calls per second of each operation of organizations but ListRoots, which allows one."""
    aws_limits_per_account: bool = False
    """Request limits count for each calling account; when off for the instance, whoever calls."""
    throttling_message: str = "Rate exceeded"
    """What a throttled call is told; `There are too many requests processing` was seen too."""
    throttling_status: int = 400
    """HTTP status of a throttled call to AWS: 400, or 429."""
    external_id_issuer: str = ""
    """Issuer of the external ids that SCIM sets; empty: an address of AWS's with the instance's own part."""
    scim_membership_changes_per_second: int = 0
    """Membership changes that SCIM takes in a second over HTTP, each counted for itself; 0: as many as come."""
    scim_error_schemas: bool = False
    """SCIM errors carry `schemas`, as RFC 7644 has it; when off `schema`, as AWS's one published example has it."""
    scim_patch_group_status: int = 204
    """Status of a changed group in SCIM: 204, or 200 with the group."""
    aws_page_size: int = 100
    """Page size of sso-admin and identitystore lists when MaxResults isn't sent."""
    aws_short_pages: bool = False
    """Lists begin with an empty page, and pages hold half of what was asked for, while a NextToken says there is more."""
    no_inline_policy_is_refused: bool = False
    """A permission set without inline policy is ResourceNotFoundException; when off the answer lacks the member."""
    no_boundary_is_refused: bool = True
    """A permission set without permissions boundary is ResourceNotFoundException; when off the answer lacks the member."""
    unknown_group_is_refused: bool = True
    """IsMemberInGroups with a group that isn't there is ResourceNotFoundException; when off nobody is in that group."""
    membership_cache_seconds: float = 3600.0
    """How long after a membership is removed the access portal still opens new sessions for it."""
    provision_permission_set_seconds: float = 5.0
    """How long ProvisionPermissionSet stays IN_PROGRESS."""
    provision_busy_code: str = "ConflictException"
    """What a fourth ProvisionPermissionSet at a time is refused with: this, or `ThrottlingException`."""
    policy_effect_seconds: float = 120.0
    """How long a changed service control policy, or a role's changed inline policy, takes to act on sessions."""
    control_policy_characters: int = 5120
    """Most characters of a service control policy: 5,120 or 10,240."""
    sessions_carry_on_behalf_of: bool = False
    """CloudTrail events of permission-set sessions carry onBehalfOf.userId."""
    sign_in_identity_type: str = "IdentityCenterUser"
    """userIdentity.type of Identity Center's own events: this, or `Unknown`."""
    trail_username_is_session_name: bool = True
    """lookup_events finds a role session's events by its session name; when off by the role's name."""
    trail_delay_seconds: float = 300.0
    """How long an event takes to appear in CloudTrail's lookup_events."""
    account_access_ends_with_membership: bool = False
    """Account access manager's sessions end with the membership; when off they run to their own end."""
    account_access_keeps_role_name: bool = True
    """CloudTrail names the role that account access manager opened; when off one that it makes, AWSReservedSSO_…"""
    portal_shows_new_after_seconds: float = 3600.0
    """How long an open access portal doesn't show a membership that came after the sign-in; a new sign-in does."""
