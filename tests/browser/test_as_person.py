"""A group that is activated as the person: step-up at Entra, PIM's own approval, and a worker that may only read PIM."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from simulator.entra.registrations import WORKER_PERMISSIONS
from stack.running import Stack
from tests.browser.conftest import Enter

GROUP = "AWS - Storefront Production Deploy"
HELENA = "Helena Brandt"
TWO_HOURS = "120"
WRITES = "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup"
READS = "PrivilegedAssignmentSchedule.Read.AzureADGroup"


@pytest.fixture
def as_person(running_stack: Stack, clouds: Callable[..., Any]) -> Iterator[None]:
    """PIM demands a context and Helena's approval, and the worker's registration can't write to PIM."""
    group = next(row for row in clouds("GET", "/state")["groups"] if row["name"] == GROUP)["id"]
    running_stack.manage("activation_mode", group, "person", "--reason", "PIM's own policy shall hold")
    helena = next(each["upn"] for each in clouds("GET", "/people") if each["name"] == HELENA)
    demands = {"kind": "activation_demands", "group": GROUP}
    clouds("POST", "/events", {**demands, "context": "c1", "approver": helena})
    clouds(
        "POST", "/tokens", {"worker_permissions": [READS if p == WRITES else p for p in WORKER_PERMISSIONS]}
    )
    yield
    clouds("POST", "/tokens", {"worker_permissions": list(WORKER_PERMISSIONS)})
    clouds("POST", "/events", demands)
    running_stack.manage("activation_mode", group, "application", "--reason", "the test is over")


def test_a_step_up_and_pims_own_approval_are_carried_through(
    as_person: None, enter: Enter, clouds: Callable[..., Any]
) -> None:
    amara = enter("Amara Okafor")
    amara.open("/access/")
    amara.click("link", GROUP)
    amara.click("link", "Request this access")
    amara.sees("In your own name, with your sign-in")
    amara.page.get_by_label("Why do you need it").fill("Ship the release that was agreed on")
    amara.page.locator(f'[name="length"][value="{TWO_HOURS}"]').check(force=True)
    amara.click("button", "Send the request")
    amara.sees("Waiting for")
    address = amara.page.url

    helena = enter(HELENA, scheme="dark", width=390)
    helena.open("/approvals/")
    helena.click("link", GROUP)
    helena.click("button", "Approve")

    amara.sees("Sign in again, so that this goes on")
    amara.sees("Entra wants a stronger sign-in")
    amara.check()
    amara.page.keyboard.press("Tab")
    amara.page.get_by_role("button", name="Sign in again").focus()
    amara.page.keyboard.press("Enter")
    amara.page.get_by_role("button", name="Amara Okafor").first.click()
    amara.page.wait_for_url(address)
    amara.sees(re.compile("Ready to use until"))
    amara.sees_not("Sign in again, so that this goes on")
    amara.check()
    made = [row for row in clouds("GET", "/calls?count=500")["calls"] if "assignmentApprovals" in str(row)]
    assert made
