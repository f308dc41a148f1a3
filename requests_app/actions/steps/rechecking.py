"""Asking once more, right before PIM is asked to give access, what the approval stood on.

Between the approval and the first assignment days may pass (a start that was asked for), or hours (Entra away, its
person not signed in, a worker dead). Whoever was disabled, isn't eligible any more, was approved by somebody who may not
decide any more, or would get more than was approved, is not sent to PIM. What can't be read is tried again. So it is for
what lengthens access and leaves late: what runs keeps its own end.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from base.clock import business_now
from base.crash import crash_point, register
from requests_app.actions.checking import fresh_eligibility, fresh_person
from requests_app.actions.claiming import Claim, note, settle
from requests_app.actions.deciders import ASKED_JUST_NOW, fallen_approval
from requests_app.actions.extending import items_beyond
from requests_app.lifecycle import GrantStatus
from requests_app.models import SAME_END, Grant, RequestItem
from requests_app.scope_growth import growth

register("rechecking.before_settle")


def unfit(grant: Grant, *, account_known: bool = False) -> str:
    """A sentence when the grant may not be given as things are now, else "". Raises ClientError when it can't be known.

    `account_known`: the account was asked about just now.
    """
    so = "so the rest of the time was not assigned anew" if grant.assigned_at else "so it was not started"
    if not account_known and not _account_enabled(grant):
        return f"The account is disabled or gone in Entra, {so}."
    if not fresh_eligibility(grant.person.object_id, grant.group.object_id).held:
        return f"You are no longer eligible for this PIM group, {so}. Ask its owner for a new eligibility."
    if grown := grown_beyond(grant):
        return grown
    # What PIM has ended already, perhaps a little before its time, stands on nothing any more.
    done = business_now() + SAME_END if grant.assigned_at else business_now()
    if fallen := fallen_approval(items_beyond(grant, done)):
        return f"{fallen} That approval is void, {so}: ask again, and whoever may decide now is asked."
    return ""


def grown_beyond(grant: Grant) -> str:
    """A sentence when the group opens more than was approved, else "". No call."""
    grown = growth(grant)
    return f"{grown} The approval doesn't cover that, so it is void: ask again." if grown else ""


def recheck(claim: Claim) -> str:
    """As `unfit`, of a grant that is about to be sent: "" too when it was asked just now. Keeps the lease."""
    grant, now = claim.grant, business_now()
    if grant.holder_checked_at is not None and now - grant.holder_checked_at < ASKED_JUST_NOW:
        return ""
    if sentence := unfit(grant):
        return sentence
    crash_point("rechecking.before_settle")
    with settle(claim) as grant:
        if grant.status == GrantStatus.ACTIVATING:
            note(grant, holder_checked_at=now, holder_doubt="")
    return ""


def lengthening_unfit(grant: Grant, held_until: datetime) -> str:
    """A sentence when PIM may not be asked to hold more than it holds, until then, as things are now, else "".

    Of what was approved within a minute nothing is asked: the approval has just done so, and it has no start of its own.
    Raises ClientError when it can't be known.
    """
    items = items_beyond(grant, held_until + SAME_END)
    if not _approved_before(items, business_now() - ASKED_JUST_NOW):
        return ""
    so = "so it was not lengthened"
    if not _account_enabled(grant):
        return f"The account is disabled or gone in Entra, {so}."
    if not fresh_eligibility(grant.person.object_id, grant.group.object_id).held:
        return f"You are no longer eligible for this PIM group, {so}. Ask its owner for a new eligibility."
    if grown := growth(grant):
        return f"{grown} The approval doesn't cover that, {so}."
    if fallen := fallen_approval(items):
        return f"{fallen} That approval is void, {so}."
    return ""


def _approved_before(items: Iterable[RequestItem], instant: datetime) -> bool:
    return any(item.decided_at is None or item.decided_at <= instant for item in items)


def _account_enabled(grant: Grant) -> bool:
    person = fresh_person(grant.person.object_id)
    return person is not None and person.enabled
