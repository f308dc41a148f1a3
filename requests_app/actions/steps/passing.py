"""ACTIVATING as the person where PIM wants an approval of its own: the approvers' word is passed on in their names.

PIM takes an approver's decision with that approver's own token only, and counts the time of an activation from the
approval. So PIM isn't asked before there is a sign-in of somebody who approved here; what PIM was asked is approved in the
same breath; and what nobody approved in time is withdrawn and asked anew, so that the end stays the approved one.

The approval is what makes PIM's activation happen. It goes along the narrow path on the place of the ask, which is then
taken for longer, or, where that is over, on one of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from base.clock import business_now
from base.crash import crash_point, register
from clients import errors
from clients.registry import clients
from clients.types import PersonTokens, PimRequest, PimRequestStatus
from identity.models import Person
from identity.personal import keeping
from requests_app.actions import attempts
from requests_app.actions.claiming import Claim, note, rest, settle
from requests_app.actions.pathing import WAITS, Wait, hold_if_asked
from requests_app.actions.steps import personal
from requests_app.actions.steps.pacing import back_off, postpone
from requests_app.lifecycle import GrantStatus
from requests_app.models import WAITS_FOR_APPROVER, Attempt, Grant
from requests_app.path_models import PathKind

register("passing.placed", "passing.before_settle", "passing.withdrawn")

# How long (business time) an approval may come after the ask; the activation is asked for that much shorter, so that
# it never reaches past the approved end.
PASS_ON_WITHIN = timedelta(minutes=1)
NOT_AN_APPROVER = (
    "PIM wants an approval of its own for this group, and counts nobody who approved here among its approvers. The "
    "group's owner can make them approvers in PIM; or activate this group in Entra. Nothing was granted."
)
STILL_PENDING = (
    "PIM still holds the request, which its person has to withdraw: that happens by itself once they have signed in "
    "again. Undecided, it is over in PIM after a day."
)


NOBODY_APPROVED = (
    "PIM now wants an approval of its own for this group, and nobody has approved this in the portal whose word could be "
    "passed on. Ask again: somebody then has to."
)


@dataclass(frozen=True, slots=True)
class Approver:
    """Somebody who approved in the portal, with tokens of theirs for the moment."""

    person: Person
    tokens: PersonTokens
    newest: int  # the newest row of tokens of all who approved, as it was before any was used
    failure: errors.ClientError | None = (
        None  # for which another's token, signed in as they are, couldn't be used
    )


def signed_in_approvers(grant: Grant) -> list[Approver]:
    """Those who approved and whose tokens can be used, latest first.

    Raises:
        personal.MustWaitError: nobody's can.
        personal.RefusedError: nobody has approved it.
    """
    found: list[Approver] = []
    waits: list[personal.MustWaitError] = []
    people = grant.approvers()
    if not people:
        raise personal.RefusedError(NOBODY_APPROVED)
    newest = keeping.newest(people)
    for person in people:
        try:
            tokens, _ = personal.tokens_of(person)
        except personal.MustWaitError as each:
            waits.append(each)
        else:
            found.append(Approver(person, tokens, newest))
    failed = next((each for each in waits if each.failure is not None), None)
    if found and failed:
        return [replace(each, failure=failed.failure) for each in found]
    if found:
        return found
    if failed:
        raise failed
    raise _waits_for(people, row=max((each.row for each in waits), default=0), claims=_claims_of(waits))


def own_request(grant: Grant) -> PimRequest | None:
    """PIM's record of this grant's activation as the person; None when none was sent, or PIM has none."""
    if not grant.as_person or not (grant.pim_request_id or grant.unknown_writes):
        return None
    asked = attempts.read(
        grant,
        Attempt.Kind.READ_ENTRA,
        lambda: clients().pim.requests(grant.group.object_id, grant.person.object_id),
    )
    own = [r for r in asked.value if grant.asked_for(r) and r.action.lower() == "selfactivate"]
    if grant.pim_request_id:
        return next((r for r in own if r.request_id == grant.pim_request_id), None)
    # Its answer was lost: only one that still waits may be taken for it.
    return next((r for r in own if r.status is PimRequestStatus.PENDING), None)


def pass_on(claim: Claim, request: PimRequest, approvers: Sequence[Approver] = ()) -> str:
    """Pass the approval of a pending request on, or withdraw it when it is late; gives why it can't be, or "".

    Whatever came of it is read back by the next look.
    """
    if request.created_at and business_now() - request.created_at > PASS_ON_WITHIN:
        if withdraw(claim, request):
            give_back(claim)
        return ""
    try:
        willing = approvers or signed_in_approvers(claim.grant)
    except personal.MustWaitError as waits:
        personal.wait(claim, waits)
        return ""
    except personal.RefusedError as refused:
        return str(refused) if withdraw(claim, request) else ""
    again: dict[Person, str] = {}  # who has to sign in anew, with which claims
    for approver in willing:
        if (error := _approve(claim, request, approver)) is None:
            return ""
        if isinstance(error, errors.StepUpRequired | errors.SignInNeeded):
            again[approver.person] = error.claims if isinstance(error, errors.StepUpRequired) else ""
    # PIM counts none of the others who can be spoken for; of whom it hasn't heard yet nothing is known.
    tried = {each.person for each in willing}
    people = list(again) or [each for each in claim.grant.approvers() if each not in tried]
    if not withdraw(claim, request):
        return ""
    if not people:
        return NOT_AN_APPROVER
    if not again and (failure := willing[0].failure) is not None:
        postpone(
            claim, failure
        )  # whoever isn't heard yet has signed in, and Entra's answer for them was no answer
        return ""
    claims = next((each for each in again.values() if each), "")
    personal.wait(claim, _waits_for(people, row=willing[0].newest, claims=claims))
    return ""


def _approve(claim: Claim, request: PimRequest, approver: Approver) -> errors.Refused | None:
    """One approver's word; gives PIM's refusal of this approver, None when the next look tells."""
    place = attempts.place_to_complete(claim.grant, PathKind.ASSIGN)
    if isinstance(place, Wait):
        with settle(claim) as grant:
            rest(grant, retry_in=place.span, problem=WAITS, problem_code="turn")
        return None
    crash_point("passing.placed")
    answer = attempts.write(
        claim,
        Attempt.Kind.PASS_ON,
        lambda call_id: clients().personal.approve(
            request.request_id,
            approver.tokens,
            justification=f"Approved in Access Portal, request {claim.grant.first_request_id}",
            client_request_id=call_id,
        ),
        sent={"approver": approver.person.object_id},
        place=place,
    )
    crash_point("passing.before_settle")
    match answer.error:
        case None | errors.Conflicting() | errors.NotFound():
            give_back(claim)
            return None
        case errors.Refused() as refused:
            return refused
        case failure:
            hold_if_asked(failure)
            postpone(claim, failure)
            return None


def withdraw(claim: Claim, request: PimRequest) -> bool:
    """Take a pending request back with its person's token; whether PIM has taken that, and the lease is still ours.

    If not, the lease is given back, and it is tried again, or waits for the person.
    """
    try:
        tokens, row = personal.tokens_of(claim.grant.person)
    except personal.MustWaitError as waits:
        _keep_trying(claim, waits)
        return False
    answer = attempts.write(
        claim,
        Attempt.Kind.WITHDRAW,
        lambda call_id: clients().personal.withdraw(request.request_id, tokens, client_request_id=call_id),
        sent={"tag": claim.grant.tag},
    )
    crash_point("passing.withdrawn")
    if answer.error is None:
        forget(claim)
        return True
    if isinstance(answer.error, errors.SignInNeeded | errors.StepUpRequired):
        claims = answer.error.claims if isinstance(answer.error, errors.StepUpRequired) else ""
        _keep_trying(claim, personal.MustWaitError(STILL_PENDING, row=row, claims=claims))
    else:
        # Decided or withdrawn meanwhile, or out of reach: the next look tells.
        postpone(claim, answer.error)
    return False


def forget(claim: Claim) -> None:
    """By PIM's own record nothing comes of what was asked: it needs no more to be waited for. Keeps the lease."""
    with settle(claim) as grant:
        unknown = max(0, grant.unknown_writes - 1)
        note(grant, pim_request_id="", pim_schedule_id="", unknown_writes=unknown)


