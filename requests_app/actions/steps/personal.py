"""ACTIVATING in groups that are activated as the person: their token, what PIM wants of them, and waiting for them.

Nothing of the window moves while a grant waits for its person: what is left of it is what is left. Once less than
PIM's minimum remains, it is not granted (`activating.activate`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta

from django.conf import settings

from base.clock import business_now, real_now
from base.crash import crash_point, register
from clients import errors
from clients.registry import clients
from clients.types import AssignmentOrder, PersonTokens, PimPolicy, PimRequest, Reading, RemovalOrder
from identity.models import Person
from identity.personal import keeping
from identity.personal.sealing import SealError
from requests_app.actions.claiming import Claim, rest, settle
from requests_app.actions.recording import record_of
from requests_app.actions.steps.pacing import back_off, postpone
from requests_app.lifecycle import GrantStatus
from requests_app.models import WAITS_FOR_PERSON, Grant

register("personal.before_sign_in", "personal.before_wait")

# PIM counts an activation from when it takes it up, not from when it was sent. It is asked for so much less (business
# time), which is longer than a call may take, so that it doesn't reach past the approved end.
ON_ITS_WAY = timedelta(seconds=30)
# How often (real time) a grant that waits for its person is looked at: for another sign-in, in our own database only.
LOOK_EVERY = timedelta(seconds=5)
# After this long (real time) Entra is asked again with the sign-in that didn't do: what it wants may have changed.
ASK_AGAIN_AFTER = timedelta(minutes=10)
MOST_CLAIMS = 2000
NO_SIGN_IN = (
    "Entra activates this group only in the requester's own name, and the portal holds no sign-in of theirs that it can "
    "use. It goes on by itself once they have signed in again."
)
STRONGER = (
    "Entra wants a stronger sign-in of the requester before it activates this group. It goes on by itself once they have "
    "signed in again in the way that Entra asks for."
)


@dataclass(frozen=True, slots=True)
class Ready:
    """What an activation takes: the person's tokens, the row that they are of, and the ticket that PIM wants."""

    tokens: PersonTokens
    row: int
    ticket: str = ""


