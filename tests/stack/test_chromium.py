"""A Chromium is found, or installed, or its absence is said; the browser tests are never left out."""

from __future__ import annotations

import pytest

from stack import chromium


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine without a browser; the list says what was tried on it."""
    tried: list[str] = []
    monkeypatch.setattr(chromium, "installed", lambda: None)
    monkeypatch.setattr(chromium, "_from_debian", lambda: tried.append("debian"))
    monkeypatch.setattr(chromium, "_from_playwright", lambda: tried.append("playwright"))
    return tried


def test_both_ways_are_tried_and_the_refusal_says_what_to_do(
    machine: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert chromium.main() == 1
    assert machine == ["debian", "playwright"]
    assert "playwright install --with-deps chromium" in capsys.readouterr().err


def test_the_second_way_is_not_tried_when_the_first_worked(
    machine: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def install() -> bool:
        monkeypatch.setattr(chromium, "installed", lambda: "/usr/bin/chromium")
        return True

    monkeypatch.setattr(chromium, "_from_debian", install)
    assert chromium.ensure() == "/usr/bin/chromium"
    assert machine == []


def test_debian_is_asked_as_root_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("subprocess.run", lambda *_args, **_kwargs: pytest.fail("not as this user"))
    assert not chromium._from_debian()


def test_a_program_that_does_not_run_is_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: "/bin/false")
    monkeypatch.setattr(chromium, "_playwrights", lambda: "/of/playwright")
    assert chromium.installed() == "/of/playwright"
