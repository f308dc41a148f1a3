"""Rebuilding grants that a restored database has forgotten, where PIM's mark and a stored approval explain them.

A restored database may hold an approver's word that the lost one had counted already, or an ask to go without one that
it had let through, and PIM the assignment that followed. The grant is made anew under the id that its mark names, with
the window that PIM was told, and goes on (or is taken away) by the life cycle's own steps. Nothing is ever assigned
here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor
from base.clock import business_now
from clients.types import PimRequest, PimRequestStatus
from identity.humans import same_human
from requests_app.actions.fetching import lock_item
from requests_app.actions.moving import create, move
from requests_app.lifecycle import OPEN, DecisionStatus, EndReason, GrantStatus, ItemStatus, WaiverStatus
from requests_app.models import Decision, Grant, GrantInterval, RequestItem, Verdict
from requests_app.shortening import time_given
from requests_app.waivers.asking import waiver_fields
from requests_app.waivers.models import Waiver
from requests_app.waivers.reviewing import owe_reviews

log = structlog.get_logger(__name__)

# PIM rounds what it was told.
TOLERANCE = timedelta(minutes=2)
_NEVER = frozenset({PimRequestStatus.DENIED, PimRequestStatus.FAILED, PimRequestStatus.CANCELED})
CHECKED = "before the database was restored: PIM holds the marked assignment that followed"
FORGOTTEN = (
    "This database was restored from a time before Entra ended this access, so it was not granted again. Ask again if "
    "it is still needed."
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Our tag on one of PIM's requests: a grant and its revision."""

    grant_id: UUID
    revision: int


def mark_of(tag: str) -> Mark | None:
    """What a tag names; None for one that this portal didn't write."""
    name, _, revision = tag.partition(".")
    try:
        return Mark(UUID(name), int(revision))
    except ValueError:
        return None


def was_assigned(request: PimRequest) -> bool:
    """Whether this request of PIM's asked for a membership and was not refused."""
    return "remove" not in request.action.lower() and request.status not in _NEVER


def rebuild(request: PimRequest, *, person_oid: str, group_oid: str, held: bool) -> UUID | None:
    """Make the forgotten grant of one marked assignment; gives its id, or None when nothing here explains it.

    `held` says whether PIM holds it now; if not, the grant is made to be proven over. Explained means: this person's
    pending request for this group, with as many stored approvals as its rule asks for, all from before the
    assignment, none by the requester, or with an ask to go without from before it; and a window no longer than what
    was asked for.
    """
    mark = mark_of(request.tag)
    if mark is None or request.starts_at is None or request.ends_at is None:
        return None
    if Grant.objects.filter(pk=mark.grant_id).exists():
        return None
    items = RequestItem.objects.filter(
        requester__object_id=person_oid, group__object_id=group_oid, status=ItemStatus.PENDING
    )
    item_id = items.values_list("pk", flat=True).first()
    if item_id is None:
        return None
    with transaction():
        item = lock_item(item_id)
        words = _explaining(item, request)
        waiver = None if words else _waiver_explaining(item, request)
        taken = Grant.objects.filter(person=item.requester, group=item.group, status__in=OPEN).exists()
        if not (words or waiver) or taken:
            return None
        if waiver:
            _let_through(waiver, item)
        _approve(item, words)
        _make(item, mark, request, held=held)
    log.warning("grant_rebuilt", grant=str(mark.grant_id), held=held)
    return mark.grant_id


def _explaining(item: RequestItem, request: PimRequest) -> list[Decision]:
    """The stored approvals that explain the assignment, or none."""
    if item.status != ItemStatus.PENDING or request.starts_at is None or request.ends_at is None:
        return []
    made_at = request.created_at or request.starts_at
    stored = item.decisions.filter(verdict=Verdict.APPROVE, submitted_at__lte=made_at)
    words = [
        each
        for each in stored.exclude(status=DecisionStatus.REFUSED).select_related("approver")
        if not same_human(each.approver, item.requester)
    ]
    stages = item.terms.parsed.stages
    enough = all(
        sum(1 for each in words if each.stage == number) >= stage.quorum
        for number, stage in enumerate(stages)
    )
    short_enough = request.ends_at - request.starts_at <= time_given(item, words) + TOLERANCE
    return words if enough and stages and short_enough else []


def _waiver_explaining(item: RequestItem, request: PimRequest) -> Waiver | None:
    """The stored ask to go without an approval that explains the assignment."""
    if item.status != ItemStatus.PENDING or request.starts_at is None or request.ends_at is None:
        return None
    if request.ends_at - request.starts_at > item.duration + TOLERANCE:
        return None
    made_at = request.created_at or request.starts_at
    return Waiver.objects.filter(
        item=item, drill=False, status=WaiverStatus.SUBMITTED, submitted_at__lte=made_at
    ).first()


def _let_through(waiver: Waiver, item: RequestItem) -> None:
    """As the lost database had it, with the reviews that are owed for it."""
    waiver.item = item
    move(
        waiver,
        WaiverStatus.GRANTED,
        actor=Actor.worker(),
        fields={**waiver_fields(waiver), "conditions": "", "checked": CHECKED},
        settled_at=business_now(),
        lease_until=None,
        reason="",
    )
    if waiver.emergency:
        owe_reviews(waiver, item)


def _approve(item: RequestItem, words: list[Decision]) -> None:
    now = business_now()
    for decision in words:
        if decision.status == DecisionStatus.SUBMITTED:
            move(
                decision,
                DecisionStatus.COUNTED,
                actor=Actor.worker(),
                fields={
                    "item_id": item.pk,
                    "verdict": decision.verdict,
                    "stage": decision.stage,
                    "checked": CHECKED,
                },
                settled_at=now,
                lease_until=None,
                reason="",
            )
    move(
        item,
        ItemStatus.APPROVED,
        actor=Actor.worker(),
        fields={
            "item_id": item.pk,
            "group_name": item.group.display_name,
            "approvals": len(words),
            "duration": time_given(item, words),
        },
        decided_at=now,
    )


def _make(item: RequestItem, mark: Mark, request: PimRequest, *, held: bool) -> None:
    now, name = business_now(), item.group.display_name
    if request.starts_at is None or request.ends_at is None:
        raise ValueError("called for an assignment without a window")
    grant = Grant(
        pk=mark.grant_id,
        revision=mark.revision,
        person=item.requester,
        group=item.group,
        first_request=item.request,
        status=GrantStatus.SCHEDULED,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        longest_session=item.longest_session,
        created_at=now,
        next_action_at=now,
        pim_request_id=request.request_id,
        pim_schedule_id=request.schedule_id,
    )
    window = {"starts_at": grant.starts_at, "ends_at": grant.ends_at}
    create(
        grant,
        actor=Actor.worker(),
        fields={"group_name": name, "as_person": grant.as_person, **window},
    )
    GrantInterval.objects.create(grant=grant, item=item, **window)
    move(grant, GrantStatus.ACTIVATING, actor=Actor.worker(), fields={"group_name": name})
    if not held:
        move(
            grant,
            GrantStatus.REMOVING,
            actor=Actor.worker(),
            fields={"group_name": name, "reason": FORGOTTEN},
            end_reason=EndReason.REMOVED_ELSEWHERE,
            problem=FORGOTTEN,
            problem_code="forgotten",
            removal_started_at=now,
            next_action_at=now,
        )
