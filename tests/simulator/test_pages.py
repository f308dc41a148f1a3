"""The simulator's own pages in a real Chromium: account picker, sign-out, access portal, state page."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from simulator.listener import Listener
from stack.chromium import LAUNCH_ARGUMENTS, installed
from tests.simulator.process import SimulatorProcess, simulator_process


def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """An application that is content with any answer of a sign-in."""
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<!doctype html><html lang=en><title>The application</title><link rel=icon href=data:,>"]


@pytest.fixture(scope="module")
def callback() -> Iterator[str]:
    """The redirect URI of an application that listens."""
    listener = Listener(answer)
    listener.start()
    yield f"http://{listener.address}/callback/"
    listener.stop()


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory, callback: str) -> Iterator[SimulatorProcess]:
    """A simulator for the pages."""
    state_dir = tmp_path_factory.mktemp("pages") / "state"
    with simulator_process(state_dir, "--redirect-uri", callback) as running:
        yield running


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a fresh browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=list(LAUNCH_ARGUMENTS))
        yield browser.new_page()
        browser.close()


def accessible(page: Page) -> None:
    """axe finds nothing on the page."""
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.proof
def test_pages_are_accessible_and_break_no_policy(
    simulator: SimulatorProcess, callback: str, page: Page
) -> None:
    said = simulator.said
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("response", lambda answer: trouble.append(answer.url) if answer.status >= 400 else None)
    person = simulator.control("GET", "/people?featured=1")[0]

    page.goto(said["browser_origin"] + "/")
    accessible(page)
    page.goto(said["access_portal_url"] + "/#/console?account_id=111122223333&role_name=Anything")
    accessible(page)
    page.get_by_role("button", name=person["name"]).first.click()
    page.get_by_text("The link leads to Anything").wait_for()
    accessible(page)

    query = httpx.QueryParams(
        client_id=said["signin_client_id"],
        redirect_uri=callback,
        response_type="code",
        scope="openid profile",
        state="s",
        code_challenge="x" * 43,
        code_challenge_method="S256",
    )
    page.goto(
        f"{said['browser_origin']}/{said['tenant_id']}/oauth2/v2.0/authorize?{query}&prompt=select_account"
    )
    accessible(page)
    page.get_by_label("Name or user principal name").fill(person["name"][:4])
    page.get_by_label("Name or user principal name").press("Enter")
    page.get_by_role("heading", name=re.compile("found for")).wait_for()
    accessible(page)
    page.get_by_role("button", name=person["name"]).first.click()
    page.wait_for_url(callback + "*")
    assert "code=" in page.url
    page.goto(f"{said['browser_origin']}/{said['tenant_id']}/oauth2/v2.0/logout")
    accessible(page)
    page.get_by_role("button", name=person["name"]).click()
    page.get_by_role("heading", name="You signed out of your account").wait_for()
    assert trouble == []
