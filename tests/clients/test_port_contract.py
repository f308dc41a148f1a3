"""One contract for the client ports, kept by the simulated world in-process and by the real adapters over HTTP.

Every case runs twice: through `tests.support.world_clients`, which the life cycle's thousands of tests stand on, and
through msgraph-sdk and boto3 against the simulator's fronts. So what those tests believe of a port is what the
adapters do. A method of a port without a case fails.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from clients import errors, ports
from clients.aws.cutting import Boto3MembershipRemoval
from clients.ports import MembershipRemoval
from clients.registry import Clients
from clients.types import (
    AssignmentOrder,
    GroupAssignment,
    OnDemandOutcome,
    PimRequestStatus,
    ProvisioningCode,
    Reading,
    RemovalOrder,
    TrailQuestion,
)
from simulator.world.happenings import happen
from tests.simulator.world.factory import START, Small, small_world
from tests.support.http_clients import http_clients
from tests.support.world_clients import Calls, world_clients
from tests.support.world_cutters import WorldRemoval

NOBODY = "00000000-0000-4000-8000-00000000dead"
PIM_POST = "graph.POST assignmentScheduleRequests"
# Ports that a process of its own uses, and where they are tested instead.
ELSEWHERE = {
    "SessionDenials": "writes policies, and has one adapter: tests/clients/test_simulated_cutting.py",
    "PersonalPim": "needs people who sign in: tests/clients/test_simulated_personal.py",
    "Notifier": "tells operators, not the clouds: tests/oversight/test_watching.py",
    "Postman": "writes to people, not to the clouds: tests/notifications/test_channels.py",
    "ObjectStore": "has no person in it, and one adapter: tests/clients/test_simulated_objects.py",
    "CallObserver": "is called by adapters, not asked",
}


@dataclass
class Cloud:
    """A small world and the ports over it, by whichever way."""

    small: Small
    clients: Clients
    removal: MembershipRemoval

    @property
    def store_group(self) -> str:
        return self.small.builder.store_group(self.small.group).id

    @property
    def store_ada(self) -> str:
        return self.small.user_id_in_store(self.small.ada)

    def order(self, *, hours: float = 2, tag: str = "grant:1", person: str = "") -> AssignmentOrder:
        return AssignmentOrder(
            group_id=self.small.group.id,
            principal_id=person or self.small.ada.id,
            starts_at=self.small.world.now(),
            ends_at=self.small.world.now() + timedelta(hours=hours),
            tag=tag,
            justification="rotate keys",
        )

    def assign(self, **changes: Any) -> None:
        self.clients.pim.assign(self.order(**changes), client_request_id="one")

    def remove(self) -> Reading[Any]:
        order = RemovalOrder(self.small.group.id, self.small.ada.id, tag="grant:1", justification="done")
        return self.clients.pim.remove(order, client_request_id="two")

    def carried(self) -> None:
        """Ada's membership is in AWS."""
        self.assign()
        self.small.step(minutes=41)


@pytest.fixture(params=["in-process", "http"])
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    small = small_world()
    with ExitStack() as stack:
        if request.param == "in-process":
            found, calls = world_clients(small.world)
            removal: MembershipRemoval = WorldRemoval(small.world, Calls(calls.made))
        else:
            folder = tmp_path_factory.getbasetemp() / "http-clients-keys"
            found, _ = stack.enter_context(http_clients(small.world, folder))
            center: Any = found.identity_center
            removal = Boto3MembershipRemoval(center._caller)
        yield Cloud(small, found, removal)


CASES: dict[str, list[Callable[[Cloud], None]]] = {}


def case(*methods: str) -> Callable[[Callable[[Cloud], None]], Callable[[Cloud], None]]:
    """This is a case of these methods, named `Port.method`."""

    def note(function: Callable[[Cloud], None]) -> Callable[[Cloud], None]:
        for method in methods:
            CASES.setdefault(method, []).append(function)
        return function

    return note


# --- EntraDirectory


