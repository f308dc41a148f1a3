"""The Entra adapters over real HTTP against the simulated Graph; every exchange is held to the published API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from clients.entra.caller import GraphCaller
from clients.entra.config import EntraConfig
from clients.entra.directory import GraphDirectory
from clients.entra.pim import GraphPim
from clients.entra.provisioning import GraphProvisioning
from clients.entra.standing import GraphStanding
from clients.errors import (
    AlreadyAssigned,
    NothingToRemove,
    NotPermitted,
    OutcomeUnknown,
    PolicyRefused,
    Throttled,
    TooYoungToRemove,
    Unreachable,
)
from clients.limits import LocalLimiter
from clients.types import AssignmentOrder, PimRequestStatus, ProvisioningCode, RemovalOrder
from tests.clients.graph_case import FAST
from tests.simulator.entra.graph.running import RunningGraph, running_graph
from tests.simulator.entra.graph.small_world import (
    ADA,
    ADMINS,
    APPLICATION,
    BEN,
    CAM,
    DOT,
    READERS,
    START,
    TEAM,
)

# What docs/permissions.md asks an administrator to grant; the whole file runs with nothing more.
DOCUMENTED = (
    "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
    "PrivilegedEligibilitySchedule.Read.AzureADGroup",
    "RoleManagementPolicy.Read.AzureADGroup",
    "GroupMember.Read.All",
    "User.Read.All",
    "Application.ReadWrite.OwnedBy",
)
POST_REQUEST = "graph.POST assignmentScheduleRequests"


class TokenOf:
    """The simulated Entra's token for the worker, without the round trip."""

    def __init__(self, graph: RunningGraph, permissions: tuple[str, ...]) -> None:
        self._graph = graph
        self._permissions = permissions

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken(self._graph.app_token(self._permissions), int(time.time()) + 3600)


class Adapters:
    """The three adapters over one running Graph."""

    def __init__(self, graph: RunningGraph, permissions: tuple[str, ...] = DOCUMENTED) -> None:
        origin = graph.front.provider.browser_origin
        config = EntraConfig(
            tenant_id="t",
            client_id="c",
            aws_service_principal_id=APPLICATION,
            client_secret="s",
            graph_base_url=f"{origin}/v1.0",
        )
        self.caller = GraphCaller(
            config,
            LocalLimiter(FAST),
            total_seconds=20,
            read_pauses=(0.01, 0.01),
            credential=TokenOf(graph, permissions),
        )
        self.directory = GraphDirectory(self.caller, aws_service_principal_id=APPLICATION)
        self.pim = GraphPim(self.caller)
        self.standing = GraphStanding(self.caller, config)
        self.provisioning = GraphProvisioning(self.caller, aws_service_principal_id=APPLICATION)


PAGES = ["whole pages", "one row a page"]
# For what reads lists; of everything else, small pages are tried with the proofs.
whatever_the_page = pytest.mark.parametrize("graph", [0, 1], indirect=True, ids=PAGES)


