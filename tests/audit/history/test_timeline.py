"""The timeline: who may see it, what its filters find, and that nothing in an address can hurt it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from audit.ledger.reading import MOST_VALUES
from audit.ledger.recorder import Actor, record_alone
from catalog.models import AwsAccount, OrganizationalUnit
from identity.models import AppRole, Person
from requests_app.models import RequestItem
from tests.audit.history.conftest import AsRole, browser_of
from tests.audit.ledger.factories import note
from tests.requests_app import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def item(as_role: AsRole) -> RequestItem:
    """Ada's pending request."""
    ada, ben = make.person("Ada Asker"), make.person("Ben Boss")
    group = make.pim_group("AWS - Amazon EC2 Admin")
    version = make.rule(ben)
    with as_role("portal_web"):
        return make.pending_item(ada, group, version)


def text_of(client: Client, address: str, status: int = 200) -> str:
    """A page's text, with white space and tags taken out."""
    response = client.get(address)
    assert response.status_code == status, response.content.decode()[:2000]
    return " ".join(re.sub(r"<[^>]+>", "", response.content.decode()).split())


def sentences_of(client: Client, address: str) -> list[str]:
    """The sentences of a timeline page, in its order."""
    body = client.get(address).content.decode()
    cells = re.findall(r'<details class="event">\s*<summary>(.*?)</summary>', body, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", "", cell).split()) for cell in cells]


@pytest.mark.parametrize("address", ["/audit/", "/audit/requests/6d1f2c9e-0000-4000-8000-000000000001/"])
def test_for_everybody_but_auditors_it_does_not_exist(address: str, as_role: AsRole) -> None:
    operator, employee = make.person("Otto Operator"), make.person("Emil Employee")
    with as_role("portal_web"):
        assert browser_of(operator, AppRole.OPERATOR).get(address).status_code == 404
        assert browser_of(employee).get(address).status_code == 404
        absent = browser_of(employee).get("/no-such-page/")
        assert browser_of(employee).get(address).content == absent.content
        assert Client().get(address).status_code == 302


def test_each_step_is_a_sentence_with_names(item: RequestItem, auditor: Client) -> None:
    assert sentences_of(auditor, "/audit/") == [
        "Olga Auditor has these roles in the portal from now on, as Entra says: Auditor",
        "Ada Asker asked for AWS - Amazon EC2 Admin for 1 h",
        "Ada Asker asked for access",
    ]
    page = text_of(auditor, "/audit/")
    assert "3 events" in page
    assert "Fix the stuck deployment" in page
    assert f'href="/audit/requests/{item.request_id}/"' in auditor.get("/audit/").content.decode()


def test_filters_find_what_they_say(item: RequestItem, auditor: Client, as_role: AsRole) -> None:
    scope = item.scope.first()
    assert scope is not None
    stranger = Actor.person(make.oid(), "Zoe Else")
    record_alone("trial.noted", actor=stranger, fields={"note": "elsewhere"})
    asked = ["Ada Asker asked for AWS - Amazon EC2 Admin for 1 h", "Ada Asker asked for access"]
    finds = {
        "person=ada": asked,
        "person=ASKER": asked,
        f"person={item.requester.object_id.upper()}": asked,
        "person=Ben": [],
        f"permission_set={scope.permission_set_name}": asked,
        f"permission_set={scope.permission_set_arn}": asked,
        f"account={scope.account_id}": asked,
        f"account={scope.account_name[:9]}": asked,
        f"account={scope.account_id}&permission_set={scope.permission_set_name}&person=ada": asked,
        "group=aws - amazon": asked[:1],
        f"group={item.group.object_id}": asked[:1],
        "action=item.requested": asked[:1],
        "action=item.": asked[:1],
        "action=item.approved": [],
        "outcome=refused": [],
        "action=trial.noted": ["Zoe Else noted elsewhere"],
        "since=2020-01-01T00:00&until=2020-01-02T00:00": [],
        "account=999999999999": [],
        f"person={stranger.object_id}&account={scope.account_id}": [],
    }
    for query, expected in finds.items():
        assert sentences_of(auditor, f"/audit/?{query}") == expected, query
    # Whoever left is found as before, by their name.
    with as_role("portal_worker"):
        Person.objects.filter(pk=item.requester.pk).update(enabled=False, store_user_id="", synced_at=None)
    assert sentences_of(auditor, "/audit/?person=ada") == asked


def test_an_ou_is_meant_with_all_below_it_and_an_address_exactly(
    item: RequestItem, auditor: Client, as_role: AsRole
) -> None:
    scope = item.scope.first()
    assert scope is not None
    with as_role("portal_worker"):
        root, top, below, empty = (
            OrganizationalUnit.objects.create(unit_id=key, name=name)
            for key, name in (
                ("r-ab12", "Root"), ("ou-ab12-0000000a", "Production"), ("ou-ab12-0000000b", "Web"),
                ("ou-ab12-0000000c", "Sandbox"),
            )
        )  # fmt: skip
        for unit, parent in ((top, root), (below, top), (empty, root)):
            OrganizationalUnit.objects.filter(pk=unit.pk).update(parent=parent)
        AwsAccount.objects.filter(account_id=scope.account_id).update(unit=below)
    asked = ["Ada Asker asked for AWS - Amazon EC2 Admin for 1 h", "Ada Asker asked for access"]
    far = Actor.person(make.oid(), "Zoe Else", ip="2001:db8::7")
    record_alone("trial.noted", actor=far, fields={"note": "elsewhere"})
    for query, expected in {
        "unit=prod": asked,
        f"unit={below.unit_id}": asked,
        f"unit={root.unit_id}&account={scope.account_id}&person=ada": asked,
        f"unit=web&permission_set={scope.permission_set_name}&action=item.": asked[:1],
        "address=2001:DB8:0::7": ["Zoe Else noted elsewhere"],
        "address=2001:db8::": [],
        "address=2001:db8::7&person=ada": [],
    }.items():
        assert sentences_of(auditor, f"/audit/?{query}") == expected, query
    assert "no AWS account in this OU" in text_of(auditor, "/audit/?unit=Sandbox", status=422)


def test_a_minute_that_is_named_is_meant_to_its_end(auditor: Client) -> None:
    note("now")
    now = datetime.now(UTC)
    minute, next_minute = (
        now.strftime("%Y-%m-%dT%H:%M"),
        (now + timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M"),
    )
    assert len(sentences_of(auditor, f"/audit/?action=trial.noted&until={minute}")) == 1
    assert sentences_of(auditor, f"/audit/?since={next_minute}") == []


def test_the_way_to_older_pages_keeps_the_filters(auditor: Client) -> None:
    for number in range(120):
        note(f"{number}")
    address, seen = "/audit/?action=trial.noted&junk=1", []
    for _ in range(3):
        seen += sentences_of(auditor, address)
        older = re.search(r'href="([^"]+)" rel="next"', auditor.get(address).content.decode())
        if older is None:
            break
        address = older.group(1).replace("&amp;", "&")
        query = parse_qs(urlsplit(address).query)
        assert query.keys() == {"action", "before"}
    assert seen == [f"Ada Lovelace noted {number}" for number in range(119, -1, -1)]
    assert re.search(r'href="/audit/\?action=trial.noted"[^>]*>Newest', auditor.get(address).content.decode())


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("person=nobody", "No people have this name, or one that begins with it."),
        ("account=nowhere", "No AWS accounts have this name, or one that begins with it."),
        ("permission_set=none", "No permission sets have this name, or one that begins with it."),
        ("group=none", "No PIM groups have this name, or one that begins with it."),
        ("unit=none", "No OUs have this name, or one that begins with it."),
        ("address=192.0.2.0/24", "Write one whole address"),
        ("action=grant.imagined", "Select a valid choice."),
        ("outcome=perhaps", "Select a valid choice."),
        ("since=yesterday", "Write a date and a time"),
        ("since=2026-02-02T10:00&until=2026-01-01T10:00", "This is before the beginning."),
        ("since=0001-01-01T00:00", "between the years 2000 and 2200"),
        ("until=9999-12-31T23:59", "between the years 2000 and 2200"),
        ("since=1999-12-31T23:59", "between the years 2000 and 2200"),
        ("person=" + "x" * 200, "at most 128 characters"),
    ],
)
def test_what_cannot_be_searched_is_said_beside_its_field(auditor: Client, query: str, sentence: str) -> None:
    assert sentence in text_of(auditor, f"/audit/?{query}", status=422)


