"""Facets of the timeline, and searches that auditors keep."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode

import pytest
from django.test import Client

from audit.history.events import SEARCH
from audit.history.models import SavedSearch
from audit.history.saving import MOST_SAVED, remove_search, save_search, saved_searches
from audit.ledger import reading
from audit.ledger.models import Event
from audit.ledger.reading import FACETS, MOST_OF_A_FACET, EventFilter, opening
from audit.ledger.recorder import Actor, record_alone
from base.errors import Conflict, Invalid, Missing
from catalog.models import PimGroup
from identity.models import Person
from tests.audit.history.conftest import AsRole
from tests.audit.ledger.factories import NOTED, REFUSED
from tests.requests_app import factories as make
from tests.support.by_hand import known

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(db: None) -> Person:
    """An auditor."""
    return make.person("Ann Auditor")


@pytest.fixture
def web(ann: Person, as_role: AsRole) -> Iterator[None]:
    """With the rights of the web process, which alone keeps searches."""
    with as_role("portal_web"):
        yield


def noted(actor: Actor, number: int, group_oid: str = "") -> None:
    for n in range(number):
        record_alone(NOTED.name, actor=actor, fields={"note": f"{n}"}, group_oid=group_oid)


@pytest.fixture
def some(db: None) -> tuple[Person, PimGroup]:
    """Somebody and a group that events are about; a worker noted something, too."""
    noted(Actor.worker(), 2)
    return make.person("Ada Asker"), make.pim_group("AWS - Facets")


# --- Facets


def test_facets_are_the_counts_of_what_the_search_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    group = make.pim_group("AWS - Facets")
    for place in range(MOST_OF_A_FACET + 3):
        noted(
            Actor.person(make.oid(), f"P{place}"), place + 1, group_oid=group.object_id if place % 2 else ""
        )
    noted(Actor.worker(), 4)
    rows = list(Event.objects.filter(type="trial.noted").order_by("-at", "-id"))
    for most in (10_000, 30):
        monkeypatch.setattr(reading, "MOST_COUNTED", most)
        found = opening(EventFilter(types=("trial.noted",)))[1]
        assert found.counted == min(len(rows), most)
        for name in FACETS:
            counted = Counter(value for row in rows[:most] if (value := getattr(row, name)))
            assert (
                list(found.values[name])
                == sorted(counted.items(), key=lambda each: (-each[1], each[0]))[:MOST_OF_A_FACET]
            ), (most, name)
        assert found.cut == (most < len(rows))


def test_a_search_for_nothing_has_no_facets() -> None:
    assert opening(EventFilter(words="nowhere"))[1] == reading.Facets(
        0, {name: [] for name in FACETS}, total=0
    )


def test_a_facet_leads_to_what_it_counted(some: tuple[Person, PimGroup], auditor: Client) -> None:
    ada, group = some
    noted(make.actor(ada), 3, group_oid=group.object_id)
    record_alone(REFUSED.name, actor=make.actor(ada), fields={})
    record_alone(NOTED.name, actor=make.actor(ada), fields={"note": "x"})
    ben = Actor.person(make.oid(), "Ben Boss")
    record_alone(NOTED.name, actor=ben, fields={"note": "about Ada"}, about_oid=ada.object_id)
    page = auditor.get("/audit/?since=2020-01-01").content.decode()
    found = dict(
        re.findall(r'<li><a href="([^"]+)">[^<]+</a> <span class="soft figures">([\d,]+)</span>', page)
    )
    assert len(found) >= 4
    assert "Ada Asker" in page
    assert "counted over all matches" in page
    for address, number in found.items():
        target = auditor.get(address.replace("&amp;", "&")).content.decode()
        assert re.search(rf">\s*{number} event", target), address
        assert "since=2020-01-01" in address


# --- Searches that are kept


def kept(owner: Person, name: str, *, shared: bool = False, **query: str) -> SavedSearch:
    made = save_search(
        owner=owner, name=name, kept=query or {"outcome": "failed"}, shared=shared, actor=make.actor(owner)
    )
    return SavedSearch.objects.get(pk=made)


def test_a_search_is_kept_by_name_found_again_and_removed(auditor: Client) -> None:
    query = {"words": 'CHG-1 "&<', "outcome": "refused"}
    sent = auditor.post("/audit/searches/", {**query, "name": " My  refusals ", "junk": "1"})
    assert sent.status_code == 302
    assert dict(parse_qsl(sent["Location"].partition("?")[2])) == query
    (search,) = SavedSearch.objects.all()
    assert (search.name, search.shared, search.query) == ("My refusals", False, urlencode(query))
    page = auditor.get("/audit/").content.decode()
    (address,) = re.findall(r'<a class="title-link" href="([^"]+)">My refusals</a>', page)
    assert dict(parse_qsl(address.replace("&amp;", "&").partition("?")[2])) == query
    assert auditor.post(f"/audit/searches/{search.pk}/remove/").status_code == 302
    assert "My refusals" not in auditor.get("/audit/?action=signin.").content.decode()
    assert list(
        Event.objects.filter(type__startswith="search.").order_by("id").values_list("type", flat=True)
    ) == ["search.saved", "search.removed"]


def test_it_is_its_owners_alone_until_it_is_shared(ann: Person, auditor: Client) -> None:
    own, shared = kept(ann, "Own"), kept(ann, "Shared", shared=True)
    page = auditor.get("/audit/").content.decode()
    assert "shared by Ann Auditor" in page
    assert "Own</a>" not in page
    for search in (own, shared):
        assert auditor.post(f"/audit/searches/{search.pk}/remove/").status_code == 404
    assert SavedSearch.objects.count() == 2


def test_what_was_kept_is_judged_anew_when_it_is_opened(auditor: Client, as_role: AsRole) -> None:
    ann = Person.objects.get(display_name="Olga Auditor")
    search = SavedSearch.objects.create(
        owner=ann, name="Old", query="outcome=gone&actor__user__password=x", saved_at="2026-01-01T00:00Z"
    )
    with as_role("portal_worker"):
        known(SEARCH, [search])
    (listed,) = saved_searches(ann, ["outcome"])
    assert listed.address == "/audit/?outcome=gone"
    assert auditor.get(listed.address).status_code == 422


@pytest.mark.parametrize(
    ("name", "query", "refusal"),
    [
        (" ", {"outcome": "done"}, Invalid),
        ("x" * 81, {"outcome": "done"}, Invalid),
        ("a\u202eb", {"outcome": "done"}, Invalid),
        ("No filter", {}, Invalid),
        ("Taken", {"outcome": "done"}, Conflict),
        ("Long", {"words": "x" * 5_000}, Invalid),
    ],
)
def test_what_can_not_be_kept_is_refused(
    name: str, query: dict[str, str], refusal: type[Exception], ann: Person, web: None
) -> None:
    kept(ann, "Taken")
    with pytest.raises(refusal):
        save_search(owner=ann, name=name, kept=query, shared=False, actor=make.actor(ann))
    assert SavedSearch.objects.count() == 1


def test_there_is_an_end_to_what_one_auditor_keeps(
    some: tuple[Person, PimGroup], ann: Person, web: None
) -> None:
    for number in range(MOST_SAVED):
        kept(ann, f"Search {number}")
    with pytest.raises(Conflict, match="Remove one first"):
        kept(ann, "One more")
    kept(some[0], "Her first")


def test_a_refusal_is_told_beside_the_search(auditor: Client) -> None:
    auditor.post("/audit/searches/", {"outcome": "refused", "name": "Twice"})
    answer = auditor.post("/audit/searches/", {"outcome": "refused", "name": "Twice"})
    assert answer.status_code == 422
    assert "You keep a search of that name already" in answer.content.decode()
    assert auditor.post("/audit/searches/", {"outcome": "no such", "name": "x"}).status_code == 422
    for name in ("All of it", ""):
        nothing = auditor.post("/audit/searches/", {"name": name})
        assert nothing.content.decode().count("without a filter there is nothing to keep") == 1


def test_nothing_is_removed_twice(ann: Person, web: None) -> None:
    search = kept(ann, "Once")
    remove_search(search_id=search.pk, owner=ann, actor=make.actor(ann))
    with pytest.raises(Missing):
        remove_search(search_id=search.pk, owner=ann, actor=make.actor(ann))
