"""Erasing what people wrote: only what is old, only with its event, and every proof holds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection
from django_subatomic.db import transaction
from pytest_django import Settings

from audit.exporting.evidence import make_pack
from audit.exporting.offline.access_portal_verify import main
from audit.ledger import erasure
from audit.ledger.checks import check_retention
from audit.ledger.erasure import erase_due
from audit.ledger.keys import make_key, public_path
from audit.ledger.models import Event, PersonalWords
from audit.ledger.reading import EventFilter, events
from audit.ledger.recorder import Actor, record
from audit.ledger.retention import RetentionError, by_days, parse
from audit.ledger.sealing import seal_everything
from audit.ledger.sentences import sentence
from audit.ledger.tasks import erase_words
from audit.ledger.verifying import verify
from base.clock import real_now
from tests.audit.ledger.factories import ask, note
from tests.support.servers import PostgresServer

type AsRole = Callable[[str], AbstractContextManager[None]]


def test_the_most_precise_rule_holds_and_what_none_names_is_kept() -> None:
    rules = parse("signin=90 signin.refused=400 trial=60")
    types = ["signin.refused", "signin.ended", "trial.asked", "request.submitted"]
    assert by_days(rules, types) == {60: ["trial.asked"], 90: ["signin.ended"], 400: ["signin.refused"]}
    assert by_days(parse("*=30 trial=60"), types)[30] == [
        "request.submitted",
        "signin.ended",
        "signin.refused",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("signin", "NAME=DAYS"),
        ("signin=soon", "NAME=DAYS"),
        ("sign in=90", "NAME=DAYS"),
        ("signin=90 signin=91", "named twice"),
        ("*=29", "at least 30 days"),
        ("sinin=90", "No event is called sinin"),
    ],
)
def test_a_setting_that_can_not_be_carried_out_is_refused(
    text: str, complaint: str, settings: Settings
) -> None:
    settings.AUDIT_WORDS_KEPT_DAYS = text
    (found,) = check_retention()
    assert (found.id, complaint in found.msg) == ("ledger.E008", True), found.msg
    settings.AUDIT_WORDS_KEPT_DAYS = "signin=90 trial.asked=30 *=3650"
    assert check_retention() == []


def grow_old(server: PostgresServer, database: str, *event_ids: int, days: int) -> None:
    """As if the events had happened earlier. Before they are sealed, and by somebody whom no guard stops."""
    with psycopg.connect(server.conninfo("postgres", database), autocommit=True) as superuser:
        superuser.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_unchanged")
        superuser.execute(
            "UPDATE audit_event SET at = at - make_interval(days => %s) WHERE id = ANY(%s)",
            [days, list(event_ids)],
        )
        superuser.execute("ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_unchanged")


def asked(words: str) -> int:
    with transaction():
        return ask(words=words)


def kept() -> set[int]:
    return set(PersonalWords.objects.values_list("event_id", flat=True))


def test_what_is_over_goes_with_its_event_and_every_proof_holds(
    committed_db: str,
    postgres_server: PostgresServer,
    as_role: AsRole,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = make_key(tmp_path / "key")
    old, older = asked("Disk is full"), asked("Pager rings")
    other, young = note("of another type"), asked("Since today")
    grow_old(postgres_server, committed_db, old, older, other, days=100)
    with as_role("portal_sealer"):
        seal_everything(key)
    erase_words()  # nothing is configured
    assert kept() == {old, older, other, young}

    settings.AUDIT_WORDS_KEPT_DAYS = "trial.asked=90"
    call_command("erase_words", dry_run=True, stdout=(said := StringIO()))
    assert "8 texts would be erased: of events of 1 event type before" in said.getvalue()
    assert kept() == {old, older, other, young}
    monkeypatch.setattr(erasure, "MOST", 4)  # so that it takes two transactions
    call_command("erase_words", stdout=(said := StringIO()))
    assert said.getvalue().count("4 texts erased") == 2
    assert "Copies that were handed out before are out of reach." in said.getvalue()
    assert kept() == {other, young}
    erase_words()  # and again: there is nothing left
    first, second = Event.objects.filter(type="ledger.words_erased").order_by("id")
    assert first.data["fields"]["types"] == ["trial.asked"]
    assert (first.data["fields"]["texts"], first.data["fields"]["kept_days"]) == (4, 90)
    assert second.data["fields"]["since"] == first.data["fields"]["before"]

    # A new search says so, and the trail verifies, with the worker's rights and with the sealer's.
    entry = next(each for each in events(EventFilter()).entries if each.event.id == old)
    assert sentence(entry) == f"{entry.event.actor_oid} asked for Storage for 1:00:00: (erased)"
    for role in ("portal_worker", "portal_sealer"):
        with as_role(role):
            seal_everything(key) if role == "portal_sealer" else None
            report = verify({key.id: key.trusted})
            assert report.sound, report.findings
    # So does a pack: offline, with "erased" instead of a failure.
    path = tmp_path / "pack.zip"
    with path.open("wb") as file:
        file.write(make_pack(events(EventFilter()).entries, title="All").file.read())
    assert main([str(path), "--public-key", str(public_path(tmp_path / "key"))]) == 0
    out = capsys.readouterr().out
    assert "PROVEN: 6 events" in out
    assert "ERASED: 8 texts of 2 events aren't in the pack" in out

    # What goes without an event is found.
    with psycopg.connect(postgres_server.conninfo("portal_owner", committed_db), autocommit=True) as owner:
        owner.execute("DELETE FROM audit_pii WHERE event_id = %s", [young])
    with as_role("portal_sealer"):
        found = verify({key.id: key.trusted}).findings
    assert {(each.code, each.event_id) for each in found} == {("words_gone", young)}
    assert len(found) == 4


def test_whoever_may_not_read_words_does_not_say_that_they_are_as_they_were(
    committed_db: str, postgres_server: PostgresServer, as_role: AsRole, tmp_path: Path
) -> None:
    """The sealer verifies every night, and reads nobody's words."""
    key, event_id = make_key(tmp_path / "key"), asked("Disk is full")
    with as_role("portal_sealer"):
        seal_everything(key)
    with psycopg.connect(postgres_server.conninfo("portal_owner", committed_db), autocommit=True) as owner:
        owner.execute("ALTER TABLE audit_pii DISABLE TRIGGER audit_pii_unchanged")
        owner.execute("UPDATE audit_pii SET words = 'Pager rings' WHERE field = 'justification'")
    verified = partial(call_command, "audit_verify", public_key=[str(public_path(tmp_path / "key"))])
    with as_role("portal_sealer"):
        verified(stdout=(said := StringIO()))
    assert "Everything is as it was sealed." not in said.getvalue()
    assert "What people wrote wasn't looked at" in said.getvalue()
    with as_role("portal_worker"), pytest.raises(CommandError, match="isn't as it was sealed"):
        verified(stdout=StringIO(), stderr=(wrong := StringIO()))
    assert f"words_altered: The kept words 'justification' of event {event_id}" in wrong.getvalue()


