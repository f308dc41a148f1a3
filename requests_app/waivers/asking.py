"""Asking to go without an approval: in an emergency by whoever a rule lets, automatically by what a rule says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django_subatomic.db import run_after_commit, transaction_required

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.errors import Conflict, Denied, DomainError, Invalid
from base.words import moment_words
from identity.models import Person
from policy.demands import Demands
from policy.requestable import Requestability
from requests_app import nudges
from requests_app.actions.moving import create
from requests_app.lifecycle import WaiverStatus
from requests_app.models import RequestItem
from requests_app.permissions import is_operator
from requests_app.texts import clean_words
from requests_app.waivers.conditions import judge, read_facts
from requests_app.waivers.models import OwedReview, Waiver
from requests_app.waivers.rights import blocking_review, may_use

SHORTEST_WHY = 10
LONGEST_WHY = 2000


@dataclass(frozen=True, slots=True)
class EmergencyAsk:
    """Why it can't wait for an approval. A drill goes the whole way and is granted nothing."""

    why: str
    drill: bool = False


def for_emergency(judged: Requestability) -> Requestability:
    """What can be asked for in an emergency: for no longer than all rules allow then."""
    emergency = judged.demands.emergency if judged.demands else None
    if emergency is None or judged.longest is None:
        return judged
    return replace(judged, longest=min(judged.longest, emergency.longest_duration))


def obstacle(person: Person, demands: Demands | None, *, drill: bool) -> DomainError | None:
    """Why this person can't go without an approval now, or None. Two queries and one for each rule.

    An operator may drill without being among those who may use it.
    """
    emergency = demands.emergency if demands else None
    if emergency is None:
        return Denied(
            "emergency.no_rule",
            "The rules for this PIM group know no emergency use. Ask for an approval, or follow your organisation's own "
            "emergency procedure.",
        )
    if demands is not None and demands.pim_approval:
        return Denied(
            "emergency.pim_approval",
            "PIM itself demands an approval for this group, and nothing waives that. Ask for one, or follow your "
            "organisation's own emergency procedure.",
        )
    if not (may_use(person, emergency) or (drill and is_operator(person))):
        return Denied(
            "emergency.not_allowed",
            "The rules for this PIM group don't let you go without an approval. Ask for one, or follow your "
            "organisation's own emergency procedure.",
        )
    now = business_now()
    blocking = None if drill else blocking_review(person, now)
    if blocking is not None:
        return Conflict("emergency.blocked", blocked_words(blocking, now))
    return None


def blocked_words(review: OwedReview, now: datetime) -> str:
    """Why an unreviewed use keeps its person from the next one, and what to do."""
    return (
        f"Your emergency use of {moment_words(review.owed_at, now)} was to be reviewed by "
        f"{moment_words(review.due_at, now)} and is not: until it is, or an operator lifts this, you can't use another "
        "one. Ask its reviewers, or ask for an approval."
    )


def wrong_words(ask: EmergencyAsk) -> Invalid | None:
    """What is wrong with the reason, or None."""
    try:
        words = clean_words(ask.why, longest=LONGEST_WHY, field="why")
    except Invalid as error:
        return error
    if len(words) < SHORTEST_WHY:
        return Invalid(
            "emergency.why",
            f"Say in at least {SHORTEST_WHY} characters why it can't wait for an approval: reviewers read it.",
            field="why",
        )
    return None


@transaction_required
def ask_waiver(item: RequestItem, ask: EmergencyAsk | None, actor: Actor) -> None:
    """Keep with a new item that nobody may have to decide on it: in an emergency, or where conditions seem to hold.

    The worker judges it. Raises what `obstacle` gives.
    """
    if ask is not None:
        if error := obstacle(item.requester, item.terms.parsed, drill=ask.drill):
            raise error
        _keep(
            Waiver(
                item=item,
                kind=Waiver.Kind.EMERGENCY,
                drill=ask.drill,
                why=clean_words(ask.why, longest=LONGEST_WHY, field="why"),
            ),
            actor,
        )
        return
    automatic = item.terms.parsed.automatic
    if automatic is None or item.terms.parsed.pim_approval:
        return
    facts = read_facts(
        item.group,
        automatic,
        duration=item.duration,
        asked_at=item.created_at,
        reference=item.request.reference,
    )
    if all(condition.holds for condition in judge(automatic, facts)):
        _keep(Waiver(item=item, kind=Waiver.Kind.AUTOMATIC), actor)


def _keep(waiver: Waiver, actor: Actor) -> None:
    waiver.status = WaiverStatus.SUBMITTED
    waiver.submitted_at = business_now()
    create(
        waiver,
        actor=actor,
        fields=waiver_fields(waiver),
        words={"reason": waiver.why} if waiver.why else None,
    )
    run_after_commit(lambda: nudges.waiver(waiver.pk))


def waiver_fields(waiver: Waiver) -> dict[str, object]:
    """What every event about a waiver says."""
    return {
        "item_id": waiver.item_id,
        "group_name": waiver.item.group.display_name,
        "kind": waiver.what,
        "drill": waiver.drill,
    }
