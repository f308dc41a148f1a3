"""What people wrote in rows goes with the words beside the events: only what is old, only with its event."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, ProgrammingError, connection, transaction
from pytest_django import Settings

from audit.ledger import row_words
from audit.ledger.canonical import Value
from audit.ledger.models import Event
from audit.ledger.recorder import Actor, record
from audit.ledger.row_words import erase_rows_due, erased_words, places
from audit.ledger.tasks import erase_words
from base.clock import real_now
from requests_app.models import AccessRequest
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer

type AsRole = Callable[[str], AbstractContextManager[None]]


def test_every_place_is_a_column_with_a_time_and_an_event(committed_db: str) -> None:
    assert [(place.table, place.column) for place in places()] == [
        ("requests_app_accessrequest", "justification"),
        ("requests_app_decision", "comment"),
        ("requests_app_remark", "words"),
        ("requests_app_revocation", "reason"),
        ("reviews_reviewentry", "reason"),
    ]
    # Each statement runs, and finds nothing in a new portal.
    assert erase_rows_due("*=30", dry_run=True) == []


def test_old_words_go_with_an_event_and_leave_a_sentence(
    committed_db: str,
    postgres_server: PostgresServer,
    as_role: AsRole,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ada, ben = make.person("Ada Asker"), make.person("Ben Boss")
    items = []
    for name in ("A", "B", "C"):
        group = make.pim_group(name)
        rule = make.rule(ben, groups=(group,))
        with as_role("portal_web"):
            items.append(make.pending_item(ada, group, rule))
    with psycopg.connect(postgres_server.conninfo("postgres", committed_db), autocommit=True) as superuser:
        superuser.execute(
            "UPDATE requests_app_accessrequest SET created_real_at = created_real_at - interval '100 days' "
            "- random() * interval '1 hour' WHERE id = ANY(%s)",
            [[item.request_id for item in items[:2]]],
        )

    def words() -> list[str]:
        found = dict(AccessRequest.objects.values_list("id", "justification"))
        return [found[item.request_id] for item in items]

    written = words()
    erase_words()
    assert words() == written, "nothing is configured"
    settings.AUDIT_WORDS_KEPT_DAYS = "request=90"
    call_command("erase_words", dry_run=True, stdout=(said := StringIO()))
    assert "2 texts would be erased: in justification of requests_app_accessrequest before" in said.getvalue()
    assert words() == written
    monkeypatch.setattr(row_words, "MOST", 1)  # so that it takes two transactions
    for _ in range(2):
        erase_words()
        gone = erased_words(real_now().date())
        assert words() == [gone, gone, written[2]]
    told = Event.objects.filter(type="ledger.row_words_erased")
    assert [each.data["fields"]["texts"] for each in told] == [1, 1]
    assert told[0].data["fields"]["of"] == "request.submitted"


@pytest.mark.django_db
def test_a_worker_erases_nothing_that_is_young_elsewhere_or_untold(as_role: AsRole) -> None:
    fields: dict[str, Value] = {
        "table": "requests_app_accessrequest",
        "column": "justification",
        "of": "request.submitted",
        "before": real_now() - timedelta(days=31),
        "kept_days": 31,
        "texts": 0,
    }
    cases: list[tuple[dict[str, Value], str]] = [
        ({"before": real_now() - timedelta(days=29)}, "kept for at least 30 days"),
        ({"table": "identity_person"}, "Nothing is erased from"),
        ({"column": "reference"}, "Nothing is erased from"),
        ({"texts": 5}, "5 texts are erased, and there are 0"),
    ]
    for changes, complaint in cases:
        with pytest.raises(DatabaseError, match=complaint), transaction.atomic():
            _erase(record("ledger.row_words_erased", actor=Actor.worker(), fields={**fields, **changes}))
    with pytest.raises(DatabaseError, match="No event of this transaction"), transaction.atomic():
        _erase(0)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        AccessRequest.objects.update(justification="something else")
    with (
        as_role("portal_web"),
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
    ):
        _erase(0)


def _erase(told: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_erase_row_words(%s)", [told])