@case("EntraDirectory.read_user")
def a_person_is_read(cloud: Cloud) -> None:
    ada = cloud.small.ada
    found = cloud.clients.directory.read_user(ada.id)
    assert found.receipt.vendor_request_id
    assert found.value is not None
    assert (found.value.object_id, found.value.user_principal_name) == (ada.id, ada.user_principal_name)
    assert (found.value.given_name, found.value.surname, found.value.mail) == ("Ada", "Moore", ada.mail)
    assert (found.value.enabled, found.value.guest, found.value.employee_id) == (True, False, "")
    happen(cloud.small.world, "person_disabled", {"person": ada.id})
    disabled = cloud.clients.directory.read_user(ada.id).value
    assert disabled is not None
    assert not disabled.enabled
    assert cloud.clients.directory.read_user(NOBODY).value is None


@case("EntraDirectory.read_manager")
def a_manager_is_read(cloud: Cloud) -> None:
    small, directory = cloud.small, cloud.clients.directory
    assert directory.read_manager(small.ada.id).value == ""
    small.ada.manager_id = small.bob.id
    assert directory.read_manager(small.ada.id).value == small.bob.id
    assert directory.read_manager(NOBODY).value == ""


@case("EntraDirectory.read_groups")
def groups_that_exist_are_read(cloud: Cloud) -> None:
    group = cloud.small.group
    group.is_assignable_to_role = True
    found = cloud.clients.directory.read_groups([group.id, NOBODY]).value
    assert [(each.object_id, each.display_name) for each in found] == [(group.id, group.display_name)]
    assert (found[0].security_enabled, found[0].role_assignable, found[0].dynamic) == (True, True, False)
    assert cloud.clients.directory.read_groups([NOBODY]).value == ()


@case("EntraDirectory.read_members")
def members_are_read_directly_and_through_groups(cloud: Cloud) -> None:
    small = cloud.small
    team = small.builder.group("Team")
    small.builder.member(team, small.bob)
    small.builder.member(small.group, team)
    direct = cloud.clients.directory.read_members(small.group.id).value
    assert (direct.users, direct.group_ids) == ((), (team.id,))
    flat = cloud.clients.directory.read_members(small.group.id, transitive=True).value
    assert [each.object_id for each in flat.users] == [small.bob.id]
    with pytest.raises(errors.NotFound):
        cloud.clients.directory.read_members(NOBODY)


@case("EntraDirectory.application_groups")
def groups_of_the_application_are_read(cloud: Cloud) -> None:
    small = cloud.small
    assert cloud.clients.directory.application_groups().value == {small.group.id, small.baseline.id}
    happen(small.world, "group_unassigned", {"group": small.group.id})
    assert cloud.clients.directory.application_groups().value == {small.baseline.id}


# --- EntraPim


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


# --- EntraProvisioning


@case("EntraProvisioning.job")
def the_job_is_read(cloud: Cloud) -> None:
    small, provisioning = cloud.small, cloud.clients.provisioning
    small.step(minutes=41)
    job = provisioning.job().value
    assert (job.code, job.interval, job.last_cycle_completed) == (
        ProvisioningCode.ACTIVE,
        timedelta(minutes=40),
        True,
    )
    assert job.last_cycle_began_at == START + timedelta(minutes=40)
    small.step(minutes=40)
    assert provisioning.job().value.last_cycle_id != job.last_cycle_id
    happen(small.world, "job_paused", {})
    assert provisioning.job().value.code is ProvisioningCode.PAUSED
    happen(small.world, "job_started", {})
    happen(small.world, "quarantine", {})
    ill = provisioning.job().value
    assert (ill.code, ill.quarantine_reason) == (
        ProvisioningCode.QUARANTINE,
        "EncounteredQuarantineException",
    )
    assert ill.next_attempt_at is not None


