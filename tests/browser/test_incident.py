"""An incident in real browsers: access extended, then revoked; an account frozen, and a second operator who lifts it."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import Enter
from tests.browser.people import Visitor

GROUP = "AWS - Storefront Production Deploy"
ACCOUNT = "mobile-prod"
WHY = "Deploy the mended checkout of the mobile shop"
REVOKED = "The deployment was called off"
INCIDENT = "A deployment key of this account was published"
OVER = "The key is gone, and nothing was done with it"


def ask(somebody: Visitor, group: str) -> None:
    somebody.open(f"{group}request/")
    somebody.page.get_by_label("Why do you need it").fill(WHY)
    somebody.click("button", "Send the request")
    somebody.sees("to decide")


@pytest.mark.proof
def test_extended_revoked_then_frozen_refused_and_lifted(enter: Enter) -> None:
    amara, helena, pedro = enter("Amara Okafor"), enter("Helena Brandt"), enter("Pedro Almeida")
    amara.open("/access/?q=storefront")
    amara.click("link", GROUP)
    group = amara.page.url.removeprefix(amara.origin)
    ask(amara, group)
    helena.open("/approvals/")
    helena.click("link", GROUP)
    helena.click("button", "Approve")
    request = amara.page.url.removeprefix(amara.origin)
    amara.sees("Ready to use until")

    # It is lengthened by a request of its own, and goes on without a gap.
    ask(amara, group)
    helena.open("/approvals/")
    helena.click("link", GROUP)
    helena.click("button", "Approve")
    amara.sees("Extended in Entra")
    amara.sees("Ready to use until")

    # One access is ended by itself, with all of it.
    pedro.open(request)
    pedro.click("link", "Revoke")
    pedro.page.get_by_label("Why?").fill(REVOKED)
    pedro.click("button", "Revoke the access")
    amara.sees("Revoked by Pedro Almeida")
    amara.sees(REVOKED)

    # It becomes an incident: everything that opens the account ends and is frozen, after it was shown.
    ask(amara, group)
    waiting = amara.page.url.removeprefix(amara.origin)
    pedro.open("/operations/incidents/")
    pedro.sees("Nothing is frozen")
    pedro.click("link", "Freeze")
    pedro.page.get_by_label("Search for a person").fill(ACCOUNT)
    pedro.click("button", "Search")
    pedro.click("link", ACCOUNT)
    pedro.sees("1 request that waits for a decision")
    pedro.page.get_by_label("Why?").fill(INCIDENT)
    pedro.click("button", "Freeze and end all of it")
    pedro.sees("Frozen from now on")
    pedro.sees("You froze this yourself. A second operator has to lift it.")

    # Who waits reads why, and nobody asks anew.
    amara.open(waiting)
    amara.sees(re.compile("Closed without a decision"))
    amara.open(f"{group}request/")
    amara.sees(f"AWS account {ACCOUNT}, which this PIM group opens, is frozen in an incident")
    assert amara.page.get_by_role("button", name="Send the request").count() == 0
    pedro.open("/requests/")
    pedro.sees(f"AWS account {ACCOUNT}")

    # A second operator, on a phone and in the dark, lifts it; then it can be asked for again.
    samuel = enter("Samuel Adeyemi", width=390, scheme="dark")
    samuel.open("/operations/incidents/")
    samuel.click("link", f"AWS account {ACCOUNT}")
    samuel.sees("0 grants, 1 request closed")
    samuel.sees("What it ended")
    samuel.sees("Amara Okafor")
    samuel.sees(INCIDENT)
    samuel.page.get_by_label("Why?").fill(OVER)
    samuel.click("button", "Lift the freeze")
    samuel.sees("Lifted bySamuel Adeyemi")
    samuel.sees(OVER)
    samuel.open("/operations/incidents/")
    samuel.sees("Nothing is frozen")
    amara.open(f"{group}request/")
    assert amara.page.get_by_role("button", name="Send the request").count() == 1
    amara.sees_not("frozen in an incident")
