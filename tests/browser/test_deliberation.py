"""Before a decision, in real browsers: who looks at it, a question with its answer, and an approval for less time."""

from __future__ import annotations

import re

from tests.browser.conftest import Enter

GROUP = "AWS - EC2 Operator Production"
WHY = "See why the importer waits for its queue"


def test_a_question_an_answer_and_a_shorter_approval(enter: Enter) -> None:
    amara = enter("Amara Okafor", width=390, scheme="dark")
    amara.open("/access/")
    amara.click("link", GROUP)
    amara.click("link", "Request this access")
    amara.page.get_by_label("Why do you need it").fill(WHY)
    amara.click("button", "Send the request")
    amara.sees("to decide")
    request = amara.page.url

    # One approver takes it up, which the other one reads; and asks.
    helena = enter("Helena Brandt")
    helena.open("/approvals/")
    helena.click("link", GROUP)
    decision = helena.page.url
    other = enter("Samuel Adeyemi")
    other.page.goto(decision)
    other.sees("I'm looking at it")
    helena.click("button", "I'm looking at it")
    other.sees("Helena Brandt is looking at it")
    helena.click("link", "Ask a question")
    helena.page.get_by_role("textbox").fill("Which queue is it?")
    # A page that follows the request by itself takes nothing from under a hand, not even with a look on its way.
    with amara.before_the_answer():
        amara.page.get_by_role("button", name="Withdraw").click()
        helena.click("button", "Send the question")
        helena.sees("Question open")
    amara.page.get_by_role("dialog").get_by_role("button", name="Keep it").click()

    # The requester's page shows it without being loaded anew.
    amara.sees("Which queue is it?")
    amara.check()
    amara.click("link", "Answer")
    amara.page.get_by_role("textbox").fill("orders-prod")
    amara.click("button", "Send the answer")
    helena.sees("orders-prod")
    helena.check()

    # Approved for less, with the keyboard alone.
    helena.page.get_by_role("radio", name=re.compile("As asked")).focus()
    helena.page.keyboard.press("ArrowDown")
    helena.page.get_by_role("button", name="Approve", exact=True).focus()
    helena.page.keyboard.press("Enter")
    helena.sees("Approved")
    amara.page.goto(request)
    amara.sees("which is less than the 1 h that you asked for")
    amara.check()

    # The other one's page is from before: too late, and told by whom.
    other.page.get_by_role("button", name="Approve", exact=True).click()
    other.sees("Helena Brandt approved this request")
    other.check()
    assert amara.complaints == helena.complaints == other.complaints == []
