"""Faults asked for, as a client of Graph meets them."""

import time
from email.utils import parsedate_to_datetime

import httpx
import pytest

from tests.simulator.entra.graph.running import PIM, RunningGraph
from tests.simulator.entra.graph.small_world import ADA, ADMINS
from tests.simulator.entra.graph.test_pim import REQUESTS, assign, code

MINE = {"filter": f"groupId eq '{ADMINS}'"}


def test_a_lost_request_changes_nothing(graph: RunningGraph) -> None:
    graph.world.faults.add("graph.POST assignmentScheduleRequests", "lose_request")
    with pytest.raises(httpx.TransportError):
        graph.post(REQUESTS, assign())
    assert graph.values(REQUESTS, **MINE) == []
    assert graph.post(REQUESTS, assign()).status_code == 201


def test_a_lost_answer_has_changed_everything(graph: RunningGraph) -> None:
    graph.world.faults.add("graph.POST assignmentScheduleRequests", "lose_answer")
    with pytest.raises(httpx.TransportError):
        graph.post(REQUESTS, assign())
    assert len(graph.values(f"{PIM}/assignmentScheduleInstances", **MINE)) == 1
    assert code(graph.post(REQUESTS, assign())) == "RoleAssignmentExists"


def test_throttled_with_seconds_and_with_a_date(graph: RunningGraph) -> None:
    graph.world.faults.add("graph.GET groups", "throttle", retry_after=7)
    first = graph.get("/groups")
    assert (first.status_code, first.headers["retry-after"], code(first)) == (429, "7", "TooManyRequests")
    graph.world.faults.add("graph.GET groups", "throttle", retry_after=120, retry_after_date=True)
    second = graph.get("/groups")
    wait = parsedate_to_datetime(second.headers["retry-after"]).timestamp() - time.time()
    assert 100 < wait <= 121
    assert graph.get("/groups").status_code == 200


@pytest.mark.parametrize("status", [500, 503, 504])
def test_errors_before_and_after_the_effect(graph: RunningGraph, status: int) -> None:
    graph.world.faults.add("graph.POST *", "error", status=status)
    assert graph.post(REQUESTS, assign()).status_code == status
    assert graph.values(REQUESTS, **MINE) == []
    graph.world.faults.add("graph.POST *", "error_after", status=status)
    assert graph.post(REQUESTS, assign()).status_code == status
    assert len(graph.values(REQUESTS, **MINE)) == 1


def test_delay_is_real_time_and_then_an_answer(graph: RunningGraph) -> None:
    graph.world.faults.add("graph.GET groups", "delay", seconds=0.3)
    before = time.monotonic()
    assert graph.get("/groups").status_code == 200
    assert time.monotonic() - before >= 0.3


def test_stale_reads_show_the_world_before(graph: RunningGraph) -> None:
    graph.world.faults.add("*.read", "stale", seconds=60, count=None)
    graph.post(REQUESTS, assign())
    assert graph.values(f"/groups/{ADMINS}/members") == []
    graph.world.faults.clear()
    assert [row["id"] for row in graph.values(f"/groups/{ADMINS}/members")] == [ADA]


def test_limits_of_pim_are_a_switch(graph: RunningGraph) -> None:
    graph.world.switches.pim_calls_per_ten_seconds = 2
    answers = [graph.get(REQUESTS, **MINE) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    assert graph.get("/groups").status_code == 200
    graph.world.switches.pim_calls_per_ten_seconds = 0
    assert graph.get(REQUESTS, **MINE).status_code == 200


def test_faults_name_the_last_segment_of_the_path(graph: RunningGraph) -> None:
    graph.world.faults.add("graph.GET members", "error", status=503)
    assert graph.get(f"/groups/{ADMINS}").status_code == 200
    assert graph.get(f"/groups/{ADMINS}/members").status_code == 503


def test_calls_are_noted_with_lost_ones(graph: RunningGraph) -> None:
    graph.world.faults.add("graph.GET groups", "lose_request")
    with pytest.raises(httpx.TransportError):
        graph.get("/groups")
    graph.get("/groups")
    newest = graph.front.calls.latest(2)
    assert [(call["what"], call["status"]) for call in newest] == [("GET /groups", 200), ("GET /groups", 0)]
