"""What the vendors don't document: each switch of the simulated world, and where the product meets both answers.

A question that the product can't meet names what it would have to send for that; the day it does, a test asks for
the tests.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """One switch. Either `tests` of the product that set it both ways, or why the product can't notice."""

    switch: str
    tests: tuple[str, ...] = ()
    """As pytest names them."""
    unmet: str = ""
    """Why the product can't tell the answers apart."""
    unless: tuple[str, ...] = ()
    """Words in clients/entra or clients/aws that would make `unmet` untrue."""
    simulated: tuple[str, ...] = ()
    """Where the simulator alone is tested both ways, for what the product can't meet."""


_HERE = "tests/simulator/test_open_questions_entra.py"
_PLAYED = "tests/faults/test_open_questions_entra.py"
_PERSONAL = "tests/clients/test_simulated_personal.py"
_EXTENDING = "tests/requests_app/test_extending.py"
_FAULTS = "tests/faults/test_world_faults.py"
_ADMIN = "tests/simulator/world/test_pim_admin.py"
_PROVISIONING = "tests/simulator/world/test_provisioning.py"
_SESSIONS = "tests/simulator/world/test_sessions.py"
_GRAPH = "tests/simulator/entra/graph"
_SCIM_HTTP = "tests/simulator/scim/test_http.py"

ENTRA = (
    Question(
        "echo_ticket_info",
        (f"{_HERE}::test_our_tag_comes_back", f"{_PLAYED}::test_our_tag_settles_a_lost_answer"),
    ),
    Question("admin_mfa_rule_blocks_app", (f"{_PLAYED}::test_a_rule_of_second_factors_for_administrators",)),
    Question(
        "app_may_assign_role_assignable", (f"{_PLAYED}::test_groups_that_can_hold_roles_are_left_alone",)
    ),
    Question("admin_remove_reaches_future", (f"{_HERE}::test_removing_what_has_not_begun",)),
    Question("update_reaches_running", (f"{_EXTENDING}::test_approved_on_the_way_in",)),
    Question(
        "update_keeps_schedule",
        (f"{_EXTENDING}::test_an_extension_is_brought_to_pim_and_the_first_end_cuts_nothing",),
    ),
    Question(
        "update_counts_from_start",
        unmet="ends are sent as instants, never as durations",
        unless=("pim.py: AfterDuration",),
        simulated=(f"{_ADMIN}::test_where_an_updates_duration_counts_from_is_a_switch",),
    ),
    Question("missing_principal_code", (f"{_HERE}::test_somebody_whom_pim_does_not_know",)),
    Question("missing_group_code", (f"{_HERE}::test_a_group_that_pim_does_not_know",)),
    Question("pim_calls_per_ten_seconds", (f"{_HERE}::test_pim_may_have_limits_of_its_own",)),
    Question("pending_request_code", (f"{_PLAYED}::test_the_person_has_asked_pim_themselves",)),
    Question("eligibility_lists_inherited", (f"{_PLAYED}::test_eligible_through_a_group",)),
    Question("read_requests_needs_read_write", (f"{_HERE}::test_the_documented_permissions_read_requests",)),
    Question("application_reads_managers", (f"{_HERE}::test_whose_manager_an_application_may_read",)),
    Question(
        "approval_segment",
        (f"{_PERSONAL}::test_an_approvers_word_is_passed_on_once_and_in_their_own_name",),
    ),
    Question(
        "acrs_needs_capability",
        (f"{_PERSONAL}::test_a_context_is_asked_for_and_taken_when_the_sign_in_proves_it",),
    ),
    Question(
        "context_refusal_code",
        (f"{_PERSONAL}::test_a_context_is_asked_for_and_taken_when_the_sign_in_proves_it",),
    ),
    Question(
        "old_keys_stay_published",
        ("tests/identity/test_simulated_entra.py::test_new_keys_are_met_without_a_restart",),
    ),
    Question("owners_list_applications", (f"{_HERE}::test_an_application_that_owns_a_group_is_nobody",)),
    Question(
        "member_groups_per_call",
        unmet="memberships are read from the groups' side",
        unless=("check_member_groups",),
        simulated=(f"{_GRAPH}/test_directory.py::test_check_member_groups",),
    ),
    Question(
        "directory_audit_seconds",
        unmet="the log isn't read",
        unless=("audit_logs",),
        simulated=(f"{_GRAPH}/test_policies.py::test_how_far_the_audit_log_lags_behind_is_a_switch",),
    ),
    Question("expand_group_works", (f"{_HERE}::test_names_do_not_come_from_expanding",)),
    Question("replication_seconds", (f"{_FAULTS}::test_reads_show_the_past",)),
    Question("admin_assign_fast_path", (f"{_PLAYED}::test_provisioning_may_carry_assignments_at_once",)),
    Question("removal_fast_path", (f"{_PLAYED}::test_provisioning_may_carry_removals_at_once",)),
    Question("on_demand_removes", (f"{_PLAYED}::test_provisioning_on_demand_may_remove",)),
    Question(
        "on_demand_shares_bucket", (f"{_PLAYED}::test_provisioning_on_demand_may_be_used_up_by_others",)
    ),
    Question(
        "skip_readd_before_cycle", (f"{_PLAYED}::test_given_back_and_asked_for_again_before_the_cycle",)
    ),
    Question(
        "start_triggers_cycle",
        unmet="the job is never started",
        unless=(".start.post", "client.start", ").start,"),
        simulated=(f"{_PROVISIONING}::test_starting_a_running_job_is_a_switch",),
    ),
    Question(
        "provisioning_log_seconds",
        unmet="the log isn't read",
        unless=("audit_logs",),
        simulated=(f"{_PROVISIONING}::test_how_far_the_log_lags_behind_is_a_switch",),
    ),
    Question(
        "provisioning_log_days",
        unmet="the log isn't read",
        unless=("audit_logs",),
        simulated=(f"{_PROVISIONING}::test_how_long_the_log_is_kept_is_a_switch",),
    ),
    Question(
        "provisioning_log_by_source",
        unmet="the log isn't read",
        unless=("audit_logs",),
        simulated=(f"{_GRAPH}/test_sync.py::test_what_the_log_can_be_filtered_by_is_a_switch",),
    ),
    Question(
        "job_template_id",
        unmet="the job is found by its application",
        unless=("template_id",),
        simulated=(f"{_GRAPH}/test_sync.py::test_the_job_and_its_schema",),
    ),
    Question("one_rule_for_users_and_groups", (f"{_HERE}::test_the_rule_that_carries_groups_is_found",)),
    Question("user_external_id", (f"{_PLAYED}::test_people_are_found_in_the_identity_store",)),
    Question("job_interval", (f"{_PLAYED}::test_cycles_may_come_more_or_less_often",)),
)
_THERE = "tests/simulator/test_open_questions_aws.py"
_SCIM = ("/scim/", "scim2")
_PORTAL = ("get_role_credentials", "list_account_roles")
_OPEN = "tests/requests_app/activity/test_fetching.py::test_what_the_vendor_leaves_open_changes_nothing"

