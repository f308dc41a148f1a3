"""One run: the stack, a crowd of people, a breaker; then quiet, then the check of the history."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from catalog.models import Eligibility
from catalog.modes import set_mode
from identity.models import Person
from policy.loading import load_rules
from policy.reading import read_rules
from policy.requestable import requestability
from simulator.world.world import World
from stack.postgres import DATABASE
from stack.private import private_dir
from stack.running import Stack
from tests.chaos import ending
from tests.chaos.breaking import Breaker
from tests.chaos.history import History, Outcome, Verdicts, check, under_their_grants
from tests.chaos.people import Crowd
from tests.support.servers import PostgresServer, pointed_at

ROOT = Path(__file__).resolve().parents[2]
SPEED = 60.0
LOOK_SECONDS = 0.1
AS_PERSON_EVERY = 3  # one PIM group in so many is activated as the person
ENOUGH_FOR_EACH = 50  # requests among which some are emergencies
# Of the time in which people would just have asked for as much as is wanted: pages are slow at times, a quarter of what is
# asked for gets no answer, and who has all that they may ask for has to wait.
HURRY = 0.5
SAVED_WITHIN = 15.0  # seconds until the simulated clouds have written what they hold


@dataclass(frozen=True)
class Plan:
    """How much of everything; each is a variable of the same name in capitals."""

    duration: float = 900.0  # seconds of kills
    requests: int = 500
    kills: int = 300
    requesters: int = 30
    approvers: int = 6
    postgres_restarts: int = 3
    settle: float = 600.0  # seconds, at most, until nothing is owed
    seed: int = 1

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Plan:
        """From the environment. Raises ValueError for what isn't a number."""
        given = {
            name: environ[name.upper()] for name in cls.__dataclass_fields__ if environ.get(name.upper())
        }
        whole = {"requests", "kills", "requesters", "approvers", "postgres_restarts", "seed"}
        return cls(**{name: int(text) if name in whole else float(text) for name, text in given.items()})  # type: ignore[arg-type]


@dataclass
class Result:
    """What a run gave."""

    plan: Plan
    history: History
    breaker: Breaker
    verdicts: Verdicts
    broken: list[str]
    owed: dict[str, int]
    statuses: dict[str, int]
    seconds: float
    settled_after: float
    as_person: int  # grants that PIM gave in the name of those who asked
    emergencies: int  # that went on without an approval
    problems: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return self.verdicts.sound and not self.broken and not self.owed and not self.problems


def run(plan: Plan, folder: Path) -> Result:
    """Start everything in `folder`, which is new, break it for a while, and see what is left."""
    with Stack(private_dir(folder), speed=SPEED, say=print) as stack:
        server = PostgresServer(stack.postgres.port, stack.postgres.passwords)
        with pointed_at(server, DATABASE, role="portal_worker"):
            approvers, requesters = cast(stack, plan, folder)
        history = History()
        crowd = Crowd(
            stack.origin,
            history,
            wanted=plan.requests,
            pause=HURRY * plan.duration * len(requesters) / plan.requests,
        )
        crowd.start(requesters, approvers)
        breaker = Breaker(stack, plan.seed)
        began = time.monotonic()
        _break(plan, stack, breaker, crowd)
        breaker.mend()
        seconds = time.monotonic() - began
        with pointed_at(server, DATABASE, role="portal_worker"):
            settled = _settle(plan, breaker, crowd)
            world = _world(stack)
            with ending.one_moment():
                return _judge(plan, stack, world, history, breaker, seconds, settled)


