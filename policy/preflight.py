"""Before anybody asks: who could decide right now, how old that knowledge is, and why nobody could. From snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from base.clock import business_now
from identity.absences.reading import away_at, standing_at
from identity.humans import MARK, human_expression
from identity.models import DirectoryGroup, DirectoryMembership, Person
from policy.approvers import able, deciders
from policy.demands import Approvers, Demands, Stage
from policy.waiving import Emergency

# What a guest's account lacks where the rules let guests decide (`policy.approvers.barred_as_guest`).
UNKNOWN_GUEST = ", or a guest whose account doesn't say whose it is,"
# Names told for a stage; that there are more is said.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Deciders:
    """Who could decide at one stage. `known_at` (business time) is the oldest reading that this stands on; None: never."""

    names: Sequence[str]
    more: bool
    quorum: int
    known_at: datetime | None


def who_can_decide(demands: Demands, requester: Person) -> list[Deciders]:
    """Who could decide on a request of this person now, stage by stage. Four queries a stage at most."""
    found = []
    for stage in demands.stages:
        rows = list(
            deciders(stage.approvers, requester, guests=demands.guests_decide)
            .order_by("display_name", "pk")
            .values_list("pk", "display_name")[: MOST_NAMED + 1]
        )
        may = able(stage.approvers, requester, guests=demands.guests_decide)
        standing_in = _standing_in([pk for pk, _ in rows], may)
        names = [f"{name} for {standing_in[pk]}" if pk in standing_in else name for pk, name in rows]
        known_at = _known_at(stage.approvers)
        found.append(Deciders(names[:MOST_NAMED], len(names) > MOST_NAMED, stage.quorum, known_at))
    return found


def _standing_in(people: Sequence[int], may: QuerySet[Person]) -> dict[int, str]:
    """Those of these people who could decide only in somebody else's right, with whose. One query."""
    rows = standing_at(business_now()).filter(delegate__in=people, person__in=may).exclude(delegate__in=may)
    found: dict[int, list[str]] = {}
    for pk, name in rows.order_by("begins_at", "pk").values_list("delegate", "person__display_name"):
        if pk is not None:
            found.setdefault(pk, []).append(name)
    return {pk: ", ".join(names) for pk, names in found.items()}


def _known_at(approvers: Approvers) -> datetime | None:
    """The oldest reading of the groups and people named, and of who is described; None when one of them was never read."""
    read: list[datetime | None] = [approvers.read_at] if approvers.read_at else []
    for ids, rows in ((approvers.groups, DirectoryGroup.objects), (approvers.people, Person.objects)):
        if ids:
            found = list(rows.filter(object_id__in=ids).values_list("synced_at", flat=True))
            read += [*found, *([None] * (len(ids) - len(found)))]
    known = [each for each in read if each is not None]
    return min(known) if known and len(known) == len(read) else None


def why_nobody(demands: Demands, requester: Person) -> str:
    """Why the rule's stages can't all be filled by others than the requester; seven queries a stage at most."""
    for number, stage in enumerate(demands.stages, start=1):
        counted_on = deciders(stage.approvers, requester, guests=demands.guests_decide)
        humans = set(counted_on.annotate(key=human_expression()).values_list("key", flat=True))
        if len(humans) < stage.quorum:
            where = f"At stage {number}, " if len(demands.stages) > 1 else ""
            reasons = _reasons(stage, requester, len(humans), guests=demands.guests_decide)
            sentence = where + "; ".join(reasons) + "."
            return sentence[0].upper() + sentence[1:]
    return "The same people would have to decide at several stages, and one person decides once."


def why_no_review(emergency: Emergency, *, guests: bool) -> str:
    """Why somebody's emergency use would find no reviewer, by snapshots; "" when each panel has one for everybody.

    Nobody reviews for somebody else, and nobody their own use: a panel of one who may use it, too, is none to them.
    Eight queries a panel at most.
    """
    for panel in emergency.panels:
        approvers = Approvers(panel.reviewers.people, panel.reviewers.groups)
        nobody = Person()  # in the place of a user who is none of them
        present = able(approvers, nobody, guests=guests).exclude(away_at(business_now()))
        keys = present.annotate(key=human_expression()).order_by("key").values_list("key", flat=True)
        humans = set(keys.distinct()[:2])
        if not humans:
            reasons = _reasons(Stage(approvers, 1), nobody, 0, guests=guests)
            return f"Nobody could review an emergency use: {'; '.join(reasons)}."
        if len(humans) == 1 and humans <= _users(emergency):
            return (
                "The only one who could review an emergency use may use it too, and nobody reviews their own."
            )
    return ""


def _users(emergency: Emergency) -> set[str]:
    """The humans who may use it: whom all that is allowed names. A query each."""
    named = [
        set(
            able(Approvers(each.people, each.groups), Person(), guests=True)
            .annotate(key=human_expression())
            .values_list("key", flat=True)
        )
        for each in emergency.allowed
    ]
    return set.intersection(*named)


def _reasons(stage: Stage, requester: Person, count: int, *, guests: bool) -> list[str]:
    reasons = []
    approvers, quorum = stage.approvers, stage.quorum
    if approvers.unknown:
        reasons.append(approvers.unknown)
    if approvers.groups:
        reasons += _group_reasons(approvers)
    members = DirectoryMembership.objects.filter(group__object_id__in=approvers.groups).values("person")
    named = Person.objects.filter(object_id__in=approvers.people) | Person.objects.filter(pk__in=members)
    everybody = list(named.distinct().values_list("pk", "enabled", "guest", MARK))
    oneself = [pk for pk, _, _, mark in everybody if pk == requester.pk or (mark and mark == requester.mark)]
    unfit = [
        pk
        for pk, enabled, guest, mark in everybody
        if pk not in oneself and (not enabled or (guest and not (guests and mark)))
    ]
    if oneself:
        reasons.append("you are among those who decide, and nobody decides on their own request")
    if unfit:
        reasons.append(
            f"{len(unfit)} of them can't decide, being disabled{UNKNOWN_GUEST if guests else ' or a guest'} in Entra"
        )
    if away := able(approvers, requester, guests=guests).filter(away_at(business_now())).count():
        reasons.append(f"{away} of them {'is' if away == 1 else 'are'} away")
    if count:
        reasons.append(f"{quorum} are needed and {count} could decide")
    return reasons or ["the people whom the rule names are not known in Entra"]


def _group_reasons(approvers: Approvers) -> list[str]:
    rows = {row.object_id: row for row in DirectoryGroup.objects.filter(object_id__in=approvers.groups)}
    filled = set(
        DirectoryMembership.objects.filter(group__object_id__in=approvers.groups).values_list(
            "group__object_id", flat=True
        )
    )
    reasons = []
    for key in sorted(approvers.groups):
        row = rows.get(key)
        name = f"the group {row}" if row is not None else f"the group {key}"
        if row is None or row.synced_at is None:
            reasons.append(f"{name} has not been read from Entra yet")
        elif row.missing:
            reasons.append(f"{name} no longer exists in Entra")
        elif key not in filled:
            reasons.append(f"{name} has no members in Entra")
    return reasons
