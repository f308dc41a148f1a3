"""An approval two clicks from the mail: its reader signs in on the way, lands on the decision page, and approves."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Enter
from tests.browser.people import PATIENCE

# Nobody else asks for it in this run: one person has one access to a group at a time.
GROUP = "AWS - Database Admin Production"
WHY = "Roll back the shop to the release of this morning"


@pytest.mark.proof
def test_an_approval_is_two_clicks_from_the_mail(enter: Enter) -> None:
    jonas, helena = enter("Jonas Lindqvist"), enter(scheme="dark", width=390)
    helena.open("/demo/mail/?to=helena.brandt@acme.example")
    jonas.open("/access/")
    jonas.click("link", GROUP)
    jonas.click("link", "Request this access")
    jonas.page.get_by_label("Why do you need it").fill(WHY)
    jonas.page.get_by_label("Reference").fill("INC0012345")
    jonas.click("button", "Send the request")
    address = jonas.page.url

    # Whoever asked wants to be told in German from now on.
    jonas.open("/preferences/")
    jonas.page.get_by_label("Language").select_option("de")
    jonas.page.get_by_label("Time zone").select_option("Europe/Berlin")
    jonas.click("button", "Keep")

    # The mail comes by itself, without a reload. Nobody is signed in here yet.
    asked = f"Jonas Lindqvist asks for {GROUP}"
    expect(helena.page.get_by_role("link", name=asked).first).to_be_visible(timeout=PATIENCE)
    helena.check()
    helena.click("link", asked)
    helena.sees(WHY)
    helena.page.get_by_role("link", name="/approvals/").click()
    helena.page.get_by_role("button", name="Sign in").click()
    helena.page.get_by_role("button", name="Helena Brandt").first.click()
    helena.page.wait_for_url("**/approvals/**")
    helena.sees(WHY)
    helena.sees_not("Approved")
    helena.click("button", "Approve")
    helena.sees("Approved")

    # Whoever asked is told.
    jonas.open("/demo/mail/?to=jonas.lindqvist@acme.example")
    ready = jonas.page.get_by_role("link", name=f"Bereit: {GROUP}")
    expect(ready.first).to_be_visible(timeout=2 * PATIENCE)
    jonas.click("link", f"Bereit: {GROUP}")
    jonas.sees("(Europe/Berlin)")
    jonas.page.goto(address)
    jonas.sees("Ready to use until")
    assert jonas.complaints == helena.complaints == []
