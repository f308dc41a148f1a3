"""Reading afresh what a decision stands on: the eligibility, the approver's right, the state of provisioning.

Pages judge by snapshots; nothing counts until a worker has asked the clouds. Everything here
fails closed: what can't be read is an error to try again, never a yes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from base.clock import business_now
from clients.errors import NotFound
from clients.registry import clients
from clients.types import DirectoryUser, PimEligibility, PimPolicy, ProvisioningCode, ProvisioningJob
from identity.linking import known_by, marks_of
from policy.demands import Approvers
from policy.floor import floor_of, obstacles, unheld
from requests_app.models import RequestItem


@dataclass(frozen=True, slots=True)
class EligibilityCheck:
    """Whether PIM lets this person activate this group now, and until when at most (None: no end)."""

    held: bool
    ends_at: datetime | None


def fresh_eligibility(person_oid: str, group_oid: str) -> EligibilityCheck:
    """Ask PIM: directly, or through a group that is eligible and of which the person is a member.

    Who holds it directly and without an end is asked about nowhere else. Otherwise one call finds
    the groups among the other principals (most are people), and only their members are read.
    """
    now = business_now()
    current = [e for e in clients().pim.group_eligibilities(group_oid).value if _in_force(e, now)]
    held = [e for e in current if _same_id(e.principal_id, person_oid)]
    if not any(e.ends_at is None for e in held):
        others = [e for e in current if not _same_id(e.principal_id, person_oid)]
        through = _groups_with(person_oid, {e.principal_id.lower() for e in others})
        held += [e for e in others if e.principal_id.lower() in through]
    if not held:
        return EligibilityCheck(held=False, ends_at=None)
    ends = [e.ends_at for e in held if e.ends_at is not None]
    return EligibilityCheck(held=True, ends_at=max(ends) if len(ends) == len(held) else None)


def _in_force(eligibility: PimEligibility, now: datetime) -> bool:
    begun = eligibility.starts_at is None or eligibility.starts_at <= now
    return begun and (eligibility.ends_at is None or eligibility.ends_at > now)


def _same_id(one: str, other: str) -> bool:
    """Whether two object ids are one: they are GUIDs, and their case means nothing."""
    return one.lower() == other.lower()


def _groups_with(person_oid: str, principal_ids: set[str]) -> set[str]:
    """The groups among these principals that have this person in them, as lower-case object ids."""
    if not principal_ids:
        return set()
    groups = clients().directory.read_groups(sorted(principal_ids)).value
    return {group.object_id.lower() for group in groups if _is_member(person_oid, group.object_id)}


def _is_member(person_oid: str, group_oid: str) -> bool:
    try:
        members = clients().directory.read_members(group_oid, transitive=True).value
    except NotFound:
        return False  # the group is gone
    return any(_same_id(user.object_id, person_oid) for user in members.users)


def fresh_groups_of(person_oid: str, named: frozenset[str]) -> frozenset[str]:
    """Those of these directory groups that the person is in right now. One call a group."""
    return frozenset(group for group in sorted(named) if _is_member(person_oid, group))


def fresh_manager(person_oid: str) -> str:
    """The object id of the person's manager in the directory now, "" when there is none."""
    return clients().directory.read_manager(person_oid).value.lower()


def fresh_person(object_id: str) -> DirectoryUser | None:
    """The person in the directory now, or None when gone."""
    return clients().directory.read_user(object_id).value


OWN = "Nobody decides on their own request."
IN_RIGHT_OF_OWN = "Nobody decides on their own request, nor anybody in their right."


def marks_now(user: DirectoryUser) -> frozenset[str]:
    """What the directory says now that accounts of the same human have in common, and what those here are known by."""
    return known_by(marks_of(user))


def fresh_right_to_decide(person_oid: str, approvers: Approvers) -> bool:
    """Whether the person is named by the stage, or is in one of its groups, right now."""
    if any(_same_id(person_oid, named) for named in approvers.people):
        return True
    return any(_is_member(person_oid, group_oid) for group_oid in sorted(approvers.groups))


def unenforced_demands(policy: PimPolicy, item: RequestItem) -> str:
    """A sentence when PIM, as just read, demands of an activation what the request's terms don't hold, else "".

    Activated as the person, PIM itself holds the person to all of it.
    """
    as_person = item.group.as_person
    if as_person:
        return ""
    found = [sentence for _, sentence in obstacles(policy, as_person=as_person)]
    if policy.requires_ticket and not item.request.reference:
        found.append("PIM demands a reference number, which the request lacks.")
    looser = unheld(item.terms.parsed, floor_of(policy, as_person=as_person))
    found += [
        f"{each}, and the terms of this request don't. The requester has to ask again." for each in looser
    ]
    return " ".join(found)


def provisioning_obstacle(job: ProvisioningJob) -> str:
    """A sentence when SCIM carries nothing at the moment, else ""."""
    if job.code is ProvisioningCode.ACTIVE:
        return ""
    return (
        f"Provisioning from Entra to AWS is not running (state: {job.code.value}), so access would not arrive and "
        "could not be removed. Ask an operator to mend it, then decide again."
    )
