"""Approvals of activations over HTTP, with people's own tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.simulator.entra.graph.running import PIM, RunningGraph
from tests.simulator.entra.graph.small_world import ADA, ADMINS, BEN, CAM, DOT
from tests.simulator.entra.graph.test_pim import REQUESTS, assign, code

APPROVALS = f"{PIM}/assignmentApprovals"
READ_WRITE = ["PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup"]
READ = ["PrivilegedAssignmentSchedule.Read.AzureADGroup"]


def pending(graph: RunningGraph, **changes: Any) -> str:
    """Ada asks to be let in; Ben and Cam decide. Gives the id of request, approval and stage."""
    graph.world.policies.change(ADMINS, approval_required=True, approver_users=[BEN, CAM])
    asked = graph.post(
        REQUESTS, assign(action="selfActivate", **changes), token=graph.user_token(ADA, READ_WRITE)
    )
    assert (asked.status_code, asked.json()["status"]) == (201, "PendingApproval"), asked.text
    assert asked.json()["approvalId"] == asked.json()["id"]
    return str(asked.json()["id"])


def decide(
    graph: RunningGraph,
    approval: str,
    token: str,
    result: str = "Approve",
    *,
    stage: str = "",
    segment: str = "stages",
) -> httpx.Response:
    path = f"{APPROVALS}/{approval}/{segment}/{stage or approval}"
    with graph.client(token) as client:
        return client.patch(path, json={"reviewResult": result, "justification": "on call"})


def by(graph: RunningGraph, person: str, scopes: Sequence[str] = READ_WRITE) -> str:
    return graph.user_token(person, scopes)


def test_an_approver_finds_it_decides_and_the_person_is_in(graph: RunningGraph) -> None:
    approval = pending(graph)
    inbox = graph.get(
        f"{REQUESTS}/filterByCurrentUser(on='approver')",
        token=by(graph, BEN),
        filter="status eq 'PendingApproval'",
    )
    assert [row["id"] for row in inbox.json()["value"]] == [approval]
    shown = graph.get(f"{APPROVALS}/{approval}", token=by(graph, BEN)).json()
    (stage,) = shown["stages"]
    assert (stage["status"], stage["reviewResult"], stage["assignedToMe"]) == (
        "InProgress",
        "NotReviewed",
        True,
    )
    graph.world.clock.step(timedelta(minutes=20))
    assert decide(graph, approval, by(graph, BEN)).status_code == 204
    (instance,) = graph.values(f"{PIM}/assignmentScheduleInstances", filter=f"groupId eq '{ADMINS}'")
    assert (instance["principalId"], instance["assignmentType"]) == (ADA, "Activated")
    stage = graph.get(f"{APPROVALS}/{approval}/stages/{approval}", token=by(graph, ADA)).json()
    assert (stage["status"], stage["reviewResult"], stage["assignedToMe"]) == ("Completed", "Approve", False)
    assert stage["reviewedBy"] == {"id": BEN, "displayName": "Ben Example"}
    assert stage["reviewedDateTime"].startswith("2026-03-02T09:20:00")


def test_a_second_decision_is_a_conflict(graph: RunningGraph) -> None:
    approval = pending(graph)
    assert decide(graph, approval, by(graph, BEN), "Deny").status_code == 204
    again = decide(graph, approval, by(graph, CAM))
    assert (again.status_code, code(again)) == (409, "Conflict")
    assert graph.get(f"{REQUESTS}/{approval}").json()["status"] == "Denied"
    assert graph.values(f"/groups/{ADMINS}/members") == []


def test_applications_neither_see_nor_decide(graph: RunningGraph) -> None:
    approval = pending(graph)
    everything = graph.app_token([*READ_WRITE, *READ])
    for path in (f"{APPROVALS}/{approval}", f"{APPROVALS}/{approval}/stages"):
        refused = graph.get(path, token=everything)
        assert (refused.status_code, code(refused)) == (403, "Authorization_RequestDenied")
    assert decide(graph, approval, everything).status_code == 403
    assert graph.get(f"{REQUESTS}/{approval}").json()["status"] == "PendingApproval"


def test_others_neither_see_nor_decide(graph: RunningGraph) -> None:
    approval = pending(graph)
    assert graph.get(f"{APPROVALS}/{approval}", token=by(graph, DOT)).status_code == 403
    for person in (ADA, DOT):
        assert decide(graph, approval, by(graph, person)).status_code == 403
    assert decide(graph, approval, by(graph, BEN, READ)).status_code == 403, "reading is not deciding"


def test_what_is_unknown(graph: RunningGraph) -> None:
    approval = pending(graph)
    missing = "00000000-0000-4000-8000-00000000dead"
    for response in (
        graph.get(f"{APPROVALS}/{missing}", token=by(graph, BEN)),
        graph.get(f"{APPROVALS}/{approval}/stages/{missing}", token=by(graph, BEN)),
        decide(graph, missing, by(graph, BEN)),
        decide(graph, approval, by(graph, BEN), stage=missing),
    ):
        assert (response.status_code, code(response)) == (404, "ResourceNotFound")
    with graph.wrong_on_purpose():
        assert decide(graph, approval, by(graph, BEN), "Perhaps").status_code == 400


@pytest.mark.parametrize(
    ("served", "stages", "steps"), [("stages", 204, 400), ("steps", 400, 204), ("both", 204, 409)]
)
def test_the_name_of_the_parts_is_a_switch(graph: RunningGraph, served: str, stages: int, steps: int) -> None:
    approval = pending(graph)
    graph.world.switches.approval_segment = served
    assert decide(graph, approval, by(graph, BEN)).status_code == stages
    with graph.wrong_on_purpose():  # v1.0's metadata knows no steps
        assert decide(graph, approval, by(graph, CAM), segment="steps").status_code == steps


def test_each_side_lists_its_own(graph: RunningGraph) -> None:
    approval = pending(graph)
    path = f"{APPROVALS}/filterByCurrentUser(on='{{}}')"
    for person, on, found in (
        (BEN, "approver", [approval]),
        (ADA, "approver", []),
        (ADA, "principal", [approval]),
        (BEN, "principal", []),
    ):
        rows = graph.get(path.format(on), token=by(graph, person)).json()["value"]
        assert [row["id"] for row in rows] == found, (person, on)
    created = graph.get(f"{REQUESTS}/filterByCurrentUser(on='createdBy')", token=by(graph, ADA)).json()[
        "value"
    ]
    assert [row["id"] for row in created] == [approval]


def test_a_withdrawn_request_closes_its_stage(graph: RunningGraph) -> None:
    approval = pending(graph)
    assert graph.post(f"{REQUESTS}/{approval}/cancel", token=by(graph, BEN)).status_code == 403
    assert graph.post(f"{REQUESTS}/{approval}/cancel", token=by(graph, ADA)).status_code == 204
    assert graph.get(f"{REQUESTS}/{approval}").json()["status"] == "Canceled"
    assert decide(graph, approval, by(graph, BEN)).status_code == 409
    assert graph.post(f"{REQUESTS}/{approval}/cancel", token=by(graph, ADA)).status_code == 400


def test_nobody_answers_for_a_day(graph: RunningGraph) -> None:
    approval = pending(graph)
    graph.world.clock.step(timedelta(days=1, seconds=1))
    assert graph.get(f"{REQUESTS}/{approval}").json()["status"] == "Failed"
    (stage,) = graph.get(f"{APPROVALS}/{approval}/stages", token=by(graph, BEN)).json()["value"]
    assert stage["status"] == "Expired"


def test_an_approved_future_start_waits_for_it(graph: RunningGraph) -> None:
    start = graph.world.now() + timedelta(hours=3)
    info = {
        "startDateTime": start.isoformat(),
        "expiration": {"type": "afterDuration", "duration": "PT1H"},
    }
    approval = pending(graph, scheduleInfo=info)
    assert decide(graph, approval, by(graph, BEN)).status_code == 204
    assert graph.get(f"{REQUESTS}/{approval}").json()["status"] == "Granted"
    assert graph.values(f"/groups/{ADMINS}/members") == []
    graph.world.clock.step(timedelta(hours=3, seconds=1))
    assert [row["id"] for row in graph.values(f"/groups/{ADMINS}/members")] == [ADA]
    assert graph.get(f"{REQUESTS}/{approval}").json()["status"] == "Provisioned"
