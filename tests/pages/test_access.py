"""The catalogue's pages and the request form."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.urls import reverse

from base.clock import business_now
from catalog.models import Eligibility, PimGroup, SyncRun
from catalog.sync.scopes import refresh_scope
from identity.models import DirectoryGroup, Person
from requests_app.lifecycle import GrantStatus
from requests_app.models import RequestItem
from tests.pages.conftest import Visitor, World, main_of
from tests.pages.moving import bring, decide
from tests.requests_app import factories as make

WHY = "Fix the stuck deployment of the invoicing service"


@pytest.fixture
def ada(world: World) -> Visitor:
    return world.sign_in(world.ada)


def form_of(group: PimGroup) -> str:
    return reverse("request_access", args=[group.object_id])


def test_catalogue_shows_what_one_is_eligible_for_and_nothing_else(world: World, ada: Visitor) -> None:
    other = make.pim_group("AWS - Somebody else's")
    page = main_of(ada.get("/access/"))
    assert world.group.display_name in page
    assert "2 AWS accounts" in page
    assert "at most 8 h" in page
    assert "Ben Boss" in page
    assert other.display_name not in page


def test_catalogue_finds_by_the_beginning_of_an_accounts_name(world: World, ada: Visitor) -> None:
    refresh_scope(world.group)
    account = world.group.account_assignments.select_related("account")[0].account
    assert world.group.display_name in main_of(ada.get(f"/access/?q={account.name[:9]}"))
    assert "Nothing matches" in main_of(ada.get("/access/?q=zebra"))
    assert ada.get("/access/?q=%27%29%3B%20%26%20%7C%21%3A%2A%5C").status_code == 200
    assert "Nothing matches" in main_of(ada.get("/access/?q=%27zebra%29%3A%2A%20%7C%20aws"))


def test_catalogue_pages_by_name(world: World, ada: Visitor) -> None:
    for number in range(26):
        make.eligibility(world.ada, make.pim_group(f"Many {number:02}", accounts=1))
        make.eligibility(world.cy, make.pim_group(f"A foreign one {number:02}", accounts=1))
    first = ada.get("/access/")
    assert "Many 23" in main_of(first)
    assert "Many 24" not in main_of(first)
    second = ada.get("/access/" + next_link(main_of(first)))
    assert "Many 25" in main_of(second)
    assert "Many 00" not in main_of(second)
    assert "First page" in main_of(second)


def next_link(page: str) -> str:
    return page.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")


def test_a_failed_reading_is_said_with_the_age_of_what_is_shown(world: World, ada: Visitor) -> None:
    now = business_now()
    SyncRun.objects.create(
        part="groups",
        status="succeeded",
        started_at=now - timedelta(hours=2),
        finished_at=now - timedelta(hours=2),
    )
    SyncRun.objects.create(
        part="groups", status="failed", started_at=now, finished_at=now, error="Entra answers 503."
    )
    page = main_of(ada.get("/access/"))
    assert "Entra answers 503." in page
    assert "(2 h ago)" in page


def test_group_page_says_everything_that_a_request_would_open(world: World, ada: Visitor) -> None:
    page = main_of(ada.get(f"/access/{world.group.object_id}/"))
    for row in world.group.account_assignments.select_related("account", "permission_set"):
        assert row.account.account_id in page
        assert row.permission_set.name in page
    assert "Membership of AWS - Amazon EC2 Admin in Entra" in page


def test_group_page_names_the_group_that_carries_the_eligibility(world: World, ada: Visitor) -> None:
    through = DirectoryGroup.objects.create(object_id=make.oid(), display_name="Platform engineers")
    Eligibility.objects.filter(person=world.ada).update(through=through)
    assert "through membership of Platform engineers" in main_of(ada.get(f"/access/{world.group.object_id}/"))


def test_absent_foreign_and_malformed_groups_are_the_same_404(world: World) -> None:
    cy = world.sign_in(world.cy)
    foreign = cy.get(f"/access/{world.group.object_id}/")
    absent = cy.get(f"/access/{uuid.uuid4()}/")
    malformed = cy.get("/access/not-an-id/")
    assert [each.status_code for each in (foreign, absent, malformed)] == [404, 404, 404]
    assert main_of(foreign) == main_of(absent) == main_of(malformed)


@pytest.mark.parametrize("suffix", ["", "request/", "request/preview/"])
def test_nobody_reaches_a_group_without_eligibility(world: World, suffix: str) -> None:
    assert world.sign_in(world.cy).get(f"/access/{world.group.object_id}/{suffix}").status_code == 404


def test_nobody_posts_a_request_without_eligibility(world: World) -> None:
    cy = world.sign_in(world.cy)
    assert cy.post(form_of(world.group), justification=WHY, length="60").status_code == 404
    assert not RequestItem.objects.exists()


def test_sending_leads_to_the_requests_page(world: World, ada: Visitor) -> None:
    answer = ada.post(form_of(world.group), justification=WHY, length="60", reference="INC0012345")
    item = RequestItem.objects.select_related("request").get()
    assert answer.status_code == 302
    assert answer["Location"] == f"/requests/{item.request_id}/"
    assert (item.duration, item.request.justification) == (timedelta(hours=1), WHY)
    assert item.request.reference == "INC0012345"


def test_hours_and_minutes_make_a_duration(world: World, ada: Visitor) -> None:
    ada.post(form_of(world.group), justification=WHY, length="other", hours="1", minutes="15")
    assert RequestItem.objects.get().duration == timedelta(hours=1, minutes=15)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"justification": "short", "length": "60"}, "in at least 10 characters"),
        ({"justification": WHY, "length": "other", "hours": "9"}, "At most 8 h can be asked for"),
        ({"justification": WHY, "length": "other", "minutes": "9"}, "Access is given for at least 10 min"),
        ({"justification": WHY, "length": "other"}, "Say how many hours and minutes."),
        ({"justification": WHY, "length": "other", "hours": "-1"}, "greater than or equal to 0"),
        ({"justification": WHY, "length": "99999"}, "is not one of the available choices"),
        ({"justification": WHY}, "This field is required."),
        ({"justification": WHY, "length": "60", "reference": "<script>"}, "A reference has letters"),
    ],
)
def test_refusals_are_inline_and_keep_what_was_typed(
    world: World, ada: Visitor, fields: dict[str, str], sentence: str
) -> None:
    answer = ada.post(form_of(world.group), **fields)
    assert answer.status_code == 422
    page = main_of(answer)
    assert sentence in page
    assert fields["justification"] in page
    assert not RequestItem.objects.exists()


def test_all_mistakes_are_named_at_a_time(world: World, ada: Visitor) -> None:
    form = f"/access/{world.group.object_id}/request/"
    sentences = (
        "at least 10 min",
        "Say what you need the access for",
        "This time is over",
        "letters, digits",
    )
    sent = {
        "length": "other",
        "minutes": "2",
        "justification": "x",
        "start": "2001-01-01T00:00",
        "reference": "<>",
    }
    page = ada.post(form, **sent)
    assert page.status_code == 422
    for sentence in sentences:
        assert page.content.decode().count(sentence) == 1, sentence
    # What can't be read at all hides nothing of the rest, and is said once.
    page = ada.post(form, **sent | {"start": "tomorrow", "length": "nonsense"})
    text = page.content.decode()
    for sentence in ("Write date and time", "Say what you need the access for", "letters, digits"):
        assert text.count(sentence) == 1, sentence
    assert "at least 10 min" not in text
    assert not RequestItem.objects.exists()


def test_a_second_request_for_the_same_is_refused_in_the_form(world: World, ada: Visitor) -> None:
    world.ask()
    answer = ada.post(form_of(world.group), justification=WHY, length="60")
    assert answer.status_code == 409
    assert "You already have a request for this" in main_of(answer)
    assert WHY in main_of(answer)


def test_a_group_that_demands_more_than_the_portal_enforces_is_not_requestable(
    world: World, ada: Visitor
) -> None:
    PimGroup.objects.filter(pk=world.group.pk).update(requires_mfa=True)
    assert "PIM demands multifactor authentication" in main_of(ada.get("/access/"))
    shown = main_of(ada.get(form_of(world.group)))
    assert "PIM demands multifactor authentication" in shown
    assert "<textarea" not in shown
    answer = ada.post(form_of(world.group), justification=WHY, length="60")
    assert answer.status_code == 422
    assert not RequestItem.objects.exists()


def test_checking_shows_the_preview_and_sends_nothing(world: World, ada: Visitor) -> None:
    answer = ada.post(form_of(world.group), justification="", length="60", check="1")
    assert answer.status_code == 200
    assert "Last possible use" in main_of(answer)
    assert not RequestItem.objects.exists()


def test_preview_warns_when_little_of_the_window_would_be_left(world: World, ada: Visitor) -> None:
    preview = reverse("request_preview", args=[world.group.object_id])
    assert b"Little of the window" in ada.get(f"{preview}?length=other&minutes=12").content
    assert b"Little of the window" not in ada.get(f"{preview}?length=240").content


def test_preview_says_why_a_length_is_not_possible(world: World, ada: Visitor) -> None:
    preview = reverse("request_preview", args=[world.group.object_id])
    assert b"At most 8 h is possible here." in ada.get(f"{preview}?length=other&hours=9").content
    assert b"Say how many hours and minutes." in ada.get(f"{preview}?length=other").content
    assert b"Last possible use" not in ada.get(f"{preview}?length=nonsense").content


def test_the_window_ends_with_the_eligibility(world: World, ada: Visitor) -> None:
    Eligibility.objects.filter(person=world.ada).update(ends_at=business_now() + timedelta(minutes=50))
    page = main_of(ada.get(form_of(world.group)))
    assert "At most 49 min" in page or "At most 50 min" in page


def test_again_prefills_everything_but_the_reason(world: World, ada: Visitor) -> None:
    item = world.ask(duration=timedelta(minutes=45))
    page = main_of(ada.get(f"{form_of(world.group)}?again={item.request_id}"))
    assert 'value="45"' in page
    assert item.request.justification not in page


def test_again_with_somebody_elses_request_prefills_nothing(world: World) -> None:
    item = world.ask(duration=timedelta(minutes=45))
    make.eligibility(world.cy, world.group)
    cy = world.sign_in(world.cy)
    for named in (str(item.request_id), "nonsense", ""):
        page = main_of(cy.get(f"{form_of(world.group)}?again={named}"))
        assert "<textarea" in page
        assert 'value="45"' not in page


def test_what_runs_already_leads_to_its_request(world: World, ada: Visitor) -> None:
    item = world.ask()
    assert f'href="/requests/{item.request_id}/"' in main_of(ada.get("/access/"))
    decide(item, world.ben, "approve", world.as_role)
    bring(make.scheduled_grant(item), GrantStatus.ACTIVE)
    page = main_of(ada.get("/access/"))
    assert "Ready" in page
    assert f'href="/requests/{item.request_id}/"' in page


@pytest.mark.parametrize("path", ["/access/", "/requests/", "/approvals/", "/"])
def test_pages_only_read(world: World, ada: Visitor, path: str) -> None:
    assert ada.post(path).status_code == 405


def test_the_form_says_who_can_decide_right_now_and_how_old_that_knowledge_is(
    world: World, ada: Visitor
) -> None:
    form = f"/access/{world.group.object_id}/request/"
    Person.objects.filter(pk=world.ben.pk).update(synced_at=None)
    page = main_of(ada.get(form))
    assert "Who can decide right now" in page
    assert "Ben Boss" in page
    assert "Not all of it has been read from Entra" in page
    Person.objects.filter(pk=world.ben.pk).update(synced_at=business_now() - timedelta(hours=2))
    assert "(2 h ago)" in main_of(ada.get(form)).partition("Who can decide right now")[2]
    Person.objects.filter(pk=world.ben.pk).update(enabled=False)
    refused = main_of(ada.get(form))
    assert "1 of them can&#x27;t decide, being disabled or a guest in Entra." in refused
    assert "<textarea" not in refused
