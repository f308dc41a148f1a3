"""ACTIVATING in groups that are activated as the person: their token, what PIM wants of them, and waiting for them.

Nothing of the window moves while a grant waits for its person: what is left of it is what is left. Once less than
PIM's minimum remains, it is not granted (`activating.activate`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from django.conf import settings

from base.clock import business_now, real_now
from base.crash import crash_point, register
from clients import errors
from clients.registry import clients
from clients.types import AssignmentOrder, PersonTokens, PimRequest, Reading, RemovalOrder
from identity.personal import keeping
from identity.personal.sealing import SealError
from requests_app.actions.claiming import Claim, note, rest, settle
from requests_app.models import WAITS_FOR_PERSON, Grant

register("personal.before_sign_in", "personal.before_wait")

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
APPROVAL = (
    "PIM now demands an approval of its own for this group, which the portal doesn't carry through. Nothing was asked "
    "of PIM; activate this group in Entra."
)


class MustWaitError(Exception):
    """It can't be done now: for the person (`failure` None), or for what an operator or time mends.

    `claims` is what Entra wants of the person's next sign-in, "" for nothing in particular.
    """

    def __init__(self, sentence: str, failure: errors.ClientError | None = None, *, claims: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.failure = failure
        self.claims = claims


class RefusedError(Exception):
    """It can't be done in this window at all; the text is for people."""


def tokens_for(grant: Grant, *, context: str = "") -> PersonTokens:
    """The holder's tokens for the moment. Raises MustWaitError."""
    try:
        kept = keeping.token_of(grant.person)
        if kept is None:
            raise MustWaitError(NO_SIGN_IN, claims=context_claims(context))
        row, refresh_token = kept
        crash_point("personal.before_sign_in")
        tokens = clients().personal.sign_in(refresh_token, context=context).value
        if tokens.refresh_token and tokens.refresh_token != refresh_token:
            keeping.replace(grant.person, row, tokens.refresh_token)
    except SealError as error:
        sentence = f"People's own tokens can't be opened: {error} An operator must act."
        raise MustWaitError(sentence, errors.NotPermitted(sentence, code="token_key")) from error
    except errors.StepUpRequired as error:
        raise MustWaitError(STRONGER, claims=error.claims) from error
    except errors.SignInNeeded as error:
        keeping.forget([grant.person], keeping.Forgotten.WITHDRAWN)
        raise MustWaitError(NO_SIGN_IN, claims=context_claims(context)) from error
    except errors.ClientError as error:
        raise MustWaitError(error.sentence, error) from error
    return tokens


def tokens_to_activate(grant: Grant) -> tuple[PersonTokens, str]:
    """Tokens that prove what the group's PIM policy wants of the person today, and the ticket that it wants.

    Raises:
        MustWaitError: for the person, or for Entra.
        RefusedError: PIM wants what can't be given.
        clients.errors.ClientError: the policy can't be read.
    """
    policy = clients().pim.group_policy(grant.group.object_id).value
    if policy.requires_approval:
        raise RefusedError(APPROVAL)
    ticket = grant.first_request.reference if policy.requires_ticket else ""
    if policy.requires_ticket and not ticket:
        raise RefusedError(
            "PIM demands a reference number (ticket) for this group, and the request has none. Ask again with one."
        )
    return tokens_for(grant, context=policy.authentication_context), ticket


def activate(
    order: AssignmentOrder, tokens: PersonTokens, call_id: str, *, ticket: str
) -> Reading[PimRequest]:
    """Ask PIM as the person. From this instant, for what is left to the approved end: PIM takes a duration."""
    order = replace(order, starts_at=business_now(), ticket=ticket)
    return clients().personal.activate(order, tokens, client_request_id=call_id)


def deactivate(order: RemovalOrder, grant: Grant, call_id: str) -> Reading[PimRequest]:
    """End it as the person where their token allows; else as the portal, which needs a permission to remove."""
    try:
        tokens = tokens_for(grant)
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


def wants_the_person(error: errors.ClientError) -> MustWaitError | None:
    """What to wait for when only the person can mend this refusal."""
    match error:
        case errors.StepUpRequired():
            return MustWaitError(STRONGER, claims=error.claims)
        case errors.SignInNeeded():
            return MustWaitError(NO_SIGN_IN)
        case errors.PolicyRefused() if [rule.lower() for rule in error.rules] == ["mfarule"]:
            return MustWaitError(STRONGER)
        case _:
            return None


def still_waits(grant: Grant) -> bool:
    """Whether nothing has come that it waits for, so that no cloud needs to be asked: no other sign-in since."""
    if not (grant.waits_for_person and grant.found_at) or grant.unknown_writes:
        return False
    if grant.ends_at - business_now() < settings.PIM_MINIMUM:
        return False
    return real_now() - grant.found_at < ASK_AGAIN_AFTER and keeping.newest(grant.person) == grant.found_token


def keep_waiting(claim: Claim) -> None:
    """Give the lease back: it waits as it did."""
    with settle(claim) as grant:
        rest(grant, retry_in=LOOK_EVERY)


def wait_for_person(claim: Claim, waits: MustWaitError, *, token: int) -> None:
    """Give the lease back until the person may have signed in. `token` is the row that didn't do."""
    crash_point("personal.before_wait")
    with settle(claim) as grant:
        note(
            grant,
            problem=waits.sentence,
            problem_code=WAITS_FOR_PERSON,
            wanted_claims=waits.claims if len(waits.claims) <= MOST_CLAIMS else "",
            found_token=token,
            found_at=real_now(),
        )
        rest(grant, retry_in=LOOK_EVERY)