@case("EntraProvisioning.provision_on_demand")
def somebody_is_carried_on_demand_five_times_in_ten_seconds(cloud: Cloud) -> None:
    cloud.assign()
    group, ada = cloud.small.group.id, cloud.small.ada.id

    def carry() -> Reading[Any]:
        return cloud.clients.provisioning.provision_on_demand(group, [ada], client_request_id="three")

    first = carry()
    assert (first.value.outcome, first.receipt.client_request_id) == (OnDemandOutcome.SUCCESS, "three")
    assert cloud.small.in_aws(cloud.small.ada)
    assert carry().value.outcome is OnDemandOutcome.SKIPPED
    for _ in range(3):
        carry()
    with pytest.raises(errors.Throttled):
        carry()


# --- IdentityCenter


@case("IdentityCenter.instance", "IdentityCenter.permission_set_arns", "IdentityCenter.permission_set")
def instance_and_permission_sets_are_read(cloud: Cloud) -> None:
    center, state = cloud.clients.identity_center, cloud.small.world.state.identity_center
    instance = center.instance().value
    assert (instance.instance_arn, instance.identity_store_id) == (
        state.instance_arn,
        state.identity_store_id,
    )
    (arn,) = center.permission_set_arns().value
    found = center.permission_set(arn)
    assert found.receipt.vendor_request_id
    assert (found.value.name, found.value.session_duration) == ("EC2AdminAccess", timedelta(hours=1))
    assert found.value.managed_policies == (
        ("AmazonEC2FullAccess", "arn:aws:iam::aws:policy/AmazonEC2FullAccess"),
    )
    assert (found.value.inline_policy, found.value.permissions_boundary, found.value.tags) == ("", "", {})
    with pytest.raises(errors.NotFound):
        center.permission_set(arn[:-4] + "dead")


@case("IdentityCenter.permission_set")
def everything_in_a_permission_set_is_read(cloud: Cloud) -> None:
    made = cloud.small.permission_set
    made.description, made.relay_state, made.session_duration = "All of EC2", "https://example.org/", "PT4H"
    made.tags = {"owner": "team"}
    made.customer_managed_policies = [{"Path": "/x/", "Name": "Own"}]
    made.inline_policy = '{"Version":"2012-10-17","Statement":[]}'
    made.boundary = {"ManagedPolicyArn": "arn:aws:iam::aws:policy/PowerUserAccess"}
    found = cloud.clients.identity_center.permission_set(made.arn).value
    assert (found.description, found.relay_state, found.session_duration) == (
        "All of EC2",
        "https://example.org/",
        timedelta(hours=4),
    )
    assert (found.tags, found.customer_managed_policies) == ({"owner": "team"}, (("/x/", "Own"),))
    assert found.inline_policy == made.inline_policy
    assert found.permissions_boundary == "arn:aws:iam::aws:policy/PowerUserAccess"


@case("IdentityCenter.managed_policy_version", "IdentityCenter.managed_policy_document")
def what_an_aws_managed_policy_says_is_read(cloud: Cloud) -> None:
    center, arn = cloud.clients.identity_center, "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"
    version = center.managed_policy_version(arn)
    assert version.value.startswith("v")
    assert version.receipt.vendor_request_id
    statements = json.loads(center.managed_policy_document(arn, version.value).value)["Statement"]
    assert "acm:ListCertificates" in statements[0]["Action"]
    for unknown in ("arn:aws:iam::aws:policy/ViewOnlyAccess", "arn:aws:iam::aws:policy/Nothing"):
        with pytest.raises(errors.NotFound):
            center.managed_policy_version(unknown)
    with pytest.raises(errors.NotFound):
        center.managed_policy_document(arn, "v0")


@case("IdentityCenter.group_assignments")
def what_a_group_opens_is_read(cloud: Cloud) -> None:
    center = cloud.clients.identity_center
    arn = cloud.small.permission_set.arn
    assert center.group_assignments(cloud.store_group).value == (GroupAssignment("222233334444", arn),)
    assert center.group_assignments(NOBODY).value == ()


