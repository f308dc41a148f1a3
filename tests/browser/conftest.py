"""Fixtures of the tests that need the whole portal running, and a real Chromium in front of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from stack.chromium import LAUNCH_ARGUMENTS, ensure
from stack.running import Stack
from tests.browser.people import Visitor, visitor
from tests.support.stack import running_stack, stack_speed

__all__ = ["running_stack", "stack_speed"]

type Enter = Callable[..., Visitor]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser, in a thread-bound Playwright of its own."""
    assert threading.current_thread() is threading.main_thread()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=ensure(), args=list(LAUNCH_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def enter(chromium: Browser, running_stack: Stack) -> Iterator[Enter]:
    """Somebody sits down at a browser: `enter("Amara Okafor")` is signed in, `enter()` is not."""
    with ExitStack() as rooms:

        def sit_down(name: str = "", **how: Any) -> Visitor:
            room: AbstractContextManager[Visitor] = visitor(chromium, running_stack.origin, **how)
            somebody = rooms.enter_context(room)
            if name:
                somebody.sign_in(name)
            return somebody

        yield sit_down


@pytest.fixture
def clouds(running_stack: Stack) -> Callable[..., Any]:
    """Ask the simulated clouds' control API: `clouds("GET", "/state")`, `clouds("POST", "/events", {...})`."""
    return partial(control, running_stack.control_url)


def control(address: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """One call of the control API; its JSON answer, None when it has none."""
    import json
    import urllib.request

    request = urllib.request.Request(  # noqa: S310 - a loopback address that the stack made
        address + path,
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        said = answer.read()
    return json.loads(said) if said else None
