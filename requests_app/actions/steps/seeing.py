"""Looking: what Entra and IAM Identity Center say about one grant right now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from clients.registry import clients
from clients.types import PimAssignment, Receipt
from identity.models import Person
from requests_app.actions import attempts
from requests_app.models import Attempt, Grant

# PIM rounds; an assignment that carries our tag is ours when its end is this close to the fixed one.
SAME_END = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class EntraView:
    """The membership as PIM holds it: ours (by tag), or somebody else's, or none."""

    ours: PimAssignment | None
    foreign: PimAssignment | None
    receipt: Receipt

    def end_matches(self, grant: Grant) -> bool:
        """Whether our assignment ends when it was approved to end."""
        return (
            self.ours is not None
            and self.ours.ends_at is not None
            and abs(self.ours.ends_at - grant.ends_at) <= SAME_END
        )


def look_at_entra(grant: Grant) -> EntraView:
    """Read the instances of this person and group, and tell ours from others by the tag on PIM's requests."""
    pim = clients().pim
    group_id, person_id = grant.group.object_id, grant.person.object_id
    reading = attempts.read(
        grant, Attempt.Kind.READ_ENTRA, lambda: pim.assignments(group_id, principal_id=person_id)
    )
    held = [a for a in reading.value if a.principal_id == person_id]
    if not held:
        return EntraView(None, None, reading.receipt)
    asked = attempts.read(grant, Attempt.Kind.READ_ENTRA, lambda: pim.requests(group_id, person_id))
    ours_ids = {r.schedule_id for r in asked.value if r.tag == grant.tag and r.schedule_id}
    if grant.pim_schedule_id:
        ours_ids.add(grant.pim_schedule_id)
    ours = next((a for a in held if a.schedule_id in ours_ids), None)
    foreign = next((a for a in held if a.schedule_id not in ours_ids), None)
    return EntraView(ours, foreign, reading.receipt)


@dataclass(frozen=True, slots=True)
class AwsView:
    """Whether IAM Identity Center has the membership. `known` is False while it can't even be asked."""

    known: bool
    member: bool
    receipt: Receipt
    obstacle: str = ""


def look_at_aws(grant: Grant) -> AwsView:
    """One `IsMemberInGroups`; the person's and the group's ids there come from catalogue sync, or are looked up."""
    center = clients().identity_center
    if not grant.group.store_group_id:
        return _unknown(
            "The PIM group is not in IAM Identity Center yet. It is looked for at every catalogue sync."
        )
    user_id = grant.person.store_user_id or _find_store_user(grant)
    if not user_id:
        return _unknown(
            "The person is not in IAM Identity Center yet. SCIM creates people together with their first membership."
        )
    group_id = grant.group.store_group_id
    reading = attempts.read(grant, Attempt.Kind.READ_AWS, lambda: center.memberships(user_id, [group_id]))
    return AwsView(known=True, member=bool(reading.value.get(group_id)), receipt=reading.receipt)


def _unknown(obstacle: str) -> AwsView:
    return AwsView(known=False, member=False, receipt=Receipt(client_request_id=""), obstacle=obstacle)


def _find_store_user(grant: Grant) -> str:
    name = grant.person.user_principal_name
    found = attempts.read(grant, Attempt.Kind.READ_AWS, lambda: clients().identity_center.find_user(name))
    if found.value is None:
        return ""
    Person.objects.filter(pk=grant.person_id, store_user_id="").update(store_user_id=found.value.user_id)
    return found.value.user_id