@pytest.mark.parametrize(
    ("path", "written", "shown"),
    [
        ("/audit/?since", "2026-05-01", "2026-05-01T00:00"),
        ("/audit/as-of/?at", "2026-05-01%2014:30", "2026-05-01T14:30"),
        ("/audit/changes/?since", "2026-05-01T14:30", "2026-05-01T14:30"),
        ("/audit/changes/?until", "0001-01-01", "0001-01-01T00:00"),
        ("/audit/?since", "2026-05-01T14:30:15%2B02:00", "2026-05-01T12:30"),
        ("/audit/controls/?until", "2026-5-1", "2026-05-01"),
        ("/audit/?until", "yesterday", ""),
        ("/audit/controls/?since", "2026-13-01", ""),
    ],
)
def test_a_field_shows_the_time_that_it_reads_in_the_form_of_browsers(
    auditor: Client, path: str, written: str, shown: str
) -> None:
    body = auditor.get(f"{path}={written}").content.decode()
    name = path.partition("?")[2]
    fields = re.findall(rf'<input[^>]*name="{name}"[^>]*>', body)
    (field,) = [
        each for each in fields if 'type="date' in each
    ]  # beside what a copy or a kept search sends along
    assert (f'value="{shown}"' in field) if shown else ("value=" not in field), field


