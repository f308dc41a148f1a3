"""`manage.py doctor`: a tenant in order passes, and each broken link of the chain is planted and found."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from clients import errors
from clients.registry import Clients, using
from oversight.doctor import Finding, Level, examine
from oversight.doctor.ends import end_finding
from oversight.doctor.identities import NEEDED_ROLES, PIM_READ, PIM_REMOVE, PIM_WRITE, roles, skew
from tests.simulator.world.factory import Small, small_world
from tests.support.http_clients import http_clients
from tests.support.world_clients import world_clients
from tests.support.world_standing import DOCUMENTED_ROLES

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class Tenant:
    """A small world in order, one managed group, and the ports over it."""

    small: Small
    clients: Clients
    settings: Settings
    allowed: Path

    def examine(self) -> list[Finding]:
        with using(self.clients):
            return list(examine())

    def broken(self) -> dict[str, Finding]:
        return {each.check: each for each in self.examine() if each.level is Level.BROKEN}

    def run(self, *arguments: str) -> tuple[int, str]:
        """The command's exit status and output."""
        out = StringIO()
        with using(self.clients):
            try:
                call_command("doctor", *arguments, stdout=out)
            except CommandError as error:
                return error.returncode, out.getvalue()
        return 0, out.getvalue()


@pytest.fixture
def tenant(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    small = small_world()
    small.step(minutes=45)  # a cycle has ended
    allowed = tmp_path / "managed-groups.txt"
    allowed.write_text(small.group.id + "\n")
    settings.PORTAL_MANAGED_GROUPS_FILE = str(allowed)
    settings.ENTRA_TENANT_ID = small.world.state.tenant_id
    later = f"{datetime.now(UTC) + timedelta(days=200):%Y-%m-%d}"
    settings.ENTRA_AWS_CERTIFICATE_ENDS = settings.AWS_SCIM_TOKEN_ENDS = later
    monkeypatch.setattr("oversight.doctor.examining.business_now", small.world.now)
    return Tenant(small, world_clients(small.world)[0], settings, allowed)


def test_a_tenant_in_order_passes(tenant: Tenant) -> None:
    found = tenant.examine()
    assert [each for each in found if each.level is not Level.GOOD] == []
    assert "group" in {each.check for each in found}
    assert tenant.run()[0] == 0


# --- Broken links of a group's chain, each planted alone: what is done to the world, and which check says it.


def unsecured(small: Small) -> None:
    small.group.security_enabled = False


def dynamic(small: Small) -> None:
    small.group.group_types.append("DynamicMembership")


def synced(small: Small) -> None:
    small.group.on_premises_sync_enabled = True


def role_assignable(small: Small) -> None:
    small.group.is_assignable_to_role = True


def unassigned(small: Small) -> None:
    small.world.directory.unassign_from_application(small.group.id)


def deleted(small: Small) -> None:
    small.world.directory.delete_group(small.group.id)


def never_provisioned(small: Small) -> None:
    groups = small.world.state.identity_center.groups
    del groups[small.builder.store_group(small.group).id]


def another_of_the_name(small: Small) -> None:
    small.builder.store_group(small.group).external_id = "00000000-0000-4000-8000-00000000dead"


def opens_nothing(small: Small) -> None:
    small.world.state.identity_center.assignments.clear()


def too_short(small: Small) -> None:
    small.world.policies.change(small.group.id, activation_maximum="PT3M")


def too_short_by_administrators(small: Small) -> None:
    small.world.policies.change(small.group.id, assignment_maximum="PT4M")


def nameless(small: Small) -> None:
    small.ada.surname = None


def without_a_display_name(small: Small) -> None:
    small.ada.display_name = ""


def before_any_cycle(small: Small) -> None:
    small.world.provisioning.job.last = None


def paused(small: Small) -> None:
    small.world.provisioning.pause()


def quarantined(small: Small) -> None:
    small.world.provisioning.quarantine("EncounteredQuarantineException")


LINKS: list[tuple[Callable[[Small], None], str, str]] = [
    (unsecured, "group.kind", "isn't a security group"),
    (dynamic, "group.kind", "dynamic membership"),
    (synced, "group.kind", "on-premises"),
    (role_assignable, "group.kind", "roles of the directory"),
    (unassigned, "group.application", "isn't assigned"),
    (deleted, "group.exists", "no group with this object id"),
    (never_provisioned, "group.identity-center", "doesn't have it"),
    (another_of_the_name, "group.identity-center", "belongs to another"),
    (opens_nothing, "group.assignments", "no permission set"),
    (too_short, "group.policy", "an activation for 0:03:00"),
    (too_short_by_administrators, "group.policy", "an assignment by an administrator for 0:04:00"),
    (nameless, "group.people", "no surname"),
    (without_a_display_name, "group.people", "no display name"),
    (before_any_cycle, "provisioning.cycles", "No cycle has ended yet."),
    (paused, "provisioning.job", "Paused"),
    (quarantined, "provisioning.job", "Quarantine (EncounteredQuarantineException)"),
]
each_link = pytest.mark.parametrize(
    ("plant", "check", "says"), LINKS, ids=[link[0].__name__ for link in LINKS]
)


@each_link
def test_a_broken_link_is_found(
    tenant: Tenant, plant: Callable[[Small], None], check: str, says: str
) -> None:
    plant(tenant.small)
    broken = tenant.broken()
    assert set(broken) == {check}
    assert says in broken[check].what
    assert broken[check].why
    assert broken[check].mend
    status, text = tenant.run("--quiet")
    assert status == 1
    assert says in text
    assert "mend: " in text


def test_what_is_only_worth_mending_doesnt_fail(tenant: Tenant) -> None:
    tenant.small.world.pim.end_eligibility(tenant.small.group.id, tenant.small.ada.id)
    tenant.small.builder.store_group(tenant.small.group).external_id = None
    last = tenant.small.world.provisioning.job.last
    assert last is not None
    last.state = "Failed"
    (failed, named, nobody) = [each for each in tenant.examine() if each.level is not Level.GOOD]
    assert (failed.check, failed.level, failed.what) == (
        "provisioning.cycles",
        Level.WARNING,
        "The last cycle failed.",
    )
    assert (named.check, named.level) == ("group.identity-center", Level.WARNING)
    assert (nobody.check, nobody.what) == ("group.eligible", "Nobody is eligible for it.")
    assert tenant.run()[0] == 0


def test_people_are_found_through_a_group(tenant: Tenant) -> None:
    small = tenant.small
    team = small.builder.group("Team")
    small.builder.member(team, small.bob)
    small.builder.eligible(small.group, team)
    small.bob.given_name = ""
    assert "bob@acme.example is eligible and has no given name" in tenant.broken()["group.people"].what


def test_cycles_that_dont_end_are_found(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "oversight.doctor.examining.business_now", lambda: tenant.small.world.now() + timedelta(hours=3)
    )
    assert "The last cycle ended at" in tenant.broken()["provisioning.cycles"].what


# --- Permissions, identities, ends and clocks


@pytest.mark.parametrize("missing", [name for name, _, _ in NEEDED_ROLES] + ["Application.ReadWrite.OwnedBy"])
def test_a_missing_permission_is_named(tenant: Tenant, missing: str) -> None:
    standing: Any = tenant.clients.entra_standing
    standing.answer = replace(standing.answer, roles=DOCUMENTED_ROLES - {missing})
    assert missing in tenant.broken()["entra.permissions"].what


def test_permissions_that_do_as_well_and_those_that_are_too_much() -> None:
    usual = world_clients(small_world().world)[0].entra_standing.identity().value
    without = DOCUMENTED_ROLES - {"Application.ReadWrite.OwnedBy"}

    def levels(*more: str) -> list[Level]:
        return [each.level for each in roles(replace(usual, roles=frozenset({*without, *more})))]

    assert levels("Application.Read.All", "Synchronization.ReadWrite.All") == [Level.GOOD]
    assert levels("Application.Read.All", "Synchronization.Read.All") == [Level.GOOD, Level.WARNING]
    assert levels("Application.ReadWrite.OwnedBy", "Directory.ReadWrite.All") == [Level.GOOD, Level.WARNING]


def test_where_every_group_is_activated_as_the_person_reading_pim_is_enough() -> None:
    usual = world_clients(small_world().world)[0].entra_standing.identity().value
    reads = DOCUMENTED_ROLES - {PIM_WRITE} | {PIM_READ}

    def levels(*more: str, as_person: bool = True) -> list[Level]:
        found = replace(usual, roles=frozenset({*reads, *more}))
        return [each.level for each in roles(found, as_person=as_person)]

    assert levels(PIM_REMOVE) == [Level.GOOD]
    assert levels() == [Level.GOOD, Level.WARNING]
    assert levels(PIM_REMOVE, as_person=False) == [Level.BROKEN]


def test_the_needed_permissions_are_those_of_the_document() -> None:
    table = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text(encoding="utf-8")
    for name in {*(name for name, _, _ in NEEDED_ROLES), *DOCUMENTED_ROLES}:
        assert f"\n| `{name}` |" in table


def test_a_certificate_of_the_worker_that_ended_is_found(tenant: Tenant) -> None:
    standing: Any = tenant.clients.entra_standing
    standing.answer = replace(standing.answer, credential_ends_at=datetime(2026, 1, 31, tzinfo=UTC))
    assert tenant.broken()["entra.worker-certificate"].what == "It ended on 2026-01-31."


def test_another_tenant_is_found(tenant: Tenant) -> None:
    tenant.settings.ENTRA_TENANT_ID = "00000000-0000-4000-8000-000000000000"
    assert "the portal is set to 00000000" in tenant.broken()["entra.tenant"].what


@pytest.mark.parametrize(
    ("operation", "check", "action"),
    [
        ("graph.GET jobs", "provisioning.job", "Application.ReadWrite.OwnedBy"),
        ("graph.GET appRoleAssignedTo", "application.groups", "Application.ReadWrite.OwnedBy"),
        ("graph.GET groups", "group.exists", "GroupMember.Read.All"),
        ("graph.GET eligibilityScheduleInstances", "group.eligible", "PrivilegedEligibilitySchedule.Read"),
        ("graph.GET users", "group.people", "User.Read.All"),
        ("graph.GET roleManagementPolicyAssignments", "group.policy", "RoleManagementPolicy.Read"),
        ("entra.POST token", "entra.sign-in", "a valid credential"),
        ("aws.sts.GetCallerIdentity", "aws.sign-in", "AWS credentials"),
        ("aws.sso-admin.ListPermissionSets", "aws.reads", "sso:ListPermissionSets"),
        (
            "aws.sso-admin.ListAccountAssignmentsForPrincipal",
            "group.assignments",
            "sso:ListAccountAssignments",
        ),
        ("aws.identitystore.ListGroups", "aws.reads", "identitystore:ListGroups"),
        ("aws.identitystore.IsMemberInGroups", "aws.reads", "identitystore:IsMemberInGroups"),
        ("aws.organizations.ListTagsForResource", "aws.reads", "organizations:ListTagsForResource"),
    ],
)
def test_a_refused_or_silent_read_is_broken_and_the_rest_is_still_looked_at(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, operation: str, check: str, action: str
) -> None:
    port = type(tenant.clients.directory).__mro__[1]
    usual = port._answer  # type: ignore[attr-defined]  # the one door of the in-process ports

    def answer(self: Any, asked: str, *rest: Any, **options: Any) -> Any:
        if asked == operation:
            raise errors.NotPermitted("Refused for lack of a permission.", code="403")
        return usual(self, asked, *rest, **options)

    monkeypatch.setattr(port, "_answer", answer)
    refused = tenant.broken()
    assert action in refused[check].mend
    monkeypatch.undo()
    monkeypatch.setattr("oversight.doctor.examining.business_now", tenant.small.world.now)
    tenant.small.world.faults.add(operation, "lose_request", count=9)
    assert "answer" in tenant.broken()[check].what
    assert any(each.check == "aws.reads" for each in tenant.examine() if each.level is Level.GOOD)


def test_no_list_and_no_settings_are_broken(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant.allowed.write_text("nonsense\n")
    assert "no Entra object id" in tenant.broken()["configuration"].what

    def refuse() -> Clients:
        raise errors.NotPermitted("Set exactly one of the credentials.")

    monkeypatch.setattr("oversight.doctor.examining.clients", refuse)
    assert [each.check for each in examine()] == ["configuration", "configuration"]


def test_ends_are_recorded_by_an_operator(tenant: Tenant) -> None:
    tenant.settings.ENTRA_AWS_CERTIFICATE_ENDS, tenant.settings.AWS_SCIM_TOKEN_ENDS = "", "next year"
    unknown = {each.check: each for each in tenant.examine() if each.level is Level.UNKNOWN}
    assert "ENTRA_AWS_CERTIFICATE_ENDS" in unknown["application.certificate"].mend
    assert "no date" in unknown["provisioning.token"].what
    assert tenant.run()[0] == 0, "what isn't recorded breaks nothing by itself"
    tenant.settings.AWS_SCIM_TOKEN_ENDS = "2020-01-31"
    assert "It ended on 2020-01-31" in tenant.broken()["provisioning.token"].what
    for days, level in ((-1, Level.BROKEN), (29, Level.WARNING), (31, Level.GOOD)):
        assert end_finding("x", "x", NOW + timedelta(days=days), now=NOW).level is level


def test_clocks_that_differ_are_found(tenant: Tenant) -> None:
    standing: Any = tenant.clients.aws_standing
    standing.skew = timedelta(minutes=-6)
    assert "360 s behind" in tenant.broken()["aws.clock"].what
    assert skew("x", "X", timedelta(seconds=40)).level is Level.WARNING
    assert skew("x", "X", None).level is Level.UNKNOWN


def test_the_report_as_json(tenant: Tenant) -> None:
    opens_nothing(tenant.small)
    status, text = tenant.run("--json")
    report = json.loads(text)
    assert status == 1
    assert report["counts"]["broken"] == 1
    (row,) = [each for each in report["findings"] if each["level"] == "broken"]
    assert set(row) == {"check", "level", "about", "what", "why", "mend"}
    assert row["about"] == "AWS - Amazon EC2 Admin"


def test_every_check_is_in_the_document(tenant: Tenant) -> None:
    document = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    sources = (Path(__file__).parents[2] / "oversight" / "doctor").glob("*.py")

    named = set(
        re.findall(
            r'"((?:anchors|entra|aws|group|provisioning|application)\.[a-z-]+)"',
            "".join(f.read_text() for f in sources),
        )
    )
    assert len(named) > 15
    assert {name for name in named if f"`{name}`" not in document} == set()


# --- The same over HTTP, by the real adapters


@pytest.fixture
def over_http(tenant: Tenant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tenant, Any]]:
    folder = tmp_path_factory.getbasetemp() / "http-clients-keys"
    with http_clients(tenant.small.world, folder) as (found, provider):
        yield replace(tenant, clients=found), provider


@pytest.mark.proof
def test_over_http_a_tenant_in_order_passes_and_nothing_is_written(over_http: tuple[Tenant, Any]) -> None:
    tenant, provider = over_http
    before = repr(tenant.small.world.state)
    provider.registrations.set_worker_permissions(tuple(DOCUMENTED_ROLES))
    found = tenant.examine()
    assert [each for each in found if each.level is not Level.GOOD] == []
    assert {"entra.clock", "aws.clock", "entra.permissions"} <= {each.check for each in found}
    assert repr(tenant.small.world.state) == before


@pytest.mark.proof
def test_over_http_broken_links_are_found(over_http: tuple[Tenant, Any]) -> None:
    tenant, provider = over_http
    unassigned(tenant.small)
    nameless(tenant.small)
    quarantined(tenant.small)
    held = set(provider.registrations.worker.permissions)
    provider.registrations.set_worker_permissions(
        tuple(held - {"PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup"})
    )
    broken = tenant.broken()
    assert set(broken) == {"entra.permissions", "provisioning.job", "group.application", "group.people"}
    provider.registrations.set_worker_permissions(())
    assert {"entra.permissions", "application.groups", "provisioning.job", "group.exists"} <= set(
        tenant.broken()
    )
