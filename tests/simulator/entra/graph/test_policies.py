"""Policies by their ids, authentication contexts, the audit log, and who is assigned to the application."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.simulator.entra.graph.running import PIM, RunningGraph
from tests.simulator.entra.graph.small_world import ADA, ADMINS, BEN, FREE
from tests.simulator.entra.graph.test_pim import REQUESTS, assign, code, remove

POLICIES = "/policies/roleManagementPolicies"
ASSIGNMENTS = "/policies/roleManagementPolicyAssignments"


def scope(group_id: str, access: str = "") -> str:
    role = f" and roleDefinitionId eq '{access}'" if access else ""
    return f"scopeId eq '{group_id}' and scopeType eq 'Group'{role}"


def test_ids_of_policies_change_when_the_group_is_onboarded(graph: RunningGraph) -> None:
    (before,) = graph.values(ASSIGNMENTS, filter=scope(FREE, "member"))
    assert graph.get(f"{ASSIGNMENTS}/{before['id']}").status_code == 200
    assert graph.get(f"{POLICIES}/{before['policyId']}").status_code == 200
    assert graph.post(REQUESTS, assign(FREE, BEN)).status_code == 201
    (after,) = graph.values(ASSIGNMENTS, filter=scope(FREE, "member"))
    assert (after["id"] == before["id"], after["policyId"] == before["policyId"]) == (False, False)
    for path in (f"{ASSIGNMENTS}/{before['id']}", f"{POLICIES}/{before['policyId']}"):
        gone = graph.get(path)
        assert (gone.status_code, code(gone)) == (404, "ResourceNotFound")
    graph.world.clock.step(timedelta(minutes=6))
    graph.post(REQUESTS, remove(FREE, BEN))
    (last,) = graph.values(ASSIGNMENTS, filter=scope(FREE, "member"))
    assert last["id"] == after["id"], "onboarding can't be undone"


def test_member_and_owner_have_policies_with_rules_of_their_own(graph: RunningGraph) -> None:
    graph.world.policies.change(ADMINS, "owner", activation_maximum="PT1H")
    rows = graph.values(POLICIES, filter=scope(ADMINS), expand="rules")
    assert len(rows) == 2
    assert {len(row["rules"]) for row in rows} == {17}
    longest = set()
    for row in graph.values(ASSIGNMENTS, filter=scope(ADMINS)):
        rule = graph.get(f"{POLICIES}/{row['policyId']}/rules/Expiration_EndUser_Assignment").json()
        longest.add((row["roleDefinitionId"], rule["maximumDuration"]))
        assert len(graph.values(f"{POLICIES}/{row['policyId']}/rules")) == 17
    assert longest == {("member", "PT8H"), ("owner", "PT1H")}
    assert graph.get(f"{POLICIES}/{row['policyId']}/rules/Mood_EndUser_Assignment").status_code == 404


def test_authentication_contexts_are_listed(graph: RunningGraph) -> None:
    graph.world.state.authentication_contexts.update({"c2": "Strong", "c1": "Stronger"})
    token = graph.app_token(["AuthenticationContext.Read.All"])
    path = "/identity/conditionalAccess/authenticationContextClassReferences"
    rows = graph.get(path, token=token).json()["value"]
    assert [(row["id"], row["displayName"]) for row in rows] == [("c1", "Stronger"), ("c2", "Strong")]


def test_the_audit_log_tells_pim_from_others(graph: RunningGraph) -> None:
    graph.post(REQUESTS, assign())
    graph.world.clock.step(timedelta(hours=1))
    graph.world.happen("member_removed", group=ADMINS, person=ADA)
    graph.world.clock.step(timedelta(minutes=1))
    graph.world.happen("foreign_member", group=ADMINS, person=BEN)
    token = graph.app_token(["AuditLog.Read.All"])
    rows = graph.get("/auditLogs/directoryAudits", token=token, top="3").json()["value"]
    assert [
        (
            row["activityDisplayName"],
            row["targetResources"][0]["id"],
            row["initiatedBy"]["app"]["displayName"],
        )
        for row in rows
    ] == [
        ("Add member to group", BEN, "Directory"),
        ("Remove member from group", ADA, "Directory"),
        ("Add member to group", ADA, "MS-PIM"),
    ]
    graph.world.clock.step(timedelta(minutes=1))
    graph.post(REQUESTS, assign())
    graph.world.clock.step(timedelta(hours=2, minutes=1))
    graph.post(REQUESTS, assign())
    graph.world.clock.step(timedelta(minutes=10))
    graph.post(REQUESTS, remove())
    rows = graph.get("/auditLogs/directoryAudits", token=token, top="4").json()["value"]
    assert {row["initiatedBy"]["app"]["displayName"] for row in rows} == {"MS-PIM"}
    assert [row["operationType"] for row in rows] == ["Unassign", "Assign", "Unassign", "Assign"]


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_how_far_the_audit_log_lags_behind_is_a_switch(graph: RunningGraph, seconds: float) -> None:
    graph.world.switches.directory_audit_seconds = seconds
    graph.world.happen("foreign_member", group=ADMINS, person=BEN)
    token = graph.app_token(["AuditLog.Read.All"])

    def newest() -> str:
        rows = graph.get("/auditLogs/directoryAudits", token=token, top="1").json()["value"]
        return str(rows[0]["targetResources"][0]["modifiedProperties"][0]["newValue"]) if rows else ""

    assert (newest() == f'"{ADMINS}"') is not bool(seconds)
    graph.world.clock.step(timedelta(minutes=1))
    assert newest() == f'"{ADMINS}"'


def test_a_member_taken_out_by_other_means_is_out_of_pim(graph: RunningGraph) -> None:
    made = graph.post(REQUESTS, assign()).json()
    graph.world.happen("member_removed", group=ADMINS, person=ADA)
    mine = f"groupId eq '{ADMINS}' and principalId eq '{ADA}'"
    assert graph.values(f"{PIM}/assignmentScheduleInstances", filter=mine) == []
    assert graph.values(f"{PIM}/assignmentSchedules", filter=mine) == []
    assert graph.get(f"{REQUESTS}/{made['id']}").json()["status"] == "Provisioned", "history stays"
    gone = graph.post(REQUESTS, remove())
    assert code(gone) == "RoleAssignmentDoesNotExist"


def test_a_groups_application_roles(graph: RunningGraph) -> None:
    token = graph.app_token(["Directory.Read.All"])
    (row,) = graph.get(f"/groups/{ADMINS}/appRoleAssignments", token=token).json()["value"]
    assert (row["principalId"], row["resourceId"]) == (ADMINS, graph.world.directory.application.id)
    assert graph.get(f"/groups/{FREE}/appRoleAssignments", token=token).json()["value"] == []


def test_actions_that_the_surface_does_not_take(graph: RunningGraph) -> None:
    for action in ("selfExtend", "selfRenew"):
        response = graph.post(REQUESTS, assign(action=action))
        assert (response.status_code, code(response)) == (400, "InvalidRoleAssignmentRequest")
