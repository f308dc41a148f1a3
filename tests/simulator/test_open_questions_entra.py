"""The product's adapters, over HTTP, with both answers to what isn't documented of Entra."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from clients import errors
from clients.types import OnDemandOutcome, PimRequestStatus
from tests.clients.test_simulated_graph import DOCUMENTED, Adapters, everything, order, removal
from tests.simulator.entra.graph.running import RunningGraph, running_graph
from tests.simulator.entra.graph.small_world import ADA, ADMINS, BEN

NOBODY = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGraph]:
    with running_graph(tmp_path_factory.getbasetemp() / "clients-graph-keys") as running:
        yield running


@pytest.fixture
def entra(graph: RunningGraph) -> Iterator[Adapters]:
    adapters = Adapters(graph)
    yield adapters
    adapters.caller.close()


@pytest.mark.parametrize("echoed", [True, False])
def test_our_tag_comes_back(graph: RunningGraph, entra: Adapters, echoed: bool) -> None:
    graph.world.switches.echo_ticket_info = echoed
    assert entra.pim.assign(order(), client_request_id="one").value.tag == "grant:1"
    assert [each.tag for each in entra.pim.requests(ADMINS, ADA).value] == ["grant:1"]


@pytest.mark.parametrize("reaches", [True, False])
def test_removing_what_has_not_begun(graph: RunningGraph, entra: Adapters, reaches: bool) -> None:
    graph.world.switches.admin_remove_reaches_future = reaches
    made = entra.pim.assign(order(starts_in=timedelta(hours=1)), client_request_id="one").value
    assert made.status is PimRequestStatus.GRANTED
    if reaches:
        assert entra.pim.remove(removal(), client_request_id="two").value.status is PimRequestStatus.REVOKED
    else:
        with pytest.raises(errors.NothingToRemove, match="must be read before going on"):
            entra.pim.remove(removal(), client_request_id="two")
    graph.world.clock.step(timedelta(hours=1, minutes=10))
    held = entra.pim.assignments(ADMINS, principal_id=ADA).value
    assert bool(held) is not reaches, "only reading tells"
    if held:
        entra.pim.remove(removal(), client_request_id="three")
        assert entra.pim.assignments(ADMINS, principal_id=ADA).value == ()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SubjectNotFound", errors.Unreachable),
        ("ResourceNotFound", errors.NotFound),
        ("Request_ResourceNotFound", errors.NotFound),
    ],
)
def test_somebody_whom_pim_does_not_know(
    graph: RunningGraph, entra: Adapters, code: str, kind: type[errors.ClientError]
) -> None:
    """Known to pass within a minute, or refused with a reason; never of unknown outcome, which would have to be undone."""
    graph.world.switches.missing_principal_code = code
    with pytest.raises(kind) as caught:
        entra.pim.assign(order(person=NOBODY), client_request_id="one")
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert caught.value.sentence.endswith(".")


@pytest.mark.parametrize("code", ["ResourceNotFound", "SubjectNotFound", "InvalidRoleAssignmentRequest"])
def test_a_group_that_pim_does_not_know(graph: RunningGraph, entra: Adapters, code: str) -> None:
    graph.world.switches.missing_group_code = code
    with pytest.raises(errors.ClientError) as caught:
        entra.pim.assign(order(group=NOBODY), client_request_id="one")
    assert not isinstance(caught.value, errors.OutcomeUnknown), "nothing that would have to be undone"
    assert caught.value.code == code
    assert caught.value.sentence.endswith(".")


@pytest.mark.parametrize("most", [0, 3])
def test_pim_may_have_limits_of_its_own(graph: RunningGraph, entra: Adapters, most: int) -> None:
    graph.world.switches.pim_calls_per_ten_seconds = most
    for _ in range(3):
        entra.pim.assignments(ADMINS)
    if not most:
        assert entra.pim.assignments(ADMINS).value == ()
        return
    with pytest.raises(errors.Throttled) as caught:
        entra.pim.assignments(ADMINS)
    assert timedelta(0) < caught.value.retry_after <= timedelta(seconds=10)


@pytest.mark.parametrize("strict", [True, False])
def test_the_documented_permissions_read_requests(graph: RunningGraph, entra: Adapters, strict: bool) -> None:
    graph.world.switches.read_requests_needs_read_write = strict
    entra.pim.assign(order(), client_request_id="one")
    assert [each.tag for each in entra.pim.requests(ADMINS, ADA).value] == ["grant:1"]
    reading = tuple(each.replace("ReadWrite.AzureADGroup", "Read.AzureADGroup") for each in DOCUMENTED)
    less = Adapters(graph, reading)
    try:
        if strict:
            with pytest.raises(errors.NotPermitted):
                less.pim.requests(ADMINS, ADA)
        else:
            assert less.pim.requests(ADMINS, ADA).value
    finally:
        less.caller.close()


@pytest.mark.parametrize("may", [True, False])
def test_whose_manager_an_application_may_read(graph: RunningGraph, entra: Adapters, may: bool) -> None:
    graph.world.switches.application_reads_managers = may
    if may:
        assert entra.directory.read_manager(ADA).value == BEN
        return
    with pytest.raises(errors.NotPermitted):
        entra.directory.read_manager(ADA)


@pytest.mark.parametrize("listed", [True, False])
def test_an_application_that_owns_a_group_is_nobody(
    graph: RunningGraph, entra: Adapters, listed: bool
) -> None:
    graph.world.switches.owners_list_applications = listed
    with graph.front.lock:
        graph.world.directory.add_owner(ADMINS, graph.world.directory.application.id)
        graph.world.directory.add_owner(ADMINS, BEN)
    assert len(graph.values(f"/groups/{ADMINS}/owners")) == (2 if listed else 1)
    assert entra.directory.read_owners(ADMINS).value == (BEN,)


@pytest.mark.parametrize("works", [True, False])
def test_names_do_not_come_from_expanding(graph: RunningGraph, entra: Adapters, works: bool) -> None:
    graph.world.switches.expand_group_works = works
    everything(entra)
    (found,) = entra.directory.read_groups([ADMINS]).value
    assert found.display_name == "AWS - Amazon EC2 Admin"
    assert entra.pim.assignments(ADMINS, principal_id=ADA).value[0].group_id == ADMINS


@pytest.mark.parametrize("one", [True, False])
def test_the_rule_that_carries_groups_is_found(graph: RunningGraph, entra: Adapters, one: bool) -> None:
    graph.world.switches.one_rule_for_users_and_groups = one
    assert entra.provisioning.job().value.rule_id == graph.world.provisioning.job.rule_group
    entra.pim.assign(order(), client_request_id="one")
    carried = entra.provisioning.provision_on_demand(ADMINS, [ADA], client_request_id="two").value
    assert carried.outcome is OnDemandOutcome.SUCCESS
