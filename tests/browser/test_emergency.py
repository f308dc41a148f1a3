"""An emergency in real browsers: taken without an approval, told to everybody, and reviewed by somebody else."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import Enter

GROUP = "AWS - Platform Break Fix"


@pytest.mark.proof
def test_an_emergency_is_let_through_and_reviewed_by_somebody_else(enter: Enter) -> None:
    helena = enter("Helena Brandt", width=390, scheme="dark")
    jonas = enter("Jonas Lindqvist")
    jonas.open("/access/?q=Break+Fix")
    jonas.click("link", GROUP)
    jonas.click("link", "Emergency")
    jonas.sees("It still travels through Entra and SCIM")
    jonas.page.get_by_label("Why can't it wait").fill("Customers can't pay, and nobody answers")
    jonas.page.get_by_label("Why do you need it?").fill("Restart the payment service")
    jonas.click("button", "Get access without an approval")
    jonas.sees("Emergency: no approval was needed")
    jonas.sees("Ready to use until")
    jonas.check()

    helena.open("/approvals/")
    helena.click("link", "Say whether it was in order")
    helena.page.get_by_role("link", name=GROUP).focus()
    helena.page.keyboard.press("Enter")
    helena.sees("Customers can't pay")
    helena.page.get_by_role("radio", name="In order", exact=True).focus()
    helena.page.keyboard.press("Space")
    helena.page.get_by_label("What did you find?").focus()
    helena.page.keyboard.type("Paged at night, and mended")
    helena.page.get_by_role("button", name="Keep the review").focus()
    helena.page.keyboard.press("Enter")
    helena.sees("Your review is kept.")
    helena.check()

    jonas.sees("Paged at night, and mended")
    ruth = enter("Ruth Castellanos")
    ruth.open("/audit/?action=emergency.reviewed&since=2020-01-01T00%3A00")
    ruth.sees(re.compile("Helena Brandt reviewed the use of AWS - Platform Break Fix"))
