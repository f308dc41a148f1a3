"""Working out what a change of the rules would do, in slices that a worker does one after the other (ADR 0008).

Inline, for the command, the same slices run without a row. What is found names people and groups by key only: names
are looked up when somebody reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError
from django.db.models import Q
from django.utils.dateparse import parse_datetime
from django_subatomic.db import durable

from base.clock import business_now, real_now
from identity.models import Person
from oversight.rules.deciding import Deciders, decided_by
from oversight.rules.models import OPEN, RuleChange, RuleEffect
from oversight.rules.planning import Move, Turn, groups_of, moves_of, people_to_plan, proposed_versions
from oversight.rules.replaying import BATCH, MOST, Outcome, Replay, items_to_replay
from oversight.rules.week import moments
from policy.matching import current_versions

log = structlog.get_logger(__name__)

SLICE = timedelta(seconds=20)  # real time
LEASE = timedelta(minutes=2)  # real time
# Attempts before it is given up; the change can be decided on without.
MOST_FAILURES = 3
PEOPLE_AT_ONCE = 25
# What is kept of what was found; counts go on.
MOST_PAIRS = 300
MOST_EXAMPLES = 100

type Found = dict[str, Any]


def nothing_found() -> Found:
    """The form of what is found: counts, and the first of each kind."""
    return {
        "people": 0,
        "pairs": 0,
        "turns": {turn.value: 0 for turn in Turn},
        "moves": [],
        "more_moves": 0,
        "standings": [],
        "deciding": {},
        "requests": 0,
        "outcomes": {outcome.value: 0 for outcome in Outcome},
        "examples": [],
        "cut": False,
    }


def steps(documents: Mapping[str, Mapping[str, Any]], found: Found, cursor: dict[str, Any]) -> Iterator[None]:
    """Work on from the cursor, which says after each step where it stands; ends when all is found."""
    after, before = proposed_versions(documents), current_versions()
    now = parse_datetime(cursor["at"]) if "at" in cursor else None
    if now is None:
        now = business_now()
        cursor.update(at=now.isoformat(), person=0, deciders={})
    at = moments([*before, *after], now)
    # What an earlier release began doesn't know them from the beginning, and goes without.
    deciders = Deciders(cursor.get("deciders", {}))
    while "person" in cursor:
        people = people_to_plan(cursor["person"], PEOPLE_AT_ONCE)
        for person in Person.objects.filter(pk__in=people).order_by("pk"):
            groups = groups_of(person, now)
            found["people"] += 1
            found["pairs"] += len(groups)
            counted: set[tuple[int, Turn]] = set()
            for move in moves_of(person, groups, before, after, at=at, deciders=deciders):
                _keep_move(found, move, again=(move.group, move.turn) in counted)
                counted.add((move.group, move.turn))
        if people:
            cursor["person"] = people[-1]
        else:
            del cursor["person"]
        if "deciders" in cursor:
            cursor["deciders"] = deciders.raw
        yield
    if "deciders" in cursor:
        found["deciding"] = decided_by(cursor.pop("deciders"))
        yield
    replay = Replay(after)
    while True:
        place = _place(cursor)
        items = items_to_replay(now, place, min(BATCH, MOST - found["requests"]))
        for verdict in replay.verdicts(items):
            counts = found["outcomes"]
            counts[verdict.outcome.value] = counts.get(verdict.outcome.value, 0) + 1
            if len(found["examples"]) < MOST_EXAMPLES:
                found["examples"].append([str(verdict.item), verdict.outcome.value, verdict.sentence])
        found["requests"] += len(items)
        if len(items) < BATCH:
            found["cut"] = found["requests"] >= MOST and bool(items_to_replay(now, _after(items), 1))
            return
        cursor["item"] = [items[-1].created_at.isoformat(), str(items[-1].pk)]
        yield


def _after(items: list[Any]) -> tuple[datetime, UUID] | None:
    return (items[-1].created_at, items[-1].pk) if items else None


def _place(cursor: Mapping[str, Any]) -> tuple[datetime, UUID] | None:
    if "item" not in cursor:
        return None
    moment = parse_datetime(cursor["item"][0])
    return (moment, UUID(cursor["item"][1])) if moment else None


def _keep_move(found: Found, move: Move, *, again: bool) -> None:
    """Standings are kept once each: many people share them. `again`: its turn is counted, of other hours."""
    found["turns"][move.turn.value] += not again
    if len(found["moves"]) >= MOST_PAIRS:
        found["more_moves"] = found.get("more_moves", 0) + 1
        return
    pair = []
    for standing in (move.before.raw, move.after.raw):
        if standing not in found["standings"]:
            found["standings"].append(standing)
        pair.append(found["standings"].index(standing))
    found["moves"].append([move.person, move.group, move.turn.value, *pair])


def work_out(documents: Mapping[str, Mapping[str, Any]]) -> Found:
    """All of it, here and now; for the command."""
    found = nothing_found()
    for _ in steps(documents, found, {}):
        pass
    return found


@durable
def work_out_slice() -> bool:
    """One slice for one proposed change; whether there is more to do."""
    _begin()
    effect = _claim()
    if effect is None:
        return False
    lease, deadline = effect.lease_until, real_now() + SLICE
    try:
        ended = True
        for _ in steps(effect.change.rules, effect.found, effect.cursor):
            if real_now() >= deadline:
                ended = False
                break
    except Exception as error:
        # Whatever a change says keeps no other from being worked out.
        log.exception("rule_effect_failed", change=str(effect.change_id), error=type(error).__name__)
        return _failed(effect)
    ours = RuleEffect.objects.filter(pk=effect.pk, lease_until=lease)
    done: dict[str, Any] = {"status": RuleEffect.Status.DONE, "finished_at": business_now()} if ended else {}
    ours.update(found=effect.found, cursor=effect.cursor, lease_until=None, **done)
    return True


def _begin() -> None:
    """A row for the oldest change that waits for a second operator and has none."""
    waiting = RuleChange.objects.filter(status__in=OPEN, effect=None).order_by("proposed_at", "pk").first()
    if waiting is None:
        return
    try:
        RuleEffect.objects.create(change=waiting, found=nothing_found(), started_at=business_now())
    except IntegrityError:
        log.info("rule_effect_begun_elsewhere", change=str(waiting.pk))


def _claim() -> RuleEffect | None:
    now = real_now()
    free = RuleEffect.objects.filter(
        Q(lease_until=None) | Q(lease_until__lte=now),
        status=RuleEffect.Status.RUNNING,
        change__status__in=OPEN,
    )
    effect = free.select_related("change").order_by("started_at", "pk").first()
    if effect is None:
        return None
    # Whoever comes second finds the lease taken.
    if not free.filter(pk=effect.pk).update(lease_until=now + LEASE):
        return None
    effect.lease_until = now + LEASE
    return effect


def _failed(effect: RuleEffect) -> bool:
    given_up = effect.failures + 1 >= MOST_FAILURES
    RuleEffect.objects.filter(pk=effect.pk, lease_until=effect.lease_until).update(
        failures=effect.failures + 1,
        lease_until=None if given_up else real_now() + timedelta(seconds=30),
        **(
            {
                "status": RuleEffect.Status.FAILED,
                "problem": "A worker tried three times and could not finish; its log says why.",
                "finished_at": business_now(),
            }
            if given_up
            else {}
        ),
    )
    return False
