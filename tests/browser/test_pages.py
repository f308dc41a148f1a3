"""Every page in both widths and both schemes: axe, a clean console, no sideways scrolling, nobody else's host."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import Enter
from tests.browser.people import Visitor

GROUP = "AWS - Storefront Developer"
WINDOWS = [
    pytest.param(1280, "light", id="wide and light", marks=pytest.mark.proof),
    pytest.param(390, "dark", id="narrow and dark"),
]


def pages_of(somebody: Visitor, *paths: str) -> None:
    """Open each; only the portal itself may be asked for anything."""
    somebody.hosts.clear()
    for path in paths:
        somebody.open(path)
    assert somebody.hosts == {somebody.origin.split("/")[2]}


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_pages_of_an_employee(enter: Enter, width: int, scheme: str) -> None:
    amara = enter("Amara Okafor", width=width, scheme=scheme)
    amara.open("/access/?q=storefront")
    amara.click("link", GROUP)
    group = amara.page.url.removeprefix(amara.origin)
    pages_of(
        amara, "/", "/access/", "/access/?q=nothing-has-this-name", group, f"{group}request/", "/requests/", "/approvals/",
        "/components/", "/preferences/", "/no-such-page/", "/requests/not-an-id/",
        "/requests/00000000-0000-4000-8000-000000000000/",
    )  # fmt: skip


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_pages_of_an_auditor(enter: Enter, width: int, scheme: str) -> None:
    ruth = enter("Ruth Castellanos", width=width, scheme=scheme)
    pages_of(
        ruth, "/audit/?person=nobody-of-this-name", "/audit/?account=104200000101", "/audit/as-of/",
        "/audit/tokens/", "/audit/exports/", "/audit/changes/?show=all", "/audit/controls/",
        "/audit/?since=2020-01-01T00:00", "/audit/events/1/",
    )  # fmt: skip
    for part in ruth.page.locator("details.card").all():
        part.locator("summary").click()
    ruth.check()


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_pages_of_an_operator(enter: Enter, width: int, scheme: str) -> None:
    pedro = enter("Pedro Almeida", width=width, scheme=scheme)
    pages_of(
        pedro,
        *(
            f"/operations/{page}"
            for page in (
                "",
                "queue/",
                "drift/",
                "drift/?kind=late",
                "incidents/",
                "incidents/new/?q=prod",
                "alerts/",
                "notifications/",
                "notifications/?kind=revoked&language=de",
                "settings/",
            )
        ),
    )
    pedro.open("/operations/")
    pedro.sees("Sweeper")


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_pages_of_a_stranger(enter: Enter, width: int, scheme: str) -> None:
    stranger = enter(width=width, scheme=scheme)
    pages_of(stranger, "/signin/", "/signed-out/", "/no-such-page/", "/access/")
    assert stranger.page.get_by_role("button", name="Sign in").count() == 1


def test_asking_and_withdrawing_work_without_javascript(enter: Enter) -> None:
    jonas = enter(scripts=False)
    jonas.page.goto(jonas.origin + "/")
    jonas.page.get_by_role("button", name="Sign in").click()
    jonas.page.get_by_role("button", name="Jonas Lindqvist").first.click()
    jonas.page.goto(jonas.origin + "/access/")
    jonas.page.get_by_role("main").get_by_role("link", name=re.compile("^Request")).first.click()
    jonas.page.get_by_label("Why do you need it").fill("Look at why the queue is growing")
    jonas.page.get_by_role("button", name="Check first").click()
    jonas.sees("Last possible use")
    jonas.page.get_by_role("button", name="Send the request").click()
    jonas.sees("to decide")
    jonas.page.get_by_role("button", name="Withdraw").first.click()
    jonas.sees("Withdrawn")


def focused(somebody: Visitor) -> str:
    """What has the focus, in words."""
    return str(
        somebody.page.evaluate("document.activeElement.textContent || document.activeElement.id").strip()
    )


def tab_to(somebody: Visitor, words: str) -> None:
    """Press Tab until something of these words has the focus, which can be seen there."""
    for _ in range(40):
        somebody.page.keyboard.press("Tab")
        if words in focused(somebody):
            outline = somebody.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"the focus on {words} can't be seen"
            return
    raise AssertionError(f"{words} can't be reached with Tab; it stopped at {focused(somebody)}")


def test_asking_works_by_keyboard_alone(enter: Enter) -> None:
    amara = enter("Amara Okafor")
    keys = amara.page.keyboard
    keys.press("Tab")
    assert "skip" in focused(amara).lower()

    # What there is to press; the focus comes back.
    keys.press("?")
    amara.page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
    amara.check()
    keys.press("Escape")
    assert "skip" in focused(amara).lower()

    # To the catalogue, into its search, along what it found, and into one of it.
    keys.press("g")
    keys.press("c")
    amara.page.wait_for_url("**/access/")
    keys.press("/")
    keys.type("storefront jk?")
    assert amara.page.get_by_role("searchbox").input_value() == "storefront jk?", "keys act on nothing else"
    for _ in range(4):
        keys.press("Backspace")
    keys.press("Enter")
    amara.page.wait_for_url("**/access/?q=storefront*")
    found = amara.page.locator(".offer .title-link").all_inner_texts()
    for name in found:
        keys.press("j")
        assert focused(amara) == name
    keys.press("j")
    keys.press("Control+k")
    assert focused(amara) == found[-1], "there is none after the last, and a modifier means something else"
    while focused(amara) != GROUP:
        keys.press("k")
    keys.press("Enter")
    amara.page.wait_for_url("**/access/*-*/")
    tab_to(amara, "Request this access")
    keys.press("Enter")
    amara.page.wait_for_url("**/request/")
    tab_to(amara, "id_justification")
    keys.type("Roll back the broken release of the shop")
    tab_to(amara, "Send the request")
    keys.press("Enter")
    amara.sees("to decide")
    tab_to(amara, "Withdraw")
    keys.press("Enter")
    amara.page.get_by_role("dialog").get_by_role("button", name="Withdraw it").wait_for()
    keys.press("Shift+Tab")
    assert focused(amara) == "Withdraw it"
    keys.press("Enter")
    amara.sees("Withdrawn")
    amara.check()

    # Switched off, keys are only keys.
    amara.open("/preferences/")
    tab_to(amara, "Switch them off")
    keys.press("Enter")
    amara.sees("Single-key shortcuts are off")
    keys.press("j")
    keys.press("?")
    assert amara.page.get_by_role("dialog").count() == 0
    assert focused(amara) != GROUP
    amara.click("button", "Switch them on")
    amara.sees("Single-key shortcuts are on")


def test_signing_out_ends_the_session_at_entra_too(enter: Enter) -> None:
    samuel = enter("Samuel Adeyemi")
    samuel.sign_out()
    samuel.check()
    samuel.page.goto(samuel.origin + "/signin/")
    samuel.page.get_by_role("button", name="Sign in").click()
    # Entra asks again who it is, instead of letting the same person in unseen.
    samuel.page.get_by_role("button", name="Samuel Adeyemi").first.wait_for()


def test_a_disabled_person_meets_a_page_that_says_what_to_do(enter: Enter) -> None:
    somebody = enter()
    somebody.page.goto(somebody.origin + "/signin/")
    somebody.page.get_by_role("button", name="Sign in").click()
    picker = somebody.page.url
    disabled = somebody.page.request.get(
        picker.split("/", 3)[0] + "//" + picker.split("/")[2] + "/_control/people"
    )
    name = next(each["name"] for each in disabled.json() if not each["enabled"])
    somebody.page.get_by_role("searchbox").or_(somebody.page.get_by_label("Search")).first.fill(name)
    somebody.page.keyboard.press("Enter")
    somebody.page.get_by_role("button", name=name).first.click()
    somebody.sees("disabled", patience=20_000)
