"""PIM for Groups through the Graph front."""

from datetime import timedelta
from typing import Any

import pytest

from tests.simulator.entra.graph.running import PIM, RunningGraph
from tests.simulator.entra.graph.small_world import ADA, ADMINS, BEN, CAM, FREE, READERS, TEAM

REQUESTS = f"{PIM}/assignmentScheduleRequests"


def assign(group_id: str = ADMINS, principal_id: str = ADA, **changes: Any) -> dict[str, Any]:
    """The body of an adminAssign for two hours."""
    return {
        "accessId": "member",
        "action": "adminAssign",
        "groupId": group_id,
        "principalId": principal_id,
        "justification": "INC-1234 rotate keys",
        "customData": "grant-1:1",
        "scheduleInfo": {"expiration": {"type": "afterDuration", "duration": "PT2H"}},
        **changes,
    }


def remove(group_id: str = ADMINS, principal_id: str = ADA) -> dict[str, Any]:
    """The body of an adminRemove."""
    return {
        "accessId": "member",
        "action": "adminRemove",
        "groupId": group_id,
        "principalId": principal_id,
        "justification": "ended early",
    }


def code(response: Any) -> str:
    """The error code of an answer."""
    return str(response.json()["error"]["code"])


def test_assign_appears_everywhere_and_ends_by_itself(graph: RunningGraph) -> None:
    created = graph.post(REQUESTS, assign())
    assert created.status_code == 201
    request = created.json()
    assert request["status"] == "Provisioned"
    assert request["customData"] == "grant-1:1"
    assert request["createdBy"]["application"]["id"] == graph.front.provider.registrations.worker.client_id
    assert request["scheduleInfo"]["expiration"]["duration"] == "PT2H"
    assert graph.get(f"{REQUESTS}/{request['id']}").json()["targetScheduleId"] == request["targetScheduleId"]

    mine = f"groupId eq '{ADMINS}' and principalId eq '{ADA}'"
    (instance,) = graph.values(f"{PIM}/assignmentScheduleInstances", filter=mine)
    assert instance["assignmentType"] == "Assigned"
    assert instance["assignmentScheduleId"] == request["targetScheduleId"]
    (schedule,) = graph.values(f"{PIM}/assignmentSchedules", filter=mine)
    assert schedule["createdUsing"] == request["id"]
    assert [row["id"] for row in graph.values(f"/groups/{ADMINS}/members")] == [ADA]
    (listed,) = graph.values(REQUESTS, filter=mine)
    assert listed["id"] == request["id"]

    graph.world.clock.step(timedelta(hours=2, seconds=1))
    assert graph.values(f"{PIM}/assignmentScheduleInstances", filter=mine) == []
    assert graph.values(f"/groups/{ADMINS}/members") == []


def test_a_second_assignment_exists_already(graph: RunningGraph) -> None:
    graph.post(REQUESTS, assign())
    again = graph.post(REQUESTS, assign())
    assert (again.status_code, code(again)) == (400, "RoleAssignmentExists")


def test_removal_waits_five_minutes(graph: RunningGraph) -> None:
    graph.post(REQUESTS, assign())
    early = graph.post(REQUESTS, remove())
    assert (early.status_code, code(early)) == (400, "ActiveDurationTooShort")
    graph.world.clock.step(timedelta(minutes=5, seconds=1))
    done = graph.post(REQUESTS, remove())
    assert done.status_code == 201
    assert done.json()["status"] == "Revoked"
    assert done.json()["scheduleInfo"] is None
    gone = graph.post(REQUESTS, remove())
    assert (gone.status_code, code(gone)) == (400, "RoleAssignmentDoesNotExist")


def test_the_end_of_a_running_assignment_moves(graph: RunningGraph) -> None:
    first = graph.post(REQUESTS, assign()).json()
    graph.world.clock.step(timedelta(hours=1))
    end = (graph.world.now() + timedelta(hours=4)).isoformat()
    info = {"expiration": {"type": "afterDateTime", "endDateTime": end}}
    moved = graph.post(REQUESTS, assign(action="adminUpdate", scheduleInfo=info))
    assert moved.status_code == 201, moved.text
    assert (moved.json()["action"], moved.json()["status"]) == ("adminUpdate", "Provisioned")
    assert moved.json()["targetScheduleId"] == first["targetScheduleId"]
    mine = f"groupId eq '{ADMINS}' and principalId eq '{ADA}'"
    (instance,) = graph.values(f"{PIM}/assignmentScheduleInstances", filter=mine)
    assert instance["endDateTime"].startswith("2026-03-02T14:00:00")
    graph.world.clock.step(timedelta(hours=2))
    assert [row["id"] for row in graph.values(f"/groups/{ADMINS}/members")] == [ADA]
    graph.world.clock.step(timedelta(hours=3))
    assert graph.values(f"/groups/{ADMINS}/members") == []


