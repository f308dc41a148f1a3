"""From what went wrong at Graph to the port's errors. No SDK here: the caller hands over plain facts.

Codes and their meaning: Graph documentation of PIM for Groups, and observed behaviour of its public clients.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from clients.errors import (
    AlreadyAssigned,
    ClientError,
    Conflicting,
    NotFound,
    NothingToRemove,
    NotPermitted,
    OutcomeUnknown,
    PolicyRefused,
    Refused,
    StepUpRequired,
    Throttled,
    TooYoungToRemove,
    Unreachable,
)
from clients.types import Receipt

DEFAULT_RETRY_AFTER = timedelta(seconds=10)
LONGEST_RETRY_AFTER = timedelta(minutes=15)
_CLAIMS = re.compile(r"claims=(.+)", re.DOTALL)
_RULE_LIST = re.compile(r"\[[^\]]*\]")
_RULE_NAME = re.compile(r"\b[A-Z][A-Za-z]*Rule\b")

_RULES_IN_WORDS = {
    "expirationrule": "the duration is longer than the group allows, or an end is required",
    "justificationrule": "a justification is required",
    "ticketingrule": "a reference number is required",
    "mfarule": "multi-factor authentication is required",
    "eligibilityrule": "the person isn't eligible for this group",
    "authenticationcontextrule": "a stronger sign-in is required",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An unsuccessful HTTP answer of Graph."""

    status: int
    code: str = ""
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names


def retry_after(header: str | None, *, now: datetime | None = None) -> timedelta:
    """What a Retry-After header asks for: seconds or an HTTP date; ten seconds when it can't be read."""
    text = (header or "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        wait = timedelta(seconds=float(text))
    else:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return DEFAULT_RETRY_AFTER
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        wait = moment - (now or datetime.now(UTC))
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)


def failed_rules(message: str) -> tuple[str, ...]:
    """Names of the policy rules in PIM's message, which carries them as a JSON array."""
    for candidate in _RULE_LIST.findall(message):
        try:
            names = json.loads(candidate)
        except ValueError:
            continue
        if names and all(isinstance(name, str) for name in names):
            return tuple(names)
    return tuple(dict.fromkeys(_RULE_NAME.findall(message)))


def _policy_refusal(answer: Answer, receipt: Receipt) -> PolicyRefused:
    rules = failed_rules(answer.message)
    known = [_RULES_IN_WORDS[rule.lower()] for rule in rules if rule.lower() in _RULES_IN_WORDS]
    because = "; ".join(known) or ", ".join(rules) or "the rule isn't named"
    return PolicyRefused(
        f"The group's PIM settings refuse this: {because}. Ask again within the group's settings.",
        rules=rules,
        code=answer.code,
        receipt=receipt,
    )


_BY_CODE: Mapping[str, tuple[type[ClientError], str]] = {
    "RoleAssignmentExists": (
        AlreadyAssigned,
        "PIM already holds a membership for this person and group; it must be read before going on.",
    ),
    "PendingRoleAssignmentRequest": (
        AlreadyAssigned,
        "PIM already has a pending request for this person and group; it must be read before going on.",
    ),
    "RoleAssignmentDoesNotExist": (
        NothingToRemove,
        "PIM holds no membership for this person and group; it must be read before going on.",
    ),
    "ActiveDurationTooShort": (
        TooYoungToRemove,
        "PIM keeps every membership for its first five minutes; it can be removed after that.",
    ),
    "SubjectNotFound": (
        Unreachable,
        "Entra doesn't know this person or group everywhere yet; it usually does within a minute.",
    ),
    "AadPremiumLicenseRequired": (
        NotPermitted,
        "The tenant lacks the Entra ID P2 or Governance licence that PIM needs. An operator must act.",
    ),
}


def _by_code(answer: Answer, receipt: Receipt) -> ClientError | None:
    """The error that PIM's code names; the status that comes with a code isn't documented for all of them."""
    code = answer.code
    if code in _BY_CODE:
        kind, sentence = _BY_CODE[code]
        return kind(sentence, code=code, receipt=receipt)
    if code == "RoleAssignmentRequestPolicyValidationFailed":
        return _policy_refusal(answer, receipt)
    if code == "RoleAssignmentRequestAcrsValidationFailed" or (
        answer.status == 400 and "claims=" in answer.message
    ):
        return StepUpRequired(
            "The group's PIM settings demand a stronger sign-in (authentication context) of the person.",
            claims=claims_in(answer.message),
            rules=("AuthenticationContextRule",),
            code=code,
            receipt=receipt,
        )
    return None


def claims_in(message: str) -> str:
    """The claims, as JSON, that PIM puts into its message, percent-encoded or not; "" when there are none to read."""
    found = _CLAIMS.search(message)
    if found is None:
        return ""
    text = unquote(found.group(1))
    try:
        claims, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return ""
    return json.dumps(claims) if isinstance(claims, dict) else ""


def from_answer(answer: Answer, *, write: bool, receipt: Receipt) -> ClientError:
    """The port's error for an HTTP answer of 400 or more."""
    code = answer.code
    if answer.status == 429:
        return Throttled(
            "Microsoft Graph asks to wait.",
            retry_after=retry_after(answer.headers.get("retry-after")),
            code=code or "429",
            receipt=receipt,
        )
    if answer.status < 500 and (named := _by_code(answer, receipt)):
        return named
    if answer.status in (401, 403):
        return NotPermitted(
            f"Microsoft Graph doesn't allow the worker this call ({code or answer.status}). An operator must "
            "check the permissions of the worker's app registration and its admin consent.",
            code=code or str(answer.status),
            receipt=receipt,
        )
    if answer.status == 404:
        return NotFound(
            "Microsoft Graph doesn't know this object (any more).", code=code or "404", receipt=receipt
        )
    if answer.status == 409:
        return Conflicting(
            "Somebody else was faster at Microsoft Entra; what they did is read back.",
            code=code or "409",
            receipt=receipt,
        )
    if answer.status == 408 or answer.status >= 500:
        return interrupted(code or str(answer.status), write=write, receipt=receipt)
    return Refused(
        f"Microsoft Graph refuses this call ({code or answer.status}). "
        "Nothing was changed; an operator finds the details by its request id.",
        code=code or str(answer.status),
        receipt=receipt,
    )


def interrupted(code: str, *, write: bool, receipt: Receipt) -> ClientError:
    """The answer is lost or says nothing, after the call was sent."""
    if write:
        return OutcomeUnknown(
            "Microsoft Graph gave no clear answer: the change may have happened or not, and is read back.",
            code=code,
            receipt=receipt,
        )
    return Unreachable("Microsoft Graph gave no answer. The call is tried again.", code=code, receipt=receipt)


def not_sent(code: str, *, receipt: Receipt) -> Unreachable:
    """The call never left: nothing changed."""
    return Unreachable(
        "Microsoft Graph can't be reached. Nothing was changed, and the call is tried again.",
        code=code,
        receipt=receipt,
    )


def no_token(reason: str, *, refused: bool, receipt: Receipt) -> ClientError:
    """Entra gave no token: either it refuses the worker's credential, or it can't be reached."""
    if refused:
        return NotPermitted(
            "Entra refuses the worker's own credential. An operator must check ENTRA_WORKER_CLIENT_ID "
            "and its certificate, federated token or secret (expired, or not registered).",
            code=reason,
            receipt=receipt,
        )
    return Unreachable(
        "Entra's sign-in service can't be reached, so the worker has no token. The call is tried again.",
        code=reason,
        receipt=receipt,
    )