class MustWaitError(Exception):
    """It can't be done now: for somebody (`failure` None), or for what an operator or time mends.

    `claims` is what Entra wants of that somebody's next sign-in, "" for nothing in particular; `row` the newest row of
    their tokens, which didn't do; `code` says for whom it waits.
    """

    def __init__(
        self,
        sentence: str,
        failure: errors.ClientError | None = None,
        *,
        claims: str = "",
        row: int = 0,
        code: str = WAITS_FOR_PERSON,
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.failure = failure
        self.claims = claims
        self.row = row
        self.code = code


class RefusedError(Exception):
    """It can't be done in this window at all; the text is for people."""


def tokens_of(person: Person, *, context: str = "") -> tuple[PersonTokens, int]:
    """Somebody's tokens for the moment, and the row that they are of. Raises MustWaitError."""
    row = 0
    try:
        kept = keeping.token_of(person)
        if kept is None:
            raise MustWaitError(NO_SIGN_IN, claims=context_claims(context))
        row, refresh_token = kept
        crash_point("personal.before_sign_in")
        tokens = clients().personal.sign_in(refresh_token, context=context).value
        if tokens.refresh_token and tokens.refresh_token != refresh_token:
            keeping.replace(person, row, tokens.refresh_token)
    except SealError as error:
        sentence = f"People's own tokens can't be opened: {error} An operator must act."
        raise MustWaitError(sentence, errors.NotPermitted(sentence, code="token_key")) from error
    except errors.StepUpRequired as error:
        raise MustWaitError(STRONGER, claims=error.claims, row=row) from error
    except errors.SignInNeeded as error:
        keeping.forget([person], keeping.Forgotten.WITHDRAWN, row=row)
        raise MustWaitError(NO_SIGN_IN, claims=context_claims(context)) from error
    except errors.ClientError as error:
        raise MustWaitError(error.sentence, error) from error
    return tokens, row


def ready_to_activate(grant: Grant, policy: PimPolicy) -> Ready:
    """What proves of the person what the group's PIM policy wants today, and the ticket that it wants.

    Raises:
        MustWaitError: for the person, or for Entra.
        RefusedError: PIM wants what can't be given.
    """
    ticket = grant.first_request.reference if policy.requires_ticket else ""
    if policy.requires_ticket and not ticket:
        raise RefusedError(
            "PIM demands a reference number (ticket) for this group, and the request has none. Ask again with one."
        )
    tokens, row = tokens_of(grant.person, context=policy.authentication_context)
    return Ready(tokens, row, ticket)


def activate(order: AssignmentOrder, ready: Ready, call_id: str) -> Reading[PimRequest]:
    """Ask PIM as the person. From this instant, for what is left to the order's end: PIM takes a duration."""
    order = replace(order, starts_at=business_now(), ticket=ready.ticket)
    return clients().personal.activate(order, ready.tokens, client_request_id=call_id)


def deactivate(order: RemovalOrder, grant: Grant, call_id: str) -> Reading[PimRequest]:
    """End it as the person where their token allows; else as the portal, which needs a permission to remove."""
    try:
        tokens, _ = tokens_of(grant.person)
    except MustWaitError:
        return clients().pim.remove(order, client_request_id=call_id)
    try:
        return clients().personal.deactivate(order, tokens, client_request_id=call_id)
    except errors.TooYoungToRemove:
        raise
    except (errors.Refused, errors.NothingToRemove):
        # PIM refused and changed nothing: assigned by somebody else meanwhile, or the sign-in isn't good for it.
        return clients().pim.remove(order, client_request_id=call_id)


def context_claims(context: str) -> str:
    """What to sign in with so that the sign-in proves an authentication context; "" for none."""
    if not context:
        return ""
    return json.dumps({"access_token": {"acrs": {"essential": True, "value": context}}})


def wants_the_person(error: errors.ClientError, row: int) -> MustWaitError | None:
    """What to wait for when only the person, whose token is of that row, can mend this refusal."""
    match error:
        case errors.StepUpRequired():
            return MustWaitError(STRONGER, claims=error.claims, row=row)
        case errors.SignInNeeded():
            return MustWaitError(NO_SIGN_IN, row=row)
        case errors.PolicyRefused() if [rule.lower() for rule in error.rules] == ["mfarule"]:
            return MustWaitError(STRONGER, row=row)
        case _:
            return None


def still_waits(grant: Grant) -> bool:
    """Whether nothing has come that it waits for, so that no cloud needs to be asked: no other sign-in since."""
    if grant.waits_for_person:
        people = [grant.person]
    elif grant.waits_for_approver:
        people = grant.approvers()
    else:
        return False
    if (
        grant.found_at is None
        or grant.unknown_writes
        or grant.ends_at - business_now() < settings.PIM_MINIMUM
    ):
        return False
    return real_now() - grant.found_at < ASK_AGAIN_AFTER and keeping.newest(people) == grant.found_token


def keep_waiting(claim: Claim) -> None:
    """Give the lease back: it waits as it did."""
    with settle(claim) as grant:
        rest(grant, retry_in=LOOK_EVERY)


def wait(claim: Claim, waits: MustWaitError, *, costly: bool = False) -> None:
    """Give the lease back until whom it waits for may have signed in, or, for a failure, until its next try.

    `costly`: each look asks the clouds once more, so that they become rarer; as they do while it isn't known whether
    something that was sent has landed, for which `still_waits` lets each look through.
    """
    if waits.failure is not None:
        postpone(claim, waits.failure)
        return
    crash_point("personal.before_wait")
    with settle(claim) as grant:
        if grant.status != GrantStatus.ACTIVATING:  # its holder was done with it meanwhile
            rest(grant)
            return
        costly = costly or grant.unknown_writes > 0
        if (grant.problem_code, grant.problem) != (waits.code, waits.sentence):
            _record(grant, waits)
        every = max(LOOK_EVERY, back_off(grant.failures)) if costly else LOOK_EVERY
        rest(
            grant,
            retry_in=every,
            failed=costly,
            problem=waits.sentence,
            problem_code=waits.code,
            wanted_claims=waits.claims if len(waits.claims) <= MOST_CLAIMS else "",
            found_token=waits.row,
            found_at=real_now(),
        )


def _record(grant: Grant, waits: MustWaitError) -> None:
    record_of(
        grant,
        "grant.waits_for_sign_in",
        {
            "whom": "the requester" if waits.code == WAITS_FOR_PERSON else "an approver",
            "reason": waits.sentence,
        },
    )
