"""Doing what a grant owes: claim it, take the step of its status, and go on while the next one is due at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from uuid import UUID

import structlog

from base.crash import crash_point, register
from base.errors import Conflict
from clients import errors
from clients.breaker import removals_first
from requests_app.actions.claiming import Claim, LeaseLost, Superseded, claim_grant, rest, settle
from requests_app.actions.freezing import end_if_frozen
from requests_app.actions.steps.activating import activate
from requests_app.actions.steps.pacing import back_off, postpone
from requests_app.actions.steps.proving import deprovision, drain, watch
from requests_app.actions.steps.provisioning import provision
from requests_app.actions.steps.removing import end_window, remove
from requests_app.actions.steps.starting import start
from requests_app.lifecycle import GrantStatus

log = structlog.get_logger(__name__)

register("advancing.claimed")

# A step that leaves the grant due at once is followed by the next; a bound keeps a task short.
MOST_STEPS = 8

STEPS: dict[str, Callable[[Claim], None]] = {
    GrantStatus.SCHEDULED: start,
    GrantStatus.ACTIVATING: activate,
    GrantStatus.PROVISIONING: provision,
    GrantStatus.ACTIVE: end_window,
    GrantStatus.REMOVING: remove,
    GrantStatus.DEPROVISIONING: deprovision,
    GrantStatus.DRAINING: drain,
    GrantStatus.NEVER_ARRIVED: watch,
}


# Statuses in which a membership is being taken away.
TAKING_AWAY = frozenset({GrantStatus.REMOVING, GrantStatus.DEPROVISIONING})


def advance_grant(*, grant_id: UUID) -> int:
    """Take the steps that are due for one grant; gives how many. Harmless when nothing is owed."""
    for taken in range(MOST_STEPS):
        claim = claim_grant(grant_id)
        if claim is None:
            return taken
        crash_point("advancing.claimed")
        try:
            # After an outage, what takes access away goes first.
            with removals_first() if claim.grant.status in TAKING_AWAY else nullcontext():
                if not end_if_frozen(claim):
                    STEPS.get(claim.grant.status, _nothing_owed)(claim)
        except LeaseLost:
            log.warning("lease_lost", grant=str(grant_id))
            return taken
        except Superseded:
            _give_back(claim)
        except Conflict as error:
            # A constraint that allows one at a time was faster; what the next look shows decides.
            log.warning("grant_in_conflict", grant=str(grant_id), code=error.code)
            _give_back(claim, retry_in=back_off(claim.grant.failures))
        except errors.ClientError as error:
            postpone(claim, error)
        if claim.rests():
            return taken + 1
    return MOST_STEPS


def _nothing_owed(claim: Claim) -> None:
    """It came to its end (the holder cancelled it) between being found and being claimed."""
    with settle(claim) as grant:
        rest(grant)


def _give_back(claim: Claim, retry_in: timedelta | None = None) -> None:
    """The holder was faster: the next step is that of the new status, at once."""
    try:
        with settle(claim) as grant:
            rest(grant, retry_in=retry_in, failed=retry_in is not None)
    except LeaseLost:
        log.warning("lease_lost", grant=str(claim.grant.pk))