def test_too_many_people_of_one_name(auditor: Client, as_role: AsRole) -> None:
    with as_role("portal_worker"):
        for number in range(MOST_VALUES + 1):
            make.person(f"Many {number}")
    with as_role("portal_web"):
        assert f"More than {MOST_VALUES} people" in text_of(auditor, "/audit/?person=many", status=422)


@pytest.mark.parametrize(
    "query",
    [
        "before=1-1",
        "before=../../etc",
        "before=99999999999999999999999-1",
        "actor_oid__startswith=a",
        "_connector=OR",
        "person=%25",
        "person=_",
        "person=' OR 1=1 --",
        "person=\u202e",
        "account=%25&permission_set=%25",
        "types=x&requests=1",
        "action=&outcome=&person=",
    ],
)
def test_nothing_in_an_address_breaks_or_widens_it(item: RequestItem, auditor: Client, query: str) -> None:
    response = auditor.get(f"/audit/?{query}")
    assert response.status_code in (200, 422)


def test_hostile_names_and_words_are_inert(auditor: Client) -> None:
    hostile = '"><script>alert(1)</script><b hx-get=/x hx-trigger=load>'
    record_alone("trial.noted", actor=Actor.person(make.oid(), hostile), fields={"note": hostile})
    body = auditor.get("/audit/").content.decode()
    assert "<script>alert" not in body
    assert "hx-get=/x hx" not in body.replace("&lt;b hx-get=/x hx", "")


def test_a_page_costs_the_same_however_full(
    item: RequestItem, auditor: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(21):
        auditor.get("/audit/")
    for number in range(60):
        note(f"{number}")
    with django_assert_max_num_queries(23):
        auditor.get("/audit/?person=Ada")


def test_only_reading_is_possible(auditor: Client) -> None:
    assert auditor.post("/audit/").status_code == 405
    assert auditor.delete("/audit/").status_code == 405
