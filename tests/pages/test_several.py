"""A request for several PIM groups on its pages: choosing, asking, following, deciding and taking back."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from catalog.models import PimGroup
from notifications.facts import path_of
from notifications.kinds import Kind
from notifications.models import Message
from requests_app.actions.submitting import Wanted, submit_items
from requests_app.lifecycle import GrantStatus, ItemStatus
from requests_app.models import WAITS_FOR_PERSON, AccessRequest, Decision, Grant, RequestItem
from tests.pages.conftest import Visitor, World, main_of
from tests.pages.moving import bring, decide
from tests.requests_app import factories as make

HOUR = timedelta(hours=1)
FORM = "/access/request/"


@pytest.fixture
def ada(world: World) -> Visitor:
    return world.sign_in(world.ada)


@pytest.fixture
def groups(world: World) -> list[PimGroup]:
    """Three groups that Ada may ask for; Ben decides on the first two, Cy on the third."""
    made = [make.pim_group(f"AWS - {name}") for name in ("Alpha", "Beta", "Gamma")]
    for each in made:
        make.eligibility(world.ada, each)
    make.rule(world.ben, groups=tuple(made[:2]))
    make.rule(world.cy, groups=(made[2],))
    return made


def asked(world: World, groups: list[PimGroup]) -> list[RequestItem]:
    with world.as_role("portal_web"):
        request_id = submit_items(
            requester_id=world.ada.pk,
            wanted=[Wanted(group.object_id, HOUR) for group in groups],
            justification="Fix the stuck deployment",
            reference="INC0012345",
            actor=make.actor(world.ada),
        )
    items = {item.group_id: item for item in RequestItem.objects.filter(request_id=request_id)}
    return [items[group.pk] for group in groups]


def sent(groups: list[PimGroup], **more: str | list[str]) -> dict[str, str | list[str]]:
    """The form as a browser sends it, an hour for each."""
    keys = [group.object_id for group in groups]
    lengths = {f"{key}-length": "60" for key in keys}
    return {"group": keys, "named": keys, "justification": "Fix the stuck deployment", **lengths, **more}


def choosing(groups: list[PimGroup]) -> str:
    return f"{FORM}?{urlencode([('group', group.object_id) for group in groups])}"


def page_of(item: RequestItem, action: str = "") -> str:
    return f"/requests/{item.request_id}/{action}"


def part_of(item: RequestItem, action: str = "") -> str:
    return f"{page_of(item, action)}?item={item.pk}"


def test_what_is_ticked_in_the_catalogue_is_asked_for_with_one_reason(
    world: World, ada: Visitor, groups: list[PimGroup]
) -> None:
    catalogue = main_of(ada.get("/access/"))
    assert all(f'form="chosen" value="{group.object_id}"' in catalogue for group in groups)
    page = main_of(ada.get(choosing(groups)))
    assert page.count("Why do you need it?") == 1
    assert page.count("All of it is new, on ") == len(groups), "what each adds"
    assert all(f'name="{group.object_id}-length"' in page for group in groups)
    answer = ada.post(FORM, **sent(groups, **{f"{groups[1].object_id}-length": "30"}))
    request = AccessRequest.objects.get()
    assert answer["Location"] == f"/requests/{request.pk}/"
    spans = {item.group_id: item.duration for item in request.items.all()}
    assert spans == {groups[0].pk: HOUR, groups[1].pk: HOUR / 2, groups[2].pk: HOUR}


def test_a_refusal_stands_at_what_it_is_about_and_nothing_is_sent_or_lost(
    world: World, ada: Visitor, groups: list[PimGroup]
) -> None:
    other = {f"{groups[1].object_id}-length": "other", f"{groups[1].object_id}-hours": "9"}
    answer = ada.post(FORM, **sent(groups, **other))
    page = main_of(answer)
    assert answer.status_code == 422
    assert "At most 8 h can be asked for here." in page.partition("AWS - Beta")[2].partition("AWS - Gamma")[0]
    assert page.count("can be asked for here.") == 1
    assert "Fix the stuck deployment" in page
    curt = ada.post(FORM, **sent(groups, justification="No"))
    assert "AWS - Alpha, AWS - Beta, AWS - Gamma: Say what you need the access for" in main_of(curt)
    none = ada.post(FORM, **sent(groups, group=[]))
    assert "Tick at least one" in main_of(none)
    assert not AccessRequest.objects.exists()


def test_all_mistakes_of_several_are_named_at_a_time(
    world: World, ada: Visitor, groups: list[PimGroup]
) -> None:
    patterns: dict[str, Any] = {"justification_pattern": "INC.*", "reference_required": True}
    make.rule(world.ben, groups=(groups[0],), longest_duration="PT2H", **patterns)
    first, second, _ = (group.object_id for group in groups)
    wrong = {f"{key}-length": "other" for key in (first, second)} | {f"{first}-hours": "4", "start": "soon"}
    answer = ada.post(FORM, **sent(groups, justification="No", **wrong))
    page = main_of(answer)
    assert answer.status_code == 422
    alpha, beta = page.partition("AWS - Alpha")[2].partition("AWS - Beta")[::2]
    assert "At most 2 h can be asked for here." in alpha
    assert "Say how many hours and minutes." in beta.partition("AWS - Gamma")[0]
    for sentence in (
        "AWS - Alpha, AWS - Beta, AWS - Gamma: Say what you need the access for",
        "AWS - Alpha: The rule for this group wants the justification to fit the pattern INC.*.",
        "AWS - Alpha: The rule for this group asks for a reference",
        "Write date and time",
    ):
        assert sentence in page, sentence
    assert not AccessRequest.objects.exists()


def test_what_waits_already_is_left_out_and_said(world: World, ada: Visitor, groups: list[PimGroup]) -> None:
    asked(world, groups[:1])
    page = main_of(ada.get(choosing(groups)))
    assert f'name="group" value="{groups[0].object_id}"' not in page
    assert "You have asked for this already" in page
    assert ada.post(FORM, **sent(groups)).status_code == 302
    assert RequestItem.objects.filter(request__item_count=2).count() == 2


def test_what_is_not_theirs_is_absent_and_nothing_ticked_leads_back(
    world: World, ada: Visitor, groups: list[PimGroup]
) -> None:
    foreign = make.pim_group()
    assert ada.get(choosing([*groups, foreign])).status_code == 404
    assert ada.post(FORM, **sent([*groups, foreign])).status_code == 404
    assert ada.get(FORM)["Location"] == "/access/"
    assert "Tick what you want to ask for first." in main_of(ada.get("/access/"))
    assert ada.get(choosing(groups[:1]))["Location"] == f"/access/{groups[0].object_id}/request/"


def test_its_page_shows_all_with_their_trackers_and_leads_to_each(
    world: World, ada: Visitor, groups: list[PimGroup]
) -> None:
    alpha, beta, gamma = asked(world, groups)
    decide(alpha, world.ben, "approve", world.as_role)
    bring(make.scheduled_grant(alpha), GrantStatus.ACTIVE)
    decide(beta, world.ben, "deny", world.as_role)
    page = main_of(ada.get(page_of(alpha)))
    assert page.count('class="tracker"') == 3
    assert all(part_of(item) in page for item in (alpha, beta, gamma))
    assert "Ready to use until" in page
    assert page.count("Withdraw it") == 1, "only what waits is withdrawn"
    live = page.partition('hx-get="')[2].partition('"')[0]
    assert ada.get(live).status_code == 204
    decide(gamma, world.cy, "deny", world.as_role)
    assert b"Withdraw it" not in ada.get(live).content
    one = main_of(ada.get(part_of(alpha)))
    assert "I'm done" in one.replace("&#x27;", "'")
    assert part_of(alpha, "end/") in one
    assert part_of(alpha, "end/") in main_of(ada.get("/"))


def test_it_leads_to_the_sign_in_that_one_of_them_waits_for(
    world: World, ada: Visitor, groups: list[PimGroup]
) -> None:
    alpha, beta, _ = asked(world, groups)
    for item in (alpha, beta):
        decide(item, world.ben, "approve", world.as_role)
        bring(make.scheduled_grant(item), GrantStatus.ACTIVATING)
    assert "Go and sign in again" not in main_of(ada.get(page_of(alpha)))
    Grant.objects.filter(group=groups[0]).update(problem_code=WAITS_FOR_PERSON, problem="Entra wants more.")
    page = main_of(ada.get(page_of(alpha)))
    assert page.count("Go and sign in again") == 1
    assert "Approved. Waiting for you to sign in again." in page
    assert "Sign in again" in main_of(ada.get(part_of(alpha)))
    assert "Go and sign in again" not in main_of(world.sign_in(world.ben).get(page_of(alpha)))


def test_mail_leads_to_the_one_that_it_is_about(world: World, groups: list[PimGroup]) -> None:
    alpha, beta, _ = asked(world, groups)
    decide(alpha, world.ben, "approve", world.as_role)
    grant = make.scheduled_grant(alpha)
    assert path_of(Message(kind=Kind.DENIED, item=beta)) == part_of(beta)
    assert path_of(Message(kind=Kind.USABLE, grant=grant)) == part_of(alpha)
    assert path_of(Message(kind=Kind.DENIED, item=world.ask())).endswith("/"), "where there is but one"


def test_an_action_wants_to_know_which_one_is_meant(
    world: World, ada: Visitor, groups: list[PimGroup]
) -> None:
    alpha, beta, _ = asked(world, groups)
    decide(alpha, world.ben, "approve", world.as_role)
    grant = bring(make.scheduled_grant(alpha), GrantStatus.ACTIVE)
    for action in ("end/", "repeat/", "sign-in/", "thread/"):
        assert ada.post(page_of(alpha, action)).status_code == 422, action
    assert ada.post(part_of(beta, "end/")).status_code == 404, "there is nothing to end of it"
    grant.refresh_from_db()
    assert grant.status == GrantStatus.ACTIVE
    assert ada.post(part_of(alpha, "end/"))["Location"] == part_of(alpha)
    other = world.ask()
    assert ada.get(f"{page_of(alpha)}?item={other.pk}").status_code == 404, "an item of another request"


def test_one_is_taken_back_or_all_that_wait(world: World, ada: Visitor, groups: list[PimGroup]) -> None:
    alpha, beta, gamma = asked(world, groups)
    assert ada.post(part_of(beta, "withdraw/"))["Location"] == part_of(beta)
    assert ada.post(page_of(alpha, "withdraw/"))["Location"] == page_of(alpha)
    assert set(RequestItem.objects.values_list("status", flat=True)) == {ItemStatus.WITHDRAWN}
    assert "2 of 3 are withdrawn" in main_of(ada.get(page_of(gamma)))
    assert ada.post(page_of(alpha, "withdraw/")).status_code == 409


def test_whoever_decides_sees_what_is_theirs_to_decide_and_no_more(
    world: World, groups: list[PimGroup]
) -> None:
    alpha, beta, gamma = asked(world, groups)
    ben, cy = world.sign_in(world.ben), world.sign_in(world.cy)
    page = main_of(ben.get(f"/approvals/{alpha.pk}/"))
    assert "Asked together with" in page
    assert f"/approvals/{beta.pk}/" in page
    assert "AWS - Gamma" not in page + main_of(ben.get(page_of(alpha)))
    assert ben.get(part_of(gamma)).status_code == 404
    assert cy.get(part_of(gamma)).status_code == 200
    assert "Asked together with" not in main_of(cy.get(f"/approvals/{gamma.pk}/"))
    assert "AWS - Gamma" in main_of(world.sign_in(make.person("Una"), "Auditor").get(page_of(alpha)))


def test_items_of_one_request_are_decided_together(world: World, groups: list[PimGroup]) -> None:
    alpha, beta, _ = asked(world, groups)
    ben = world.sign_in(world.ben)
    page = main_of(ben.get(f"/approvals/{alpha.pk}/"))
    found = re.search(rf'href="(/approvals/{alpha.pk}/together/[^"]*)"', page)
    assert found is not None
    address = found[1].replace("&amp;", "&")
    shown = dict(re.findall(r'name="(shown-[^"]+)" value="([^"]+)"', main_of(ben.get(address))))
    assert set(shown) == {f"shown-{alpha.pk}", f"shown-{beta.pk}"}
    answer = ben.post(address, item=[str(alpha.pk), str(beta.pk)], verdict="approve", **shown)
    assert answer.status_code == 302
    assert {each.item_id for each in Decision.objects.all()} == {alpha.pk, beta.pk}


def test_again_asks_for_all_of_them_as_then(world: World, ada: Visitor, groups: list[PimGroup]) -> None:
    alpha, beta, gamma = asked(world, groups)
    for item, by in ((alpha, world.ben), (beta, world.ben), (gamma, world.cy)):
        decide(item, by, "deny", world.as_role)
    again = f"{FORM}?again={alpha.request_id}"
    assert again in main_of(ada.get(page_of(alpha)))
    page = main_of(ada.get(again))
    assert page.count(" checked") >= 6, "three groups, with the length of each"
    assert "INC0012345" in page
    nobody = world.sign_in(world.cy).get(again)
    assert nobody["Location"] == "/access/", "somebody else's request says nothing"
