"""Whether whoever decided may decide, as the directory says now: when their word counts, and when it is acted upon.

Everything here asks the directory and fails closed: what can't be read is an error to try again, never a yes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from base.clock import business_now
from base.readymade import Readymade
from clients.types import DirectoryUser
from identity.humans import same_human
from identity.models import Person
from policy.demands import Demands
from requests_app.actions import checking
from requests_app.actions.standing_in import absent_unfit
from requests_app.lifecycle import DecisionStatus, WaiverStatus
from requests_app.models import Decision, RequestItem, Verdict
from requests_app.waivers.models import Waiver

# Words that were counted this recently (business time) were asked about then; between a click and what comes of it
# there is not more in the ordinary case, so that nothing is asked twice there.
ASKED_JUST_NOW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """Who made a decision, and who was away in whose right they did, as the directory says now; None where it has nobody."""

    approver: DirectoryUser | None
    absent: DirectoryUser | None = None


def look_at(decision: Decision) -> Seen:
    """Read both afresh. One call, or two."""
    approver = checking.fresh_person(decision.approver.object_id)
    absence = decision.absence
    return Seen(approver, checking.fresh_person(absence.person.object_id) if absence else None)


def decider_unfit(decision: Decision, demands: Demands, seen: Seen) -> str:
    """A sentence when the directory doesn't let whoever made this decision decide, else "". A few calls."""
    approver, user, stages = decision.approver, seen.approver, demands.stages
    if user is None or not user.enabled:
        return "The approver's account is disabled or gone in Entra."
    if user.guest and (decision.absence or not demands.guests_decide):
        return "The approver is a guest in Entra now, and guests don't decide."
    if user.guest and not approver.mark:
        return "The approver is a guest in Entra whose account doesn't say whose it is."
    own, absent = _marks(approver, user), _marks_of_absent(decision, seen)
    if decision.item.requester.mark in own:
        return checking.OWN
    if decision.item.requester.mark in absent:
        return checking.IN_RIGHT_OF_OWN
    if own & absent:
        return (
            "Who is away and their delegate are one person in Entra now, and nobody stands in for themselves."
        )
    if unfit := absent_unfit(decision, demands, seen.absent):
        return unfit
    whose = decision.absence.person if decision.absence else approver
    if not 0 <= decision.stage < len(stages) or not checking.fresh_right_to_decide(
        whose.object_id, stages[decision.stage].approvers
    ):
        who = "Who is away, in whose right it was made," if decision.absence else "The approver"
        return f"{who} is no longer among those who may decide on this request."
    return ""


def marks_of(decision: Decision, seen: Seen) -> frozenset[str]:
    """What tells whose account decided, and in whose right, as stored and as the directory says now.

    A link may be newer than a sync.
    """
    return _marks(decision.approver, seen.approver) | _marks_of_absent(decision, seen)


def _marks_of_absent(decision: Decision, seen: Seen) -> frozenset[str]:
    return _marks(decision.absence.person, seen.absent) if decision.absence else frozenset()


def _marks(stored: Person, now: DirectoryUser | None) -> frozenset[str]:
    return frozenset({stored.mark} - {""}) | (checking.marks_now(now) if now else frozenset())


def fallen_approval(items: Iterable[RequestItem]) -> str:
    """A sentence when an approval that one of these approved items needs doesn't stand any more, else "".

    An item that was let through without anybody's word needs none.
    """
    return next(filter(None, map(_fallen, items)), "")


def fallen_words(item: RequestItem) -> Mapping[Decision, str]:
    """The counted approvals of an item whose makers may not decide any more, each with a sentence, oldest first.

    Asked of each that was counted longer ago than just now.
    """
    demands, since = item.terms.parsed, business_now() - ASKED_JUST_NOW
    found = {}
    for word in _WORDS.rows(item.pk, since):
        word.item = item
        if unfit := _word_unfit(word, item, demands):
            found[word] = f"The approval by {word.approver.display_name} doesn't stand any more. {unfit}"
    return found


_WORDS = Readymade(
    lambda item_id, since: (
        Decision.objects.filter(
            item=item_id, verdict=Verdict.APPROVE, status=DecisionStatus.COUNTED, settled_at__lte=since
        )
        .select_related("approver", "absence__person")
        .order_by("settled_at", "pk")
    ),
    UUID,
    datetime,
)
_LET_THROUGH = Readymade(
    lambda item_id: Waiver.objects.filter(item=item_id, status=WaiverStatus.GRANTED).values_list(
        "pk", flat=True
    )[:1],
    UUID,
)


def _fallen(item: RequestItem) -> str:
    if _LET_THROUGH.rows(item.pk):
        return ""
    fallen = fallen_words(item)
    if not fallen:
        return ""
    counted = item.decisions.filter(verdict=Verdict.APPROVE, status=DecisionStatus.COUNTED)
    standing = Counter(word.stage for word in counted if word not in fallen)
    if all(standing[number] >= stage.quorum for number, stage in enumerate(item.terms.parsed.stages)):
        return ""
    return next(iter(fallen.values()))


def _word_unfit(word: Decision, item: RequestItem, demands: Demands) -> str:
    whose = word.absence.person if word.absence else word.approver
    if same_human(word.approver, item.requester) or same_human(whose, item.requester):
        return checking.IN_RIGHT_OF_OWN
    return decider_unfit(word, demands, look_at(word))
