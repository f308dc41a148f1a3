"""Cases of EntraPim."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from clients import errors
from clients.types import PimRequestStatus
from simulator.world.happenings import happen
from tests.clients.ports.cloud import NOBODY, Cloud, case
from tests.simulator.world.factory import START

PIM_POST = "graph.POST assignmentScheduleRequests"


@case("EntraPim.group_eligibilities", "EntraPim.principal_eligibilities")
def eligibilities_are_read_from_both_sides(cloud: Cloud) -> None:
    small, pim = cloud.small, cloud.clients.pim
    small.builder.eligible(small.group, small.bob, ends_in=timedelta(days=3))
    by_group = {each.principal_id: each for each in pim.group_eligibilities(small.group.id).value}
    assert set(by_group) == {small.ada.id, small.bob.id}
    assert by_group[small.ada.id].ends_at is None
    assert by_group[small.bob.id].ends_at == START + timedelta(days=3)
    assert not by_group[small.bob.id].through_group
    assert pim.principal_eligibilities(small.bob.id).value == (by_group[small.bob.id],)
    happen(small.world, "eligibility_ended", {"group": small.group.id, "person": small.bob.id})
    assert pim.principal_eligibilities(small.bob.id).value == ()
    assert pim.group_eligibilities(small.baseline.id).value == ()


@case("EntraPim.group_policy")
def a_policy_is_read(cloud: Cloud) -> None:
    small = cloud.small
    usual = cloud.clients.pim.group_policy(small.group.id).value
    assert (usual.activation_maximum, usual.assignment_maximum) == (timedelta(hours=8), timedelta(days=180))
    assert (usual.requires_justification, usual.requires_approval, usual.authentication_context) == (
        True,
        False,
        "",
    )
    small.world.policies.change(
        small.group.id,
        activation_maximum="PT30M",
        activation_rules=["MultiFactorAuthentication", "Ticketing"],
        approval_required=True,
        approver_users=[small.bob.id],
        authentication_context="c2",
        assignment_expiration_required=False,
    )
    changed = cloud.clients.pim.group_policy(small.group.id).value
    assert (changed.activation_maximum, changed.assignment_maximum) == (timedelta(minutes=30), None)
    assert (changed.requires_mfa, changed.requires_ticket, changed.requires_justification) == (
        True,
        True,
        False,
    )
    assert (changed.requires_approval, changed.authentication_context) == (True, "c2")
    assert (changed.approver_people, changed.approver_groups) == ((small.bob.id,), ())


@case("EntraPim.assign", "EntraPim.assignments", "EntraPim.requests", "EntraPim.remove")
def an_assignment_comes_is_read_back_and_goes(cloud: Cloud) -> None:
    small, pim = cloud.small, cloud.clients.pim
    made = pim.assign(cloud.order(), client_request_id="one")
    assert made.receipt.client_request_id == "one"
    assert (made.value.status, made.value.tag) == (PimRequestStatus.PROVISIONED, "grant:1")
    assert made.value.ends_at == START + timedelta(hours=2)
    (held,) = pim.assignments(small.group.id, principal_id=small.ada.id).value
    assert (held.schedule_id, held.ends_at, held.activated) == (
        made.value.schedule_id,
        made.value.ends_at,
        False,
    )
    assert pim.assignments(small.group.id).value == (held,)
    assert pim.assignments(small.group.id, principal_id=small.bob.id).value == ()

    with pytest.raises(errors.TooYoungToRemove):
        cloud.remove()
    small.step(minutes=6)
    assert cloud.remove().receipt.client_request_id == "two"
    assert pim.assignments(small.group.id).value == ()
    with pytest.raises(errors.NothingToRemove):
        cloud.remove()
    asked = pim.requests(small.group.id, small.ada.id).value
    assert [(each.action, each.tag) for each in asked] == [
        ("adminRemove", "grant:1"),
        ("adminAssign", "grant:1"),
    ]


@case("EntraPim.extend")
def the_end_of_an_assignment_moves_under_a_new_mark(cloud: Cloud) -> None:
    small, pim = cloud.small, cloud.clients.pim
    cloud.assign()
    moved = pim.extend(cloud.order(tag="grant:2", hours=3), client_request_id="two")
    assert moved.receipt.client_request_id == "two"
    assert moved.value.tag == "grant:2"
    (held,) = pim.assignments(small.group.id, principal_id=small.ada.id).value
    assert held.ends_at == START + timedelta(hours=3)
    small.world.switches.update_reaches_running = False
    with pytest.raises(errors.Refused):
        pim.extend(cloud.order(tag="grant:3", hours=4), client_request_id="three")
    assert pim.assignments(small.group.id, principal_id=small.ada.id).value == (held,)


@case("EntraPim.assign")
def a_second_assignment_and_what_the_rules_refuse(cloud: Cloud) -> None:
    cloud.assign()
    with pytest.raises(errors.AlreadyAssigned):
        cloud.assign(tag="grant:2")
    with pytest.raises(errors.PolicyRefused) as refused:
        cloud.assign(person=cloud.small.bob.id, hours=24 * 400)
    assert refused.value.rules == ("ExpirationRule",)
    with pytest.raises(errors.Unreachable) as unknown:
        cloud.assign(person=NOBODY)
    assert unknown.value.code == "SubjectNotFound"


@case("EntraPim.requests")
def the_tag_is_found_where_tickets_are_forgotten(cloud: Cloud) -> None:
    cloud.small.world.switches.echo_ticket_info = False
    cloud.assign()
    (asked,) = cloud.clients.pim.requests(cloud.small.group.id, cloud.small.ada.id).value
    assert asked.tag == "grant:1"


def _lost_write(kind: str, held: int) -> Callable[[Cloud], None]:
    def lost(cloud: Cloud) -> None:
        cloud.small.world.faults.add(PIM_POST, kind, status=503)
        with pytest.raises(errors.OutcomeUnknown):
            cloud.assign()
        assert len(cloud.clients.pim.assignments(cloud.small.group.id).value) == held

    lost.__name__ = f"a_write_{kind}_is_in_doubt"
    return lost


for _kind, _held in (("lose_request", 0), ("lose_answer", 1), ("error", 0), ("error_after", 1)):
    case("EntraPim.assign")(_lost_write(_kind, _held))


@case("EntraPim.assign", "EntraPim.assignments")
def throttling_is_passed_on_with_its_wait(cloud: Cloud) -> None:
    cloud.small.world.faults.add("graph.*", "throttle", retry_after=23, count=2)
    for call in (cloud.assign, lambda: cloud.clients.pim.assignments(cloud.small.group.id)):
        with pytest.raises(errors.Throttled) as refused:
            call()
        # The adapters' own limiter keeps the wait, so the second call isn't even sent.
        assert timedelta(seconds=20) < refused.value.retry_after <= timedelta(seconds=23)
