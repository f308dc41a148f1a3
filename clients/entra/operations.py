"""Which operations of Microsoft Graph the product uses: each port method with what it sends.

Templates are those of Graph's own description. A test calls every method and holds this table to what went out;
at the end of `make test` each operation here must have been met by a test.
"""

from __future__ import annotations

from collections.abc import Mapping

_PIM = "/identityGovernance/privilegedAccess/group"
_JOBS = "/servicePrincipals/{id}/synchronization/jobs"

OPERATIONS: Mapping[str, frozenset[str]] = {
    "EntraDirectory.read_user": frozenset({"GET /users/{id}"}),
    "EntraDirectory.read_manager": frozenset({"GET /users/{id}/manager"}),
    "EntraDirectory.read_groups": frozenset({"GET /groups"}),
    "EntraDirectory.read_members": frozenset(
        {"GET /groups/{id}/members", "GET /groups/{id}/transitiveMembers"}
    ),
    "EntraDirectory.read_owners": frozenset({"GET /groups/{id}/owners"}),
    "EntraDirectory.application_groups": frozenset({"GET /servicePrincipals/{id}/appRoleAssignedTo"}),
    "EntraPim.group_eligibilities": frozenset({f"GET {_PIM}/eligibilityScheduleInstances"}),
    "EntraPim.principal_eligibilities": frozenset({f"GET {_PIM}/eligibilityScheduleInstances"}),
    "EntraPim.group_policy": frozenset({"GET /policies/roleManagementPolicyAssignments"}),
    "EntraPim.assignments": frozenset({f"GET {_PIM}/assignmentScheduleInstances"}),
    "EntraPim.requests": frozenset({f"GET {_PIM}/assignmentScheduleRequests"}),
    "EntraPim.assign": frozenset({f"POST {_PIM}/assignmentScheduleRequests"}),
    "EntraPim.extend": frozenset({f"POST {_PIM}/assignmentScheduleRequests"}),
    "EntraPim.remove": frozenset({f"POST {_PIM}/assignmentScheduleRequests"}),
    # Signing in is Entra's token endpoint, which isn't Graph's. Where `stages` is unknown, `steps` is tried, which Graph's
    # own description doesn't know.
    "PersonalPim.sign_in": frozenset(),
    "PersonalPim.activate": frozenset({f"POST {_PIM}/assignmentScheduleRequests"}),
    "PersonalPim.deactivate": frozenset({f"POST {_PIM}/assignmentScheduleRequests"}),
    "PersonalPim.approve": frozenset({f"PATCH {_PIM}/assignmentApprovals/{{id}}/stages/{{stageId}}"}),
    "PersonalPim.withdraw": frozenset({f"POST {_PIM}/assignmentScheduleRequests/{{id}}/cancel"}),
    "EntraStanding.identity": frozenset({f"GET {_JOBS}"}),  # for the Date of any answer
    "EntraProvisioning.job": frozenset({f"GET {_JOBS}", f"GET {_JOBS}/{{jobId}}/schema"}),
    # Which job and which of its rules carries groups is looked up once.
    "EntraProvisioning.provision_on_demand": frozenset(
        {f"GET {_JOBS}", f"GET {_JOBS}/{{jobId}}/schema", f"POST {_JOBS}/{{jobId}}/provisionOnDemand"}
    ),
}


def used() -> frozenset[str]:
    """Every operation that the product sends."""
    return frozenset().union(*OPERATIONS.values())
