"""ACTIVATING in groups that are activated as the person: their token, what PIM wants of them, and waiting for them.

Nothing of the window moves while a grant waits for its person: what is left of it is what is left. Once less than
PIM's minimum remains, it is not granted (`activating.activate`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from base.clock import business_now
from base.crash import crash_point, register
from clients import errors
from clients.registry import clients
from clients.types import AssignmentOrder, PersonTokens, PimRequest, Reading, RemovalOrder
from identity.personal import keeping
from identity.personal.sealing import SealError
from requests_app.actions.claiming import Claim, note, rest, settle
from requests_app.models import Grant

register("personal.before_sign_in", "personal.before_wait")

# How often (real time) a grant that waits for its person is looked at; signing in is not announced to it.
LOOK_EVERY = timedelta(seconds=15)
# The problem code of a grant that waits for its person.
WAITS_FOR_PERSON = "person"
_UNTIL = "The time that was approved goes on running; what is left of it when you are back is yours."
NO_SIGN_IN = (
    f"Entra wants this activated in your own name: sign out and in again, and it goes on by itself. {_UNTIL}"
)
STRONGER = (
    "Entra wants a stronger sign-in for this group before it activates it for you: sign out and in again, and follow "
    f"what Entra asks. {_UNTIL}"
)
APPROVAL = (
    "PIM now demands an approval of its own for this group, which the portal doesn't carry through. Nothing was asked "
    "of PIM; activate this group in Entra."
)


class MustWaitError(Exception):
    """It can't be done now: for the person (`failure` None), or for what an operator or time mends."""

    def __init__(self, sentence: str, failure: errors.ClientError | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.failure = failure


class RefusedError(Exception):
    """It can't be done in this window at all; the text is for people."""


def tokens_for(grant: Grant, *, context: str = "") -> PersonTokens:
    """The holder's tokens for the moment. Raises MustWaitError."""
    try:
        kept = keeping.token_of(grant.person)
        if kept is None:
            raise MustWaitError(NO_SIGN_IN)
        row, refresh_token = kept
        crash_point("personal.before_sign_in")
        tokens = clients().personal.sign_in(refresh_token, context=context).value
        if tokens.refresh_token and tokens.refresh_token != refresh_token:
            keeping.replace(grant.person, row, tokens.refresh_token)
    except SealError as error:
        sentence = f"People's own tokens can't be opened: {error} An operator must act."
        raise MustWaitError(sentence, errors.NotPermitted(sentence, code="token_key")) from error
    except errors.StepUpRequired as error:
        raise MustWaitError(STRONGER) from error
    except errors.SignInNeeded as error:
        keeping.forget([grant.person], keeping.Forgotten.WITHDRAWN)
        raise MustWaitError(NO_SIGN_IN) from error
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


def wants_the_person(error: errors.ClientError) -> str:
    """The sentence for the person when only they can mend this refusal, else ""."""
    match error:
        case errors.StepUpRequired():
            return STRONGER
        case errors.SignInNeeded():
            return NO_SIGN_IN
        case errors.PolicyRefused() if [rule.lower() for rule in error.rules] == ["mfarule"]:
            return STRONGER
        case _:
            return ""


def wait_for_person(claim: Claim, sentence: str) -> None:
    """Give the lease back until the person may have signed in."""
    crash_point("personal.before_wait")
    with settle(claim) as grant:
        note(grant, problem=sentence, problem_code=WAITS_FOR_PERSON)
        rest(grant, retry_in=LOOK_EVERY)
