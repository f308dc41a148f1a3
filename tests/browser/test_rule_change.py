"""The rules in real browsers: a change is proposed by keyboard, replayed, accepted by a second operator, and taken back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator

from tests.browser.conftest import Enter
from tests.browser.people import Visitor

GROUP = "AWS - Storefront Production Deploy"
RULE = "Production accounts"
ASKED = "Deploy the mended checkout of the mobile shop"
WHY = "The auditors want shorter windows in production"


def press_until(somebody: Visitor, name: str) -> None:
    """Go on by Tab until a link or button of that name has the focus, and press it."""
    for _ in range(120):
        somebody.page.keyboard.press("Tab")
        said = somebody.page.evaluate(
            "document.activeElement.innerText || document.activeElement.value || ''"
        )
        if " ".join(str(said).split()) == name:
            with somebody.page.expect_navigation():
                somebody.page.keyboard.press("Enter")
            somebody.check()
            return
    raise AssertionError(f"no Tab leads to {name}")


def tab_into(somebody: Visitor, label: str) -> Locator:
    """Go on by Tab until the field of that label has the focus."""
    field = somebody.page.get_by_label(label)
    for _ in range(120):
        somebody.page.keyboard.press("Tab")
        if field.evaluate("field => field === document.activeElement"):
            return field
    raise AssertionError(f"no Tab leads into {label}")


def reload_until(somebody: Visitor, words: str) -> None:
    """Look at the page again until a worker has done what it shows, for a minute at most."""
    for _ in range(120):
        if words in somebody.page.get_by_role("main").inner_text():
            somebody.check()
            return
        somebody.page.wait_for_timeout(500)
        somebody.page.reload()
    raise AssertionError(f"{somebody.page.url} never says {words}")


def longest(somebody: Visitor) -> str:
    """What the request form says of the longest duration."""
    return somebody.page.get_by_text(re.compile("^At most .*[.]$")).first.inner_text()


@pytest.mark.proof
def test_a_rule_change_with_replay_and_a_second_operator(enter: Enter) -> None:
    amara, pedro = enter("Amara Okafor"), enter("Pedro Almeida")
    amara.open("/access/?q=storefront")
    amara.click("link", GROUP)
    group = amara.page.url.removeprefix(amara.origin)
    amara.open(f"{group}request/")
    before = longest(amara)
    amara.page.get_by_label("Why do you need it").fill(ASKED)
    amara.click("button", "Send the request")
    amara.sees("to decide")

    # By keyboard only: a mistake is named with its line, then it is proposed.
    pedro.open("/operations/rules/")
    pedro.sees(RULE)
    press_until(pedro, f"Edit {RULE}")
    written = tab_into(pedro, "Rules").input_value()
    assert f"  # {GROUP}" in written
    pedro.page.keyboard.press("Control+A")
    pedro.page.keyboard.insert_text(written.replace("longest_duration: PT4H", "longest_duration: soon"))
    press_until(pedro, "Propose")
    pedro.sees("longest_duration: must be a duration such as PT8H or P1D, not “soon”")
    tab_into(pedro, "Rules")
    pedro.page.keyboard.press("Control+A")
    pedro.page.keyboard.insert_text(written.replace("longest_duration: PT4H", "longest_duration: PT10M"))
    tab_into(pedro, "Why?")
    pedro.page.keyboard.insert_text(WHY)
    press_until(pedro, "Propose")
    pedro.sees("Proposed. A second operator accepts or rejects it here.")
    pedro.sees("You proposed this yourself")
    pedro.sees("4 h")
    pedro.sees("10 min")
    assert pedro.page.get_by_role("button", name="Accept").count() == 0

    # The second operator, on a phone and in the dark, sees whom it concerns, and accepts it.
    samuel = enter("Samuel Adeyemi", width=390, scheme="dark")
    samuel.open("/operations/rules/")
    samuel.click("link", WHY)
    reload_until(samuel, "Who gains and who loses")
    samuel.sees("Other demands")
    samuel.sees("Amara Okafor")
    samuel.sees("would have been refused")
    samuel.sees("and 10 min are the longest")
    samuel.page.get_by_label("Why?").fill("Agreed with the platform team")
    samuel.click("button", "Accept")
    samuel.sees("Accepted. A worker applies it within seconds.")
    reload_until(samuel, "Applied")

    # It holds for what is asked for from now on; what was asked keeps its rules.
    amara.open(f"{group}request/")
    assert longest(amara) == "At most 10 min."

    # And it is taken back: one click proposes the rules of before, and another operator accepts.
    samuel.open("/operations/rules/history/")
    samuel.page.get_by_role("link", name="Go back to this").last.click()
    samuel.sees("Go back to earlier rules")
    samuel.page.get_by_label("Why?").fill("Deployments take longer than that")
    samuel.click("button", "Propose")
    back = samuel.page.url.removeprefix(samuel.origin)
    pedro.open(back)
    pedro.sees("Goes back to")
    pedro.page.get_by_label("Why?").fill("True")
    pedro.click("button", "Accept")
    reload_until(pedro, "Applied")
    amara.open(f"{group}request/")
    assert longest(amara) == before
    # What waits would keep everybody else of this run from asking for the same.
    amara.click("link", "Follow it")
    amara.click("button", "Withdraw")
    amara.click("button", "Withdraw it")
    amara.sees("Withdrawn")
