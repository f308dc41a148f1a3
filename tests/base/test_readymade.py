"""What is put together once gives and does what Django's own query would have given and done."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Exists, F, OuterRef
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from django_subatomic.db import transaction

from base.clock import real_now
from base.readymade import Readymade, ReadymadeUpdate, insert, set_columns
from catalog.models import Eligibility, PimGroup
from identity.models import Person
from requests_app.models import Attempt
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole

pytestmark = pytest.mark.django_db


def test_it_gives_the_rows_with_what_belongs_to_them() -> None:
    person, others = make.person("Ada Asker"), [make.person() for _ in range(2)]
    for who in (person, *others):
        make.eligibility(who, make.pim_group())
    found = Readymade(
        lambda key: (
            Eligibility.objects.select_related("person", "group")
            .annotate(alone=~Exists(Eligibility.objects.filter(group=OuterRef("group")).exclude(person=key)))
            .filter(person=key)
        ),
        int,
    )
    for who in (person, *others, person):
        with CaptureQueriesContext(connection) as asked:
            (row,) = found.rows(who.pk)
            assert (row.person, row.person.display_name, row.alone) == (who, who.display_name, True)
            assert (row.group.preview, row.group.activation_maximum) == ({}, timedelta(hours=8))
        assert len(asked) == 1
    assert found.first(0) is None


def test_each_value_of_several_stands_in_its_place() -> None:
    one, other = make.person("Ada Asker", department="1"), make.person("Ada Asker", department="2")
    named = Readymade(
        lambda name, department, key: (
            Person.objects.filter(display_name=name, department=department)
            .exclude(pk=key)
            .values_list("pk", "user_principal_name")
        ),
        str,
        str,
        int,
    )
    assert named.rows("Ada Asker", "1", other.pk) == [(one.pk, one.user_principal_name)]
    assert named.rows("Ada Asker", "2", one.pk) == [(other.pk, other.user_principal_name)]
    assert named.rows("Ada Asker", "2", other.pk) == named.rows("1", "Ada Asker", 0) == []


def test_what_would_be_built_in_is_refused() -> None:
    first = Readymade(lambda most: Person.objects.order_by("pk")[:most], int)
    with pytest.raises(ValueError, match="not every value"):
        first.rows(1)


def test_what_would_find_nothing_and_seem_to_have_looked_is_refused() -> None:
    by_key = Readymade(lambda key: Person.objects.filter(pk=key), int)
    named = ReadymadeUpdate(
        lambda name: (Person.objects.filter(display_name=name), {"display_name": name}), str
    )
    for wrong in ((None,), (1, 2), ()):
        with pytest.raises(ValueError, match="values"):
            by_key.rows(*wrong)
    with pytest.raises(ValueError, match="values"):
        named.run(None)
    for where, values in (({"pk": None}, {"department": "1"}), ({}, {"department": "1"}), ({"pk": 1}, {})):
        with pytest.raises(ValueError, match="nothing to set"):
            set_columns(Person, where, values)


def test_rows_are_locked_in_a_transaction_only(monkeypatch: pytest.MonkeyPatch) -> None:
    person = make.person()
    locked = Readymade(lambda key: Person.objects.select_for_update().filter(pk=key), int)
    with transaction():
        assert locked.rows(person.pk) == [person]
    monkeypatch.setattr(connection, "get_autocommit", lambda: True)
    with pytest.raises(TransactionManagementError):
        locked.rows(person.pk)


def test_an_update_says_how_many_rows_it_changed() -> None:
    one, other = make.person(department="1"), make.person(department="1")
    moved = ReadymadeUpdate(
        lambda before, after: (
            Person.objects.filter(department=before),
            {"department": after, "job_title": F("department")},
        ),
        str,
        str,
    )
    assert [moved.run("1", "2"), moved.run("1", "3"), moved.run("2", "3")] == [2, 0, 2]
    for each in (one, other):
        each.refresh_from_db()
        assert (each.department, each.job_title) == ("3", "2")


def test_columns_are_set_as_by_a_query() -> None:
    group = make.pim_group()
    make.eligibility(make.person(), group)
    values = {
        "preview": {"accounts": ["a"]},
        "synced_at": None,
        "longest_session": timedelta(minutes=7),
        "account_count": 5,
    }
    assert set_columns(PimGroup, {"pk": group.pk, "account_count": group.account_count + 1}, values) == 0
    assert set_columns(PimGroup, {"pk": group.pk, "account_count": group.account_count}, values) == 1
    assert PimGroup.objects.filter(pk=group.pk).values(*values).get() == values
    other = make.person()
    assert set_columns(Eligibility, {"group": group}, {"person": other}) == 1
    assert Eligibility.objects.get(group=group).person == other


def test_a_row_is_inserted_with_all_that_it_has(as_role: AsRole) -> None:
    group, version = make.pim_group(), make.rule(make.person())
    with as_role("portal_web"):
        item = make.pending_item(make.person(), group, version)
    grant = make.scheduled_grant(item)
    attempt = Attempt(
        id=uuid.uuid4(),
        grant=grant,
        kind=Attempt.Kind.READ_AWS,
        started_at=real_now(),
        finished_at=None,
        found={"member": True},
        expires_at=real_now(),
    )
    insert(attempt)
    stored = Attempt.objects.get(pk=attempt.pk)
    for field in Attempt._meta.concrete_fields:
        assert getattr(stored, field.attname) == getattr(attempt, field.attname), field
    with pytest.raises(ValueError, match="Person"):
        insert(Person(display_name="Ada Asker"))
    attempt.code = "a"
    attempt.save()
    assert Attempt.objects.get(grant=grant).code == "a"