def test_future_start_can_be_cancelled(graph: RunningGraph) -> None:
    start = (graph.world.now() + timedelta(hours=1)).isoformat()
    info = {"startDateTime": start, "expiration": {"type": "afterDuration", "duration": "PT1H"}}
    created = graph.post(REQUESTS, assign(scheduleInfo=info)).json()
    assert created["status"] == "Granted"
    assert graph.post(f"{REQUESTS}/{created['id']}/cancel").status_code == 204
    assert graph.get(f"{REQUESTS}/{created['id']}").json()["status"] == "Canceled"


def test_policy_refuses_in_the_documented_envelope(graph: RunningGraph) -> None:
    info = {"expiration": {"type": "noExpiration"}}
    response = graph.post(REQUESTS, assign(scheduleInfo=info))
    assert (response.status_code, code(response)) == (400, "RoleAssignmentRequestPolicyValidationFailed")
    assert "ExpirationRule" in response.json()["error"]["message"]
    inner = response.json()["error"]["innerError"]
    assert inner["request-id"] == response.headers["request-id"]
    assert inner["client-request-id"] == response.headers["client-request-id"]


def test_validation_only_creates_nothing(graph: RunningGraph) -> None:
    assert graph.post(REQUESTS, assign(isValidationOnly=True)).status_code == 201
    assert graph.values(f"{PIM}/assignmentScheduleInstances", filter=f"groupId eq '{ADMINS}'") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"scheduleInfo": {"expiration": {"type": "afterDuration", "duration": "2:00:00"}}},
        {"scheduleInfo": {"expiration": {"type": "sometime"}}},
        {"scheduleInfo": {"startDateTime": "tomorrow", "expiration": {"type": "noExpiration"}}},
        {"action": "adminGrant"},
        {"accessId": "guest"},
        {"reason": "x"},
        {"groupId": 3},
        {"ticketInfo": {"number": "1"}},
    ],
)
def test_malformed_requests_are_refused(graph: RunningGraph, changes: dict[str, Any]) -> None:
    with graph.wrong_on_purpose():
        response = graph.post(REQUESTS, assign(**changes))
    assert response.status_code == 400
    assert graph.values(REQUESTS, filter=f"groupId eq '{ADMINS}'") == []


def test_an_assignment_needs_its_schedule(graph: RunningGraph) -> None:
    response = graph.post(REQUESTS, assign(scheduleInfo=None))
    assert (response.status_code, code(response)) == (400, "InvalidRoleAssignmentRequest")


@pytest.mark.parametrize(
    "collection",
    [
        "assignmentScheduleRequests",
        "assignmentSchedules",
        "assignmentScheduleInstances",
        "eligibilitySchedules",
        "eligibilityScheduleInstances",
    ],
)
@pytest.mark.parametrize("text", [None, "status eq 'Provisioned'", f"groupId ne '{ADMINS}'"])
def test_lists_need_their_filter(graph: RunningGraph, collection: str, text: str | None) -> None:
    with graph.wrong_on_purpose():
        response = graph.get(f"{PIM}/{collection}", **({} if text is None else {"filter": text}))
    assert (response.status_code, code(response)) == (400, "MissingRequiredFilter")


def test_eligibility_by_group_and_by_person(graph: RunningGraph) -> None:
    (row,) = graph.values(f"{PIM}/eligibilityScheduleInstances", filter=f"groupId eq '{ADMINS}'")
    assert (row["principalId"], row["memberType"]) == (ADA, "Direct")
    (team,) = graph.values(f"{PIM}/eligibilityScheduleInstances", filter=f"groupId eq '{READERS}'")
    assert team["principalId"] == TEAM
    found = graph.values(f"{PIM}/eligibilitySchedules", filter=f"principalId eq '{ADA}'")
    assert [each["groupId"] for each in found] == [ADMINS]


