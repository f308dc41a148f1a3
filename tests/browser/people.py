"""People in front of the portal: each has a browser of their own, and every page they meet is held to the rules.

Nothing here knows the product's models: what a test says of the portal, it has seen on a page, or on
the simulated clouds' own pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, Route, expect

axe = Axe()
# What a person waits for something that happens by itself; the page follows it without reloading.
PATIENCE = 120_000


@dataclass
class Visitor:
    """Somebody at a browser window, with what the console and the network complained about."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def listen(self) -> None:
        """Note every warning of the console, every crash of a script, every server error and every host asked."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        # A refusal (422, 404, 403) is told by the page itself; Chromium notes each as a failed resource.
        if message.type in {"error", "warning"} and "status of 4" not in message.text:
            self.complaints.append(f"console: {message.text}")

    def _response(self, response: Response) -> None:
        self.hosts.add(response.url.split("/")[2])
        if response.status >= 500:
            self.complaints.append(f"{response.status} {response.url}")

    # ------------------------------------------------------------ going about

    def open(self, path: str) -> None:
        """Go to an address of the portal and hold the page to the rules."""
        self.page.goto(self.origin + path)
        self.check()

    def sign_in(self, name: str) -> None:
        """Through the portal's button, Entra's account picker, and back."""
        self.page.goto(self.origin + "/")
        self.check()
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name=name).first.click()
        self.page.wait_for_url(self.origin + "/**")
        self.check()

    def sign_out(self) -> None:
        """By the portal's own way out, which ends the session in Entra too."""
        self.page.locator(".menu summary").click()
        self.page.get_by_role("button", name="Sign out").click()
        self.page.wait_for_url("**/signed-out/**")

    def click(self, role: str, name: str) -> None:
        """Follow a link or press a button, and hold the page that answers to the rules."""
        self.page.get_by_role(role, name=name).first.click()  # type: ignore[arg-type]
        self.page.wait_for_load_state()
        self.check()

    @contextmanager
    def before_the_answer(self) -> Iterator[None]:
        """Do something after a live part of the page has asked for what is new, and before it is answered."""
        asked: list[Route] = []

        def hold(route: Route) -> None:
            asked.append(route)

        self.page.route(re.compile("/live/"), hold, times=1)
        while not asked:
            self.page.wait_for_timeout(50)
        yield
        self.page.evaluate(
            "() => { window.answered = new Promise((done) =>"
            " document.addEventListener('htmx:afterRequest', () => done(true), { once: true })) }"
        )
        asked[0].continue_()
        self.page.evaluate("() => window.answered")

    # ------------------------------------------------------------ looking

    def sees(self, text: str | re.Pattern[str], *, patience: int = PATIENCE) -> None:
        """Wait until the main part of the page shows something; no reload."""
        expect(self.page.get_by_role("main")).to_contain_text(text, timeout=patience)

    def sees_not(self, text: str) -> None:
        """The main part of the page doesn't show it."""
        expect(self.page.get_by_role("main")).not_to_contain_text(text)

    def check(self) -> None:
        """axe finds nothing, the console is clean, nothing scrolls sideways."""
        result = axe.run(self.page)
        assert result.violations_count == 0, f"{self.page.url}\n{result.generate_report()}"
        wide = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, f"{self.page.url} is {wide} pixels too wide"
        assert self.complaints == [], f"{self.page.url}: {self.complaints}"


@contextmanager
def visitor(
    browser: Browser, origin: str, *, width: int = 1280, scheme: str = "light", scripts: bool = True
) -> Iterator[Visitor]:
    """A fresh browser profile. `scripts` False: with JavaScript switched off."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
        ignore_https_errors=True,
    )
    try:
        somebody = Visitor(context.new_page(), origin)
        somebody.page.set_default_timeout(PATIENCE)
        somebody.listen()
        yield somebody
    finally:
        context.close()
