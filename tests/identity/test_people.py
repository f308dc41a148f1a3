"""People and groups from the directory, and looking them up."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.db import ProgrammingError, connection, transaction
from django.test import RequestFactory
from pytest_django import Settings

from base.clock import business_now
from base.errors import Missing
from clients.types import DirectoryUser
from identity import selectors, sync
from identity.actors import actor_of, client_ip
from identity.humans import accounts_of, same_human, same_human_sql
from identity.linking import known_by, marks_of
from identity.models import DirectoryGroup, Person, User

TENANT_ID = "11111111-2222-4333-8444-555555555555"
Stepping = Callable[[str], AbstractContextManager[None]]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def one_tenant(settings: Settings) -> None:
    settings.ENTRA_TENANT_ID = TENANT_ID


def described(number: int, **changes: object) -> DirectoryUser:
    user = DirectoryUser(
        object_id=str(uuid.UUID(int=number)),
        display_name=f"Person {number:04}",
        user_principal_name=f"person{number}@example.com",
        department="Platform",
    )
    return replace(user, **changes)  # type: ignore[arg-type]  # the fields' own types


def stored(users: Iterable[DirectoryUser]) -> dict[str, Person]:
    return dict(sync.upsert_people(users, tenant_id=TENANT_ID, now=business_now()))


# --- Writing people


def test_people_are_written_and_given_by_object_id() -> None:
    people = stored([described(1), described(2, enabled=False, guest=True)])
    assert set(people) == {described(1).object_id, described(2).object_id}
    second = Person.objects.get(object_id=described(2).object_id)
    assert second == people[second.object_id]
    assert (second.enabled, second.guest, second.department) == (False, True, "Platform")
    assert second.tenant_id == TENANT_ID


def humans() -> list[set[int]]:
    """The accounts of each human, by their numbers, as Python, a query and the guards' SQL tell them apart."""
    people = list(Person.objects.order_by("object_id"))
    number = {person.pk: uuid.UUID(person.object_id).int for person in people}
    found = [{number[other.pk] for other in people if same_human(person, other)} for person in people]
    asked = [
        {number[pk] for pk in Person.objects.filter(accounts_of(each)).values_list("pk", flat=True)}
        for each in people
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT one.id, array_agg(other.id) FROM identity_person one JOIN identity_person other "  # noqa: S608
            f"ON {same_human_sql('one', 'other')} GROUP BY one.id, one.object_id ORDER BY one.object_id"
        )
        guarded = [{number[pk] for pk in pks} for _, pks in cursor.fetchall()]
    assert found == asked == guarded
    return [each for place, each in enumerate(found) if each not in found[:place]]


OWN = described(1, employee_id="E-1", further_marks=("X-9",))
ADMIN = described(2, employee_id="A-2", further_marks=(" x-9 ", "Y-7"))
OTHER = described(3, employee_id="y-7")
STRANGER = described(4, employee_id="E-4", further_marks=("Z-1",))


@pytest.mark.parametrize("order", list(permutations((OWN, ADMIN, OTHER, STRANGER))))
def test_accounts_that_share_any_value_are_one_human(order: tuple[DirectoryUser, ...]) -> None:
    """Whichever is read last: the one in the middle joins two who shared nothing."""
    for user in order:
        stored([user])
    assert humans() == [{1, 2, 3}, {4}]
    assert {known_by(marks_of(user)) for user in (OWN, OTHER)} == {
        frozenset({"a-2", "e-1", "x-9"}),
        frozenset({"a-2", "y-7"}),
    }, "known by the same"
    stored([replace(ADMIN, further_marks=("Y-7",))])
    assert humans() == [{1}, {2, 3}, {4}], "accounts come apart again"
    stored([replace(ADMIN, employee_id="", further_marks=())])
    assert humans() == [{1}, {2}, {3}, {4}]


def test_an_account_that_no_sync_has_written_since_is_linked_by_what_it_is_known_by() -> None:
    stored([OTHER])
    Person.objects.update(marks=[])
    stored([ADMIN])
    assert humans() == [{2, 3}]


def test_people_keep_their_key_and_what_aws_calls_them() -> None:
    before = stored([described(1)])[described(1).object_id]
    Person.objects.update(store_user_id="store-1")
    later = business_now() + timedelta(hours=1)
    changed = described(1, display_name="Another Name", department="")
    after = sync.upsert_people([changed], tenant_id=TENANT_ID, now=later)[before.object_id]
    assert (after.pk, after.display_name, after.department) == (before.pk, "Another Name", "")
    assert (after.store_user_id, after.synced_at) == ("store-1", later)


def test_writing_nobody_asks_nothing(
    django_assert_num_queries: Callable[..., AbstractContextManager[None]],
) -> None:
    with django_assert_num_queries(0):
        assert stored([]) == {}


def test_many_people_in_few_statements(
    django_assert_max_num_queries: Callable[..., AbstractContextManager[None]],
) -> None:
    with django_assert_max_num_queries(8):
        assert len(stored([described(number) for number in range(1, 1201)])) == 1200


def test_the_same_person_twice_counts_once_as_described_last() -> None:
    people = stored(
        [
            described(1),
            described(1, display_name="Last"),
            described(1).__class__(
                object_id=described(1).object_id.upper(), display_name="Very Last", user_principal_name=""
            ),
        ]
    )
    assert [person.display_name for person in people.values()] == ["Very Last"]


def test_a_name_that_is_too_long_is_cut_and_a_missing_one_replaced() -> None:
    people = stored([described(1, display_name="x" * 300), described(2, display_name="")])
    assert people[described(1).object_id].display_name == "x" * 256
    assert people[described(2).object_id].display_name == "person2@example.com"