AWS = (
    Question("membership_created_at", (f"{_THERE}::test_when_a_membership_landed",)),
    Question("case_insensitive_user_name", (f"{_THERE}::test_names_that_differ_in_case",)),
    Question(
        "delegated_administrator_may_list_for_principal",
        (f"{_THERE}::test_a_delegated_administrator_learns_the_same",),
    ),
    Question(
        "user_assignments_include_inherited",
        unmet="assignments are asked for groups only",
        unless=('PrincipalType="USER"',),
        simulated=(
            "tests/simulator/aws/test_behaviour.py::test_rows_that_a_user_has_through_groups_are_a_switch",
        ),
    ),
    Question("organizations_per_second", (f"{_THERE}::test_organizations_may_allow_little_or_much",)),
    Question("aws_limits_per_account", (f"{_THERE}::test_limits_may_count_for_everybody_together",)),
    Question("throttling_message", (f"{_THERE}::test_a_throttled_call_in_any_words",)),
    Question("throttling_status", (f"{_THERE}::test_a_throttled_call_by_any_status",)),
    Question("external_id_issuer", (f"{_THERE}::test_whoever_issued_external_ids",)),
    Question(
        "scim_membership_changes_per_second",
        unmet="Entra alone calls SCIM",
        unless=_SCIM,
        simulated=(f"{_SCIM_HTTP}::test_membership_changes_have_a_limit_of_their_own_by_a_switch",),
    ),
    Question(
        "scim_error_schemas",
        unmet="Entra alone calls SCIM",
        unless=_SCIM,
        simulated=(f"{_SCIM_HTTP}::test_the_form_of_errors_is_a_switch",),
    ),
    Question(
        "scim_patch_group_status",
        unmet="Entra alone calls SCIM",
        unless=_SCIM,
        simulated=(f"{_SCIM_HTTP}::test_what_a_changed_group_is_answered_with_is_a_switch",),
    ),
    Question("aws_page_size", (f"{_THERE}::test_pages_of_any_size_are_read_to_the_end",)),
    Question("aws_short_pages", (f"{_THERE}::test_pages_may_be_short_and_even_empty",)),
    Question("no_inline_policy_is_refused", (f"{_THERE}::test_a_set_without_policies_of_its_own",)),
    Question("no_boundary_is_refused", (f"{_THERE}::test_a_set_without_policies_of_its_own",)),
    Question("unknown_group_is_refused", (f"{_THERE}::test_nobody_is_in_a_group_that_is_gone",)),
    Question(
        "membership_cache_seconds",
        unmet="no role session is opened by the portal",
        unless=_PORTAL,
        simulated=("tests/simulator/world/test_world.py::test_new_sessions_after_removal_are_a_switch",),
    ),
    Question("provision_permission_set_seconds", (f"{_THERE}::test_provisioning_takes_its_time",)),
    Question("provision_busy_code", (f"{_THERE}::test_too_many_provisionings_are_asked_for_again",)),
    Question("policy_effect_seconds", (f"{_THERE}::test_denials_may_act_at_once_or_later",)),
    Question("control_policy_characters", (f"{_THERE}::test_a_denial_may_be_too_long",)),
    Question("sessions_carry_on_behalf_of", (_OPEN,)),
    Question("sign_in_identity_type", (_OPEN,)),
    Question("trail_username_is_session_name", (_OPEN,)),
    Question("trail_delay_seconds", (_OPEN,)),
    Question(
        "account_access_ends_with_membership",
        unmet="no role session is opened by the portal",
        unless=_PORTAL,
        simulated=(
            f"{_SESSIONS}::test_whether_a_session_of_an_entitled_role_ends_with_the_membership_is_a_switch",
        ),
    ),
    Question("account_access_keeps_role_name", (_OPEN,)),
    Question(
        "portal_shows_new_after_seconds",
        unmet="no role session is opened by the portal",
        unless=_PORTAL,
        simulated=(f"{_SESSIONS}::test_an_open_portal_shows_what_came_after_the_sign_in_later",),
    ),
)
