"""The queue of the narrow path: the operator's page of it, and what a requester sees of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit.ledger.models import Event
from requests_app.actions.pathing import take_place
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant
from requests_app.path_models import PathKind, PathTicket
from tests.pages.conftest import World, main_of
from tests.pages.moving import bring, decide, step
from tests.requests_app import factories as make

QUEUE = "/operations/queue/"


def wait(world: World, count: int) -> list[Grant]:
    """So many grants that want a place: the first four have got one."""
    found = []
    for number in range(count):
        person = make.person(f"Waiting {number}")
        with world.as_role("portal_web"):
            item = make.pending_item(person, world.group, world.rule)
        decide(item, world.ben, "approve", world.as_role)
        grant = bring(make.scheduled_grant(item), GrantStatus.ACTIVATING)
        take_place(grant, PathKind.ASSIGN)
        found.append(grant)
    return found


def test_an_operator_sees_who_waits_and_what_was_used(world: World) -> None:
    grants = wait(world, 7)
    olga = world.sign_in(make.person("Olga Operator"), "Operator")
    shown = main_of(olga.get(QUEUE))
    for grant in grants:
        assert grant.person.display_name in shown
    assert (
        shown.index("Waiting 4")
        < shown.index("Waiting 5")
        < shown.index("Waiting 6")
        < shown.index("Used lately")
    )
    assert shown.count("To the front") == 2, "the first is next already"


def test_moving_one_to_the_front_shows_on_the_page_and_on_the_case(world: World) -> None:
    *_, last = wait(world, 7)
    olga = world.sign_in(make.person("Olga Operator"), "Operator", "Auditor")
    ticket = PathTicket.objects.get(grant=last)
    assert olga.post(f"{QUEUE}{ticket.pk}/front/").status_code == 302
    shown = main_of(olga.get(QUEUE))
    assert "moved to the front by Olga Operator" in shown
    assert shown.index("Waiting 6") < shown.index("Waiting 4")
    event = Event.objects.get(type="queue.moved_to_front")
    assert event.grant_id == last.pk
    case = olga.get(f"/audit/requests/{last.first_request_id}/").content.decode()
    assert "to the front of the queue" in case
    assert olga.post(f"{QUEUE}{ticket.pk}/front/").status_code == 409
    assert olga.post(f"{QUEUE}999999/front/").status_code == 404


def test_the_queue_is_for_operators_only(world: World) -> None:
    *_, last = wait(world, 5)
    address = f"{QUEUE}{PathTicket.objects.get(grant=last).pk}/front/"
    for visitor in (world.sign_in(world.ben), world.sign_in(make.person("Audrey"), "Auditor")):
        assert visitor.get(QUEUE).status_code == 404
        assert visitor.get(f"{QUEUE}live/").status_code == 404
        assert visitor.post(address).status_code == 404
    assert not Event.objects.filter(type="queue.moved_to_front").exists()


def test_the_live_part_is_sent_only_when_something_changed(world: World) -> None:
    wait(world, 5)
    olga = world.sign_in(make.person("Olga Operator"), "Operator")
    body = olga.get(f"{QUEUE}live/").content.decode()
    seen = body.partition("?seen=")[2].partition('"')[0]
    assert olga.get(f"{QUEUE}live/?seen={seen}").status_code == 204
    wait(world, 1)
    assert olga.get(f"{QUEUE}live/?seen={seen}").status_code == 200


@pytest.mark.parametrize(("number", "words"), [(4, "number 1 of 3"), (6, "number 3 of 3")])
def test_a_requester_sees_their_place_and_when_to_expect_it(world: World, number: int, words: str) -> None:
    grant = wait(world, 7)[number]
    shown = main_of(world.sign_in(grant.person).get(f"/requests/{grant.first_request_id}/"))
    assert f"Waiting for its turn: {words}, expected at" in shown
    assert "How long this takes has not been measured here yet." in shown


def test_a_place_that_moves_up_is_news_for_the_page(world: World) -> None:
    grants = wait(world, 6)
    ada = world.sign_in(grants[5].person)
    address = f"/requests/{grants[5].first_request_id}/live/"
    seen = ada.get(address).content.decode().partition("?seen=")[2].partition('"')[0]
    assert ada.get(f"{address}?seen={seen}").status_code == 204
    PathTicket.objects.filter(grant=grants[4]).delete()
    assert "number 1 of 1" in ada.get(f"{address}?seen={seen}").content.decode()


def test_how_long_it_takes_is_said_with_the_number_that_was_measured(world: World) -> None:
    grants = wait(world, 6)
    step(grants[0], GrantStatus.PROVISIONING)
    Grant.objects.filter(pk=grants[0].pk).update(seen_in_entra_at=grants[0].starts_at + timedelta(seconds=40))
    shown = main_of(world.sign_in(grants[5].person).get(f"/requests/{grants[5].first_request_id}/"))
    assert "Usually 40 s, 40 s when slow (measured once here)." in shown
