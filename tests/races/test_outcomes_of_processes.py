"""Eight people decide on each of three hundred requests at once, each in a process, while it is withdrawn and lapses."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from multiprocessing.context import ForkContext
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

import pytest
from django.db import connections

from base.errors import Conflict
from policy.models import Rule
from requests_app.actions.deciding import check_decision
from requests_app.actions.sweeping import lapse_unanswered, sweep
from requests_app.models import Decision, RequestItem
from tests.races.test_outcomes import OUTCOMES, check_one_outcome, decide_and_check, newcomer, withdraw
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.usefixtures("committed_db")

REQUESTS = 300
DECIDERS = 8
SLOWEST = 12
PATIENCE_SECONDS = 60

type Action = Callable[[RequestItem], object]


@dataclass(frozen=True, slots=True)
class Answer:
    """How one process's act on one request ended: "done", or the error's name with its sentence."""

    request: int
    ended: str
    is_conflict: bool = False
    sentence: str = ""


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def _in_a_process(
    play: Stage, items: Sequence[RequestItem], action: Action, together: Barrier, answers: Queue[list[Answer]]
) -> None:
    """Act on each request at the same moment as all other processes, when its time to be answered is nearly over."""
    told = []
    for number, item in enumerate(items):
        play.time.now = item.lapses_at - timedelta(seconds=1)
        together.wait(PATIENCE_SECONDS)
        try:
            action(item)
            told.append(Answer(number, "done"))
        except Exception as error:  # noqa: BLE001 - it is the answer
            sentence = error.sentence if isinstance(error, Conflict) else str(error)
            told.append(Answer(number, type(error).__name__, isinstance(error, Conflict), sentence))
    connections.close_all()
    answers.put(told)


def _everybody(play: Stage, items: Sequence[RequestItem], actions: Sequence[Action]) -> list[Answer]:
    """Run each action in a process of its own; a copy of this one, so that each has the world that checks read."""
    context: ForkContext = multiprocessing.get_context("fork")
    together, answers = context.Barrier(len(actions)), context.Queue()
    connections.close_all()  # nobody shares a connection with a copy of itself
    processes = [
        context.Process(target=_in_a_process, args=(play, items, action, together, answers), daemon=True)
        for action in actions
    ]
    for process in processes:
        process.start()
    told = [answer for _ in processes for answer in answers.get(timeout=PATIENCE_SECONDS * 10)]
    for process in processes:
        process.join(PATIENCE_SECONDS)
    assert [process.exitcode for process in processes] == [0] * len(processes)
    return told


def _dawdle(item: RequestItem, times: int) -> None:
    """Read what stands about the item so often: whoever takes back or lapses is quicker than who decides otherwise."""
    for _ in range(times):
        make.shown(item)


@pytest.mark.proof
def test_eight_deciders_settle_each_of_three_hundred_requests_once(play: Stage) -> None:
    deciders = [newcomer(play, f"Decider {number}") for number in range(DECIDERS)]
    Rule.objects.update(retired=True)
    rule = make.rule(*deciders, groups=(play.group,))
    items = []
    for number in range(REQUESTS):
        asker = newcomer(play, f"Asker {number}", eligible=True)
        with play.as_role("portal_web"):
            lapses_after = timedelta(days=1, minutes=number)
            items.append(make.pending_item(asker, play.group, rule, lapses_after=lapses_after))

    def decide(item: RequestItem, place: int) -> None:
        # Who approves one request denies the next.
        verdict = "approve" if (place + items.index(item)) % 2 else "deny"
        decide_and_check(play, item, deciders[place], verdict)

    def take_back(item: RequestItem) -> None:
        _dawdle(item, items.index(item) % SLOWEST)
        with play.as_role("portal_web"):
            withdraw(item)

    def lapse(item: RequestItem) -> None:
        _dawdle(item, items.index(item) * 7 % SLOWEST)
        play.time.now = item.lapses_at + timedelta(seconds=1)  # this machine's clock is ahead
        lapse_unanswered()  # of those that are still pending, this one's time alone is over

    actions: list[Action] = [partial(decide, place=place) for place in range(DECIDERS)]
    answers = _everybody(play, items, [*actions, take_back, lapse])
    play.time.now = items[-1].lapses_at + timedelta(seconds=1)
    for decision_id in sweep().decisions:
        check_decision(decision_id=decision_id)
    lapse_unanswered()

    refused: dict[int, list[Answer]] = {number: [] for number in range(REQUESTS)}
    for answer in answers:
        if answer.ended != "done":
            refused[answer.request].append(answer)
    seen: Counter[str] = Counter()
    for number, item in enumerate(items):
        assert all(each.is_conflict and each.sentence for each in refused[number]), refused[number]
        seen[check_one_outcome(item)] += 1
    assert len(answers) == REQUESTS * (DECIDERS + 2), "everybody got an answer to everything"
    assert sum(seen.values()) == REQUESTS
    assert set(seen) <= OUTCOMES
    assert len(seen) >= 3, f"the race has to be open: {seen}"
    assert Decision.objects.count() > REQUESTS, "most had more than one decision"
