"""The synchronization job and the provisioning log through the Graph front."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.simulator.entra.graph.running import RunningGraph
from tests.simulator.entra.graph.small_world import ADA, ADMINS, APPLICATION, BEN, RULE, TEAM
from tests.simulator.entra.graph.test_pim import REQUESTS, assign

JOBS = f"/servicePrincipals/{APPLICATION}/synchronization/jobs"


def job_path(graph: RunningGraph) -> str:
    return f"{JOBS}/{graph.world.provisioning.job.id}"


def on_demand(group_id: str = ADMINS, *members: str, rule: str = RULE) -> dict[str, Any]:
    """The body of a provisionOnDemand call."""
    links = {"members": [{"objectId": each, "objectTypeName": "User"} for each in members]}
    subject = {"objectId": group_id, "objectTypeName": "Group", "links": links}
    return {"parameters": [{"ruleId": rule, "subjects": [subject]}]}


@pytest.mark.parametrize("template", ["aws", "another"])
def test_the_job_and_its_schema(graph: RunningGraph, template: str) -> None:
    graph.world.switches.job_template_id = template
    (job,) = graph.values(JOBS)
    assert job["templateId"] == template
    assert job["status"]["code"] == "Active"
    assert job["schedule"]["interval"] == "PT40M"
    assert graph.get(job_path(graph)).json()["id"] == job["id"]
    schema = graph.get(f"{job_path(graph)}/schema").json()
    assert RULE in [rule["id"] for rule in schema["synchronizationRules"]]
    assert graph.get(f"{JOBS}/other").status_code == 404


def test_paused_started_restarted(graph: RunningGraph) -> None:
    path = job_path(graph)
    assert graph.post(f"{path}/pause").status_code == 204
    assert graph.get(path).json()["status"]["code"] == "Paused"
    assert graph.post(f"{path}/start").status_code == 204
    assert graph.get(path).json()["status"]["code"] == "Active"
    scope = {"criteria": {"resetScope": "Watermark, Escrows, QuarantineState"}}
    assert graph.post(f"{path}/restart", scope).status_code == 204
    with graph.wrong_on_purpose():
        assert graph.post(f"{path}/restart", {"criteria": {"resetScope": "Everything"}}).status_code == 400


def test_quarantine_shows_its_reason(graph: RunningGraph) -> None:
    graph.world.happen("quarantine")
    status = graph.get(job_path(graph)).json()["status"]
    assert status["code"] == "Quarantine"
    assert status["quarantine"]["reason"] == "EncounteredQuarantineException"
    assert status["quarantine"]["nextAttempt"]


def test_on_demand_carries_a_member_and_answers_in_strings(graph: RunningGraph) -> None:
    graph.post(REQUESTS, assign())
    answer = graph.post(f"{job_path(graph)}/provisionOnDemand", on_demand(ADMINS, ADA))
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.json()["key"])["result"] == "Success"
    assert isinstance(json.loads(answer.json()["value"]), dict)
    group = graph.world.identity_store.find_group_by_external_id(ADMINS)
    user = graph.world.identity_store.find_user_by_external_id(ADA)
    assert group is not None
    assert user is not None
    assert user.id in group.members
    again = graph.post(f"{job_path(graph)}/provisionOnDemand", on_demand(ADMINS, ADA))
    assert json.loads(again.json()["key"])["result"] == "Skipped"


def test_on_demand_is_limited(graph: RunningGraph) -> None:
    path = f"{job_path(graph)}/provisionOnDemand"
    statuses = [graph.post(path, on_demand(ADMINS, ADA)).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    graph.world.clock.step(timedelta(seconds=11))
    assert graph.post(path, on_demand(ADMINS, ADA)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"parameters": []},
        {"parameters": [{"ruleId": RULE, "subjects": []}]},
        {"parameters": [{"subjects": [{"objectId": ADMINS, "objectTypeName": "Group"}]}]},
    ],
)
def test_malformed_on_demand(graph: RunningGraph, body: Any) -> None:
    with graph.wrong_on_purpose():
        assert graph.post(f"{job_path(graph)}/provisionOnDemand", body).status_code == 400


@pytest.mark.parametrize("supported", [True, False])
def test_what_the_log_can_be_filtered_by_is_a_switch(graph: RunningGraph, supported: bool) -> None:
    graph.world.switches.provisioning_log_by_source = supported
    by_source = graph.get("/auditLogs/provisioning", filter=f"sourceIdentity/id eq '{ADMINS}'")
    assert by_source.status_code == (200 if supported else 400)
    assert graph.get("/auditLogs/provisioning", filter="jobId eq 'x'").status_code == 200


@pytest.mark.parametrize("one", [True, False])
def test_one_rule_or_one_for_each_kind_is_a_switch(graph: RunningGraph, one: bool) -> None:
    graph.world.switches.one_rule_for_users_and_groups = one
    rules = graph.get(f"{job_path(graph)}/schema").json()["synchronizationRules"]
    kinds = [[each["sourceObjectName"] for each in rule["objectMappings"]] for rule in rules]
    assert kinds == ([["User", "Group"]] if one else [["User"], ["Group"]])


@pytest.mark.parametrize(
    "body",
    [on_demand(ADMINS, ADA, rule="another"), on_demand(ADMINS, ADA, BEN, TEAM, ADMINS, "x", "y")],
    ids=["another rule", "six members"],
)
def test_what_on_demand_does_not_take(graph: RunningGraph, body: Any) -> None:
    assert graph.post(f"{job_path(graph)}/provisionOnDemand", body).status_code == 400


def test_cycle_carries_the_removal_and_logs_it(graph: RunningGraph) -> None:
    graph.post(REQUESTS, assign())
    graph.world.clock.step(timedelta(minutes=41))
    started = graph.world.now().isoformat()
    rows = graph.values("/auditLogs/provisioning", filter=f"sourceIdentity/id eq '{ADMINS}'")
    assert rows
    graph.world.clock.step(timedelta(hours=3))
    later = graph.values(
        "/auditLogs/provisioning",
        filter=f"sourceIdentity/id eq '{ADMINS}' and activityDateTime gt {started.replace('+00:00', 'Z')}",
    )
    assert later
    assert {row["id"] for row in later}.isdisjoint({row["id"] for row in rows})
    assert {row["provisioningStatusInfo"]["status"] for row in later} == {"success"}
    assert graph.values("/auditLogs/provisioning", filter="jobId eq 'x'") == []
