"""The activity page: what was done, what of it was granted, and what can't be known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from uuid import uuid4
from zipfile import ZipFile

import pytest
from django.test import Client
from pytest_django import Settings

from audit.history.activity import activity_file
from audit.ledger.models import Event
from base import clock
from base.clock import real_now
from identity.models import AppRole, Person
from policy.models import RuleVersion
from requests_app.activity.models import ActivityView
from requests_app.lifecycle import GrantStatus
from requests_app.models import AccessRequest, Grant, RequestItem
from tests.audit.history.conftest import AsRole, browser_of
from tests.audit.history.test_case import text_of
from tests.pages.moving import bring, decide
from tests.requests_app import factories as make
from tests.requests_app.activity.rows import activity

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(as_role: AsRole) -> Grant:
    """Ada's access to two accounts."""
    ada, ben, group = make.person("Ada Asker"), make.person("Ben Boss"), make.pim_group(accounts=2)
    make.eligibility(ada, group)
    rule = make.rule(ben, groups=(group,))
    with as_role("portal_web"):
        item = make.pending_item(ada, group, rule)
    decide(item, ben, "approve", as_role)
    return bring(make.scheduled_grant(item), GrantStatus.ACTIVE)


@pytest.fixture
def olga(settings: Settings) -> Person:
    settings.ACTIVITY, settings.ACTIVITY_REGIONS = "on", ["eu-west-1", "us-east-1"]
    return make.person("Olga Auditor")


@pytest.fixture
def ruth(held: Grant, olga: Person, as_role: AsRole) -> Iterator[Client]:
    with as_role("portal_web"):
        yield browser_of(olga, AppRole.AUDITOR)


def address(held: Grant) -> str:
    return f"/audit/requests/{held.first_request_id}/activity/"


def another(held: Grant, as_role: AsRole) -> RequestItem:
    """A further request of the same person, which nobody has decided."""
    with as_role("portal_worker"):
        group = make.pim_group()
    return make.pending_item(held.person, group, RuleVersion.objects.get())


def test_it_tells_what_was_used_of_what_was_granted_and_what_it_does_not_cover(
    held: Grant, ruth: Client, as_role: AsRole
) -> None:
    with as_role("portal_worker"):
        activity(held)
    text = text_of(ruth.get(address(held)).content.decode())
    for words in (
        "What Ada Asker did",
        "Read to the end",
        "1 of 2",
        "No use found",
        "StopInstances ec2.amazonaws.com 5 2",
        "ListRoles iam.amazonaws.com 2 0 0",
        "7 events",
        "Read from the event history that CloudTrail keeps",
        "no data events",
        "PIM groups that the portal manages",
        "no access outside IAM Identity Center",
        "These Regions were asked: eu-west-1.",
        "0f0f",
    ):
        assert words in text, words
    assert "Not everything could be read" not in text


def test_gaps_and_what_was_cut_off_stand_above_the_figures(
    held: Grant, ruth: Client, as_role: AsRole
) -> None:
    with as_role("portal_worker"):
        place = activity(held, complete=False, cut_off_at=held.starts_at, unreadable=3)
        other = place.look.places.filter(event_name="").exclude(pk=place.pk).get()
        other.problem, other.read_until = "The role may not look events up there.", None
        other.save()
    text = text_of(ruth.get(address(held)).content.decode())
    for words in (
        "Not everything could be read",
        f"({other.account_id}), eu-west-1: The role may not look events up there.",
        "too many events to read them all",
        "3 events had no record",
        "Not known",
        "not read whole",
        "Read again later",
    ):
        assert words in text, words
    assert text.index("The role may not") < text.index("StopInstances")
    assert "No use found" not in text, "what wasn't read is never called unused"


def test_what_is_not_read_yet_is_not_called_unused(held: Grant, ruth: Client, as_role: AsRole) -> None:
    with as_role("portal_worker"):
        place = activity(held)
        look = place.look
        place.pk, place.region = None, "us-east-1"  # a Region in which the other account wasn't read
        place.save()
    text = text_of(ruth.get(address(held)).content.decode())
    assert "not read whole" in text
    assert "No use found" not in text
    with as_role("portal_worker"):
        place.delete()
        look.read_at = None
        look.save()
    text = text_of(ruth.get(address(held)).content.decode())
    assert "being read" in text
    assert "No use found" not in text


