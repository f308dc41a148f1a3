"""The remover: takes memberships that are over out of IAM Identity Center, one row of `FastRemoval` at a time.

It reads the row and the grant, looks for the membership, commits its intent, judges once more under the row's lock,
and deletes this very membership by its id. What proves the end is a worker's read-back, as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django_subatomic.db import transaction

from base.clock import business_now, real_now
from base.crash import crash_point, register
from catalog.allow_list import is_managed
from clients import cutters, errors
from clients.types import Receipt, StoreMembership
from requests_app.actions.attempts import KEEP_WRITES, outcome_of
from requests_app.actions.recording import record_of
from requests_app.cutting import leasing
from requests_app.cutting.leasing import Claim, Lost
from requests_app.cutting.models import FastRemoval
from requests_app.cutting.wanting import DIRECT, has_successor
from requests_app.lifecycle import GrantStatus
from requests_app.models import Attempt, Grant

log = structlog.get_logger(__name__)

register("fast_removal.looked", "fast_removal.intent_recorded", "fast_removal.answered")

# How often (business time) it is looked again while the grant isn't out of AWS by a worker's reading: after a
# revocation Entra may carry the membership once more.
LOOK_AGAIN = timedelta(minutes=1)
# A membership may be stamped this much before PIM's own start of the assignment that it comes from.
STAMPS_DIFFER = timedelta(minutes=5)

# What a worker read in Entra longer ago than this (business time) says too little to remove a membership by it.
READ_LATELY = timedelta(minutes=15)

Outcome = FastRemoval.Outcome


def owed() -> list[UUID]:
    """What the remover has to do now; nothing unless fast removal is direct."""
    return leasing.owed(FastRemoval) if owed_at_all() else []


def owed_at_all() -> bool:
    """Whether the remover has anything to do in this installation."""
    return bool(settings.FAST_REMOVAL == DIRECT)


def remove_fast(*, removal_id: UUID) -> bool:
    """Do what one row owes; False when nothing was due. Harmless when repeated."""
    if not owed_at_all():
        return False
    claim = leasing.claim(FastRemoval, removal_id)
    if claim is None:
        return False
    try:
        _look_and_remove(claim)
    except Lost:
        log.warning("lease_lost", fast_removal=str(removal_id))
    except errors.ClientError as error:
        _postpone(claim, error)
    return True


def _look_and_remove(claim: Claim[FastRemoval]) -> None:
    grant = _grant(claim.row)
    verdict = _judge(claim.row, grant)
    if verdict is not None:
        _close(claim, *verdict)
        return
    if _read_long_ago(claim.row):
        _rest(claim, "Entra was last read a while ago; a worker reads it again before anything is removed.")
        return
    user_id, group_id = grant.person.store_user_id, grant.group.store_group_id
    if not user_id or not group_id:
        # Whoever the store doesn't know can't be a member; ids come with the worker's own look.
        _rest(claim, "The person or the PIM group has not been found in IAM Identity Center yet.")
        return
    found = cutters.removal().membership(user_id, group_id).value
    crash_point("fast_removal.looked")
    if found is None:
        _rest(claim, "")
    elif not _explained(found, grant):
        _close(
            claim,
            Outcome.REFUSED,
            "The membership in IAM Identity Center is older than every grant of the portal, so somebody else made it. "
            "An operator has to look.",
        )
    else:
        _delete(claim, grant, found)


def _grant(row: FastRemoval) -> Grant:
    return Grant.objects.select_related("person", "group").get(pk=row.grant_id)


def _judge(row: FastRemoval, grant: Grant) -> tuple[FastRemoval.Outcome, str] | None:
    """Why nothing may be removed (any more): how the row is closed, and why. None: it may."""
    if row.entra_read_at is None:
        return Outcome.YIELDED, "Entra has not been read for it."
    leaving = grant.status == GrantStatus.DEPROVISIONING
    revoked = grant.status == GrantStatus.REMOVING and row.reason == FastRemoval.Reason.REVOKED
    if not leaving and not revoked:
        return Outcome.GONE, ""
    if has_successor(grant):
        return Outcome.YIELDED, "Newer access of the same person to the same PIM group is approved."
    if not is_managed(grant.group.object_id):
        return Outcome.REFUSED, "The PIM group is not in the list of groups that the portal may change."
    return None


def _read_long_ago(row: FastRemoval) -> bool:
    """Somebody may have let the person in anew since. A revocation doesn't wait for a cloud that can't be read."""
    if row.reason == FastRemoval.Reason.REVOKED or row.entra_read_at is None:
        return False
    return business_now() - row.entra_read_at > READ_LATELY


def _explained(found: StoreMembership, grant: Grant) -> bool:
    """Whether some grant of the portal for this pair can have made the membership; True where AWS doesn't say since when."""
    if found.created_at is None:
        return True
    first = (
        Grant.objects.filter(person=grant.person_id, group=grant.group_id)
        .order_by("starts_at")
        .values_list("starts_at", flat=True)
        .first()
    )
    return first is None or found.created_at >= first - STAMPS_DIFFER