def cast(stack: Stack, plan: Plan, folder: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Approvers, and requesters with the groups that each may ask for, under one rule made for the run."""
    dice = random.Random(plan.seed)
    people = list(Person.objects.filter(enabled=True, guest=False).order_by("object_id"))
    tenant = stack.clouds["tenant_id"]
    people = [person for person in people if person.tenant_id == tenant]
    dice.shuffle(people)
    approvers = [person.object_id for person in people[: plan.approvers]]
    rule = {
        "name": "Everything",
        "shortest_justification": 10,
        "lapses_after": "PT4H",  # where PIM's own settings demand an approver who isn't in the cast
        "stages": [{"quorum": 1, "people": approvers}],
        "groups": sorted({row.group.object_id for row in Eligibility.objects.select_related("group")}),
        "emergency": {
            "allowed": {"people": [person.object_id for person in people[plan.approvers :]]},
            "longest_duration": "PT1H",
            "reviewers": {"people": approvers},
        },
    }
    load_rules(read_rules(json.dumps({"rules": [rule]})).rules, written_by="chaos", retire_others=True)
    now = stack.business_now()
    found: dict[str, list[str]] = {}
    for person in people[plan.approvers :]:
        groups = []
        for row in Eligibility.objects.filter(person=person).select_related("group"):
            judged = requestability(person, row.group, [row], now=now)
            if not judged.refusals:
                groups.append(row.group.object_id)
        if groups:
            found[person.object_id] = sorted(set(groups))
    most = sorted(found, key=lambda who: (-len(found[who]), who))[: plan.requesters]
    asked_for = sorted({group for who in most for group in found[who]})
    for group in asked_for[::AS_PERSON_EVERY]:
        set_mode(group, as_person=True, reason="Part of the groups are activated as the person")
    if len(most) < plan.requesters:
        print(f"Only {len(most)} people can ask for something.")
    return approvers, {who: found[who] for who in most}


def _break(plan: Plan, stack: Stack, breaker: Breaker, crowd: Crowd) -> None:
    began = time.monotonic()
    postgres_at = [
        plan.duration * (n + 1) / (plan.postgres_restarts + 1) for n in range(plan.postgres_restarts)
    ]
    told, look_at, stale_until = 0.0, 0.0, 0.0
    breaker.fail_calls()
    while (passed := time.monotonic() - began) < plan.duration:
        breaker.keep_alive()
        if sum(breaker.killed.values()) < plan.kills * passed / plan.duration:
            breaker.kill_one()
        if postgres_at and passed >= postgres_at[0]:
            postgres_at.pop(0)
            breaker.restart_postgres()
        if passed >= look_at:
            look_at = passed + 1.0
            breaker.note_calls()
            if stale_until and passed >= stale_until:
                breaker.be_stale(stale=False)
                stale_until = 0.0
            elif int(passed) % 60 == 30:
                breaker.be_stale(stale=True)
                stale_until = passed + 5.0
        if passed - told > 30:
            told = passed
            print(
                f"{passed:5.0f} s: {crowd.history.count('request', Outcome.OK)} requests, "
                f"{sum(breaker.killed.values())} kills, {breaker.fitted} calls",
                flush=True,
            )
        time.sleep(LOOK_SECONDS)
    crowd.asking.clear()


def _settle(plan: Plan, breaker: Breaker, crowd: Crowd) -> float:
    """Nothing breaks any more: wait until all is over, or too long; gives how long it took."""
    began = time.monotonic()
    while ending.owed() and time.monotonic() - began < plan.settle:
        breaker.keep_alive()
        time.sleep(1.0)
    crowd.deciding.clear()
    for thread in crowd.threads:
        thread.join(30)
    return time.monotonic() - began


def _world(stack: Stack) -> World:
    """The simulated clouds, once they have written what they hold now."""
    world_file = stack.state_dir / "simulator" / "world.json"
    changed = time.time()
    until = time.monotonic() + SAVED_WITHIN
    while world_file.stat().st_mtime < changed and time.monotonic() < until:
        time.sleep(0.2)
    return ending.saved_world(stack.state_dir / "simulator", stack.anchors)


def _judge(
    plan: Plan,
    stack: Stack,
    world: World,
    history: History,
    breaker: Breaker,
    seconds: float,
    settled: float,
) -> Result:
    actions = under_their_grants(history.actions, ending.first_requests())
    verdicts = check(actions, ending.effects())
    # A word that was stored and then refused, with its reason, isn't lost; nor an end that came another way.
    answered, ends = ending.refused_decisions(), ending.undone_ends()
    verdicts.lost = [
        line
        for line in verdicts.lost
        if not any(line.startswith(f"decision {key} ") for key in answered)
        and not any(line.startswith(f"end {key} ") for key in ends)
    ]
    verdicts.twice += ending.twice()
    applications = (stack.clouds["worker_client_id"], stack.clouds["signin_client_id"])
    as_person, emergencies = ending.granted_as_person(), ending.let_through()
    problems = [] if as_person else ["nothing was activated as the person"]
    if not emergencies and plan.requests >= ENOUGH_FOR_EACH:
        problems.append("nobody was let go without an approval")
    return Result(
        plan,
        history,
        breaker,
        verdicts,
        ending.broken_invariants(world, stack.anchors, applications),
        ending.owed(),
        ending.statuses(),
        seconds,
        settled,
        as_person,
        emergencies,
        problems,
    )


def report(result: Result) -> str:
    """For people, and for the file."""
    history, breaker = result.history, result.breaker
    lines = [
        f"Chaos, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, business clock {SPEED:g} times as fast, seed {result.plan.seed}",
        "",
        f"broken for {result.seconds:.0f} s, settled {result.settled_after:.0f} s later",
        f"kills: {sum(breaker.killed.values())} ({_counts(breaker.killed)})",
        f"immediate restarts of PostgreSQL: {breaker.restarts_of_postgres}",
        f"calls to Graph and AWS while broken: {breaker.fitted}",
        f"of them failed: {sum(breaker.faults.values())} ({_counts(breaker.faults)})",
        f"spells of stale reads: {breaker.stale_spells}",
        "",
        "what people did        ok  refused  unknown",
    ]
    for kind in ("request", "decision", "withdrawal", "end"):
        ok, refused = history.count(kind, Outcome.OK), history.count(kind, Outcome.REFUSED)
        unknown = history.count(kind, Outcome.UNKNOWN, Outcome.SENT)
        lines.append(f"{kind:<20} {ok:>5} {refused:>8} {unknown:>8}")
    lines += [
        "",
        f"at the end: {_counts(result.statuses)}",
        f"still owed: {_counts(result.owed) or 'nothing'}",
        f"granted as the person: {result.as_person}",
        f"let go in an emergency: {result.emergencies}",
        "",
    ]
    for name, found in (
        ("acknowledged but lost", result.verdicts.lost),
        ("present but never acknowledged", result.verdicts.unexplained),
        ("done twice", result.verdicts.twice),
        ("invariants broken", result.broken),
        ("other problems", result.problems),
    ):
        lines.append(f"{name}: {len(found)}")
        lines += [f"    {line}" for line in found[:20]]
    lines += ["", "SOUND" if result.sound else "NOT SOUND"]
    return "\n".join(lines)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())