@pytest.fixture(params=[0, pytest.param(1, marks=pytest.mark.proof)], ids=PAGES)
def graph(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[RunningGraph]:
    folder = tmp_path_factory.getbasetemp() / "clients-graph-keys"
    with running_graph(folder, page_size=request.param) as running:
        yield running


@pytest.fixture
def entra(graph: RunningGraph) -> Iterator[Adapters]:
    adapters = Adapters(graph)
    yield adapters
    adapters.caller.close()


def order(
    *,
    hours: float = 2,
    tag: str = "grant:1",
    group: str = ADMINS,
    person: str = ADA,
    starts_in: timedelta = timedelta(0),
) -> AssignmentOrder:
    return AssignmentOrder(
        group_id=group,
        principal_id=person,
        starts_at=START + starts_in,
        ends_at=START + starts_in + timedelta(hours=hours),
        tag=tag,
        justification="rotate keys",
    )


def removal(*, tag: str = "grant:1") -> RemovalOrder:
    return RemovalOrder(ADMINS, ADA, tag=tag, justification="done")


@whatever_the_page
def test_people_and_groups_are_read(entra: Adapters) -> None:
    ada, dot = entra.directory.read_user(ADA), entra.directory.read_user(DOT).value
    assert ada.value is not None
    assert dot is not None
    assert (ada.value.given_name, ada.value.enabled, dot.enabled) == ("Ada", True, False)
    assert ada.receipt.vendor_request_id
    assert entra.directory.read_user("00000000-0000-4000-8000-00000000dead").value is None

    assert [entra.directory.read_manager(each).value for each in (ADA, DOT)] == [BEN, ""]

    found = entra.directory.read_groups([ADMINS, READERS, "00000000-0000-4000-8000-00000000dead"]).value
    assert {group.object_id for group in found} == {ADMINS, READERS}
    assert all(group.security_enabled for group in found)
    assert entra.directory.application_groups().value == {ADMINS, READERS}
    assert {user.object_id for user in entra.directory.read_members(TEAM).value.users} == {BEN, CAM}


@whatever_the_page
def test_eligibility_is_held_directly_and_through_a_group(entra: Adapters) -> None:
    direct = entra.pim.principal_eligibilities(ADA).value
    assert [each.group_id for each in direct] == [ADMINS]
    assert direct[0].ends_at == START + timedelta(days=180)

    (through,) = entra.pim.group_eligibilities(READERS).value
    assert through.principal_id == TEAM


def test_a_policy_is_read_and_follows_its_changes(graph: RunningGraph, entra: Adapters) -> None:
    before = entra.pim.group_policy(ADMINS).value
    assert before.activation_maximum == timedelta(hours=8)
    assert before.requires_justification
    assert not any((before.requires_mfa, before.requires_ticket, before.requires_approval))
    assert before.authentication_context == ""

    graph.world.policies.change(
        ADMINS,
        "member",
        activation_maximum="PT30M",
        activation_rules=["MultiFactorAuthentication", "Ticketing"],
        approval_required=True,
        authentication_context="c2",
        assignment_expiration_required=False,
    )
    after = entra.pim.group_policy(ADMINS).value
    assert after.activation_maximum == timedelta(minutes=30)
    assert all((after.requires_mfa, after.requires_ticket, after.requires_approval))
    assert not after.requires_justification
    assert (after.authentication_context, after.assignment_maximum) == ("c2", None)


@whatever_the_page
def test_membership_comes_and_goes(graph: RunningGraph, entra: Adapters) -> None:
    made = entra.pim.assign(order(), client_request_id="our-id")

    assert made.value.status is PimRequestStatus.PROVISIONED
    assert (made.value.tag, made.value.ends_at) == ("grant:1", START + timedelta(hours=2))
    assert made.receipt.client_request_id == "our-id"
    assert made.receipt.vendor_request_id
    (held,) = entra.pim.assignments(ADMINS, principal_id=ADA).value
    assert (held.ends_at, held.activated) == (START + timedelta(hours=2), False)
    assert held.schedule_id == made.value.schedule_id

    with pytest.raises(TooYoungToRemove):
        entra.pim.remove(removal(), client_request_id="too-early")
    graph.world.step(timedelta(minutes=6))
    entra.pim.remove(removal(), client_request_id="in-time")

    assert entra.pim.assignments(ADMINS, principal_id=ADA).value == ()
    with pytest.raises(NothingToRemove):
        entra.pim.remove(removal(), client_request_id="again")
    actions = [(each.action, each.tag) for each in entra.pim.requests(ADMINS, ADA).value]
    assert sorted(actions) == [("adminAssign", "grant:1"), ("adminRemove", "grant:1")]


def test_a_second_assignment_is_a_question(entra: Adapters) -> None:
    entra.pim.assign(order(), client_request_id="one")

    with pytest.raises(AlreadyAssigned):
        entra.pim.assign(order(tag="grant:2"), client_request_id="two")

    assert [each.tag for each in entra.pim.requests(ADMINS, ADA).value] == ["grant:1"]


def test_the_tag_comes_back_where_pim_forgets_ticket_information(
    graph: RunningGraph, entra: Adapters
) -> None:
    graph.world.switches.echo_ticket_info = False

    assert entra.pim.assign(order(), client_request_id="one").value.tag == "grant:1"
    assert entra.pim.requests(ADMINS, ADA).value[0].tag == "grant:1"


def test_too_long_is_refused_by_name_and_changes_nothing(entra: Adapters) -> None:
    with pytest.raises(PolicyRefused) as caught:
        entra.pim.assign(order(hours=24 * 400), client_request_id="one")

    assert caught.value.rules == ("ExpirationRule",)
    assert entra.pim.assignments(ADMINS).value == ()


def test_somebody_unknown_may_be_known_later(entra: Adapters) -> None:
    with pytest.raises(Unreachable) as caught:
        entra.pim.assign(order(person="00000000-0000-4000-8000-00000000dead"), client_request_id="one")

    assert caught.value.code == "SubjectNotFound"


@pytest.mark.parametrize(
    ("kind", "held"), [("lose_request", 0), ("lose_answer", 1), ("error", 0), ("error_after", 1)]
)
def test_a_write_without_an_answer_is_found_out_by_reading(
    graph: RunningGraph, entra: Adapters, kind: str, held: int
) -> None:
    graph.world.faults.add(POST_REQUEST, kind, status=503)

    with pytest.raises(OutcomeUnknown):
        entra.pim.assign(order(), client_request_id="one")

    assert len(entra.pim.assignments(ADMINS, principal_id=ADA).value) == held
    assert [each.tag for each in entra.pim.requests(ADMINS, ADA).value] == ["grant:1"] * held


def test_reads_outlive_short_faults(graph: RunningGraph, entra: Adapters) -> None:
    graph.world.faults.add("graph.GET assignmentScheduleInstances", "lose_answer")
    graph.world.faults.add("graph.GET assignmentScheduleInstances", "error", status=503)

    assert entra.pim.assignments(ADMINS).value == ()


def test_throttling_is_passed_on(graph: RunningGraph, entra: Adapters) -> None:
    graph.world.faults.add("graph.*", "throttle", retry_after=23)

    with pytest.raises(Throttled) as caught:
        entra.pim.assignments(ADMINS)

    assert caught.value.retry_after == timedelta(seconds=23)


def test_a_missing_permission_is_for_an_operator(graph: RunningGraph) -> None:
    adapters = Adapters(graph, permissions=("User.Read.All",))
    try:
        with pytest.raises(NotPermitted):
            adapters.pim.assign(order(), client_request_id="one")
    finally:
        adapters.caller.close()


@pytest.mark.parametrize("graph", [0], indirect=True, ids=["whole pages"])
@pytest.mark.parametrize("missing", DOCUMENTED)
def test_each_documented_permission_is_needed(graph: RunningGraph, missing: str) -> None:
    table = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text(encoding="utf-8")
    assert f"\n| `{missing}` |" in table
    adapters = Adapters(graph, permissions=tuple(each for each in DOCUMENTED if each != missing))
    try:
        with pytest.raises(NotPermitted):
            everything(adapters)
    finally:
        adapters.caller.close()


def everything(entra: Adapters) -> None:
    """One call of each kind."""
    entra.directory.read_user(ADA)
    entra.directory.read_groups([ADMINS])
    entra.directory.read_members(TEAM)
    entra.directory.application_groups()
    entra.pim.principal_eligibilities(ADA)
    entra.pim.group_policy(ADMINS)
    entra.pim.requests(ADMINS, ADA)
    entra.pim.assign(order(), client_request_id="one")
    entra.provisioning.provision_on_demand(ADMINS, [ADA], client_request_id="two")


def test_the_job_and_on_demand(graph: RunningGraph, entra: Adapters) -> None:
    job = entra.provisioning.job().value
    assert job.code is ProvisioningCode.ACTIVE
    assert job.interval == timedelta(minutes=40)
    assert job.rule_id

    entra.pim.assign(order(), client_request_id="one")
    result = entra.provisioning.provision_on_demand(ADMINS, [ADA], client_request_id="two").value

    assert result.outcome.value in ("Success", "Skipped", "Failure")

    graph.world.step(timedelta(minutes=50))
    later = entra.provisioning.job().value
    assert later.last_cycle_began_at is not None
    assert later.last_cycle_began_at > START
    assert later.last_cycle_completed
    assert later.last_cycle_id != job.last_cycle_id


def test_on_demand_is_throttled_at_the_sixth(entra: Adapters) -> None:
    for _ in range(5):
        entra.provisioning.provision_on_demand(ADMINS, [ADA], client_request_id="same")

    with pytest.raises(Throttled):
        entra.provisioning.provision_on_demand(ADMINS, [ADA], client_request_id="same")