@case("IdentityCenter.groups", "IdentityCenter.users", "IdentityCenter.find_user")
def groups_and_people_of_the_store_are_read(cloud: Cloud) -> None:
    small, center = cloud.small, cloud.clients.identity_center
    groups = {each.display_name: each for each in center.groups().value}
    assert set(groups) == {small.group.display_name, small.baseline.display_name}
    assert small.group.id in groups[small.group.display_name].external_ids
    users = {each.user_name: each for each in center.users().value}
    assert set(users) == {small.ada.user_principal_name, small.bob.user_principal_name}
    ada = center.find_user(small.ada.user_principal_name).value
    assert ada == users[small.ada.user_principal_name]
    assert ada is not None
    assert (small.ada.id in ada.external_ids, ada.enabled) == (True, True)
    assert center.find_user("nobody@acme.example").value is None


@case("IdentityCenter.memberships", "IdentityCenter.membership", "IdentityCenter.group_memberships")
def memberships_are_read_back(cloud: Cloud) -> None:
    center, group, ada = cloud.clients.identity_center, cloud.store_group, cloud.store_ada
    assert center.memberships(ada, [group, NOBODY]).value == {group: False, NOBODY: False}
    assert center.membership(ada, group).value is None
    assert center.group_memberships(group).value == ()
    cloud.carried()
    assert center.memberships(ada, [group]).value == {group: True}
    held = center.membership(ada, group).value
    assert held is not None
    assert (held.group_id, held.user_id) == (group, ada)
    assert held.created_at is not None
    assert center.group_memberships(group).value == (held,)
    with pytest.raises(errors.NotFound):
        center.memberships(NOBODY, [group])
    with pytest.raises(errors.NotFound):
        center.group_memberships(NOBODY)


@case("IdentityCenter.groups", "IdentityCenter.users", "IdentityCenter.memberships")
def aws_that_throttles_for_long_is_throttled(cloud: Cloud) -> None:
    cloud.small.world.faults.add("aws.identitystore.*", "throttle", count=30)
    center, group, ada = cloud.clients.identity_center, cloud.store_group, cloud.store_ada
    for call in (center.groups, center.users, lambda: center.memberships(ada, [group])):
        with pytest.raises(errors.Throttled):
            call()


# --- Organization


@case("Organization.units", "Organization.accounts", "Organization.account_tags")
def the_organization_is_read(cloud: Cloud) -> None:
    small, organization = cloud.small, cloud.clients.organization
    unit = small.builder.unit("Production")
    inner = small.builder.unit("Web", unit.id)
    account = small.builder.account(
        "Shop", inner.id, account_id="333344445555", state="SUSPENDED", tags={"a": "b"}
    )
    units = {each.unit_id: each for each in organization.units().value}
    assert (units[inner.id].name, units[inner.id].parent_id) == ("Web", unit.id)
    assert [each.parent_id for each in units.values()].count("") == 1
    accounts = {each.account_id: each for each in organization.accounts().value}
    assert len(accounts) == 3
    found = accounts[account.id]
    assert (found.name, found.email, found.state, found.unit_id) == (
        "Shop",
        account.email,
        "SUSPENDED",
        inner.id,
    )
    assert organization.account_tags(account.id).value == {"a": "b"}
    assert organization.account_tags("222233334444").value == {}


# --- CloudTrail


