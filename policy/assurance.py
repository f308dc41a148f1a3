"""How somebody has to have signed in to ask or to decide: lately, or with authentication contexts of Entra. Pure.

What a session proved comes from `identity.signin.proving`; whether that is enough is judged here, on pages and by the
worker alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.utils.duration import duration_iso_string

from base.errors import Invalid
from base.words import duration_words
from identity.signin.proving import Proof
from policy.fields import duration, mapping, refuse_unknown, texts

# Sign-in again takes a person about a minute: whoever is asked for less could never send a form.
LEAST_FRESH = timedelta(minutes=2)
CONTEXT = re.compile(r"c[1-9][0-9]?")
# Entra's clock and ours may differ by so much.
LEEWAY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Assurance:
    """What a sign-in has to prove: an authentication this short a time ago (real time), and all of these contexts."""

    fresh_within: timedelta | None = None
    contexts: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.fresh_within is not None or bool(self.contexts)

    def with_(self, others: Iterable[Self]) -> Self:
        """This and the others together: the freshest, and every context."""
        every = [self, *others]
        spans = [each.fresh_within for each in every if each.fresh_within is not None]
        return type(self)(min(spans, default=None), frozenset().union(*(each.contexts for each in every)))

    def lacking(self, proof: Proof | None, person: str, at: datetime) -> Self:
        """What of it a proof doesn't hold for this person (object id) at this instant (real time); nothing: falsy.

        A context holds for as long as a session may last; the proof of somebody else proves nothing.
        """
        if proof is None or proof.person.casefold() != person.casefold():
            return self
        session = timedelta(seconds=settings.SESSION_COOKIE_AGE)
        seen = {name for name, when in proof.contexts.items() if _lately(when, at, session)}
        stale = self.fresh_within is not None and not _lately(proof.authenticated_at, at, self.fresh_within)
        return type(self)(self.fresh_within if stale else None, self.contexts - seen)

    @property
    def words(self) -> Sequence[str]:
        """What is wanted, as ends of a sentence such as "a sign-in with ..."."""
        found = []
        if self.fresh_within is not None:
            found.append(f"a sign-in at most {duration_words(self.fresh_within)} ago")
        if self.contexts:
            names = ", ".join(sorted(self.contexts))
            many = "s" if len(self.contexts) > 1 else ""
            found.append(f"a sign-in with Entra's authentication context{many} {names}")
        return found


NOTHING = Assurance()


@dataclass(frozen=True, slots=True)
class StepUp:
    """What a rule wants of the sign-in of whoever asks, and of whoever decides."""

    ask: Assurance = NOTHING
    decide: Assurance = NOTHING

    def __bool__(self) -> bool:
        return bool(self.ask or self.decide)


NO_STEP_UP = StepUp()


def combined(several: Iterable[StepUp]) -> StepUp:
    """Whatever any of them wants."""
    every = list(several)
    return StepUp(NOTHING.with_(each.ask for each in every), NOTHING.with_(each.decide for each in every))


def unproven(wanted: Assurance, stored: object, person: str) -> str:
    """What is wrong with the proof that a row keeps, as the end of a sentence; "" when it holds.

    Judged as of the instant at which it was used: a worker may come to it later.
    """
    if not wanted:
        return ""
    proof = Proof.of_json(stored)
    if proof is None or proof.used_at is None:
        return f"it has no proof of {' and of '.join(wanted.words)}"
    if proof.person.casefold() != person.casefold():
        return "its proof is of another person's sign-in"
    if missing := wanted.lacking(proof, person, proof.used_at):
        return f"its proof doesn't hold {' nor '.join(missing.words)}"
    return ""


def _lately(when: datetime | None, at: datetime, within: timedelta) -> bool:
    return when is not None and -LEEWAY <= at - when <= within + LEEWAY


FIELDS = ("ask", "decide")
ASSURANCE_FIELDS = ("fresh_within", "contexts")


def parse_step_up(raw: Mapping[str, Any], field: str = "step_up") -> StepUp:
    """Read `step_up`, nothing when it is absent. Raises Invalid."""
    found = mapping(raw, field)
    refuse_unknown(found, FIELDS, field)
    if field in raw and not found:
        raise Invalid("rule.step_up", f"{field} says nothing. Give ask, decide, or both.", field=field)
    return StepUp(*(_parse(found, name) for name in FIELDS))


def _parse(raw: Mapping[str, Any], name: str) -> Assurance:
    found = mapping(raw, name)
    refuse_unknown(found, ASSURANCE_FIELDS, name)
    contexts = texts(found, "contexts")
    if wrong := sorted(each for each in contexts if not CONTEXT.fullmatch(each)):
        raise Invalid(
            "rule.context",
            f"{wrong[0]!r} is no authentication context of Entra: those are c1 to c99.",
            field="step_up",
        )
    within = duration(found["fresh_within"], "fresh_within") if found.get("fresh_within") else None
    if within is not None and within < LEAST_FRESH:
        raise Invalid(
            "rule.fresh_within",
            f"fresh_within must be at least {duration_words(LEAST_FRESH)}: signing in takes a while, too.",
            field="step_up",
        )
    made = Assurance(within, contexts)
    if name in raw and not made:
        raise Invalid(
            "rule.step_up", f"{name} says nothing. Give fresh_within, contexts, or both.", field="step_up"
        )
    return made


def serialise_step_up(step_up: StepUp) -> dict[str, Any]:
    """The JSON form that `parse_step_up` reads, with sorted members."""
    raw: dict[str, Any] = {}
    for name, assurance in (("ask", step_up.ask), ("decide", step_up.decide)):
        if assurance:
            raw[name] = _serialise(assurance)
    return raw


def _serialise(assurance: Assurance) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    if assurance.fresh_within is not None:
        raw["fresh_within"] = duration_iso_string(assurance.fresh_within)
    if assurance.contexts:
        raw["contexts"] = sorted(assurance.contexts)
    return raw
