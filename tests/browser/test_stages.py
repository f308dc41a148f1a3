"""Two stages with a quorum in real browsers, and a page that is not so any more: refused with what has changed."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import Enter
from tests.browser.people import Visitor
from tests.browser.test_step_up import chooses

GROUP = "AWS - Network Admin"
WHY = "Open the route to the new partner before their tests begin"
FIRST, SECOND = "Access approvers - Production", "Access approvers - Security"


def opens(somebody: Visitor) -> None:
    """To the decision, from the inbox."""
    somebody.open("/approvals/")
    somebody.click("link", GROUP)
    somebody.sees(WHY)


def approves(somebody: Visitor) -> None:
    somebody.page.get_by_role("button", name="Approve", exact=True).click()
    somebody.page.wait_for_load_state()
    somebody.check()


@pytest.mark.proof
def test_two_stages_with_a_quorum_and_a_stale_page(enter: Enter) -> None:
    jonas = enter("Jonas Lindqvist", width=390, scheme="dark")
    jonas.open("/access/?q=network")
    jonas.click("link", GROUP)
    jonas.click("link", "Request this access")
    jonas.sees(f"2 of {FIRST}")
    jonas.sees(f"Stage 2: {SECOND}")
    jonas.page.get_by_label("Why do you need it").fill(WHY)
    jonas.click("button", "Send the request")
    jonas.sees(f"Waiting for 2 of {FIRST} to decide")

    helena, samuel = enter("Helena Brandt"), enter("Samuel Adeyemi", scheme="dark")
    ingrid = enter(width=390)  # among those who decide at either stage
    ingrid.page.goto(ingrid.origin + "/")
    ingrid.page.get_by_role("button", name="Sign in").click()
    chooses(ingrid, "Ingrid Solberg")
    for somebody in (helena, samuel, ingrid):
        opens(somebody)

    # One word is not enough, and nobody has two.
    approves(helena)
    helena.sees(re.compile(r"Helena Brandt\s+Approved"))
    jonas.sees_not(f"Waiting for {SECOND}")
    assert helena.page.get_by_role("button", name="Approve", exact=True).count() == 0
    approves(samuel)
    jonas.sees(f"Waiting for {SECOND} to decide")
    jonas.check()

    # What was opened at the first stage is not so any more: refused, with the change, and nothing is counted.
    ingrid.page.get_by_label("Comment").fill("Seen with the network team")
    approves(ingrid)
    ingrid.sees("The request has moved to another stage. Your decision was not taken.")
    assert ingrid.page.get_by_label("Comment").input_value() == "Seen with the network team"
    jonas.sees(f"Waiting for {SECOND} to decide")
    approves(ingrid)
    ingrid.sees("Approved")
    jonas.sees("Seen with the network team")
    jonas.sees("Ready to use until")
    jonas.check()
    assert jonas.complaints == helena.complaints == samuel.complaints == ingrid.complaints == []