@case("ActivityTrail.look_up")
def events_are_looked_up_in_one_account_and_region(cloud: Cloud) -> None:
    small, portal = cloud.small, cloud.small.world.access_portal
    small.world.switches.trail_delay_seconds = 0.0
    small.permission_set.session_duration = "PT12H"
    cloud.carried()
    session = portal.open_session(small.ada.id, small.account.id, "EC2AdminAccess")
    for _ in range(52):
        portal.act(session.id, "ec2:StopInstances")
    now = small.world.now()
    here = TrailQuestion(small.account.id, "eu-west-1", START, now, "Username", "ada@acme.example")
    first = cloud.clients.trail.look_up(here)
    assert first.receipt.vendor_request_id
    rest = cloud.clients.trail.look_up(here, page=first.value.next_page).value
    assert (len(first.value.events), len(rest.events), rest.next_page) == (50, 2, "")
    assert len({each.event_id for each in (*first.value.events, *rest.events)}) == 52
    found = rest.events[0]
    assert (found.source, found.name, found.error_code) == ("ec2.amazonaws.com", "StopInstances", "")
    assert (found.account_id, found.identity_type) == (small.account.id, "AssumedRole")
    assert found.principal_id == f"{portal.role_id(session)}:ada@acme.example"
    assert found.role_arn == small.world.identity_center.role_arn(small.account.id, small.permission_set)
    assert (found.at, found.session_started_at, found.store_user_id) == (now, now, "")
    assert cloud.clients.trail.look_up(replace(here, value="ada")).value.events == ()
    assert cloud.clients.trail.look_up(replace(here, region="us-east-1")).value.events == ()
    assert cloud.clients.trail.look_up(replace(here, ends_at=now - timedelta(minutes=1))).value.events == ()
    with pytest.raises(errors.Refused):
        cloud.clients.trail.look_up(here, page="nothing")
    owner = cloud.clients.identity_center.instance().value.owner_account_id
    opened = TrailQuestion(owner, "eu-west-1", START, now, "EventName", "Federate")
    (federate,) = cloud.clients.trail.look_up(opened).value.events
    assert (federate.source, federate.store_user_id) == ("sso.amazonaws.com", cloud.store_ada)
    assert (federate.opened_account_id, federate.opened_permission_set) == (
        small.account.id,
        "EC2AdminAccess",
    )


@case("ActivityTrail.look_up")
def what_one_account_refuses_is_said_of_that_account(cloud: Cloud) -> None:
    small = cloud.small
    small.world.faults.add(
        f"aws.cloudtrail.LookupEvents@{small.account.id}/*", "error", status=403, code="AccessDeniedException"
    )
    question = TrailQuestion(small.account.id, "eu-west-1", START, small.world.now())
    with pytest.raises(errors.NotPermitted):
        cloud.clients.trail.look_up(question)
    assert cloud.clients.trail.look_up(question).value.events == ()
    small.world.faults.add("aws.cloudtrail.*", "throttle", retry_after=3, count=2)
    with pytest.raises(errors.Throttled):
        cloud.clients.trail.look_up(question)


# --- The product's own standing, and the remover


@case("EntraStanding.identity", "AwsStanding.identity")
def the_worker_knows_who_it_is(cloud: Cloud) -> None:
    entra = cloud.clients.entra_standing.identity().value
    assert entra.tenant_id == cloud.small.world.state.tenant_id
    assert "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup" in entra.roles
    aws = cloud.clients.aws_standing.identity().value
    assert aws.account_id == cloud.small.world.state.organization.management_account_id
    for skew in (entra.clock_skew, aws.clock_skew):
        assert skew is not None
        assert abs(skew) < timedelta(seconds=30)


@case("MembershipRemoval.membership", "MembershipRemoval.delete")
def a_membership_is_deleted_once(cloud: Cloud) -> None:
    cloud.carried()
    held = cloud.removal.membership(cloud.store_ada, cloud.store_group).value
    assert held is not None
    cloud.removal.delete(held.membership_id, client_request_id="four")
    assert cloud.removal.membership(cloud.store_ada, cloud.store_group).value is None
    with pytest.raises(errors.NotFound):
        cloud.removal.delete(held.membership_id, client_request_id="five")


# --- The suite itself


ALL = sorted(
    {function for functions in CASES.values() for function in functions}, key=lambda each: each.__name__
)


@pytest.mark.parametrize("check", ALL, ids=lambda each: each.__name__)
def test_contract(cloud: Cloud, check: Callable[[Cloud], None]) -> None:
    check(cloud)


def test_every_method_of_a_port_has_a_case() -> None:
    protocols = {
        name: port
        for name, port in vars(ports).items()
        if getattr(port, "_is_protocol", False) and name != "Protocol"
    }
    methods = {
        f"{name}.{method}"
        for name, port in protocols.items()
        if name not in ELSEWHERE
        for method, _ in inspect.getmembers(port, inspect.isfunction)
        if not method.startswith("_")
    }
    assert set(CASES) == methods
    assert set(ELSEWHERE) <= set(protocols)
