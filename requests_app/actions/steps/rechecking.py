"""Asking once more, right before PIM is asked to give access, what the approval stood on.

Between the approval and the first assignment days may pass (a start that was asked for), or hours (Entra away, its
person not signed in, a worker dead). Whoever was disabled, isn't eligible any more, was approved by somebody who may not
decide any more, or would get more than was approved, is not sent to PIM. What can't be read is tried again.
"""

from __future__ import annotations

from base.clock import business_now
from base.crash import crash_point, register
from requests_app.actions.checking import fresh_eligibility, fresh_person
from requests_app.actions.claiming import Claim, note, settle
from requests_app.actions.deciders import ASKED_JUST_NOW, fallen_approval
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant, RequestItem
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
    if fallen := fallen_approval(_items(grant)):
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


def _account_enabled(grant: Grant) -> bool:
    person = fresh_person(grant.person.object_id)
    return person is not None and person.enabled


def _items(grant: Grant) -> list[RequestItem]:
    """The items whose approved time is not over: what is left of the grant stands on them."""
    left = RequestItem.objects.filter(interval__grant=grant, interval__ends_at__gt=business_now())
    return list(left.select_related("requester", "terms").order_by("interval__starts_at"))
