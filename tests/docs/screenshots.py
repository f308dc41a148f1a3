"""The pictures of README.md, taken from the running product: `python -m tests.docs.screenshots [FOLDER]`.

Starts a stack of its own on free ports, plays one request up to access in AWS, and takes each picture as a
person would see it. Run it after a change of the pages and look at what it made before you commit it.
"""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from stack.chromium import LAUNCH_ARGUMENTS, ensure
from stack.running import ROOT, Stack
from tests.browser.people import Visitor, visitor

SCREENSHOTS = ROOT / "docs" / "screenshots"
GROUP = "AWS - Amazon EC2 Admin"
WHY = "Replace the failing instance behind web-prod, as agreed in the incident call."
# An hour of access in two minutes: quick to play, and the page's clocks still stand while a picture is taken.
SPEED = 30.0
WIDTH, HEIGHT = 1280, 900


def main(folder: Path) -> None:
    """Take every picture anew and say how large each is."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as running:
        state = running.enter_context(tempfile.TemporaryDirectory(prefix="access-portal-screenshots-"))
        stack = running.enter_context(
            Stack(Path(state) / "stack", speed=SPEED, durable=False, say=lambda text: print(text, flush=True))
        )
        playwright = running.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=ensure(), args=list(LAUNCH_ARGUMENTS))
        running.callback(browser.close)
        play(browser, stack, folder)


def play(browser: Browser, stack: Stack, folder: Path) -> None:
    """Ask, decide and follow, with a picture of the decision and of the request."""
    with (
        visitor(browser, stack.origin, width=WIDTH) as amara,
        visitor(browser, stack.origin, width=WIDTH) as helena,
    ):
        address = ask(amara)
        decide(helena, folder)
        amara.page.goto(address)
        amara.sees(re.compile("Ready to use until"))
        take(amara.page, folder / "request.png", clip_height=HEIGHT)


def ask(amara: Visitor) -> str:
    """Amara asks for the group; gives the address of her request."""
    amara.sign_in("Amara Okafor")
    amara.open("/access/")
    amara.click("link", GROUP)
    amara.click("link", "Request this access")
    amara.page.get_by_label("Why do you need it").fill(WHY)
    amara.page.get_by_label("Reference").fill("INC0012345")
    amara.click("button", "Send the request")
    amara.sees(re.compile("Waiting for"))
    return amara.page.url


def decide(helena: Visitor, folder: Path) -> None:
    """Helena reads what she is asked, and approves."""
    helena.sign_in("Helena Brandt")
    helena.open("/approvals/")
    helena.click("link", GROUP)
    helena.page.get_by_label("Comment").fill("Go ahead, and tell the on-call channel.")
    take(helena.page, folder / "decision.png", clip_height=HEIGHT)
    helena.click("button", "Approve")
    helena.sees("Approved")


def take(page: Page, path: Path, *, clip_height: int) -> None:
    """One picture of the top of the page, in the portal's own colours."""
    expect(page.get_by_role("main")).to_be_visible()
    page.screenshot(
        path=path,
        clip={"x": 0, "y": 0, "width": WIDTH, "height": clip_height},
        animations="disabled",
        caret="hide",
    )
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SCREENSHOTS)