def test_accounts_that_were_not_asked_are_told_and_none_of_them_is_called_unused(
    held: Grant, ruth: Client, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_role("portal_worker"):
        place = activity(held)
        other = place.look.places.filter(event_name="").exclude(pk=place.pk).get()
        other.unreadable = 1
        other.save()
    assert "No use found" not in text_of(ruth.get(address(held)).content.decode()), "it may be in that one"
    with as_role("portal_worker"):
        other.unreadable, other.read_until = 0, held.starts_at
        other.save()
    text = text_of(ruth.get(address(held)).content.decode())
    assert f"Not knownread only until {held.starts_at:%Y-%m-%d %H:%M} UTC" in text
    assert f"({other.account_id}), eu-west-1: read only until" in text
    assert "No use found" not in text
    kept = json.loads(activity_file(held.first_request_id) or b"")
    assert [row["region"] for row in kept[0]["read_only_until"]] == ["eu-west-1"]
    with as_role("portal_worker"):
        other.delete()
    monkeypatch.setattr("audit.history.activity.MOST_SCOPE", 1)
    text = text_of(ruth.get(address(held)).content.decode())
    for words in (
        "Not everything could be read",
        "1 AWS account was not asked: a reading asks 30 at most",
        "and 1 more, of which no use was found; of 1 it is not known",
    ):
        assert words in text, words
    assert "No use found" not in text


def test_what_is_beyond_the_bound_of_the_page_counts_as_used(
    held: Grant, ruth: Client, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("requests_app.activity.reading.MOST_USES", 1)
    with as_role("portal_worker"):
        activity(held)
    text = text_of(ruth.get(address(held)).content.decode())
    assert "More actions were found than this page shows." in text
    assert "ListRoles" not in text
    assert "Used 1 7" in text, "sessions opened, and events"


def test_nothing_was_read_yet_or_the_request_led_to_nothing(
    held: Grant, ruth: Client, as_role: AsRole
) -> None:
    text = text_of(ruth.get(address(held)).content.decode())
    assert "Not read yet" in text
    assert "No use found" not in text
    item = another(held, as_role)
    assert "No access followed" in text_of(
        ruth.get(f"/audit/requests/{item.request_id}/activity/").content.decode()
    )
    absent = ruth.get(f"/audit/requests/{uuid4()}/activity/")
    assert absent.status_code == 404


def test_each_look_is_told_once_an_hour_before_anything_is_shown(
    held: Grant, olga: Person, ruth: Client, as_role: AsRole
) -> None:
    with as_role("portal_worker"):
        other = make.person("Otto Auditor")
    second = browser_of(other, AppRole.AUDITOR)
    for each in (ruth, ruth, second):
        assert each.get(address(held)).status_code == 200
    seen = Event.objects.filter(type="activity.viewed").order_by("id")
    assert [event.actor_oid for event in seen] == [olga.object_id, other.object_id]
    assert {event.about_oid for event in seen} == {held.person.object_id}
    assert {event.request_id for event in seen} == {held.first_request_id}
    later = real_now() + timedelta(hours=1)
    clock.replace_real_clock(lambda: later)
    try:
        ruth.get(address(held))
        ruth.get(address(held))
    finally:
        clock.replace_real_clock(None)
    assert seen.all().count() == ActivityView.objects.count() == 3


def test_the_case_says_how_far_it_is_read_and_leads_there(
    held: Grant, ruth: Client, as_role: AsRole, settings: Settings
) -> None:
    case = f"/audit/requests/{held.first_request_id}/"
    assert "Nothing has been read yet." in text_of(ruth.get(case).content.decode())
    with as_role("portal_worker"):
        activity(held)
    body = ruth.get(case).content.decode()
    assert "CloudTrail was read to the end" in text_of(body)
    assert f'href="{address(held)}"' in body
    assert "StopInstances" not in body, "what was done stands on the page that tells that somebody looked"
    assert not Event.objects.filter(type="activity.viewed").exists()
    settings.ACTIVITY = "off"
    assert address(held) in ruth.get(case).content.decode(), "what was read stays"
    item = another(held, as_role)
    assert AccessRequest.objects.count() == 2
    assert "Look at what was done" not in ruth.get(f"/audit/requests/{item.request_id}/").content.decode()


def test_a_pack_holds_it_beside_the_sealed_events_and_taking_it_is_a_look(
    held: Grant, ruth: Client, as_role: AsRole
) -> None:
    def pack() -> ZipFile:
        answer = ruth.post(f"/audit/requests/{held.first_request_id}/evidence/")
        return ZipFile(BytesIO(b"".join(answer.streaming_content)))  # type: ignore[attr-defined]  # a file is sent

    assert "activity.json" not in pack().namelist()
    assert not Event.objects.filter(type="activity.viewed").exists()
    with as_role("portal_worker"):
        activity(held, cut_off_at=held.starts_at)
    made = pack()
    assert Event.objects.filter(type="activity.viewed").count() == 1
    (found,) = json.loads(made.read("activity.json"))
    assert found["actions"][0] | {"count": 5, "denied": 1} == found["actions"][0]
    assert (len(found["granted"]), len(found["cut_off"]), found["complete"]) == (2, 1, True)
    assert "activity.json" in made.read("README.txt").decode()
    digests = json.loads(made.read("manifest.json"))["files"]
    assert digests["activity.json"] == hashlib.sha256(made.read("activity.json")).hexdigest()


def test_people_see_what_they_did_themselves_and_nobody_is_told(
    held: Grant, ruth: Client, as_role: AsRole
) -> None:
    with as_role("portal_worker"):
        activity(held)
    ada = browser_of(held.person)
    request = f"/requests/{held.first_request_id}/"
    assert f'href="{request}activity/"' in ada.get(request).content.decode()
    text = text_of(ada.get(f"{request}activity/").content.decode())
    assert "What you did" in text
    assert "StopInstances" in text
    assert not Event.objects.filter(type="activity.viewed").exists()
    assert ruth.get(f"{request}activity/").status_code == 404, "auditors have a page that records it"
