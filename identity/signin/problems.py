"""Why a sign-in didn't come about: for each reason a status, a sentence, and what to do next."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason, as the page `signin/problem.html` tells it."""

    code: str
    status: int
    heading: str
    sentence: str
    advice: str
    other_account: bool = False  # offer to sign in as somebody else


class SignInError(Exception):
    """A sign-in ended with a problem. Carries no token, code or claim but ids for the ledger."""

    def __init__(
        self, problem: Problem, *, entra_error: str = "", tenant_id: str = "", object_id: str = ""
    ) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.entra_error = entra_error
        self.tenant_id = tenant_id
        self.object_id = object_id


_OPERATORS = "Tell the people who run the portal, and give them the reference below."

CALLBACK_BROKEN = Problem(
    "callback_broken",
    400,
    "This sign-in can't be completed",
    "It was completed before, took longer than ten minutes, or was started in another browser.",
    "Start again from here. If that fails, allow cookies for this site.",
)
CANCELLED = Problem(
    "cancelled",
    400,
    "You stopped the sign-in",
    "Microsoft Entra says that the sign-in was cancelled, so nothing happened here.",
    "Start again when you are ready.",
    other_account=True,
)
REPORTED = Problem(
    "reported",
    400,
    "Microsoft Entra reported a problem",
    "Entra ended the sign-in and told the portal only an error number.",
    "Start again. If it happens again, ask your service desk about that number.",
    other_account=True,
)
DISABLED = Problem(
    "disabled",
    403,
    "This account is disabled",
    "The directory of your organisation has switched this account off, so it can't sign in here.",
    "If that is wrong, ask your service desk. After they switch it on, the portal follows within minutes.",
    other_account=True,
)
WRONG_TENANT = Problem(
    "wrong_tenant",
    403,
    "This account belongs to another organisation",
    "The portal serves one organisation only, and this account isn't in its directory.",
    "Sign in with the account of that organisation.",
    other_account=True,
)
NOT_ASSIGNED = Problem(
    "not_assigned",
    403,
    "This account may not use the portal",
    "Your organisation hasn't given this account the application Access Portal.",
    "Ask your service desk to assign it to you in Entra.",
    other_account=True,
)
POLICY = Problem(
    "policy",
    403,
    "A policy of your organisation stopped the sign-in",
    "Conditional Access refused this device, place or way of signing in.",
    "Use a managed device on a trusted network, or ask your service desk with the number below.",
    other_account=True,
)
CONSENT = Problem(
    "consent",
    403,
    "The portal isn't approved in Entra yet",
    "An administrator of your organisation has to consent to the portal's sign-in first.",
    _OPERATORS,
)
TOKEN_INVALID = Problem(
    "token_invalid",
    400,
    "The answer of Microsoft Entra can't be trusted",
    "What came back didn't pass the portal's checks, so nobody was signed in.",
    "Start again. If it happens again, tell the people who run the portal, with the reference below.",
)
NO_OBJECT_ID = Problem(
    "no_object_id",
    502,
    "Microsoft Entra didn't say who you are",
    "The answer named no object id, which is how the portal recognises people.",
    _OPERATORS,
)
NOT_PROVEN = Problem(
    "not_proven",
    403,
    "The stronger sign-in didn't happen",
    "Microsoft Entra was asked for it, but its answer doesn't prove it. Nothing was changed: you are signed in as before.",
    "Go back to your request and sign in again from there. If it happens again, tell the people who run the portal, with "
    "the reference below.",
)
NOT_FRESH = Problem(
    "not_fresh",
    403,
    "Microsoft Entra didn't say when you signed in",
    "A fresh sign-in was asked for, and the answer doesn't prove one. Nothing was changed: you are signed in as before.",
    "Go back to your form and send it again. If it happens again, tell the people who run the portal, with the reference "
    "below: the optional claim auth_time may be missing from the portal's registration in Entra.",
)
OTHER_PERSON = Problem(
    "other_person",
    403,
    "That was another account",
    "The stronger sign-in has to be by whoever began it. Nothing was changed: you are signed in as before.",
    "Go back to your request and sign in again from there, with the account that asked.",
)
UNREACHABLE = Problem(
    "unreachable",
    502,
    "Microsoft Entra can't be reached",
    "The portal got no usable answer from Entra, so nobody was signed in.",
    "Try again in a minute. Requests and access that you already have go on meanwhile.",
)
MISCONFIGURED = Problem(
    "misconfigured",
    502,
    "Microsoft Entra refused the portal itself",
    "The portal's own registration in Entra is wrong or its secret has expired.",
    _OPERATORS,
)
TOO_MANY = Problem(
    "too_many",
    429,
    "Too many sign-ins from this network",
    "The portal takes a limited number of sign-ins a minute from one address.",
    "Wait a minute, then try again.",
)

# Numbers of Entra's errors (AADSTS…), from Microsoft's list of authentication error codes.
_BY_NUMBER = {
    "50020": WRONG_TENANT,
    "50034": WRONG_TENANT,
    "90072": WRONG_TENANT,
    "50057": DISABLED,
    "50105": NOT_ASSIGNED,
    "50053": POLICY,
    "50076": POLICY,
    "50079": POLICY,
    "50097": POLICY,
    "53000": POLICY,
    "53001": POLICY,
    "53003": POLICY,
    "530003": POLICY,
    "65001": CONSENT,
    "90094": CONSENT,
    "90095": CONSENT,
    "65004": CANCELLED,
    "54005": CALLBACK_BROKEN,
    "70000": CALLBACK_BROKEN,
    "70008": CALLBACK_BROKEN,
    "50148": CALLBACK_BROKEN,
    "501481": CALLBACK_BROKEN,
    "50011": MISCONFIGURED,
    "50194": MISCONFIGURED,
    "500112": MISCONFIGURED,
    "700016": MISCONFIGURED,
    "7000215": MISCONFIGURED,
    "7000218": MISCONFIGURED,
    "7000222": MISCONFIGURED,
    "90033": UNREACHABLE,
}
# The OAuth words, for errors without a number that is known here.
_BY_WORD = {
    "access_denied": CANCELLED,
    "consent_required": CONSENT,
    "invalid_client": MISCONFIGURED,
    "unauthorized_client": MISCONFIGURED,
    "server_error": UNREACHABLE,
    "temporarily_unavailable": UNREACHABLE,
}
_NUMBER = re.compile(r"AADSTS(\d{4,9})\b")


def from_entra(error: str, description: str) -> SignInError:
    """The refusal behind an OAuth error, of the callback or of the token endpoint."""
    found = _NUMBER.search(description)
    number = found.group(1) if found else ""
    problem = _BY_NUMBER.get(number) or _BY_WORD.get(error, REPORTED)
    return SignInError(problem, entra_error=number)
