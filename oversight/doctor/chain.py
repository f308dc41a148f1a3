"""One managed group's chain: Entra group, enterprise application, IAM Identity Center, account assignments, PIM, people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from clients.registry import Clients
from clients.types import DirectoryGroup, DirectoryUser, PimEligibility
from oversight.doctor.aws import Store
from oversight.doctor.findings import Finding, Level, ask, good

SHORTEST = timedelta(minutes=5)  # PIM refuses shorter assignments
NAMES = ("display_name", "given_name", "surname")  # and the user name, which nobody lacks


@dataclass
class Links:
    """What is known beforehand, and people who were read for a group before."""

    clients: Clients
    assigned: frozenset[str] | None  # None: couldn't be read, which another check says
    store: Store | None
    people: dict[str, DirectoryUser | None] = field(default_factory=dict)


def chain(links: Links, group_id: str) -> Iterator[Finding]:
    """Every link of one group, as far as the one before holds."""
    found = ask(
        "group.exists",
        group_id,
        lambda: links.clients.directory.read_groups([group_id]),
        needs="GroupMember.Read.All",
        why="The group can't be asked for.",
    )
    if not found:
        yield Finding(
            "group.exists",
            Level.BROKEN,
            group_id,
            "Entra has no group with this object id.",
            "It is on the list of managed groups, and nobody can ask for it. A group that was made anew has another id.",
            "Correct the list (PORTAL_MANAGED_GROUPS_FILE).",
        )
        return
    group = found[0]
    problems = [*_kind(group), *_application(links, group), *_in_aws(links, group), *_policy(links, group)]
    problems += _eligible(links, group)
    yield from problems
    if all(each.level is Level.GOOD for each in problems):
        yield good("group", group.display_name, "Every link holds.")


def _broken(check: str, group: DirectoryGroup, what: str, why: str, mend: str) -> Finding:
    return Finding(check, Level.BROKEN, group.display_name, what, why, mend)


def _kind(group: DirectoryGroup) -> Iterator[Finding]:
    if not group.security_enabled:
        yield _broken(
            "group.kind",
            group,
            "It isn't a security group.",
            "Provisioning carries security groups only.",
            "Make a security group for this access, and put its id on the list.",
        )
    if group.dynamic or group.synced_from_on_premises:
        what = "It has dynamic membership." if group.dynamic else "It is synchronised from on-premises."
        yield _broken(
            "group.kind",
            group,
            what,
            "PIM can't manage such a group.",
            "Make a group of the cloud with assigned membership for this access, and put its id on the list.",
        )
    if group.role_assignable:
        yield _broken(
            "group.kind",
            group,
            "It can carry roles of the directory.",
            "The portal refuses such a group, because membership could mean far more than access to AWS.",
            "Make a group that can't for this access, and put its id on the list.",
        )


def _application(links: Links, group: DirectoryGroup) -> Iterator[Finding]:
    if links.assigned is not None and group.object_id.lower() not in links.assigned:
        yield _broken(
            "group.application",
            group,
            "It isn't assigned to the enterprise application.",
            "Provisioning carries assigned groups only: access would never arrive.",
            "Assign the group to the enterprise application (Users and groups).",
        )


def _in_aws(links: Links, group: DirectoryGroup) -> Iterator[Finding]:
    if links.store is None:
        return
    join = links.store.joins.join(group.object_id, group.display_name, before="")
    if join.problem:
        why = "The portal can't tell what the group opens, and refuses requests for it."
        mend = "Delete the stale group in IAM Identity Center, and provision this one anew."
        yield _broken("group.identity-center", group, join.problem, why, mend)
        return
    if not join.store_group_id:
        yield _broken(
            "group.identity-center",
            group,
            "IAM Identity Center doesn't have it.",
            "Nothing can be assigned to it in AWS.",
            "Provision it on demand, once, on the enterprise application's provisioning page.",
        )
        return
    if join.matched_by == "name":
        yield Finding(
            "group.identity-center",
            Level.WARNING,
            group.display_name,
            "Its twin in IAM Identity Center carries no external id, and was found by its name.",
            "A group of the same name that is made later would be taken for it.",
            "Map objectId to externalId for groups in the provisioning settings, and provision it anew.",
        )
    rows = ask(
        "group.assignments",
        group.display_name,
        lambda: links.clients.identity_center.group_assignments(join.store_group_id),
        needs="sso:ListAccountAssignmentsForPrincipal",
        why="What the group opens stays unknown.",
    )
    if not rows:
        yield _broken(
            "group.assignments",
            group,
            "It has no permission set on any AWS account.",
            "Access would be granted, and would open nothing.",
            "Assign it to a permission set and an account in IAM Identity Center.",
        )


def _policy(links: Links, group: DirectoryGroup) -> Iterator[Finding]:
    policy = ask(
        "group.policy",
        group.display_name,
        lambda: links.clients.pim.group_policy(group.object_id),
        needs="RoleManagementPolicy.Read.AzureADGroup",
        why="How long access may last stays unknown, so the group can't be asked for.",
    )
    for what, limit in (
        ("an activation", policy.activation_maximum),
        ("an assignment by an administrator", policy.assignment_maximum),
    ):
        if limit is not None and limit < SHORTEST:
            yield _broken(
                "group.policy",
                group,
                f"Its PIM settings allow {what} for {limit} at most.",
                "PIM refuses assignments of less than five minutes.",
                "Allow a longer time in the group's PIM settings for members.",
            )


def _eligible(links: Links, group: DirectoryGroup) -> Iterator[Finding]:
    rows = ask(
        "group.eligible",
        group.display_name,
        lambda: links.clients.pim.group_eligibilities(group.object_id),
        needs="PrivilegedEligibilitySchedule.Read.AzureADGroup",
        why="Who is eligible stays unknown, so nobody can ask.",
    )
    people = [person for row in rows for person in _people(links, row)]
    if not people:
        yield Finding(
            "group.eligible",
            Level.WARNING,
            group.display_name,
            "Nobody is eligible for it.",
            "Nobody can ask for it.",
            "Make people eligible in PIM, or take the group off the list.",
        )
    for person in {each.object_id: each for each in people if each.enabled}.values():
        missing = [name.replace("_", " ") for name in NAMES if not getattr(person, name).strip()]
        if missing:
            yield Finding(
                "group.people",
                Level.BROKEN,
                group.display_name,
                f"{person.user_principal_name} is eligible and has no {' and no '.join(missing)}.",
                "IAM Identity Center refuses people without these names: this person's access would never arrive.",
                "Complete the person's names in Entra.",
            )


def _people(links: Links, row: PimEligibility) -> list[DirectoryUser]:
    """The person of a row, or those of its group."""
    directory, principal = links.clients.directory, row.principal_id
    if principal not in links.people:
        links.people[principal] = ask(
            "group.people",
            principal,
            lambda: directory.read_user(principal),
            needs="User.Read.All",
            why="Whether people can be provisioned stays unknown.",
        )
    person = links.people[principal]
    if person is not None:
        return [person]
    if not ask(
        "group.people",
        principal,
        lambda: directory.read_groups([principal]),
        needs="GroupMember.Read.All",
        why="Who is eligible through a group stays unknown.",
    ):
        return []
    members = ask(
        "group.people",
        principal,
        lambda: directory.read_members(principal, transitive=True),
        needs="GroupMember.Read.All",
        why="Who is eligible through a group stays unknown.",
    )
    return list(members.users)