def told(before: datetime, texts: int, *, actor: Actor | None = None) -> int:
    return record(
        "ledger.words_erased",
        actor=actor or Actor.system(),
        fields={"types": ["trial.asked"], "before": before, "kept_days": 30, "texts": texts},
    )


def erase(event_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_erase_words(%s)", [event_id])


def test_the_database_erases_what_an_event_of_the_same_transaction_says_and_nothing_young(
    committed_db: str, postgres_server: PostgresServer, as_role: AsRole
) -> None:
    young, old = asked("Today"), asked("Long ago")
    grow_old(postgres_server, committed_db, old, days=100)
    month_ago = real_now() - timedelta(days=31)
    for before, texts, complaint in (
        (real_now(), 8, "at least 30 days"),
        (month_ago, 3, "says that 3 texts are erased, and there are 4"),
    ):
        with pytest.raises(DatabaseError, match=complaint), transaction():
            erase(told(before, texts))
    with transaction():
        earlier = told(month_ago, 4)
    for event_id in (earlier, young):
        with pytest.raises(IntegrityError, match="No event of this transaction"), transaction():
            erase(event_id)
    ada = Actor.person("00000000-0000-4000-8000-00000000ada1", "Ada")
    with pytest.raises(IntegrityError, match="No event of this transaction"), transaction():
        erase(told(month_ago, 4, actor=ada))
    for role in ("portal_web", "portal_sealer"):
        with as_role(role), pytest.raises(ProgrammingError, match="permission denied"), transaction():
            erase(earlier)
    assert kept() == {young, old}
    with transaction():
        erase(told(month_ago, 4))
    assert kept() == {young}


def test_the_command_says_what_is_wrong_with_the_setting_and_when_there_is_none(settings: Settings) -> None:
    settings.AUDIT_WORDS_KEPT_DAYS = ""
    call_command("erase_words", stdout=(said := StringIO()))
    assert "kept for ever" in said.getvalue()
    settings.AUDIT_WORDS_KEPT_DAYS = "*=1"
    with pytest.raises(CommandError, match="at least 30 days"):
        call_command("erase_words")
    with pytest.raises(RetentionError):
        erase_due("*=1")
