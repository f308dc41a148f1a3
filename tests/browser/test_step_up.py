"""Step-up in real browsers: PIM demands a context of whoever asks, the rule a fresh sign-in of whoever decides."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import Enter
from tests.browser.people import Visitor

GROUP = "AWS - Incident Responder"
WHY = "Isolate the instance that calls out to nowhere"
SEEN = "Seen with the team on duty"
HERE = "what you wrote is still here"


def chooses(somebody: Visitor, name: str) -> None:
    """At Entra's account picker, looking for whoever isn't on it."""
    button = somebody.page.get_by_role("button", name=name)
    if not button.count():
        somebody.page.get_by_label("Name or user principal name").fill(name)
        somebody.page.get_by_role("button", name="Search").click()
    button.first.click()
    somebody.page.wait_for_url(somebody.origin + "/**")
    somebody.check()


@pytest.mark.proof
def test_an_ask_and_a_decision_go_to_entra_and_come_back_to_the_same_words(enter: Enter) -> None:
    jonas = enter("Jonas Lindqvist")
    jonas.open("/access/?q=incident")
    jonas.click("link", GROUP)
    jonas.click("link", "Request this access")
    jonas.sees("a sign-in with Entra's authentication context c1")
    jonas.page.get_by_label("Why do you need it").fill(WHY)
    send = jonas.page.get_by_role("button", name="Send the request")
    send.focus()
    jonas.page.keyboard.press("Enter")
    jonas.page.get_by_text("asks for authentication context c1").wait_for()
    chooses(jonas, "Jonas Lindqvist")
    jonas.sees(HERE)
    assert jonas.page.get_by_label("Why do you need it").input_value() == WHY
    jonas.sees_not("Sending this leads to Microsoft Entra first")
    jonas.click("button", "Send the request")
    jonas.sees("to decide")

    viktor = enter(scheme="dark", width=390)
    viktor.page.goto(viktor.origin + "/")
    viktor.page.get_by_role("button", name="Sign in").click()
    chooses(viktor, "Viktor")
    viktor.open("/approvals/")
    viktor.click("link", GROUP)
    viktor.sees("a sign-in at most 15 min ago")
    viktor.page.get_by_label("Comment").fill(SEEN)
    viktor.page.get_by_role("button", name="Approve").click()
    chooses(viktor, "Viktor")
    viktor.sees(HERE)
    assert viktor.page.get_by_label("Comment").input_value() == SEEN
    viktor.click("button", "Approve")
    viktor.sees(re.compile("counted|Approved"))

    jonas.sees(re.compile("Ready to use until|on the way|Approved"))
    jonas.check()
