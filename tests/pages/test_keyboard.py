"""Single-key shortcuts: told on every page, for whoever hasn't switched them off."""

from __future__ import annotations

import re

import pytest
from django.db import ProgrammingError, transaction

from identity.models import User
from tests.pages.conftest import World
from tests.requests_app import factories as make


def test_they_are_on_until_somebody_switches_them_off(world: World) -> None:
    ada = world.sign_in(world.ada)
    page = ada.get("/access/").content.decode()
    assert "js/keys.js" in page
    assert '<dialog id="shortcuts"' in page
    off = ada.post("/preferences/keyboard/", shortcuts="off")
    assert (off.status_code, off["Location"]) == (302, "/preferences/")
    told = ada.get("/preferences/").content.decode()
    assert "Single-key shortcuts are off." in told
    assert "js/keys.js" not in told
    assert '<dialog id="shortcuts"' not in told
    assert "js/keys.js" in world.sign_in(world.ben).get("/").content.decode(), "one's own choice only"
    ada.post("/preferences/keyboard/", shortcuts="on")
    assert "js/keys.js" in ada.get("/").content.decode()


def test_every_section_has_a_key_of_its_own_and_the_list_names_it(world: World) -> None:
    page = world.sign_in(make.person("Ivy"), "Auditor", "Operator").get("/").content.decode()
    keys = re.findall(r'data-go="(\w)"', page)
    assert len(keys) == len(set(keys)) == 6
    told = page.partition('<dialog id="shortcuts"')[2].partition("</dialog>")[0]
    assert re.findall(r"<kbd>g</kbd> <kbd>(\w)</kbd>", told) == keys


def test_the_web_process_may_change_nothing_else_of_a_user(world: World) -> None:
    world.sign_in(world.ada)
    with world.as_role("portal_web"):
        assert User.objects.filter(person=world.ada).update(shortcuts=False) == 1
        with pytest.raises(ProgrammingError), transaction.atomic():
            User.objects.filter(person=world.ada).update(is_active=True)