def _delete(claim: Claim[FastRemoval], grant: Grant, found: StoreMembership) -> None:
    attempt = _intend(claim, found)
    if attempt is None:
        return
    crash_point("fast_removal.intent_recorded")
    error: errors.ClientError | None = None
    receipt = Receipt(client_request_id=str(attempt.pk))
    if not claim.may_call():
        raise Lost(str(claim.row.pk))
    try:
        receipt = cutters.removal().delete(found.membership_id, client_request_id=str(attempt.pk)).receipt
    except errors.ClientError as raised:
        error, receipt = raised, raised.receipt or receipt
    crash_point("fast_removal.answered")
    _answered(claim, grant, attempt, error, receipt)


def _intend(claim: Claim[FastRemoval], found: StoreMembership) -> Attempt | None:
    """Judge again under the row's lock and commit the intent; None when it may not be any more."""
    with leasing.settle(claim) as row:
        fresh = _grant(row)
        verdict = _judge(row, fresh) if row.closed_at is None else (Outcome(row.outcome), row.problem)
        if verdict is not None:
            _close_locked(row, fresh, *verdict)
            return None
        now = real_now()
        attempt = Attempt.objects.create(
            grant=fresh, kind=Attempt.Kind.TAKE_OUT, started_at=now, expires_at=now + KEEP_WRITES
        )
        leasing.note(row, sending_until=claim.until, last_asked_at=business_now(), asks=row.asks + 1)
        _record(
            "fast_removal.sent",
            fresh,
            client_request_id=str(attempt.pk),
            reason=FastRemoval.Reason(row.reason).label,
            membership_id=found.membership_id,
        )
    return attempt


def _answered(
    claim: Claim[FastRemoval],
    grant: Grant,
    attempt: Attempt,
    error: errors.ClientError | None,
    receipt: Receipt,
) -> None:
    gone = isinstance(error, errors.NotFound)
    outcome = Attempt.Outcome.DONE if gone else outcome_of(error)
    with transaction():
        Attempt.objects.filter(pk=attempt.pk).update(
            outcome=outcome,
            finished_at=real_now(),
            vendor_request_id=receipt.vendor_request_id,
            code=error.code[:64] if error else "",
            sentence=error.sentence if error else "",
        )
        _record(
            "fast_removal.answered",
            grant,
            client_request_id=str(attempt.pk),
            outcome=outcome.label.lower(),
            vendor_request_id=receipt.vendor_request_id,
            code=error.code if error else "",
            answer=error.sentence if error else "",
        )
    with leasing.settle(claim) as row:
        failed = error is not None and not gone
        leasing.rest(
            row,
            until=business_now() if failed else business_now() + LOOK_AGAIN,
            retry_in=_wait(error, row.failures) if failed else None,
            failed=failed,
            sending_until=None,
            last_request_id=receipt.vendor_request_id,
            problem=error.sentence if error is not None and failed else "",
        )


def _wait(error: errors.ClientError | None, failures: int) -> timedelta:
    return error.retry_after if isinstance(error, errors.Throttled) else leasing.back_off(failures)


def _rest(claim: Claim[FastRemoval], problem: str) -> None:
    with leasing.settle(claim) as row:
        leasing.rest(row, until=business_now() + LOOK_AGAIN, problem=problem)


def _postpone(claim: Claim[FastRemoval], error: errors.ClientError) -> None:
    """A look failed: nothing was learnt, nothing was sent."""
    log.warning("fast_removal_postponed", fast_removal=str(claim.row.pk), code=error.code)
    try:
        with leasing.settle(claim) as row:
            leasing.rest(
                row,
                until=business_now(),
                retry_in=_wait(error, row.failures),
                failed=True,
                problem=error.sentence,
            )
    except Lost:
        log.warning("lease_lost", fast_removal=str(claim.row.pk))


def _close(claim: Claim[FastRemoval], outcome: FastRemoval.Outcome, problem: str) -> None:
    with leasing.settle(claim) as row:
        _close_locked(row, _grant(row), outcome, problem)


def _close_locked(row: FastRemoval, grant: Grant, outcome: FastRemoval.Outcome, problem: str) -> None:
    leasing.rest(row, until=None, outcome=outcome, closed_at=row.closed_at or business_now(), problem=problem)
    if outcome == Outcome.REFUSED:
        log.error("fast_removal_refused", grant=str(grant.pk), reason=problem)
        _record("fast_removal.refused", grant, reason=problem)


def _record(event: str, grant: Grant, **fields: str | datetime) -> None:
    record_of(grant, event, fields)


def pass_over(act: Callable[[UUID], object], ids: list[UUID]) -> int:
    """Do each; a row that breaks is logged and keeps no other from its turn. Gives how many broke."""
    broken = 0
    for row_id in ids:
        try:
            act(row_id)
        except Exception as error:
            log.exception("cutting_failed", row=str(row_id), error=type(error).__name__)
            broken += 1
    return broken
