"""Being away: who says so, what is refused, what Postgres holds, and who stands in when."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.db import DatabaseError, connection
from django_subatomic.db import transaction

from audit.ledger.models import Event
from base.clock import business_now
from base.errors import Conflict, Denied, DomainError, Invalid, Missing
from identity.absences.declaring import declare, withdraw
from identity.absences.finding import MOST_FOUND, colleagues
from identity.absences.models import Absence
from identity.absences.reading import away_at, delegates_at, own_absence, stood_in_for
from identity.humans import accounts_of, same_human
from identity.models import Person
from tests.pages.conftest import World, world
from tests.requests_app import factories as make

__all__ = ["world"]
pytestmark = pytest.mark.django_db
type AsRole = Callable[[str], AbstractContextManager[None]]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Pages:
    """What the web process does, with its rights."""

    as_role: AsRole

    def away(
        self,
        person: Person,
        delegate: Person | None = None,
        *,
        begins: datetime | None = None,
        ends: datetime | None = None,
        by: Person | None = None,
        endless: bool = False,
    ) -> UUID:
        """As the page of `by` (by default the person) records it; by default for a day from now."""
        with self.as_role("portal_web"):
            return declare(
                person_id=person.pk,
                delegate_id=delegate.pk if delegate else None,
                begins_at=begins,
                ends_at=None if endless else ends or business_now() + DAY,
                by_id=(by or person).pk,
                actor=make.actor(by or person),
            )

    def back(self, key: UUID, person: Person, *, by: Person | None = None) -> None:
        """As the page of `by` (by default the person) withdraws it."""
        with self.as_role("portal_web"):
            withdraw(
                absence_id=key,
                person_id=person.pk,
                by_id=(by or person).pk,
                actor=make.actor(by or person),
            )


@pytest.fixture
def pages(as_role: AsRole) -> Pages:
    return Pages(as_role)


def refusal(kind: type[DomainError], action: Callable[[], object]) -> str:
    """The code with which it is refused; nothing was stored."""
    before = Absence.objects.count(), Event.objects.count()
    with pytest.raises(kind) as caught:
        action()
    assert (Absence.objects.count(), Event.objects.count()) == before
    assert caught.value.sentence.endswith(".")
    return caught.value.code


@pytest.fixture
def ben() -> Person:
    return make.person("Ben Boss", employee_id="E-77")


@pytest.fixture
def dora() -> Person:
    return make.person("Dora Deputy")


def test_each_change_is_an_event_that_names_who_decides(pages: Pages, ben: Person, dora: Person) -> None:
    olga = make.person("Olga Operator")
    key = pages.away(ben, dora)
    pages.back(key, ben, by=olga)
    pages.away(ben)
    row = Absence.objects.get(pk=key)
    assert (row.version, row.withdrawn_by, row.delegate) == (2, olga, dora)
    types = list(Event.objects.order_by("id").values_list("type", flat=True))
    assert types == ["absence.delegated", "absence.withdrawn", "absence.declared"]
    assert Event.objects.order_by("id")[0].data["fields"]["delegate_id"] == dora.object_id


def test_what_is_refused(pages: Pages, ben: Person, dora: Person) -> None:
    now = business_now()
    twin = make.person("Ben Admin", employee_id=" e-77 ")
    gone, guest = make.person("Gil Gone", enabled=False), make.person("Gus Guest", guest=True)
    invalid: list[tuple[str, Callable[[], object]]] = [
        ("absence.endless", lambda: pages.away(ben, endless=True)),
        ("absence.past", lambda: pages.away(ben, begins=now - HOUR)),
        ("absence.order", lambda: pages.away(ben, begins=now + DAY, ends=now + HOUR)),
        ("absence.long", lambda: pages.away(ben, ends=now + timedelta(days=400))),
        (
            "absence.far",
            lambda: pages.away(ben, begins=now + timedelta(days=400), ends=now + timedelta(days=401)),
        ),
        ("absence.oneself", lambda: pages.away(ben, ben)),
        ("absence.oneself", lambda: pages.away(ben, twin)),
        ("absence.unfit", lambda: pages.away(ben, gone)),
        ("absence.unfit", lambda: pages.away(ben, guest)),
    ]
    assert [refusal(Invalid, action) for _, action in invalid] == [code for code, _ in invalid]
    assert refusal(Denied, lambda: pages.away(ben, dora, by=dora)) == "absence.self_made"
    key = pages.away(ben, begins=now + DAY, ends=now + 2 * DAY)
    assert refusal(Conflict, lambda: pages.away(twin, ends=now + 3 * DAY)) == "absence.overlap"
    pages.away(ben, ends=now + DAY)
    assert refusal(Missing, lambda: pages.back(key, dora)) == "absence.missing"
    pages.back(key, ben)
    assert refusal(Conflict, lambda: pages.back(key, ben)) == "absence.over"


@pytest.mark.parametrize(
    ("what", "sql"),
    [
        ("permission denied", "UPDATE identity_absence SET ends_at = ends_at + interval '1 day'"),
        ("permission denied", "DELETE FROM identity_absence"),
        (
            "withdrawn once",
            "UPDATE identity_absence SET version = 3, withdrawn_at = now(), withdrawn_by_id = person_id",
        ),
        (
            "event",
            (
                "UPDATE identity_absence SET version = 2, withdrawn_at = now(), withdrawn_by_id = person_id; "
                "SET CONSTRAINTS ALL IMMEDIATE"
            ),
        ),
    ],
)
def test_postgres_holds_what_was_declared(
    as_role: AsRole, pages: Pages, ben: Person, dora: Person, what: str, sql: str
) -> None:
    pages.away(ben, dora)
    with (
        pytest.raises(DatabaseError, match=what),
        as_role("portal_web"),
        transaction(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)


def test_nobody_is_their_own_delegate_in_postgres_either(as_role: AsRole, ben: Person) -> None:
    twin, now = make.person("Ben Admin", employee_id="E-77 "), business_now()
    with pytest.raises(DatabaseError, match="their own delegate"), as_role("portal_web"):
        Absence.objects.create(
            person=ben, delegate=twin, begins_at=now, ends_at=now + DAY, declared_by=ben, declared_at=now
        )


def test_who_stands_in_and_when(pages: Pages, ben: Person, dora: Person) -> None:
    twin, now = make.person("Ben Admin", employee_id="e-77"), business_now()
    everybody = Person.objects.all()
    key = pages.away(ben, dora, begins=now + HOUR, ends=now + 2 * HOUR)
    for at, stands in ((now, False), (now + HOUR, True), (now + 2 * HOUR, False)):
        assert bool(stood_in_for(dora, at)) is stands
        assert set(Person.objects.filter(away_at(at))) == ({ben, twin} if stands else set())
        assert set(Person.objects.filter(delegates_at(at, everybody))) == ({dora} if stands else set())
        assert (own_absence(twin, at) is not None) is stands, "one human is away, whatever the account"
    within = now + HOUR + timedelta(minutes=1)
    pages.away(dora, make.person("Eve Else"), begins=now + HOUR, ends=now + 2 * HOUR)
    assert not Person.objects.filter(delegates_at(within, Person.objects.filter(pk=ben.pk))).exists()
    assert [each.person for each in stood_in_for(dora, within)] == [ben], (
        "who is away may decide all the same"
    )
    Person.objects.filter(pk=dora.pk).update(enabled=False)
    assert not stood_in_for(Person.objects.get(pk=dora.pk), within)
    pages.back(key, ben)
    assert not stood_in_for(dora, within), "withdrawn before it began"


def test_accounts_of_one_human_are_known_however_the_mark_is_spelled(ben: Person, dora: Person) -> None:
    twin = make.person("Ben Admin", employee_id=" E-77")
    nobody, none = make.person(employee_id=""), make.person(employee_id="  ")
    assert same_human(ben, twin)
    assert set(Person.objects.filter(accounts_of(ben))) == {ben, twin}
    assert not same_human(nobody, none)
    assert set(Person.objects.filter(accounts_of(none))) == {none}
    assert not same_human(ben, dora)


def test_finding_who_is_meant() -> None:
    made = [make.person(f"Sam Smith {n:02}", mail=f"sam{n}@example.com") for n in range(MOST_FOUND + 3)]
    make.person("Sam Smith Guest", guest=True)
    assert colleagues("SAM3@example.com") == [made[3]]
    assert len(colleagues("sam smith")) == MOST_FOUND + 1
    assert colleagues(" Smith 04 ") == [made[4]]
    assert list(colleagues("nobody")) == list(colleagues("  ")) == []


# ------------------------------------------------------------ pages


def until(now: datetime, span: timedelta) -> str:
    return f"{now + span:%Y-%m-%dT%H:%M}"


def test_on_ones_own_page(world: World) -> None:
    dora, now = make.person("Dora Deputy"), business_now()
    ben = world.sign_in(world.ben)
    refused = ben.post("/me/absence/", begins="", ends="", delegate="Nobody At All")
    assert refused.status_code == 422
    for sentence in (b"Nobody who could decide", b"Say until when"):
        assert sentence in refused.content, "all mistakes at a time"
    unreadable = ben.post("/me/absence/", begins="soon", ends=until(now, -DAY), delegate="Nobody At All")
    for sentence in (b"Nobody who could decide", b"It has to end after it begins"):
        assert sentence in unreadable.content
    oneself = ben.post(
        "/me/absence/", begins=until(now, -DAY), ends="", delegate=world.ben.user_principal_name
    )
    assert oneself.status_code == 422
    assert oneself.content.count(b"field-error") >= 3
    sent = ben.post("/me/absence/", begins="", ends=until(now, DAY), delegate="dora dep")
    assert (sent.status_code, sent["Location"]) == (302, "/me/absence/")
    row = Absence.objects.get()
    assert (row.person, row.delegate, row.declared_by) == (world.ben, dora, world.ben)
    page = ben.get("/me/absence/").content.decode()
    assert "Dora Deputy decides meanwhile" in page
    assert "Away now" in page
    assert "Ben Boss" in world.sign_in(dora).get("/me/absence/").content.decode()
    assert world.sign_in(world.cy).post("/me/absence/", withdraw=str(row.pk)).status_code == 404
    assert ben.post("/me/absence/", withdraw="nonsense").status_code == 404
    assert ben.post("/me/absence/", withdraw=str(row.pk)).status_code == 302
    assert "Withdrawn" in ben.get("/me/absence/").content.decode()


def test_of_several_one_is_chosen(world: World) -> None:
    one, other = make.person("Sam Smith"), make.person("Sam Smithers")
    ben, form = world.sign_in(world.ben), {"begins": "", "ends": until(business_now(), DAY)}
    asked = ben.post("/me/absence/", **form, delegate="Sam Smith")
    assert asked.status_code == 422
    for each in (one, other):
        assert f'value="{each.object_id}"' in asked.content.decode()
    ben.post("/me/absence/", **form, delegate="Sam Smith", chosen=other.object_id)
    assert Absence.objects.get().delegate == other


def test_an_operator_says_it_for_somebody(world: World) -> None:
    cy, now = world.sign_in(world.cy, "Operator"), business_now()
    assert (
        f"/operations/absences/{world.ben.object_id}/"
        in cy.get("/operations/absences/?q=ben").content.decode()
    )
    page = f"/operations/absences/{world.ben.object_id}/"
    assert cy.get(page).status_code == 200
    refused = cy.post(page, begins="", ends=until(now, DAY), delegate=world.cy.user_principal_name)
    assert refused.status_code == 403
    assert b"makes themselves" in refused.content
    assert cy.post(page, begins="", ends=until(now, DAY), delegate="").status_code == 302
    assert Absence.objects.get().declared_by == world.cy
    assert "Ben Boss" in cy.get("/operations/absences/").content.decode()
