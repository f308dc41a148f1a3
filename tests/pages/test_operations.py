"""The operator's pages: who may open which, and what they say."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from base.clock import real_now
from catalog.models import SyncRun
from oversight.settings_in_force import SHOWN
from oversight.tabs import TABS
from tests.pages.conftest import World, main_of

OF_OPERATORS = "/operations/settings/"
OF_AUDITORS_TOO = "/operations/"


def test_only_operators_have_the_entry_in_the_navigation(world: World) -> None:
    operator, auditor = world.sign_in(world.ada, "Operator"), world.sign_in(world.ben, "Auditor")
    employee = world.sign_in(world.cy)
    navigation = [
        visitor.get("/").content.decode().partition("<nav")[2].partition("</nav>")[0]
        for visitor in (operator, auditor, employee)
    ]
    assert ["/operations/" in each for each in navigation] == [True, False, False]


@pytest.mark.parametrize(
    ("roles", "health", "in_force"),
    [((), 404, 404), (("Auditor",), 200, 404), (("Operator",), 200, 200)],
    ids=["employee", "auditor", "operator"],
)
def test_who_may_open_what(world: World, roles: tuple[str, ...], health: int, in_force: int) -> None:
    visitor = world.sign_in(world.cy, *roles)
    assert visitor.get(OF_AUDITORS_TOO).status_code == health
    assert visitor.get(OF_OPERATORS).status_code == in_force


def test_an_auditor_sees_only_the_tabs_that_open(world: World) -> None:
    auditor = world.sign_in(world.ben, "Auditor")
    page = main_of(auditor.get("/operations/"))
    for tab in TABS:
        assert (f"{tab.name}</a>" in page) is tab.auditors, tab.name


def test_the_current_tab_is_marked(world: World) -> None:
    operator = world.sign_in(world.ada, "Operator")
    page = main_of(operator.get(OF_OPERATORS))
    assert 'href="/operations/settings/" aria-current="page"' in page
    assert 'href="/operations/" aria-current' not in page


def test_settings_in_force_show_no_secret(world: World, settings: Settings) -> None:
    settings.ENTRA_SIGNIN_CLIENT_SECRET = "a-secret-that-nobody-may-see"
    settings.ENTRA_TENANT_ID = ""
    page = main_of(world.sign_in(world.ada, "Operator").get(OF_OPERATORS))
    assert "a-secret-that-nobody-may-see" not in page
    assert django_settings.SECRET_KEY not in page
    assert "not set" in page
    assert "40 min" in page


def test_every_setting_that_is_shown_exists() -> None:
    names = [name for _, rows in SHOWN for name, _ in rows]
    assert [name for name in names if not hasattr(django_settings, name)] == []


def test_a_failing_part_of_the_catalogue_is_a_trouble(world: World) -> None:
    SyncRun.objects.create(
        part="groups", status="failed", started_at=real_now(), finished_at=real_now(), error="Graph said no."
    )
    page = main_of(world.sign_in(world.ada, "Operator").get("/operations/"))
    assert "Graph said no." in page
    assert "Failing" in page