def give_back(claim: Claim) -> None:
    """Give the lease back for a look at once."""
    with settle(claim) as grant:
        rest(grant, until=business_now())


def _keep_trying(claim: Claim, waits: personal.MustWaitError) -> None:
    if waits.failure is None and claim.grant.status == GrantStatus.ACTIVATING:
        again = personal.MustWaitError(STILL_PENDING, claims=waits.claims, row=waits.row)
        personal.wait(claim, again, costly=True)
    elif waits.failure is None:
        with settle(claim) as grant:
            wait = back_off(grant.failures)
            rest(grant, retry_in=wait, failed=True, problem=STILL_PENDING, problem_code="waiting")
    else:
        postpone(claim, waits.failure)


def _waits_for(people: Sequence[Person], *, row: int, claims: str) -> personal.MustWaitError:
    names = " or ".join(person.display_name for person in people[:3]) or "whoever approved"
    return personal.MustWaitError(
        "PIM wants an approval of its own for this group. The portal passes it on in the name of whoever approved here, "
        f"and holds no sign-in of {names} that it can use. It goes on by itself once they have signed in again.",
        claims=claims,
        row=row,
        code=WAITS_FOR_APPROVER,
    )


def _claims_of(waits: Sequence[personal.MustWaitError]) -> str:
    return next((each.claims for each in waits if each.claims), "")
