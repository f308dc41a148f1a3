"""Workers killed, the broker gone, Graph refusing: the page says what it waits for, and the request goes on."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stack.running import Stack
from tests.browser.conftest import Enter
from tests.browser.people import Visitor

GROUP = "AWS - EC2 Operator Production"
# Long enough that the lease of a worker that died (a minute) leaves most of the window.
FOUR_HOURS = "240"
WHY = "Restart the instances that hang since the release"
READ = "graph.GET assignmentScheduleInstances"
POST = "graph.POST assignmentScheduleRequests"
WITHIN_SECONDS = 180.0


@pytest.mark.proof
def test_a_request_survives_what_happens_to_the_machines(
    enter: Enter, clouds: Callable[..., Any], running_stack: Stack
) -> None:
    clouds("POST", "/faults", {"operation": POST, "kind": "throttle", "count": None, "retry_after": 1})
    try:
        amara = ask(enter)
        approve(enter)
        amara.sees("Microsoft Graph asks to wait.")

        # Every worker's children die, one worker and the broker die whole; the supervisor starts them again.
        for name in ("worker-1", "worker-2"):
            assert kill_children(running_stack.children[name].process.pid) >= 1
        kill_and_restart(running_stack, "worker-1")
        clouds("DELETE", "/faults")
        clouds("POST", "/faults", {"operation": READ, "kind": "error", "count": 3})
        seen(amara, "Ready to use until", running_stack)
        assert in_entra(clouds)

        # The holder is done while the broker is away: taken, though nobody can be rung.
        os.kill(running_stack.redis.process.pid, signal.SIGKILL)
        running_stack.redis.process.wait()
        done(amara)
        amara.sees(re.compile("[Bb]eing removed|removal is queued|Waiting"))
        until(lambda: running_stack.redis.process.poll() is None, running_stack)
        seen(amara, "Membership removed; sessions possible until", running_stack)
        assert not in_entra(clouds)
    finally:
        clouds("DELETE", "/faults")
        until(lambda: running_stack.ended() == [], running_stack)


def seen(visitor: Visitor, text: str, stack: Stack) -> None:
    """The page comes to show it, while the supervisor looks on: a worker that loses its broker at a bad moment ends, and is
    started again."""
    until(lambda: text in visitor.page.get_by_role("main").inner_text(), stack)


def ask(enter: Enter) -> Visitor:
    amara = enter("Amara Okafor")
    amara.open("/access/")
    amara.click("link", GROUP)
    amara.click("link", "Request this access")
    amara.page.get_by_label("Why do you need it").fill(WHY)
    choose_length(amara, FOUR_HOURS)
    amara.click("button", "Send the request")
    amara.sees("Waiting for Access approvers - Production to decide")
    return amara


def choose_length(visitor: Visitor, minutes: str) -> None:
    visitor.page.locator(f'[name="length"][value="{minutes}"]').check(force=True)


def approve(enter: Enter) -> None:
    helena = enter("Helena Brandt")
    helena.open("/approvals/")
    helena.click("link", GROUP)
    helena.sees(WHY)
    helena.click("button", "Approve")


def done(amara: Visitor) -> None:
    amara.page.get_by_role("button", name="I'm done").click()
    amara.page.get_by_role("dialog").get_by_role("button", name="Give it back").click()


def in_entra(clouds: Callable[..., Any]) -> bool:
    group = next(row for row in clouds("GET", "/state")["groups"] if row["name"] == GROUP)
    return "amara.okafor@" in str(group["entra"])


def kill_children(pid: int) -> int:
    """Kill a worker's pool; gives how many of it were killed: one that has just ended by itself is none of them."""
    killed = 0
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
            killed += 1
    return killed


def kill_and_restart(stack: Stack, name: str) -> None:
    """Kill a process outright, and let the supervisor find out."""
    before = stack.children[name].process
    before.kill()
    before.wait()
    until(lambda: stack.children[name].process is not before and not stack.ended(), stack)
    until(lambda: stack.children[name].has_logged(" ready."), stack)


def until(condition: Callable[[], bool], stack: Stack) -> None:
    """Wait for something that the supervisor, which looks twice a second, brings about."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        stack.watch()
        # Between two looks a service that is about to be started again has no process.
        if not any(watch.due is not None for watch in stack._watched) and condition():
            return
        assert time.monotonic() < deadline, "it didn't come about"
        time.sleep(0.2)
