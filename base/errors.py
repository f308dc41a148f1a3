"""Refusals with a reason. Each carries a code for machines, a sentence for people, and an HTTP status.

A wrong state is a `Conflict`, a missing right is a `Denied`: never one for the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

_noted: ContextVar[list[DomainError] | None] = ContextVar("noted_refusals", default=None)


@contextmanager
def noting_refusals() -> Iterator[list[DomainError]]:
    """Every refusal that the body makes, in its order, also one that somebody catches to show it on a form."""
    found: list[DomainError] = []
    token = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(token)


class DomainError(Exception):
    """Base of everything an action refuses with; nothing was changed."""

    status = 400

    def __init__(self, code: str, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        if (noted := _noted.get()) is not None:
            noted.append(self)
        self.code = code
        self.sentence = sentence
        self.field = field  # the form field it belongs to, "" for the form as a whole

    @property
    def parts(self) -> Sequence[DomainError]:
        """Each mistake by itself, where there are several."""
        return (self,)


class Invalid(DomainError):
    """The input cannot be accepted as it is."""

    status = 422


class Several(Invalid):
    """The input has several mistakes: all of them, so that who mends one doesn't meet the next only afterwards."""

    def __init__(self, errors: Sequence[Invalid]) -> None:
        super().__init__(errors[0].code, " ".join(each.sentence for each in errors), field=errors[0].field)
        self._errors = errors

    @property
    def parts(self) -> Sequence[DomainError]:
        return self._errors


class Denied(DomainError):
    """This person may not do this."""

    status = 403


class Conflict(DomainError):
    """Nobody may do this now: the state has moved on."""

    status = 409


class Missing(DomainError):
    """Absent, or not for this person to see: deliberately the same answer."""

    status = 404


class TooOften(DomainError):
    """This person did so much of it in a short time that the rest has to wait."""

    status = 429

    def __init__(self, code: str, sentence: str, *, wait: timedelta) -> None:
        super().__init__(code, sentence)
        self.wait = wait  # real time
