"""What PIM checks before it grants: the window, the policy's rules, and its refusals with their documented codes."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

from simulator.world.durations import parse_duration
from simulator.world.errors import WorldError, bad_request
from simulator.world.state import Expiration, Identity, Policy

SHORTEST = timedelta(minutes=5)


@dataclass(frozen=True)
class Caller:
    """Who calls. `user_id` None: an application with its own token."""

    identity: Identity
    user_id: str | None = None
    mfa: bool = False
    acrs: frozenset[str] = frozenset()

    @property
    def is_application(self) -> bool:
        """Whether this is an application's own token."""
        return self.user_id is None


@dataclass(frozen=True)
class Ask:
    """The body of a schedule request."""

    action: str
    group_id: str
    principal_id: str
    access_id: str = "member"
    start: datetime | None = None
    expiration: Expiration | None = None
    justification: str | None = None
    ticket_number: str | None = None
    ticket_system: str | None = None
    custom_data: str | None = None
    validation_only: bool = False


@dataclass(frozen=True)
class Window:
    """When an assignment would hold. `end` None: for good."""

    start: datetime
    end: datetime | None
    future: bool = field(default=False)

    @property
    def length(self) -> timedelta | None:
        """How long it is."""
        return None if self.end is None else self.end - self.start


def window(ask: Ask, now: datetime, *, since: datetime | None = None) -> Window:
    """The window that an ask describes; a start in the past counts from now (or from `since`, for updates).

    Raises WorldError 400 for a duration that isn't ISO-8601 and for an end that lies before the start.
    """
    future = ask.start is not None and ask.start > now
    start = ask.start if ask.start is not None and future else (since or now)
    expiration = ask.expiration or Expiration()
    end: datetime | None = None
    if expiration.type == "afterDuration":
        try:
            end = start + parse_duration(expiration.duration or "")
        except ValueError as error:
            raise bad_request("InvalidRoleAssignmentRequest", f"The request is invalid: {error}.") from error
    elif expiration.type == "afterDateTime":
        end = expiration.end
        if end is None:
            raise bad_request("InvalidRoleAssignmentRequestSchedule", "endDateTime is missing.")
    if end is not None and end <= max(start, now if not future else start):
        raise bad_request(
            "InvalidRoleAssignmentRequestSchedule", "The schedule is invalid: it ends before it starts."
        )
    return Window(start, end, future)


def admin_failures(
    policy: Policy, ask: Ask, span: Window, caller: Caller, *, app_needs_mfa: bool
) -> list[str]:
    """Rules of target.caller Admin on assignments that this ask breaks."""
    failed = _expiration(span, policy.assignment_expiration_required, policy.assignment_maximum)
    rules = policy.assignment_rules
    failed += _texts(rules, ask)
    if "MultiFactorAuthentication" in rules:
        missing = app_needs_mfa if caller.is_application else not caller.mfa
        failed += ["MfaRule"] if missing else []
    return failed


def activation_failures(
    policy: Policy, ask: Ask, span: Window, caller: Caller, *, eligible: bool
) -> list[str]:
    """Rules of target.caller EndUser that this activation breaks; the authentication context is apart."""
    failed = [] if eligible else ["EligibilityRule"]
    failed += _expiration(span, policy.activation_expiration_required, policy.activation_maximum)
    failed += _texts(policy.activation_rules, ask)
    if "MultiFactorAuthentication" in policy.activation_rules and not caller.mfa:
        failed.append("MfaRule")
    return failed


def eligibility_failures(policy: Policy, span: Window) -> list[str]:
    """Rules of target.caller Admin on eligibilities that this ask breaks."""
    return _expiration(span, policy.eligibility_expiration_required, policy.eligibility_maximum)


def _expiration(span: Window, required: bool, maximum: str) -> list[str]:
    if span.length is None:
        return ["ExpirationRule"] if required else []
    return ["ExpirationRule"] if required and span.length > parse_duration(maximum) else []


def _texts(rules: list[str], ask: Ask) -> list[str]:
    failed = []
    if "Justification" in rules and not (ask.justification or "").strip():
        failed.append("JustificationRule")
    if "Ticketing" in rules and not ((ask.ticket_number or "").strip() and (ask.ticket_system or "").strip()):
        failed.append("TicketingRule")
    return failed


def check_policy(failed: list[str]) -> None:
    """Raises RoleAssignmentRequestPolicyValidationFailed, which names the rules as a JSON array."""
    if failed:
        names = json.dumps(failed, separators=(",", ":"))
        raise bad_request(
            "RoleAssignmentRequestPolicyValidationFailed", f"The following policy rules failed: {names}"
        )


def check_context(policy: Policy, caller: Caller, *, code: str) -> None:
    """Raises WorldError with this code, and the claims to ask for inside the message."""
    wanted = policy.authentication_context
    if wanted is not None and wanted not in caller.acrs:
        claims = json.dumps({"access_token": {"acrs": {"essential": True, "value": wanted}}})
        raise bad_request(code, f"&claims={quote(claims, safe='')}")


def too_short() -> WorldError:
    """The five-minute rule, for asks and for removals; the spelling is the vendor's."""
    return bad_request(
        "ActiveDurationTooShort", "The Active duration is too short. Miniumum Required is 5 minutes."
    )


def exists() -> WorldError:
    """The pair has an assignment already."""
    return bad_request("RoleAssignmentExists", "The Role assignment already exists.")


def does_not_exist() -> WorldError:
    """There is nothing to remove or update."""
    return bad_request("RoleAssignmentDoesNotExist", "The Role assignment does not exist.")
