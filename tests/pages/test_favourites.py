"""Stars on PIM groups, and asking again from Home with a reason and one button."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from base.clock import business_now
from catalog.models import Eligibility, PimGroup
from requests_app.favourites import marking
from requests_app.favourites.models import Favourite
from requests_app.lifecycle import GrantStatus
from requests_app.models import RequestItem
from tests.pages.conftest import Visitor, World, main_of
from tests.pages.moving import bring, decide
from tests.requests_app import factories as make


@pytest.fixture
def ada(world: World) -> Visitor:
    return world.sign_in(world.ada)


def star_of(group: PimGroup) -> str:
    return f"/access/{group.object_id}/favourite/"


def favourites_on(page: str) -> str:
    return page.partition('id="favourites"')[2].partition("</section>")[0]


def test_a_star_brings_a_group_to_home_and_back_to_where_it_was(world: World, ada: Visitor) -> None:
    assert 'id="favourites"' not in main_of(ada.get("/"))
    answer = ada.post(star_of(world.group), star="on", back="/access/?q=ec2")
    assert answer["Location"] == f"/access/?q=ec2#star-{world.group.object_id}"
    ada.post(star_of(world.group), star="on")
    assert Favourite.objects.count() == 1, "twice is once"
    assert f"/access/{world.group.object_id}/request/" in favourites_on(main_of(ada.get("/")))
    assert f"Take {world.group.display_name} off your favourites" in main_of(ada.get("/access/"))
    ada.post(star_of(world.group), star="off")
    assert 'id="favourites"' not in main_of(ada.get("/"))
    assert f"Make {world.group.display_name} a favourite" in main_of(ada.get("/access/"))


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_it_leads_nowhere_else(world: World, ada: Visitor, back: str) -> None:
    answer = ada.post(star_of(world.group), star="on", back=back)
    assert answer["Location"] == f"/#star-{world.group.object_id}"


def test_a_favourite_that_one_has_is_followed_and_one_that_is_gone_is_not_shown(
    world: World, ada: Visitor
) -> None:
    ada.post(star_of(world.group), star="on")
    item = world.ask()
    assert f"/requests/{item.request_id}/" in favourites_on(main_of(ada.get("/")))
    decide(item, world.ben, "approve", world.as_role)
    bring(make.scheduled_grant(item), GrantStatus.ACTIVE)
    shown = favourites_on(main_of(ada.get("/")))
    assert f"/requests/{item.request_id}/" in shown
    assert "/request/" not in shown
    Eligibility.objects.update(ends_at=business_now() - timedelta(hours=1))
    assert 'id="favourites"' not in main_of(ada.get("/"))


def test_as_many_as_home_shows_and_no_more(
    world: World, ada: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marking, "MOST_FAVOURITES", 2)
    groups = [world.group, make.pim_group(), make.pim_group()]
    for group in groups[1:]:
        make.eligibility(world.ada, group)
    for group in groups:
        ada.post(star_of(group), star="on", back="/access/")
    assert Favourite.objects.count() == 2
    assert "You have 2 favourites" in main_of(ada.get("/access/"))


def over(world: World) -> RequestItem:
    item = world.ask(duration=timedelta(minutes=45))
    decide(item, world.ben, "deny", world.as_role)
    return item


def fields_of(page: str) -> dict[str, str]:
    """What the form of the first request under "Lately" holds."""
    form = page.partition('<form class="again"')[2].partition("</form>")[0]
    address = re.search(r'action="([^"]+)"', form)
    assert address is not None
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    return {"": address[1], **fields}


def test_a_repeat_takes_a_reason_and_one_button(world: World, ada: Visitor) -> None:
    earlier = over(world)
    fields = fields_of(main_of(ada.get("/")))
    answer = ada.post(fields.pop(""), **fields, justification="It got stuck again today")
    new = RequestItem.objects.select_related("request").exclude(pk=earlier.pk).get()
    assert answer["Location"] == f"/requests/{new.request_id}/"
    assert (new.duration, new.request.justification) == (earlier.duration, "It got stuck again today")


def test_without_a_reason_it_leads_to_the_form_as_it_was_filled_in_then(world: World, ada: Visitor) -> None:
    earlier = over(world)
    fields = fields_of(main_of(ada.get("/")))
    answer = ada.post(fields.pop(""), **fields, justification=" ")
    assert answer["Location"] == f"/access/{world.group.object_id}/request/?again={earlier.request_id}"
    assert RequestItem.objects.count() == 1
    assert 'name="minutes" value="45"' in main_of(ada.get(answer["Location"]))
