"""An approver goes away and names a delegate, who gets the mail, decides in that right, and the page says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from tests.browser.conftest import Enter
from tests.browser.people import PATIENCE

# Nobody else asks for it in this run: one person has one access to a group at a time.
GROUP = "AWS - Database Reader"
WHY = "See why the nightly report of the orders is late"
# The business clock of a run is at most some days ahead of real time.
MONTHS = timedelta(days=90)


def test_a_delegate_decides_while_an_approver_is_away(enter: Enter) -> None:
    helena = enter("Helena Brandt", width=390, scheme="dark")
    helena.page.locator(".menu summary").click()
    helena.click("link", "Absence")
    until = datetime.now(UTC) + MONTHS
    helena.page.get_by_label("Until").fill(f"{until:%Y-%m-%dT%H:%M}")
    helena.page.get_by_label("Who decides meanwhile").fill("Samuel Adeyemi")
    helena.page.get_by_role("button", name="Record").focus()
    helena.page.keyboard.press("Enter")
    helena.sees("Samuel Adeyemi decides meanwhile")
    helena.check()
    try:
        _decide_meanwhile(enter)
    finally:
        helena.open("/me/absence/")
        helena.click("button", "Back again")
        helena.sees("Withdrawn")
    assert helena.complaints == []


def _decide_meanwhile(enter: Enter) -> None:
    amara, samuel = enter("Amara Okafor"), enter("Samuel Adeyemi")
    amara.open("/access/")
    amara.click("link", GROUP)
    amara.click("link", "Request this access")
    amara.sees("Samuel Adeyemi for Helena Brandt")
    amara.page.get_by_label("Why do you need it").fill(WHY)
    amara.click("button", "Send the request")
    request = amara.page.url

    samuel.open("/demo/mail/?to=samuel.adeyemi@acme.example")
    asked = f"Amara Okafor asks for {GROUP}"
    expect(samuel.page.get_by_role("link", name=asked).first).to_be_visible(timeout=PATIENCE)
    samuel.click("link", asked)
    samuel.sees("for Helena Brandt, who is away")
    samuel.page.get_by_role("link", name="/approvals/").click()
    samuel.sees("You decide for Helena Brandt")
    samuel.check()
    samuel.click("button", "Approve")
    samuel.sees("In the right of Helena Brandt, who was away.")
    samuel.sees("Approved")
    amara.page.goto(request)
    amara.sees("In the right of Helena Brandt, who was away.")
    amara.check()
    assert amara.complaints == samuel.complaints == []
