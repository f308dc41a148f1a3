"""The Entra adapters against documented payloads: what they ask for, and what they make of the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from clients.entra.caller import GraphCaller
from clients.entra.directory import GraphDirectory
from clients.entra.pim import GraphPim
from clients.entra.provisioning import GraphProvisioning
from clients.errors import NotFound, NotPermitted, Refused
from clients.types import (
    AssignmentOrder,
    OnDemandOutcome,
    PimPolicy,
    PimRequestStatus,
    ProvisioningCode,
    RemovalOrder,
)
from tests.clients.graph_case import GROUP, PERSON, PRINCIPAL, graph_caller
from tests.clients.scripted import Asked, Reply, Scripted, graph_error, scripted

EXAMPLES = Path(__file__).parents[1] / "contracts" / "graph-examples"
STARTS = datetime(2026, 11, 23, 10, tzinfo=UTC)
ENDS = datetime(2026, 11, 23, 12, tzinfo=UTC)


def example(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def query(asked: Asked) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(asked.path).query).items()}


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.fixture
def caller(server: Scripted) -> Iterator[GraphCaller]:
    with graph_caller(server.origin) as running:
        yield running


@pytest.fixture
def pim(caller: GraphCaller) -> GraphPim:
    return GraphPim(caller)


@pytest.fixture
def directory(caller: GraphCaller) -> GraphDirectory:
    return GraphDirectory(caller, aws_service_principal_id=PRINCIPAL)


@pytest.fixture
def provisioning(caller: GraphCaller) -> GraphProvisioning:
    return GraphProvisioning(caller, aws_service_principal_id=PRINCIPAL)


def test_assign_fixes_both_instants_and_tags_twice(server: Scripted, pim: GraphPim) -> None:
    server.reply(Reply(201, example("adminAssign.201")))

    answer = pim.assign(
        AssignmentOrder(GROUP, PERSON, STARTS, ENDS, tag="9d3f:1", justification="rotate keys"),
        client_request_id="ours",
    ).value

    sent = {name: value for name, value in server.asked[0].json.items() if name != "@odata.type"}
    assert sent == {
        "accessId": "member",
        "action": "adminAssign",
        "groupId": GROUP,
        "principalId": PERSON,
        "justification": "rotate keys [access-portal:9d3f:1]",
        "ticketInfo": {"ticketNumber": "9d3f:1", "ticketSystem": "access-portal"},
        "scheduleInfo": {
            "startDateTime": "2026-11-23T10:00:00+00:00",
            "expiration": {"type": "afterDateTime", "endDateTime": "2026-11-23T12:00:00+00:00"},
        },
    }
    assert answer.status is PimRequestStatus.PROVISIONED
    assert answer.schedule_id.startswith(f"{GROUP}_member_")
    assert answer.starts_at is not None
    assert answer.ends_at == answer.starts_at + timedelta(hours=2)
    assert answer.tag == ""  # the example carries none


def test_remove_sends_no_schedule(server: Scripted, pim: GraphPim) -> None:
    server.reply(Reply(201, {**example("adminAssign.201"), "action": "adminRemove", "status": "Revoked"}))

    answer = pim.remove(
        RemovalOrder(GROUP, PERSON, tag="9d3f:1", justification="done"), client_request_id="ours"
    ).value

    sent = server.asked[0].json
    assert sent["action"] == "adminRemove"
    assert "scheduleInfo" not in sent
    assert answer.status is PimRequestStatus.REVOKED


def test_requests_come_newest_first_with_their_tags(server: Scripted, pim: GraphPim) -> None:
    base = example("assignmentScheduleRequests.list")["value"][0]
    older = {
        **base,
        "id": "older",
        "action": "AdminAssign",
        "accessId": "Member",
        "createdDateTime": "2026-11-22T10:00:00Z",
        "justification": "x [access-portal:one:1]",
    }
    newer = {
        **older,
        "id": "newer",
        "createdDateTime": "2026-11-23T10:00:00.1234567Z",
        "justification": "x",
        "ticketInfo": {"ticketNumber": "two:1", "ticketSystem": "access-portal"},
    }
    owner = {**older, "id": "owner", "accessId": "owner"}
    server.reply(Reply(body={"value": [older, newer, owner]}))

    answer = pim.requests(GROUP, PERSON).value

    assert [(each.request_id, each.tag) for each in answer] == [("newer", "two:1"), ("older", "one:1")]
    asked = query(server.asked[0])
    assert asked["$filter"] == f"groupId eq '{GROUP}' and principalId eq '{PERSON}'"
    assert asked["$orderby"] == "createdDateTime desc"


def test_assignments_ignore_owners_and_case(server: Scripted, pim: GraphPim) -> None:
    rows = example("assignmentScheduleInstances.list")["value"]
    permanent = {
        **rows[0],
        "id": "permanent",
        "assignmentType": "assigned",
        "accessId": "Member",
        "startDateTime": None,
        "endDateTime": None,
    }
    server.reply(Reply(body={"value": [*rows, permanent, {**rows[0], "accessId": "owner"}]}))

    first, second = pim.assignments(GROUP, principal_id=PERSON).value

    assert first.activated
    assert first.ends_at == datetime(2026, 11, 23, 12, 0, 5, tzinfo=UTC)
    assert not second.activated
    assert second.ends_at is None


def test_eligibilities_say_through_whom(server: Scripted, pim: GraphPim) -> None:
    rows = example("eligibilityScheduleInstances.list")["value"]
    nested = {**rows[0], "memberType": "group", "endDateTime": "2026-12-01T00:00:00Z"}
    server.reply(Reply(body={"value": [*rows, nested]}))

    direct, through = pim.principal_eligibilities(PERSON).value

    assert (direct.through_group, through.through_group) == (False, True)
    assert direct.ends_at is None
    assert query(server.asked[0])["$filter"] == f"principalId eq '{PERSON}'"


# --- policy


def policy_example() -> Any:
    return example("roleManagementPolicyAssignments.list.expanded")


def change_rule(body: Any, rule_id: str, **changes: Any) -> Any:
    changed = deepcopy(body)
    rules = changed["value"][0]["policy"]["rules"]
    next(rule for rule in rules if rule["id"] == rule_id).update(changes)
    return changed


def read_policy(server: Scripted, pim: GraphPim, body: Any) -> PimPolicy:
    server.reply(Reply(body=body))
    return pim.group_policy(GROUP).value


def test_a_strict_policy_is_read_whole(server: Scripted, pim: GraphPim) -> None:
    policy = read_policy(server, pim, policy_example())

    assert policy.activation_maximum == timedelta(hours=8)
    assert policy.assignment_maximum == timedelta(days=180)
    assert (policy.requires_mfa, policy.requires_justification, policy.requires_ticket) == (True, True, True)
    assert policy.requires_approval
    assert policy.authentication_context == "c1"
    assert policy.approver_people or policy.approver_groups
    asked = query(server.asked[0])
    assert (
        asked["$filter"] == f"scopeId eq '{GROUP}' and scopeType eq 'Group' and roleDefinitionId eq 'member'"
    )
    assert asked["$expand"] == "policy($expand=rules)"


def test_a_default_policy_demands_a_justification_alone(server: Scripted, pim: GraphPim) -> None:
    body = change_rule(policy_example(), "Enablement_EndUser_Assignment", enabledRules=["Justification"])
    body = change_rule(body, "Approval_EndUser_Assignment", setting={"isApprovalRequired": False})
    body = change_rule(body, "AuthenticationContext_EndUser_Assignment", isEnabled=False, claimValue=None)
    body = change_rule(body, "Expiration_Admin_Assignment", isExpirationRequired=False)

    policy = read_policy(server, pim, body)

    assert policy.requires_justification
    assert not any((policy.requires_mfa, policy.requires_ticket, policy.requires_approval))
    assert policy.authentication_context == ""
    assert policy.assignment_maximum is None


@pytest.mark.parametrize(
    "name",
    [
        "Expiration_EndUser_Assignment",
        "Enablement_EndUser_Assignment",
        "Approval_EndUser_Assignment",
        "AuthenticationContext_EndUser_Assignment",
        "Expiration_Admin_Assignment",
    ],
)
def test_a_policy_without_a_deciding_rule_is_refused(server: Scripted, pim: GraphPim, name: str) -> None:
    body = policy_example()
    policy = body["value"][0]["policy"]
    policy["rules"] = [rule for rule in policy["rules"] if rule["id"] != name]

    with pytest.raises(Refused, match=name) as caught:
        read_policy(server, pim, body)

    assert caught.value.code == "PolicyUnreadable"


def test_a_demand_without_a_word_of_ours_is_refused(server: Scripted, pim: GraphPim) -> None:
    body = change_rule(policy_example(), "Enablement_EndUser_Assignment", enabledRules=["RetinaScan"])

    with pytest.raises(Refused, match="retinascan"):
        read_policy(server, pim, body)


def test_what_a_rule_leaves_open_counts_as_demanded(server: Scripted, pim: GraphPim) -> None:
    body = change_rule(policy_example(), "Approval_EndUser_Assignment", setting=None)
    body = change_rule(body, "AuthenticationContext_EndUser_Assignment", isEnabled=None, claimValue=None)

    policy = read_policy(server, pim, body)

    assert policy.requires_approval
    assert policy.authentication_context


def test_approvers_are_people_and_groups_and_nobody_else(server: Scripted, pim: GraphPim) -> None:
    def naming(*approvers: dict[str, str]) -> Any:
        stage = {"approvalStageTimeOutInDays": 1, "primaryApprovers": list(approvers)}
        setting = {"isApprovalRequired": True, "approvalStages": [stage]}
        return change_rule(policy_example(), "Approval_EndUser_Assignment", setting=setting)

    person = {"@odata.type": "#microsoft.graph.singleUser", "userId": GROUP.upper()}
    group = {"@odata.type": "#microsoft.graph.groupMembers", "groupId": GROUP}
    policy = read_policy(server, pim, naming(person, group))
    assert (policy.approver_people, policy.approver_groups) == ((GROUP,), (GROUP,))
    with pytest.raises(Refused, match="neither people nor groups"):
        read_policy(server, pim, naming(person, {"@odata.type": "#microsoft.graph.requestorManager"}))


def test_no_policy_at_all_is_refused(server: Scripted, pim: GraphPim) -> None:
    with pytest.raises(Refused, match="0 member policies"):
        read_policy(server, pim, {"value": []})


# --- directory


def test_a_person_is_read_and_absence_is_none(server: Scripted, directory: GraphDirectory) -> None:
    server.reply(Reply(body=example("user.get")), Reply(404, graph_error("Request_ResourceNotFound")))

    person = directory.read_user(PERSON).value
    nobody = directory.read_user(PERSON)

    assert person is not None
    assert (person.user_principal_name, person.enabled, person.guest) == ("bob@contoso.example", True, False)
    assert nobody.value is None
    assert nobody.receipt.client_request_id
    assert "accountEnabled" in query(server.asked[0])["$select"]


def test_a_manager_is_a_person_or_nobody(server: Scripted, directory: GraphDirectory) -> None:
    person = {"@odata.type": "#microsoft.graph.user", "id": PERSON.upper()}
    contact = {"@odata.type": "#microsoft.graph.orgContact", "id": PERSON}
    absent = Reply(404, graph_error("Request_ResourceNotFound"))
    server.reply(
        Reply(body=person),
        Reply(body=contact),
        absent,
        Reply(403, graph_error("Authorization_RequestDenied")),
    )

    assert [directory.read_manager(PERSON).value for _ in range(3)] == [PERSON, "", ""]
    assert server.asked[0].path.partition("?")[0].endswith(f"/users/{PERSON}/manager")
    with pytest.raises(NotPermitted):
        directory.read_manager(PERSON)


def test_a_person_of_unknown_state_counts_as_disabled(server: Scripted, directory: GraphDirectory) -> None:
    body = {name: value for name, value in example("user.get").items() if name != "accountEnabled"}
    server.reply(Reply(body={**body, "userType": "guest"}))

    person = directory.read_user(PERSON).value

    assert person is not None
    assert not person.enabled
    assert person.guest


def test_groups_are_asked_for_fifteen_at_a_time(server: Scripted, directory: GraphDirectory) -> None:
    server.reply(Reply(body={"value": [example("group.get")]}), Reply(body={"value": []}))

    found = directory.read_groups([f"id-{number}" for number in range(16)] + ["id-0"]).value

    assert [group.object_id for group in found] == [GROUP]
    assert not found[0].role_assignable
    filters = [query(asked)["$filter"] for asked in server.asked]
    assert [text.count("'id-") for text in filters] == [15, 1]


def test_properties_that_pim_cannot_carry_are_seen(server: Scripted, directory: GraphDirectory) -> None:
    body = {
        **example("group.get"),
        "isAssignableToRole": True,
        "onPremisesSyncEnabled": True,
        "groupTypes": ["DynamicMembership"],
        "membershipRule": 'user.department -eq "x"',
    }
    server.reply(Reply(body={"value": [body]}))

    group = directory.read_groups([GROUP]).value[0]

    assert group.role_assignable
    assert group.synced_from_on_premises
    assert group.dynamic


def test_members_are_sorted_into_people_and_groups(server: Scripted, directory: GraphDirectory) -> None:
    person = example("group.members")["value"][0]
    nested = {"@odata.type": "#microsoft.graph.group", "id": "nested"}
    other = {"@odata.type": "#microsoft.graph.device", "id": "device"}
    server.reply(Reply(body={"value": [person, nested, other]}))

    members = directory.read_members(GROUP, transitive=True).value

    assert [user.object_id for user in members.users] == [PERSON]
    assert members.group_ids == ("nested",)
    assert urlsplit(server.asked[0].path).path.endswith(f"/groups/{GROUP}/transitiveMembers")


def test_members_of_an_unknown_group_is_an_error(server: Scripted, directory: GraphDirectory) -> None:
    server.reply(Reply(404, graph_error("Request_ResourceNotFound")))

    with pytest.raises(NotFound):
        directory.read_members(GROUP)


def test_owners_are_people_and_told_by_their_type(server: Scripted, directory: GraphDirectory) -> None:
    person = {"@odata.type": "#microsoft.graph.user", "id": PERSON.upper()}
    unreadable = {"@odata.type": "#microsoft.graph.user", "id": "other", "displayName": None}
    program = {"@odata.type": "#microsoft.graph.servicePrincipal", "id": "program"}
    link = f"{server.origin}/v1.0/groups/{GROUP}/owners?$skiptoken=x"
    server.reply(
        Reply(body={"value": [person, program], "@odata.nextLink": link}),
        Reply(body={"value": [unreadable, person]}),
    )

    assert directory.read_owners(GROUP).value == (PERSON.lower(), "other")
    assert urlsplit(server.asked[0].path).path.endswith(f"/groups/{GROUP}/owners")
    assert query(server.asked[0])["$select"] == "id"


# --- provisioning


def synchronization(asked: Asked) -> Reply:
    """Answers as the synchronization endpoints do."""
    path = urlsplit(asked.path).path
    if path.endswith("/schema"):
        return Reply(body=example("synchronizationSchema.get"))
    if path.endswith("/provisionOnDemand"):
        return Reply(body=example("provisionOnDemand.200.success"))
    return Reply(body=example("synchronizationJobs.list"))


def test_the_job_is_read_with_its_last_cycle_and_the_schema_once(
    server: Scripted, provisioning: GraphProvisioning
) -> None:
    server.reply(synchronization)

    job = provisioning.job().value
    provisioning.job()

    assert job.code is ProvisioningCode.ACTIVE
    assert job.interval == timedelta(minutes=40)
    assert job.rule_id == "33f7c90d-bf71-41b1-bda6-aaf0ddbee5d8#V2"
    assert job.last_cycle_completed
    assert job.last_cycle_began_at == datetime(2026, 11, 23, 9, 40, tzinfo=UTC)
    assert [asked.path.rpartition("/")[2] for asked in server.asked] == ["jobs", "schema", "jobs"]


def test_a_cycle_with_errors_of_single_entries_is_complete(
    server: Scripted, provisioning: GraphProvisioning
) -> None:
    jobs = example("synchronizationJobs.list")
    jobs["value"][0]["status"]["lastExecution"]["state"] = "EntryLevelErrors"
    server.reply(Reply(body=jobs), Reply(body=example("synchronizationSchema.get")))

    assert provisioning.job().value.last_cycle_completed


def test_quarantine_says_why_and_until_when(server: Scripted, provisioning: GraphProvisioning) -> None:
    server.reply(
        Reply(body={"value": [example("synchronizationJob.get.quarantine")]}),
        Reply(body=example("synchronizationSchema.get")),
    )

    job = provisioning.job().value

    assert job.code is ProvisioningCode.QUARANTINE
    assert job.quarantine_reason == "EncounteredQuarantineException"
    assert job.next_attempt_at == datetime(2026, 11, 23, 14, tzinfo=UTC)
    assert not job.last_cycle_completed


def test_a_stopped_job_has_no_times(server: Scripted, provisioning: GraphProvisioning) -> None:
    job_body = example("synchronizationJobs.list")["value"][0]
    job_body["schedule"] = {"interval": "P10675199DT2H48M5.4775807S", "state": "Disabled", "expiration": None}
    job_body["status"]["lastExecution"].update(
        timeBegan="0001-01-01T00:00:00Z", timeEnded="0001-01-01T00:00:00Z"
    )
    server.reply(Reply(body={"value": [job_body]}), Reply(body=example("synchronizationSchema.get")))

    job = provisioning.job().value

    assert job.code is ProvisioningCode.PAUSED
    assert job.interval is None
    assert job.last_cycle_began_at is None


def test_no_job_is_said(server: Scripted, provisioning: GraphProvisioning) -> None:
    server.reply(Reply(body={"value": []}))

    assert provisioning.job().value.code is ProvisioningCode.NOT_CONFIGURED
    with pytest.raises(NotFound, match="automatic provisioning"):
        provisioning.provision_on_demand(GROUP, [PERSON], client_request_id="ours")


def test_on_demand_names_one_group_and_its_members(server: Scripted, provisioning: GraphProvisioning) -> None:
    server.reply(synchronization)

    result = provisioning.provision_on_demand(GROUP, [PERSON], client_request_id="ours").value

    assert result.outcome is OnDemandOutcome.SUCCESS
    assert server.asked[-1].json == example("provisionOnDemand.request")
    assert server.asked[-1].headers["client-request-id"] == "ours"


@pytest.mark.parametrize("people", [[], [PERSON] * 6])
def test_on_demand_takes_one_to_five(provisioning: GraphProvisioning, people: list[str]) -> None:
    with pytest.raises(ValueError, match="one to five"):
        provisioning.provision_on_demand(GROUP, people, client_request_id="ours")


def test_another_attribute_than_the_employee_id_may_link_accounts(
    server: Scripted, caller: GraphCaller
) -> None:
    told = {"id": PERSON, "displayName": "Ada Admin", "accountEnabled": True, "userType": "Member"}
    marked = {"employeeId": "E-1", "onPremisesExtensionAttributes": {"extensionAttribute7": "E-77"}}
    linked = GraphDirectory(
        caller, aws_service_principal_id=PRINCIPAL, person_attributes=["extensionAttribute7"]
    )
    for answer, mark in ((marked, "E-77"), ({"onPremisesExtensionAttributes": None}, "")):
        server.reply(Reply(200, {**told, **answer}))
        user = linked.read_user(PERSON).value
        assert user is not None
        assert user.employee_id == mark
        selected = query(server.asked[-1])["$select"].split(",")
        assert "onPremisesExtensionAttributes" in selected
        assert "employeeId" not in selected


def test_of_several_attributes_all_that_have_a_value_link_accounts(
    server: Scripted, caller: GraphCaller
) -> None:
    """An administrator's account has no employee id, and carries its owner's elsewhere."""
    told = {"id": PERSON, "displayName": "Ada Admin", "accountEnabled": True, "userType": "Member"}
    linked = GraphDirectory(
        caller,
        aws_service_principal_id=PRINCIPAL,
        person_attributes=["employeeId", "extensionAttribute4", "extensionAttribute7"],
    )
    for employee, elsewhere, mark, further in (
        ("E-1", "E-2", "E-1", ("E-2",)),
        (None, "E-2", "E-2", ()),
        (" ", "E-2", "E-2", ()),
        (None, None, "", ()),
    ):
        extension = {"extensionAttribute4": None, "extensionAttribute7": elsewhere}
        server.reply(Reply(200, {**told, "employeeId": employee, "onPremisesExtensionAttributes": extension}))
        user = linked.read_user(PERSON).value
        assert user is not None
        assert (user.employee_id, user.further_marks) == (mark, further)
    selected = query(server.asked[-1])["$select"].split(",")
    assert selected.count("onPremisesExtensionAttributes") == selected.count("employeeId") == 1
