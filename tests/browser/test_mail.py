"""An approval two clicks from the mail: its reader signs in on the way, lands on the decision page, and approves."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Enter
from tests.browser.people import PATIENCE

GROUP = "AWS - Storefront Production Deploy"
WHY = "Roll back the shop to the release of this morning"


def test_an_approval_is_two_clicks_from_the_mail(enter: Enter) -> None:
    amara, helena = enter("Amara Okafor"), enter(scheme="dark", width=390)
    helena.open("/demo/mail/?to=helena.brandt@acme.example")
    amara.open("/access/")
    amara.click("link", GROUP)
    amara.click("link", "Request this access")
    amara.page.get_by_label("Why do you need it").fill(WHY)
    amara.page.get_by_label("Reference").fill("INC0012345")
    amara.click("button", "Send the request")
    address = amara.page.url

    # The mail comes by itself, without a reload. Nobody is signed in here yet.
    asked = f"Amara Okafor asks for {GROUP}"
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

    # Whoever asked is told, in German from now on.
    amara.open("/preferences/")
    amara.page.get_by_label("Language").select_option("de")
    amara.page.get_by_label("Time zone").select_option("Europe/Berlin")
    amara.click("button", "Keep")
    amara.open("/demo/mail/?to=amara.okafor@acme.example")
    ready = amara.page.get_by_role("link", name=f"Bereit: {GROUP}")
    expect(ready.first).to_be_visible(timeout=2 * PATIENCE)
    amara.click("link", f"Bereit: {GROUP}")
    amara.sees("(Europe/Berlin)")
    amara.page.goto(address)
    amara.sees("Ready to use until")
    assert amara.complaints == helena.complaints == []