def test_people_who_left_the_directory_are_switched_off() -> None:
    gone = stored([described(1), described(2)])[described(1).object_id]
    now = business_now()
    assert sync.mark_people_gone([gone.object_id], tenant_id=TENANT_ID, now=now) == 1
    assert sync.mark_people_gone([gone.object_id], tenant_id=TENANT_ID, now=now) == 0
    gone.refresh_from_db()
    assert not gone.enabled
    assert Person.objects.filter(enabled=True).count() == 1


def test_the_same_object_id_in_another_tenant_is_somebody_else() -> None:
    stored([described(1)])
    sync.upsert_people([described(1)], tenant_id=str(uuid.UUID(int=99)), now=business_now())
    assert Person.objects.count() == 2
    assert selectors.person_by_object_id(described(1).object_id).tenant_id == TENANT_ID


# --- Groups


def group_of(people: Iterable[Person], number: int = 50) -> DirectoryGroup:
    return sync.upsert_group_members(
        str(uuid.UUID(int=number)), display_name=f"Group {number}", people=people, now=business_now()
    )


def test_members_of_a_group_are_as_described_last() -> None:
    people = list(stored([described(number) for number in range(1, 5)]).values())
    group_of(people[:3])
    group = group_of(people[2:])
    assert set(group.members.all()) == set(people[2:])
    assert DirectoryGroup.objects.count() == 1


def test_membership_is_asked_for_several_groups_at_once() -> None:
    first, second, third = stored([described(number) for number in (1, 2, 3)]).values()
    approvers, backups = group_of([first], 50), group_of([first, second], 51)
    both = [approvers.object_id, backups.object_id.upper()]
    assert selectors.is_member(first, both)
    assert selectors.is_member(second, both)
    assert not selectors.is_member(second, [approvers.object_id])
    assert not selectors.is_member(third, both)
    assert not selectors.is_member(first, [])
    assert selectors.group_object_ids_of(first) == {approvers.object_id, backups.object_id}
    assert list(selectors.members_of(both)) == [first, second]
    assert list(selectors.directory_groups(both)) == [approvers, backups]


def test_a_group_that_is_gone_has_no_members() -> None:
    (person,) = stored([described(1)]).values()
    group = group_of([person])
    DirectoryGroup.objects.update(missing=True)  # as seen before anybody took the members out
    assert not selectors.is_member(person, [group.object_id])
    assert not selectors.group_object_ids_of(person)
    assert not list(selectors.members_of([group.object_id]))
    sync.mark_group_missing(group.object_id, now=business_now())
    assert not group.members.exists()
    assert not selectors.is_member(person, [group.object_id])
    assert not list(selectors.members_of([group.object_id]))
    group_of([person])
    assert selectors.is_member(person, [group.object_id])


def test_somebody_switched_off_is_no_approver() -> None:
    (person,) = stored([described(1)]).values()
    group = group_of([person])
    stored([described(1, enabled=False)])
    assert not list(selectors.members_of([group.object_id]))


def test_nobody_by_that_object_id() -> None:
    with pytest.raises(Missing):
        selectors.person_by_object_id("nobody")


# --- Rights of the processes


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE identity_person SET enabled = true",
        "UPDATE identity_person SET object_id = 'x'",
        "UPDATE identity_person SET store_user_id = 'x'",
        "DELETE FROM identity_person",
        "UPDATE identity_user SET is_active = true",
        "UPDATE identity_user SET person_id = 1",
        "INSERT INTO identity_directorymembership (group_id, person_id) VALUES (1, 1)",
        "UPDATE identity_directorygroup SET missing = false",
        "INSERT INTO socialaccount_socialtoken (token) VALUES ('t')",
        "INSERT INTO auth_permission (name) VALUES ('p')",
        "INSERT INTO account_emailaddress (email) VALUES ('e')",
    ],
)
def test_the_web_process_may_not(as_role: Stepping, statement: str) -> None:
    with (
        as_role("portal_web"),
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO identity_user (subject) VALUES ('s')",
        "UPDATE identity_user SET app_roles = '[]'",
        "INSERT INTO django_session (session_key) VALUES ('s')",
        "SELECT id FROM socialaccount_socialaccount",
    ],
)
def test_the_worker_may_not(statement: str) -> None:
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


# --- Actors


@pytest.mark.parametrize(
    ("proxies", "forwarded", "ip"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "10.0.0.1, 203.0.113.9", "203.0.113.9"),
        (2, "10.0.0.1, 203.0.113.9, 192.0.2.77", "203.0.113.9"),
        (2, "203.0.113.9", ""),
        (1, "", ""),
        (1, "<script>", ""),
        (1, "2001:DB8::1", "2001:db8::1"),
    ],
)
def test_the_address_is_what_our_outermost_proxy_saw(
    rf: RequestFactory, settings: Settings, proxies: int, forwarded: str, ip: str
) -> None:
    settings.TRUSTED_PROXY_COUNT = proxies
    request = rf.get("/", REMOTE_ADDR="192.0.2.1", headers={"X-Forwarded-For": forwarded})
    assert client_ip(request) == ip


def test_the_actor_of_a_request(rf: RequestFactory) -> None:
    (person,) = stored([described(1)]).values()
    request = rf.get("/", REMOTE_ADDR="192.0.2.1")
    request.session = SessionStore("session-key")
    request.user = User(person=person)
    actor = actor_of(request)
    assert (actor.kind, actor.object_id, actor.name) == ("person", person.object_id, "Person 0001")
    assert (actor.ip, actor.session) == ("192.0.2.1", "session-key")
    request.user = AnonymousUser()
    assert actor_of(request).kind == "anonymous"
