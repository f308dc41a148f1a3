"""A Chromium for the browser tests: `python -m stack.chromium` finds or installs one and says which."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from stack.private import StackError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A browser in a test: no sandbox (root cannot have one), nothing that talks to the outside by itself.
LAUNCH_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def installed() -> str | None:
    """The path of a Chromium on this machine: the system's, else the one Playwright has downloaded."""
    for name in NAMES:
        path = shutil.which(name)
        if path is not None and _runs(path):
            return path
    return _playwrights()


def ensure() -> str:
    """The path of a Chromium, installing one if need be.

    Raises StackError when there is none and none could be installed.
    """
    found = installed()
    for install in (_from_debian, _from_playwright):
        if found is None and install():
            found = installed()
    if found is None:
        raise StackError(
            "The browser tests need Chromium, and it can't be installed. Install the package chromium "
            "(Debian, Ubuntu), or run `.venv/bin/playwright install --with-deps chromium`; then make again."
        )
    return found


def _runs(path: str) -> bool:
    try:
        result = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def _playwrights() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() and _runs(path) else None


def _from_debian() -> bool:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print("Installing Debian's package chromium for the browser tests (once) ...", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["install", "--yes", "--quiet", "--no-install-recommends", "chromium"]
    for arguments in (["update", "--quiet"], install):
        if subprocess.run(["apt-get", *arguments], env=environment, check=False).returncode != 0:
            return False
    return True


def _from_playwright() -> bool:
    print("Downloading Playwright's Chromium for the browser tests (once) ...", flush=True)
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    """Find or install; 0 when a Chromium is there."""
    try:
        print(f"Chromium for the browser tests: {ensure()}", flush=True)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
