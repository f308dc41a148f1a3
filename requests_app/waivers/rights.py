"""Who may go without an approval, and who reviews that: by snapshots of the directory. A worker asks it afresh."""

from __future__ import annotations

from django.db.models import QuerySet

from identity.humans import is_human, same_human
from identity.models import DirectoryMembership, Person
from policy.approvers import able, barred_as_guest
from policy.demands import Approvers, Demands
from policy.waiving import Emergency, Named, Panel
from requests_app.waivers.models import OwedReview


def is_named(person: Person, named: Named) -> bool:
    """Whether it names this person, or a directory group of theirs. One query at most."""
    if person.object_id in named.people:
        return True
    return (
        bool(named.groups)
        and DirectoryMembership.objects.filter(
            person=person, group__object_id__in=list(named.groups)
        ).exists()
    )


def may_use(person: Person, emergency: Emergency) -> bool:
    """Whether every rule that applies lets this person go without an approval."""
    return person.enabled and all(is_named(person, named) for named in emergency.allowed)


def panel_of(review: OwedReview) -> Panel | None:
    """The panel that owes it; None where the terms have no such one."""
    emergency = review.waiver.item.terms.parsed.emergency
    return emergency.panels[review.panel] if emergency and review.panel < len(emergency.panels) else None


def reviewers_now(review: OwedReview) -> Named:
    """Whom it waits for: its panel, and those to whom it escalated."""
    panel = panel_of(review)
    if panel is None:
        return Named()
    return panel.everybody if review.escalated_at else panel.reviewers


def may_review(person: Person, review: OwedReview) -> bool:
    """Whether this person may review it: never what any account of theirs used, and as a guest only where guests decide."""
    if not person.enabled or same_human(person, review.person):
        return False
    if barred_as_guest(person, guests=review.waiver.item.terms.parsed.guests_decide):
        return False
    return is_named(person, reviewers_now(review))


def reviewers(named: Named, requester: Person, demands: Demands) -> QuerySet[Person]:
    """Everybody of those named who may review what this person used."""
    return able(Approvers(named.people, named.groups), requester, guests=demands.guests_decide)


def blocking_review(person: Person, now: object) -> OwedReview | None:
    """The oldest open review that keeps this human, by any account, from another emergency use. One query."""
    return (
        OwedReview.objects.filter(
            is_human(person, "person"), verdict="", drill=False, lifted_at=None, blocks_at__lte=now
        )
        .order_by("blocks_at")
        .first()
    )
