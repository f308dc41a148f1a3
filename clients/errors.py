"""What a port may raise, sorted by the only question a caller has: does trying again help?

An adapter maps every vendor failure to one of these; nothing else leaves it.
"""

from __future__ import annotations

from datetime import timedelta

from clients.types import Receipt


class ClientError(Exception):
    """Base of all port errors. `sentence` is fit for people; `code` is the vendor's own word."""

    def __init__(self, sentence: str, *, code: str = "", receipt: Receipt | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.receipt = receipt


class Unreachable(ClientError):
    """The call had no effect and may be tried again: connection refused, 503 before work began, a read that failed."""


class Throttled(Unreachable):
    """The vendor asks to wait; `retry_after` is real time and holds for the whole bucket, not only for this call."""

    def __init__(
        self, sentence: str, *, retry_after: timedelta, code: str = "", receipt: Receipt | None = None
    ) -> None:
        super().__init__(sentence, code=code, receipt=receipt)
        self.retry_after = retry_after


class TokenThrottled(Throttled):
    """Entra's token endpoint asks to wait, and its bucket is held: the call that needed a token was never made."""


class StillRunning(Throttled):
    """A question that lasts is being worked on; with `page` the port is asked for its answer, after `retry_after`."""

    def __init__(
        self,
        sentence: str,
        *,
        page: str,
        retry_after: timedelta,
        code: str = "",
        receipt: Receipt | None = None,
    ) -> None:
        super().__init__(sentence, retry_after=retry_after, code=code, receipt=receipt)
        self.page = page


class OutcomeUnknown(ClientError):
    """A write may or may not have taken effect (lost answer, 5xx after sending): read back before anything else."""


class Refused(ClientError):
    """The vendor said no and nothing changed; the same call would be refused again."""


class QueryFailed(Refused):
    """A question that lasts has ended without an answer. Asked anew it would most likely end so again, and be billed."""


class PolicyRefused(Refused):
    """PIM's own rules refuse; `rules` names the failed ones (e.g. ExpirationRule, JustificationRule)."""

    def __init__(
        self, sentence: str, *, rules: tuple[str, ...] = (), code: str = "", receipt: Receipt | None = None
    ) -> None:
        super().__init__(sentence, code=code, receipt=receipt)
        self.rules = rules


class StepUpRequired(PolicyRefused):
    """The person has to sign in with these `claims` (JSON, as sign-in's parameter takes them); then it would go on."""

    def __init__(
        self,
        sentence: str,
        *,
        claims: str,
        rules: tuple[str, ...] = (),
        code: str = "",
        receipt: Receipt | None = None,
    ) -> None:
        super().__init__(sentence, rules=rules, code=code, receipt=receipt)
        self.claims = claims


class SignInNeeded(Refused):
    """The person's token is over, or was withdrawn: only they can give another, by signing in."""


class AlreadyAssigned(ClientError):
    """`RoleAssignmentExists`: a question, not an answer. Read the assignment back and compare the tag."""


class NothingToRemove(ClientError):
    """`RoleAssignmentDoesNotExist`: read back; it also races the first seconds after an activation."""


class TooYoungToRemove(ClientError):
    """`ActiveDurationTooShort`: PIM keeps an assignment for its first five minutes."""


class NotPermitted(Refused):
    """The product's own identity lacks a permission (401, 403, AccessDenied): an operator must act."""


class Conflicting(Refused):
    """Somebody else was faster (409): what they have done has to be read."""


class NotFound(Refused):
    """The object does not exist (any more)."""
