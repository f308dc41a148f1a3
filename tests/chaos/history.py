"""The history check: what people were told, against what the database and the simulated clouds hold at the end.

Every action of a person is noted before it is sent, and again when it is answered: *ok* (the portal said that it is
done), *refused* (it said that it isn't), or *unknown* (no answer, or an error of the portal's own). Then

- what was ok must be there (otherwise it was lost),
- what is there must have been sent, and not refused (otherwise nobody can explain it),
- nothing may be there twice.

An action whose answer is unknown may be there or not.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Outcome(StrEnum):
    SENT = "sent"
    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass
class Action:
    """One thing that a person did; `key` names its effect in the database."""

    kind: str  # request, decision, withdrawal, end
    key: str
    who: str
    outcome: Outcome = Outcome.SENT


@dataclass
class History:
    """All that people did, from several threads."""

    actions: list[Action] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, kind: str, key: str, who: str) -> Action:
        """Note an action before it is sent."""
        action = Action(kind, key, who)
        with self._lock:
            self.actions.append(action)
        return action

    def count(self, kind: str, *outcomes: Outcome) -> int:
        with self._lock:
            return sum(1 for each in self.actions if each.kind == kind and each.outcome in outcomes)


@dataclass(frozen=True)
class Effect:
    """One thing that is there at the end: a row, or an assignment in PIM."""

    kind: str
    key: str


@dataclass
class Verdicts:
    """What the check found; sound when all three are empty."""

    lost: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not (self.lost or self.unexplained or self.twice)


def under_their_grants(actions: Iterable[Action], first: Mapping[str, str]) -> list[Action]:
    """The actions, with the end of a request that extended a grant named as an end of the request that it began with."""
    return [
        replace(action, key=first.get(action.key, action.key)) if action.kind == "end" else action
        for action in actions
    ]


def check(actions: Iterable[Action], effects: Iterable[Effect]) -> Verdicts:
    """Compare the two. Several actions may have one key (a person tries again after an unknown answer)."""
    sent: dict[tuple[str, str], list[Outcome]] = {}
    for action in actions:
        sent.setdefault((action.kind, action.key), []).append(action.outcome)
    there = Counter((effect.kind, effect.key) for effect in effects)
    found = Verdicts()
    for (kind, key), outcomes in sent.items():
        if Outcome.OK in outcomes and not there[kind, key]:
            found.lost.append(f"{kind} {key} was acknowledged and isn't there")
        if outcomes.count(Outcome.OK) > 1:
            found.twice.append(f"{kind} {key} was acknowledged {outcomes.count(Outcome.OK)} times")
    for (kind, key), number in there.items():
        outcomes = sent.get((kind, key), [])
        if not set(outcomes) & {Outcome.OK, Outcome.UNKNOWN, Outcome.SENT}:
            told = "was refused" if outcomes else "was never sent"
            found.unexplained.append(f"{kind} {key} is there and {told}")
        if number > 1:
            found.twice.append(f"{kind} {key} is there {number} times")
    return found
