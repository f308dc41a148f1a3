"""Several PIM groups asked for with one reason, decided with one word, and taken back; everywhere held to the rules."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import Enter

WHY = "Move the reports to the new database together with their alarms"
# One approver decides on both; nobody else asks for them in this run.
GROUPS = ("AWS - Database Reader", "AWS - Storefront Production Deploy")


@pytest.mark.proof
def test_several_are_asked_for_and_decided_together(enter: Enter) -> None:
    amara = enter("Amara Okafor", width=390, scheme="dark")
    amara.open("/access/")
    keys = amara.page.keyboard
    for group in GROUPS:
        amara.page.get_by_role("link", name=group, exact=True).focus()
        keys.press("x")
    # Where one of them can't be chosen, somebody else's play has left it behind; the page says so itself.
    assert amara.page.get_by_role("checkbox", checked=True).count() == len(GROUPS)
    amara.click("button", "Request those ticked together (2)")
    amara.page.get_by_label("Why do you need it").fill("short")
    amara.click("button", "Send the request")
    amara.sees(f"{', '.join(GROUPS)}: Say what you need the access for")
    amara.page.get_by_label("Why do you need it").fill(WHY)
    amara.click("button", "Send the request")
    amara.sees("Request for 2 PIM groups")
    address = amara.page.url

    helena = enter("Helena Brandt")
    helena.open("/approvals/")
    helena.click("link", GROUPS[0])
    helena.click("link", "Decide together")
    helena.page.get_by_label("Comment").fill("Both, until the reports are over")
    helena.click("button", "Approve those ticked")
    helena.sees("2 decisions are being checked")

    # The page of the request follows both without a reload; each has its own page.
    amara.sees(re.compile("Ready to use until.*Ready to use until", re.DOTALL))
    amara.check()
    amara.click("link", GROUPS[0])
    amara.sees("One of 2 PIM groups of this request")
    amara.sees("Both, until the reports are over")
    amara.page.goto(address)
    amara.click("link", "Request all again")
    assert amara.page.get_by_role("checkbox", name=re.compile("Ask for")).count() == 2
    amara.check()
    assert amara.complaints == helena.complaints == []
