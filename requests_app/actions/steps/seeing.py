"""Looking: what Entra and IAM Identity Center say about one grant right now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists

from base.clock import business_now, real_now
from base.readymade import Readymade
from clients.errors import NotFound
from clients.registry import clients
from clients.types import PimAssignment, Receipt
from identity.models import Person
from requests_app.actions import attempts
from requests_app.actions.steps.pacing import poll_delay
from requests_app.lifecycle import GrantStatus
from requests_app.models import SAME_END, Attempt, Grant, Sighting
from requests_app.path_models import PathTicket

# Statuses in which AWS is looked at.
TRACKED = frozenset(
    {GrantStatus.PROVISIONING, GrantStatus.DEPROVISIONING, GrantStatus.DRAINING, GrantStatus.NEVER_ARRIVED}
)
# IsMemberInGroups takes up to a hundred groups (identity store API reference).
GROUPS_PER_CALL = 100


@dataclass(frozen=True, slots=True)
class EntraView:
    """The membership as PIM holds it: ours (by tag), or somebody else's, or none."""

    ours: PimAssignment | None
    foreign: PimAssignment | None
    receipt: Receipt

    def end_matches(self, grant: Grant) -> bool:
        """Whether our assignment ends at an end that was approved: the grant's, or one from before it was extended."""
        return self.ours is not None and any(_same_end(self.ours, end) for end in approved_ends(grant))


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
    tagged = [r for r in asked.value if grant.asked_for(r)]
    ours_ids = {r.schedule_id for r in tagged if r.schedule_id} | ({grant.pim_schedule_id} - {""})
    # A request that was pending may carry our tag and not name its schedule yet; then the fixed end tells.
    unnamed = any(not r.schedule_id for r in tagged)
    ends = approved_ends(grant) if unnamed else []

    def is_ours(assignment: PimAssignment) -> bool:
        return assignment.schedule_id in ours_ids or any(_same_end(assignment, end) for end in ends)

    ours = next((a for a in held if is_ours(a)), None)
    foreign = next((a for a in held if not is_ours(a)), None)
    return EntraView(ours, foreign, reading.receipt)


def approved_ends(grant: Grant) -> list[datetime]:
    """The end of the grant, and those that it had before it was extended."""
    if grant.revision == 1:
        return [grant.ends_at]
    return [grant.ends_at, *grant.intervals.values_list("ends_at", flat=True)]


def _same_end(assignment: PimAssignment, end: datetime) -> bool:
    return assignment.ends_at is not None and abs(assignment.ends_at - end) <= SAME_END


@dataclass(frozen=True, slots=True)
class AwsView:
    """Whether IAM Identity Center has the membership. `known` is False while it can't even be asked.

    Somebody who is not in the identity store at all was asked for, and is no member.
    """

    known: bool
    member: bool
    receipt: Receipt
    obstacle: str = ""


def look_at_aws(grant: Grant) -> AwsView:
    """One `IsMemberInGroups`; the person's and the group's ids there come from catalogue sync, or are looked up.

    The call asks about every tracked group of the person at once, and what it says about the others is left for
    them as a sighting.
    """
    center = clients().identity_center
    if not grant.group.store_group_id:
        return _unknown(
            "The PIM group is not in IAM Identity Center yet. It is looked for at every catalogue sync."
        )
    user_id = grant.person.store_user_id
    if user_id:
        try:
            return _read_membership(grant, user_id)
        except NotFound:
            pass  # the id is stale: SCIM has made the person anew
    found = attempts.read(
        grant, Attempt.Kind.READ_AWS, lambda: center.find_user(grant.person.user_principal_name)
    )
    if found.value is None:
        return AwsView(
            known=True,
            member=False,
            receipt=found.receipt,
            obstacle="The person is not in IAM Identity Center; SCIM creates people with their first membership.",
        )
    Person.objects.filter(pk=grant.person_id).update(store_user_id=found.value.user_id)
    return _read_membership(grant, found.value.user_id)


def _read_membership(grant: Grant, user_id: str) -> AwsView:
    own = grant.group.store_group_id
    tracked = _tracked_groups(grant)
    read_at = real_now()
    reading = attempts.read(
        grant,
        Attempt.Kind.READ_AWS,
        lambda: clients().identity_center.memberships(user_id, [own, *tracked]),
    )
    _leave_sightings(grant, tracked, reading.value, read_at)
    return AwsView(known=True, member=bool(reading.value.get(own)), receipt=reading.receipt)


def _tracked_groups(grant: Grant) -> dict[str, int]:
    """The other groups in which somebody waits to see this person appear or vanish: store id to our own id."""
    return dict(_TRACKED_GROUPS.rows(grant.person_id, grant.group_id))


_TRACKED_GROUPS: Readymade[tuple[str, int]] = Readymade(
    lambda person_id, group_id: (
        Grant.objects.filter(person_id=person_id, status__in=TRACKED, next_action_at__isnull=False)
        .exclude(group_id=group_id)
        .exclude(group__store_group_id="")
        .order_by("group_id")
        .values_list("group__store_group_id", "group_id")
        .distinct()[: GROUPS_PER_CALL - 1]
    ),
    int,
    int,
)


def _leave_sightings(
    grant: Grant, tracked: Mapping[str, int], seen: Mapping[str, bool], read_at: datetime
) -> None:
    if not tracked:
        return
    found = {grant.group.store_group_id: grant.group_id, **tracked}
    Sighting.objects.bulk_create(
        [
            Sighting(person_id=grant.person_id, group_id=pk, member=bool(seen.get(store_id)), read_at=read_at)
            for store_id, pk in sorted(found.items(), key=lambda pair: pair[1])
        ],
        update_conflicts=True,
        unique_fields=["person", "group"],
        update_fields=["member", "read_at"],
    )


def nothing_new(grant: Grant, *, member: bool, since: datetime | None) -> bool:
    """Whether another grant's look at this person says, freshly enough, that nothing has changed.

    It only ever saves a look that would have changed nothing: what moves a grant is a look of its own, under
    its own lease. `since` is the beginning of the phase, which says how often one looks. Who waits for a turn on the
    narrow path has more to do than to look.
    """
    fresh = real_now() - poll_delay(since or business_now()) / 2
    found = _MEMBER_LATELY if member else _ABSENT_LATELY
    return bool(found.rows(grant.pk, grant.person_id, grant.group_id, fresh))


def _lately(*, member: bool) -> Readymade[int]:
    return Readymade(
        lambda grant_id, person_id, group_id, fresh: Sighting.objects.filter(
            ~Exists(PathTicket.objects.filter(grant=grant_id)),
            person_id=person_id,
            group_id=group_id,
            member=member,
            read_at__gt=fresh,
        ).values_list("pk", flat=True)[:1],
        UUID,
        int,
        int,
        datetime,
    )


_MEMBER_LATELY, _ABSENT_LATELY = _lately(member=True), _lately(member=False)


def _unknown(obstacle: str) -> AwsView:
    return AwsView(known=False, member=False, receipt=Receipt(client_request_id=""), obstacle=obstacle)
