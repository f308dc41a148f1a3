"""msgraph-sdk and azure-identity, unchanged, against the simulator as a process."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.identity import CertificateCredential
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from kiota_http.kiota_client_factory import KiotaClientFactory
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.groups.groups_request_builder import GroupsRequestBuilder
from msgraph.generated.identity_governance.privileged_access.group.eligibility_schedule_instances import (
    eligibility_schedule_instances_request_builder as eligibility,
)
from msgraph.generated.models.expiration_pattern import ExpirationPattern
from msgraph.generated.models.expiration_pattern_type import ExpirationPatternType
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.privileged_access_group_assignment_schedule_request import (
    PrivilegedAccessGroupAssignmentScheduleRequest as ScheduleRequest,
)
from msgraph.generated.models.privileged_access_group_relationships import PrivilegedAccessGroupRelationships
from msgraph.generated.models.request_schedule import RequestSchedule
from msgraph.generated.models.schedule_request_actions import ScheduleRequestActions
from msgraph.generated.models.synchronization_job_application_parameters import (
    SynchronizationJobApplicationParameters,
)
from msgraph.generated.models.synchronization_job_subject import SynchronizationJobSubject
from msgraph.generated.models.synchronization_linked_objects import SynchronizationLinkedObjects
from msgraph.generated.policies.role_management_policy_assignments import (
    role_management_policy_assignments_request_builder as policies,
)
from msgraph.generated.service_principals.item.synchronization.jobs.item.provision_on_demand import (
    provision_on_demand_post_request_body as on_demand,
)

from tests.simulator.process import SimulatorProcess, simulator_process

type Work = Callable[[GraphServiceClient], Awaitable[Any]]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """A simulator with small pages."""
    folder = tmp_path_factory.mktemp("sdk")
    clock = ("--clock", "stepped", "--clock-anchor-business", "2026-03-02T09:00:00Z")
    with simulator_process(folder / "state", *clock, "--page-size", "3") as running:
        yield running


def run(simulator: SimulatorProcess, work: Work) -> Any:
    """Do something with a fresh client on a fresh event loop, as the SDK needs it."""
    said = simulator.said

    async def inside() -> Any:
        credential = CertificateCredential(
            said["tenant_id"],
            said["worker_client_id"],
            certificate_path=said["worker_certificate_path"],
            authority=said["authority"],
            disable_instance_discovery=True,
            connection_verify=said["ca_bundle"],
        )
        transport = httpx.AsyncHTTPTransport()  # closed here: the SDK's own wrapper forgets to
        http = KiotaClientFactory.create_with_default_middleware(
            client=httpx.AsyncClient(transport=transport)
        )
        adapter = GraphRequestAdapter(
            AzureIdentityAuthenticationProvider(credential, scopes=["https://graph.microsoft.com/.default"]),
            http,
        )
        adapter.base_url = said["graph_base_url"]
        try:
            return await work(GraphServiceClient(request_adapter=adapter))
        finally:
            await transport.aclose()
            credential.close()

    return asyncio.run(inside())


def managed_groups(simulator: SimulatorProcess) -> list[str]:
    """The allow-list."""
    lines = Path(simulator.said["managed_groups_file"]).read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if not line.startswith("#")]


async def eligible_of(client: GraphServiceClient, group_id: str) -> list[Any]:
    builder = eligibility.EligibilityScheduleInstancesRequestBuilder
    parameters = builder.EligibilityScheduleInstancesRequestBuilderGetQueryParameters(
        filter=f"groupId eq '{group_id}'"
    )
    found = await client.identity_governance.privileged_access.group.eligibility_schedule_instances.get(
        RequestConfiguration(query_parameters=parameters)
    )
    assert found is not None
    return found.value or []


def test_groups_over_several_pages(simulator: SimulatorProcess) -> None:
    async def work(client: GraphServiceClient) -> list[str | None]:
        parameters = GroupsRequestBuilder.GroupsRequestBuilderGetQueryParameters(
            select=["id", "displayName"], filter="startswith(displayName,'AWS')"
        )
        page = await client.groups.get(RequestConfiguration(query_parameters=parameters))
        names: list[str | None] = []
        while page is not None:
            names += [group.display_name for group in page.value or []]
            page = await client.groups.with_url(page.odata_next_link).get() if page.odata_next_link else None
        return names

    names = run(simulator, work)
    assert len(names) > 3
    assert len(set(names)) == len(names)


def test_policy_with_typed_rules(simulator: SimulatorProcess) -> None:
    group_id = managed_groups(simulator)[0]

    async def work(client: GraphServiceClient) -> Any:
        builder = policies.RoleManagementPolicyAssignmentsRequestBuilder
        parameters = builder.RoleManagementPolicyAssignmentsRequestBuilderGetQueryParameters(
            filter=f"scopeId eq '{group_id}' and scopeType eq 'Group' and roleDefinitionId eq 'member'",
            expand=["policy($expand=rules)"],
        )
        return await client.policies.role_management_policy_assignments.get(
            RequestConfiguration(query_parameters=parameters)
        )

    (assignment,) = run(simulator, work).value
    rules = {rule.id: rule for rule in assignment.policy.rules}
    assert (
        type(rules["Expiration_EndUser_Assignment"]).__name__ == "UnifiedRoleManagementPolicyExpirationRule"
    )
    assert rules["Expiration_EndUser_Assignment"].maximum_duration is not None


def test_assign_provision_on_demand_and_refusal(simulator: SimulatorProcess) -> None:
    said = simulator.said
    groups = managed_groups(simulator)

    async def find(client: GraphServiceClient) -> tuple[str, str]:
        for group_id in groups:
            for row in await eligible_of(client, group_id):
                user = await _user_or_none(client, row.principal_id)
                if user is not None and user.account_enabled is not False:
                    return group_id, row.principal_id
        raise AssertionError("nobody is directly eligible for a managed group")

    group_id, person = run(simulator, find)

    def body() -> ScheduleRequest:
        return ScheduleRequest(
            access_id=PrivilegedAccessGroupRelationships.Member,
            action=ScheduleRequestActions.AdminAssign,
            group_id=group_id,
            principal_id=person,
            justification="INC-1234 rotate keys",
            schedule_info=RequestSchedule(
                expiration=ExpirationPattern(
                    type=ExpirationPatternType.AfterDuration,
                    duration="PT1H",  # a timedelta would be sent as 1:00:00
                )
            ),
        )

    async def assign(client: GraphServiceClient) -> Any:
        return await client.identity_governance.privileged_access.group.assignment_schedule_requests.post(
            body()
        )

    assert run(simulator, assign).status == "Provisioned"
    with pytest.raises(ODataError) as refused:
        run(simulator, assign)
    assert refused.value.error is not None
    assert refused.value.error.code == "RoleAssignmentExists"

    async def provision(client: GraphServiceClient) -> Any:
        synchronization = client.service_principals.by_service_principal_id(
            said["aws_service_principal_id"]
        ).synchronization
        jobs = await synchronization.jobs.get()
        assert jobs is not None
        job = synchronization.jobs.by_synchronization_job_id((jobs.value or [])[0].id or "")
        schema = await job.schema.get()
        assert schema is not None
        rule = next(
            rule.id
            for rule in schema.synchronization_rules or []
            for mapping in rule.object_mappings or []
            if mapping.source_object_name == "Group"
        )
        member = SynchronizationJobSubject(object_id=person, object_type_name="User")
        subject = SynchronizationJobSubject(
            object_id=group_id,
            object_type_name="Group",
            links=SynchronizationLinkedObjects(members=[member]),
        )
        parameters = SynchronizationJobApplicationParameters(rule_id=rule, subjects=[subject])
        return await job.provision_on_demand.post(
            on_demand.ProvisionOnDemandPostRequestBody(parameters=[parameters])
        )

    answer = run(simulator, provision)
    assert json.loads(answer.key)["result"] == "Success"

    async def log(client: GraphServiceClient) -> Any:
        return await client.audit_logs.provisioning.get()

    assert run(simulator, log).value


async def _user_or_none(client: GraphServiceClient, object_id: str) -> Any:
    try:
        return await client.users.by_user_id(object_id).get()
    except ODataError:
        return None
