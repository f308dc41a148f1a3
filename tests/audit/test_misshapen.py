"""Events of no event's form, which Postgres refuses now, are shown as what they are and stop nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg

from audit.api.documents import event_document
from audit.exporting.tables import csv_lines, json_lines, ocsf_lines
from audit.forwarding import cef
from audit.forwarding.receivers import PAYLOADS, Sealed, cloud_event, syslog_frame
from audit.history.presentation import rows
from audit.ledger.keys import make_key
from audit.ledger.reading import EventFilter, events
from audit.ledger.said import MOST_DEEP, UNREADABLE
from audit.ledger.sealing import seal_everything
from audit.ledger.verifying import verify
from tests.audit.ledger.factories import note
from tests.audit.test_hostile_text import event_page, timeline
from tests.support.servers import PostgresServer

type AsRole = Callable[[str], AbstractContextManager[None]]
SAID = (
    '{"type":"trial.noted","outcome":"done","business_at":"2026-01-01T00:00:00.000000Z",'
    '"actor":{"kind":"anonymous"},%s}'
)
# Of these, what can be read is read.
READABLE = (
    '"commitments":{"actor":"é"},"fields":{"note":"x"}',
    '"fields":{"note":1e5000}',
    f'"fields":{{"note":-{"9" * 5_000}}}',
    f'"fields":{{"note":{"9" * 400}.5}}',
    '"fields":{"note":{"more":[1e309,1]}}',
)
UNREADABLE_ONES = (
    '"commitments":[]',
    '"commitments":{"actor":5}',
    '"commitments":"x"',
    '"fields":5',
    '"fields":["note"]',
    f'"fields":{{"note":{"[" * (MOST_DEEP + 5)}{"]" * (MOST_DEEP + 5)}}}',
    f'"fields":{{"note":{"[" * 3_000}{"]" * 3_000}}}',
)
OF_ANOTHER_TYPE = SAID.replace("trial.noted", "x - - - \\nforged <13>1 é") % '"fields":{}'
FORMS = (csv_lines, json_lines, ocsf_lines)


def test_an_event_of_no_events_form_is_shown_as_what_it_is(
    committed_db: str, postgres_server: PostgresServer, as_role: AsRole, tmp_path: Path
) -> None:
    texts = [*(SAID % each for each in (*READABLE, *UNREADABLE_ONES)), OF_ANOTHER_TYPE]
    with psycopg.connect(postgres_server.conninfo("portal_owner", committed_db), autocommit=True) as owner:
        owner.execute("ALTER TABLE audit_event DROP CONSTRAINT audit_event_says")
        for text in texts:
            owner.execute("INSERT INTO audit_event (canon) VALUES (%s)", [text])
            if "é" in text and text is not OF_ANOTHER_TYPE:
                owner.execute("INSERT INTO audit_pii VALUES (lastval(), 'actor', '0123456789abcdef', 'Ada')")
    note()
    key = make_key(tmp_path / "key")
    with as_role("portal_sealer"):
        assert seal_everything(key) == len(texts) + 1
    shown = rows([*reversed(events(EventFilter()).entries)])
    unreadable = [row for row in shown if UNREADABLE in row.entry.fields]
    assert [row.id - 1 - len(READABLE) for row in unreadable] == [*range(len(UNREADABLE_ONES))]
    for row in unreadable:
        facts = {name: str(piece) for name, piece in row.facts}
        assert len(facts["Unreadable"].replace(" ", "")) == len(texts[row.id - 1])
    for row in shown:
        sealed = Sealed(row.entry, 1, row.id)
        assert "Audit" in timeline(row) + event_page(row)
        for form in FORMS:
            assert str(row.id) in "".join(form([row]))
        assert json.dumps(event_document(row), allow_nan=False)
        assert cef.line(row.entry, 1)
        assert cloud_event(sealed)
        for payload in PAYLOADS.values():
            head = syslog_frame(sealed, payload, "access.example.com").split(b" ", 7)
            assert head[6].isascii()
            assert head[6].decode().isprintable()
            assert 0 < len(head[6]) <= 32
            assert head[7].startswith(b"- ")
    found = {finding.code for finding in verify({key.id: key.trusted}).findings}
    assert found == {"columns_differ", "words_altered", "words_gone"}
