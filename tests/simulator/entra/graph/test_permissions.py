"""Every operation of the contract is served, to nobody without one of its permissions and to whoever has the least."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from simulator.entra.graph.permissions import BESIDE
from tests.simulator.entra.graph.running import PIM, RunningGraph, running_graph
from tests.simulator.entra.graph.small_world import ADA, ADMINS, APPLICATION, BEN, CAM, FREE
from tests.simulator.entra.graph.test_pim import assign
from tests.simulator.entra.graph.test_sync import on_demand
from tests.support.graph_contract import document

KINDS = {"application": "Application", "delegated": "DelegatedWork"}
OPERATIONS = [
    (method.upper(), template) for template, methods in document()["paths"].items() for method in methods
]
BY_GROUP = {"$filter": f"groupId eq '{ADMINS}'"}
BY_SCOPE = {"$filter": f"scopeId eq '{ADMINS}' and scopeType eq 'Group'"}


@dataclass
class Place:
    """A Graph whose world has something at every path."""

    graph: RunningGraph
    ids: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running_graph(tmp_path_factory.getbasetemp() / "graph-keys") as graph:
        world = graph.world
        world.directory.user(BEN).directory_roles.append("Groups Administrator")
        world.policies.change(ADMINS, approval_required=True, approver_users=[BEN])
        scopes = ["PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup"]
        asked = graph.post(
            f"{PIM}/assignmentScheduleRequests",
            assign(action="selfActivate"),
            token=graph.user_token(ADA, scopes),
        )
        assert asked.json()["status"] == "PendingApproval", asked.text
        held = graph.post(f"{PIM}/assignmentScheduleRequests", assign(FREE, CAM))
        assert held.status_code == 201
        policy = world.policies.policy_id(ADMINS)
        yield Place(
            graph,
            {
                "approval": asked.json()["id"],
                "policy": policy,
                "policy assignment": f"{policy}_member",
                "job": world.provisioning.job.id,
            },
        )


def eligibility(action: str = "adminAssign") -> dict[str, Any]:
    body = assign(FREE, CAM, action=action, isValidationOnly=True)
    body["scheduleInfo"] = {"expiration": {"type": "afterDuration", "duration": "P30D"}}
    return body


def address(place: Place, method: str, template: str) -> tuple[str, dict[str, str], Any]:
    """Path, query and body of a call of this operation that would be fine."""
    world, ids = place.graph.world, place.ids
    kind = "eligibility" if "eligibility" in template else "assignment"
    rows = world.state.schedules.values()
    schedule = next((row for row in rows if row.kind == kind and row.ended_at is None), None)
    assert schedule is not None
    eligible = next(each for each in world.state.requests.values() if each.kind == "eligibility")
    first = {
        f"{PIM}/assignmentApprovals": ids["approval"],
        f"{PIM}/{kind}ScheduleRequests": ids["approval"] if kind == "assignment" else eligible.id,
        f"{PIM}/{kind}Schedules": schedule.id,
        f"{PIM}/{kind}ScheduleInstances": schedule.instance_id,
        "/policies/roleManagementPolicyAssignments": ids["policy assignment"],
        "/policies/roleManagementPolicies": ids["policy"],
        "/groups": ADMINS,
        "/users": ADA,
        "/servicePrincipals": APPLICATION,
    }
    path = template.replace(
        "{on}", "approver" if "Requests" in template or "Approvals" in template else "principal"
    )
    if "{id}" in path:
        path = path.replace("{id}", first[template.partition("/{id}")[0]])
    path = path.replace("{stageId}", ids["approval"]).replace("{ruleId}", "Approval_EndUser_Assignment")
    path = path.replace("{jobId}", ids["job"])
    parameters = document()["paths"][template][method.lower()].get("parameters", ())
    mandatory = any(each["in"] == "query" and each.get("required") for each in parameters)
    query = (BY_SCOPE if template.startswith("/policies") else BY_GROUP) if mandatory else {}
    bodies: dict[str, Any] = {
        "assignmentScheduleRequests": assign(FREE, BEN, isValidationOnly=True),
        "eligibilityScheduleRequests": eligibility(),
        "{stageId}": {"reviewResult": "Deny", "justification": "no"},
        "checkMemberGroups": {"groupIds": [ADMINS]},
        "restart": {"criteria": {"resetScope": "Watermark"}},
        "provisionOnDemand": on_demand(ADMINS, ADA),
    }
    return path, dict(query), bodies.get(template.rsplit("/", 1)[1]) if method != "GET" else None


def call(place: Place, method: str, template: str, token: str) -> tuple[int, dict[str, Any]]:
    path, query, body = address(place, method, template)
    with place.graph.client(token) as client:
        sent = {} if body is None else {"json": body}
        response = client.request(method, path, params=query, **sent)
    return response.status_code, response.json() if response.content else {}


def token(place: Place, kind: str, permissions: list[str]) -> str:
    graph = place.graph
    return graph.app_token(permissions) if kind == "application" else graph.user_token(BEN, permissions)


def least(method: str, template: str, kind: str) -> list[str]:
    """The least permissions that the contract names; those of the operation beside it where it names none."""
    other = BESIDE.get(f"{method} {template}", f"{method} {template}").partition(" ")[2]
    wanted = document()["paths"][other][method.lower()].get("x-permissions", {}).get(KINDS[kind], {})
    return [*(wanted.get("least") or wanted.get("other", []))]


@pytest.mark.parametrize(("method", "template"), OPERATIONS)
def test_each_operation_asks_for_its_permissions(place: Place, method: str, template: str) -> None:
    refused = []
    for kind in KINDS:
        nothing = call(place, method, template, token(place, kind, ["Calendars.Read"]))
        refused.append((nothing[0], nothing[1].get("error", {}).get("code")))
        for name in least(method, template, kind):
            status, body = call(place, method, template, token(place, kind, [name]))
            current_user = kind == "application" and "filterByCurrentUser" in template
            assert status in ((400,) if current_user else (200, 201, 204, 400, 404, 409, 429)), (name, body)
            if method == "GET" and not current_user:
                assert status == 200, (name, body)
    assert refused == [(403, "Authorization_RequestDenied")] * 2


def test_every_operation_is_open_to_somebody() -> None:
    closed = [each for each in OPERATIONS if not any(least(*each, kind) for kind in KINDS)]
    assert closed == []
    person_only = {each[1] for each in OPERATIONS if not least(*each, "application")}
    assert person_only == {
        f"{PIM}/assignmentApprovals/{{id}}",
        f"{PIM}/assignmentApprovals/{{id}}/stages",
        f"{PIM}/assignmentApprovals/{{id}}/stages/{{stageId}}",
        f"{PIM}/assignmentApprovals/filterByCurrentUser(on='{{on}}')",
        "/me",
    }
