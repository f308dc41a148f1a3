"""Settling an ask to go without an approval: a worker reads everything afresh, then grants or refuses it, once.

What a decision's check asks of the clouds is asked here too, and besides whether the requester may do without a
decision. Refused, the item goes on waiting for whoever decides: nothing is lost. Granted, it goes on as an approved one.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.crash import crash_point, register
from base.words import duration_words
from policy.assurance import unproven
from policy.waiving import Emergency, Named
from requests_app.actions import checking
from requests_app.actions.fetching import lock_item
from requests_app.actions.granting import UNBOUNDED, Bounds, check_item, close_item, give, window_of
from requests_app.actions.moving import move
from requests_app.actions.submissions import Names, Submitted, settle_submitted
from requests_app.freezes.holding import freeze_for_item, keep_freezes_out
from requests_app.lifecycle import ItemStatus, WaiverStatus
from requests_app.models import RequestItem, Revocation
from requests_app.permissions import is_operator
from requests_app.waivers.asking import waiver_fields
from requests_app.waivers.conditions import judge, read_facts
from requests_app.waivers.models import Waiver
from requests_app.waivers.reviewing import owe_reviews
from requests_app.waivers.rights import blocking_review

register("waiving.claimed", "waiving.checked", "waiving.before_commit", "waiving.settled")

CHECKED = "account, right to do without, eligibility, PIM policy, provisioning and what the group opens"


NAMES = Names(
    row="waiver",
    postponed="waiver_postponed",
    failed="waiver_failed",
    claimed="waiving.claimed",
    settled="waiving.settled",
)


def check_waiver(*, waiver_id: UUID) -> tuple[UUID, ...]:
    """Check a submitted waiver against the clouds and grant or refuse it; gives the grants that are now due.

    As `submissions.settle_submitted`, with which it stays submitted while a cloud can't be read.
    """
    return settle_submitted(_SUBMITTED, waiver_id, _check_and_settle, NAMES)


_SUBMITTED = Submitted(
    lambda: Waiver.objects.select_related("item__request", "item__requester", "item__group", "item__terms")
)


def _check_and_settle(waiver: Waiver) -> tuple[UUID, ...]:
    refusal, bounds, passed = _check(waiver)
    crash_point("waiving.checked")
    with transaction():
        due = _settle(waiver.pk, refusal, bounds, passed)
        crash_point("waiving.before_commit")
    return due


def _check(waiver: Waiver) -> tuple[str, Bounds, Sequence[str]]:
    """A sentence when it may not be granted, else ""; what its window must keep to; and what held, in words."""
    item = waiver.item
    unfit, passed = _without_decision(waiver)
    if unfit:
        return unfit, UNBOUNDED, ()
    refusal, bounds = check_item(item, item.duration)
    if not refusal and (bounds.approval_in_pim or item.terms.parsed.pim_approval):
        refusal = "PIM itself demands an approval for this group, so somebody has to decide."
    return refusal, bounds, passed


def _without_decision(waiver: Waiver) -> tuple[str, Sequence[str]]:
    demands, item = waiver.item.terms.parsed, waiver.item
    if waiver.emergency:
        if demands.emergency is None:
            return "The rules for this PIM group know no emergency use.", ()
        return _in_emergency(waiver, demands.emergency)
    if demands.automatic is None:
        return "The rules for this PIM group approve nothing automatically.", ()
    facts = read_facts(
        item.group,
        demands.automatic,
        duration=item.duration,
        asked_at=item.created_at,
        reference=item.request.reference,
    )
    found = judge(demands.automatic, facts)
    failed = " ".join(condition.words for condition in found if not condition.holds)
    return failed, [condition.words for condition in found]


def _in_emergency(waiver: Waiver, emergency: Emergency) -> tuple[str, Sequence[str]]:
    item = waiver.item
    if item.duration > emergency.longest_duration:
        longest = duration_words(emergency.longest_duration)
        return f"In an emergency the rules allow at most {longest}.", ()
    who = item.requester.object_id
    if all(_names_now(named, who) for named in emergency.allowed):
        return "", ["Every rule that applies names the requester for emergencies, as just read."]
    if waiver.drill and is_operator(item.requester):
        return "", ["An operator may drill."]
    return "The requester is not, or no longer, among those who may go without an approval.", ()


def _names_now(named: Named, object_id: str) -> bool:
    if object_id.lower() in {each.lower() for each in named.people}:
        return True
    return bool(named.groups) and bool(checking.fresh_groups_of(object_id, named.groups))


def _settle(waiver_id: UUID, refusal: str, bounds: Bounds, passed: Sequence[str]) -> tuple[UUID, ...]:
    item = lock_item(Waiver.objects.values_list("item_id", flat=True).get(pk=waiver_id))
    waiver = Waiver.objects.select_for_update(of=("self",)).get(pk=waiver_id)
    waiver.item = item
    if waiver.status != WaiverStatus.SUBMITTED:
        return ()
    refusal = refusal or _objection(waiver, item)
    window = None if refusal else window_of(item, item.duration, bounds)
    refusal = refusal or (window.unfit if window else "")
    if refusal or window is None:
        _refuse(waiver, item, refusal)
        return ()
    move(
        waiver,
        WaiverStatus.GRANTED,
        actor=Actor.worker(),
        fields={**waiver_fields(waiver), "conditions": " ".join(passed), "checked": CHECKED},
        settled_at=business_now(),
        lease_until=None,
        reason="",
        conditions=list(passed),
    )
    if waiver.emergency:
        owe_reviews(waiver, item)
    if waiver.drill:
        close_item(item, ItemStatus.DRILLED)
        return ()
    return give(item, window, approvals=0, duration=item.duration)


def _objection(waiver: Waiver, item: RequestItem) -> str:
    """A sentence when it may not be granted as things stand under the item's lock, else ""."""
    if item.status != ItemStatus.PENDING:
        return f"The request was {ItemStatus(item.status).label.lower()} before this was checked."
    if business_now() >= item.lapses_at:
        return "The request lapsed before this could be checked. Ask again."
    step_up = item.terms.parsed.step_up
    if what := unproven(step_up.ask, item.request.proof, item.requester.object_id):
        return f"The rules want the requester's sign-in to prove more, and of this request {what}. Ask again."
    keep_freezes_out()
    if frozen := freeze_for_item(item):
        return frozen.sentence
    revoked = Revocation.objects.filter(grant__person=item.requester_id, grant__group=item.group_id)
    if revoked.filter(revoked_at__gte=waiver.submitted_at).exists():
        return "The requester's access through this PIM group was revoked after this was asked for."
    if waiver.emergency and not waiver.drill and blocking_review(item.requester, business_now()):
        return "An earlier emergency use of the requester's is not reviewed, and that blocks the next one."
    return ""


def _refuse(waiver: Waiver, item: RequestItem, refusal: str) -> None:
    move(
        waiver,
        WaiverStatus.REFUSED,
        actor=Actor.worker(),
        fields={**waiver_fields(waiver), "reason": refusal},
        settled_at=business_now(),
        lease_until=None,
        reason=refusal,
    )
    if waiver.drill and item.status == ItemStatus.PENDING:
        # Nobody decides on a drill: refused, it is over.
        move(
            item,
            ItemStatus.CLOSED,
            actor=Actor.worker(),
            fields={"item_id": item.pk, "group_name": item.group.display_name, "reason": refusal},
            close_reason=refusal,
            decided_at=business_now(),
        )