def test_selected_properties_only(graph: RunningGraph) -> None:
    (row,) = graph.values(
        f"{PIM}/eligibilityScheduleInstances",
        filter=f"groupId eq '{ADMINS}'",
        select="principalId,endDateTime",
    )
    assert set(row) == {"principalId", "endDateTime"}


def test_expand_of_group_and_principal(graph: RunningGraph) -> None:
    graph.post(REQUESTS, assign())
    query = {
        "filter": f"groupId eq '{ADMINS}'",
        "expand": "group($select=id,displayName),principal($select=id)",
    }
    (row,) = graph.values(f"{PIM}/assignmentScheduleInstances", **query)
    assert row["group"] == {"id": ADMINS, "displayName": "AWS - Amazon EC2 Admin"}
    assert row["principal"] == {"@odata.type": "#microsoft.graph.user", "id": ADA}
    graph.world.switches.expand_group_works = False
    (row,) = graph.values(f"{PIM}/assignmentScheduleInstances", **query)
    assert row["group"] is None


def test_policy_with_its_seventeen_rules(graph: RunningGraph) -> None:
    query = {
        "filter": f"scopeId eq '{ADMINS}' and scopeType eq 'Group' and roleDefinitionId eq 'member'",
        "expand": "policy($expand=rules)",
    }
    (row,) = graph.values("/policies/roleManagementPolicyAssignments", **query)
    assert row["id"].startswith(f"Group_{ADMINS}_")
    assert row["id"].endswith("_member")
    assert row["policyId"] == row["policy"]["id"]
    rules = {rule["id"]: rule for rule in row["policy"]["rules"]}
    assert len(rules) == 17
    assert rules["Expiration_EndUser_Assignment"]["maximumDuration"] == "PT8H"


def test_policy_list_needs_scope(graph: RunningGraph) -> None:
    with graph.wrong_on_purpose():
        response = graph.get("/policies/roleManagementPolicyAssignments", filter=f"scopeId eq '{ADMINS}'")
    assert (response.status_code, code(response)) == (400, "MissingRequiredFilter")


def test_reading_requests_may_need_read_write(graph: RunningGraph) -> None:
    reader = graph.app_token(["PrivilegedAssignmentSchedule.Read.AzureADGroup"])
    where = {"filter": f"groupId eq '{ADMINS}'"}
    assert graph.get(REQUESTS, token=reader, **where).status_code == 200
    graph.world.switches.read_requests_needs_read_write = True
    assert graph.get(REQUESTS, token=reader, **where).status_code == 403
    assert graph.get(REQUESTS, **where).status_code == 200


def test_remove_permission_is_enough_for_removals_only(graph: RunningGraph) -> None:
    graph.post(REQUESTS, assign())
    graph.world.clock.step(timedelta(minutes=6))
    remover = graph.app_token(["PrivilegedAssignmentSchedule.Remove.AzureADGroup"])
    assert graph.post(REQUESTS, assign(FREE, BEN), token=remover).status_code == 403
    assert graph.post(REQUESTS, remove(), token=remover).status_code == 201


def test_activation_as_the_person(graph: RunningGraph) -> None:
    scopes = ["PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup"]
    mine = graph.user_token(ADA, scopes)
    body = assign(action="selfActivate")
    created = graph.post(REQUESTS, body, token=mine)
    assert created.status_code == 201, created.text
    assert created.json()["createdBy"]["user"]["id"] == ADA
    listed = graph.get(f"{PIM}/assignmentScheduleInstances/filterByCurrentUser(on='principal')", token=mine)
    assert [row["assignmentType"] for row in listed.json()["value"]] == ["Activated"]
    assert graph.post(REQUESTS, body).status_code in (400, 403)


def test_current_user_needs_a_user(graph: RunningGraph) -> None:
    path = f"{PIM}/eligibilityScheduleInstances/filterByCurrentUser(on='principal')"
    assert graph.get(path).status_code == 400
    token = graph.user_token(CAM, ["PrivilegedEligibilitySchedule.Read.AzureADGroup"])
    (row,) = graph.get(path, token=token).json()["value"]
    assert row["groupId"] == READERS
