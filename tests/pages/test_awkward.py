"""Whatever an address holds, a page answers it or refuses it: none breaks."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from audit.history.forms import TimelineForm
from tests.pages.conftest import Visitor, World, main_of
from tests.requests_app import factories as make
from tests.support.seldom import seldom

# Written as they stand in an address, so that bytes that are no text can be among them.
AWKWARD = (
    "%00",
    "a%00b",
    "%ED%A0%80",  # half of a surrogate pair
    "%FF%FE",
    "%F0%9F%9A%80",
    quote("١٢٣٤٥٦٧٨٩٠١٢"),  # digits, but not ours
    quote("²"),
    "-1",
    "0",
    "1e309",
    "NaN",
    "9" * 400,
    "x" * 4000,
    "%25%5C%5F%27%22%3B--",
    quote("\u202etxt"),
    "0001-01-01",
    "2026-02-30",
    "0001-01-01T00:00:00%2B23:59",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00%2B23:59_00000000-0000-4000-8000-000000000001",
    "9999-12-31T23:59:59-23:59_1",
    "9999-12-31T23:59:59-23:59_9223372036854775808",
    "2026-01-01T00:00:00%2B00:00_-1",
    "2026-01-01T00:00:00%2B00:00_99999999999999999999",
    "1-99999999999999999999",
    "99999999999999999-1",
    "http://%5B",
)
# No UTF-8, and a time that overflows, in every test run; the others in the proof tier.
EVERY_TIME = {"%ED%A0%80", "0001-01-01T00:00:00%2B23:59"}
QUERY_NAMES = (
    *("q", "after", "before", "again", "seen", "next", "ended", "unsent", "here", "iss", "sid", "state"),
    *("code", "error", "error_description", "length", "hours", "minutes", "kind", "status", "holder", "page"),
)
FILTER_NAMES = tuple(TimelineForm.base_fields)


def routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield "/" + route


@pytest.fixture
def places(world: World) -> dict[str, str]:
    """What stands for each part of a route: things that are there, so that the pages go all the way."""
    item = world.ask()
    return {
        "group_id": str(world.group.object_id),
        "request_id": str(item.request_id),
        "item_id": str(item.pk),
        "grant_id": str(uuid.uuid4()),
        "finding_id": str(make.finding(world.ada, world.group).pk),
    }


def addresses(places: dict[str, str]) -> list[str]:
    found = [
        re.sub(r"<uuid:(\w+)>", lambda part: places.get(part[1], str(uuid.UUID(int=4))), route)
        for route in routes(get_resolver())
    ]
    assert len(found) > 20
    return found


def broken(visitor: Visitor, places: dict[str, str], value: str) -> list[str]:
    """The addresses at which a page broke over the value, in any of the names that pages read."""
    visitor.client.raise_request_exception = False
    query = "&".join(f"{name}={value}" for name in (*QUERY_NAMES, *FILTER_NAMES))
    return [
        f"{address}?{query}"
        for address in addresses(places)
        if visitor.get(f"{address}?{query}").status_code >= 500
    ]


@pytest.mark.parametrize("value", seldom(AWKWARD, unless=EVERY_TIME.__contains__))
def test_no_page_breaks_over_what_an_address_holds(world: World, places: dict[str, str], value: str) -> None:
    assert broken(world.sign_in(world.ada), places, value) == []
    assert broken(world.sign_in(world.ben, "Auditor"), places, value) == []
    assert broken(Visitor(Client(), world.as_role), places, value) == []


@pytest.mark.parametrize("value", seldom(AWKWARD, unless=EVERY_TIME.__contains__))
def test_no_filter_of_the_history_breaks_alone(world: World, value: str) -> None:
    auditor = world.sign_in(make.person("Dee Auditor"), "Auditor")
    auditor.client.raise_request_exception = False
    answers = {name: auditor.get(f"/audit/?{name}={value}") for name in (*FILTER_NAMES, "before")}
    assert not {name for name, answer in answers.items() if answer.status_code >= 500}


def test_a_nul_is_refused_with_an_ordinary_page(world: World, places: dict[str, str]) -> None:
    ada = world.sign_in(world.ada)
    group = f"/access/{places['group_id']}/"
    refused = [
        ada.get(f"{group}?q=%00"),
        ada.get(f"{group}?%00=1"),
        ada.get("/access/%00/"),
        ada.post(f"{group}request/", justification="zero \x00 byte"),
    ]
    assert [answer.status_code for answer in refused] == [400] * 4
    assert all(b"<!doctype html>" in answer.content for answer in refused)


def test_a_nul_in_a_cookie_is_refused(world: World) -> None:
    client = Client(headers={"cookie": 'session="\\000' + "a" * 32 + '"'})
    client.raise_request_exception = False
    assert Visitor(client, world.as_role).get("/").status_code == 400


def test_positions_before_the_first_and_after_the_last_day_are_none(world: World) -> None:
    world.ask()
    ada, ben = world.sign_in(world.ada), world.sign_in(world.ben)
    for edge in ("0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59"):
        assert world.group.display_name in main_of(ada.get(f"/requests/?before={edge}"))
        assert ben.get(f"/approvals/?after={edge}_{uuid.uuid4()}").status_code == 200
