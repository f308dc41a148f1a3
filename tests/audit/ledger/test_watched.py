"""Rows that stand as their newest event says: what an event may say of them, and those from before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.core.management import call_command
from django.db import DatabaseError
from django_subatomic.db import transaction

from audit.ledger.models import Event
from audit.ledger.recorder import record
from audit.ledger.registry import LedgerError
from audit.ledger.rows import Row
from audit.ledger.watched import know, unexplained_rows
from base.clock import real_now
from identity.models import Person
from notifications.events import PREFERENCE
from notifications.models import Preference
from tests.audit.ledger.factories import ADA
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer, pointed_at

type AsRole = Callable[[str], AbstractContextManager[None]]


def prefer(person: Person) -> Preference:
    return Preference.objects.create(
        person=person, language="de", time_zone="UTC", digest="never", off=["asked"], changed_at=real_now()
    )


def test_what_was_there_before_is_known_and_what_is_said_later_must_be_so(
    committed_db: str, postgres_server: PostgresServer, as_role: AsRole
) -> None:
    person = make.person()
    with pointed_at(postgres_server, committed_db, role="portal_owner"):
        call_command("migrate", "notifications", "0004_rules", verbosity=0)
        row = prefer(person)
        call_command("migrate", "notifications", verbosity=0)
    (known,) = Event.objects.filter(type="ledger.rows_known")
    assert known.data["fields"] == {"count": 1, "table": "notifications_preference"}
    assert known.data["rows"][0]["is"]["off"] == ["asked"]
    with as_role("portal_sealer"):
        assert list(unexplained_rows()) == []

    right = PREFERENCE.stands(row)
    assert right.stands is not None
    for wrong, said in (
        (Row(right.table, right.id, {**right.stands, "language": "en"}), "does not stand as event"),
        (Row(right.table, right.id, {**right.stands, "changed_at": "some day"}), "invalid input syntax"),
        (Row(right.table, right.id, {"language": "de"}), "does not stand as event"),
        (Row(right.table, right.id, None), "does not stand as event"),
        (Row(right.table, "999", right.stands), "does not stand as event"),
        (Row("identity_person", right.id, {}), "which is not watched"),
    ):
        with pytest.raises(DatabaseError, match=said), transaction():
            know([wrong])
    with transaction():
        know([right, Row(right.table, "999", None)])

    with as_role("portal_web"), pytest.raises(DatabaseError, match="does not stand as event"):
        _change_but_say(right, _fields(row))
    with pytest.raises(LedgerError, match="doesn't declare"), transaction():
        record("search.removed", actor=ADA, fields={"search_id": "x", "shared": True}, rows=[right])


@transaction()
def _change_but_say(otherwise: Row, fields: dict[str, str | list[str]]) -> None:
    Preference.objects.update(language="en")
    record("preferences.changed", actor=ADA, fields=fields, rows=[otherwise])


def _fields(row: Preference) -> dict[str, str | list[str]]:
    return {"language": row.language, "time_zone": row.time_zone, "digest": row.digest, "off": row.off}
