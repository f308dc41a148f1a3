"""Tables for other programs: every event, every fact, and nothing that acts."""

from __future__ import annotations

import csv
import io
import json

import pytest

from audit.exporting.tables import COLUMNS, cell, csv_line, csv_lines, json_lines
from audit.history.presentation import rows
from audit.ledger.reading import EventFilter, events
from audit.ledger.recorder import Actor
from tests.audit.ledger.factories import note
from tests.requests_app import factories as make

HOSTILE = [
    '=HYPERLINK("http://evil")',
    "+1+1",
    "-2",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "<script>alert(1)</script>",
    '<div hx-get="/signout/" hx-trigger="load">',
    "\u202egnp.exe",
    "\u2066a\u2069",
    "\x1b[2J\x07",
    "a\u2028b",
    '"quoted", and a\nline',
    "Subject: x\r\nBcc: all@example.com",
    "\uff1d1+1",
    "a;=1+1;b",
    "a; @SUM(A1)",
    "a\n=1+1",
    "a\t-1+1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_a_formula_or_hides_anything(text: str) -> None:
    found = cell(text)
    assert found.lstrip()[0] not in "=+-@\t\r|%"
    assert not set(found) & set("\x1b\x07\r\u202e\u2066\u2069\u2028")


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_is_a_formula_where_a_spreadsheet_parts_them_elsewhere(text: str, separator: str) -> None:
    """As it does in a country that writes numbers with a comma: quotes within a cell mean nothing to it then."""
    table = csv_line(["7", cell(text), cell(f"{text}, quoted")])
    for line in table.splitlines():
        for part in line.split(separator):
            assert part.lstrip(' "')[:1] not in {*"=+-@|%\uff1d"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), ("", ""), (7, "7"), ("plain", "plain"), ("a; b - c", "a; b - c"), ("-", "'-")],
)
def test_what_is_harmless_stays_as_it_is(value: object, shown: str) -> None:
    assert cell(value) == shown


@pytest.mark.django_db
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_come_back_from_both_tables(text: str) -> None:
    oid = make.oid()
    note(text, actor=Actor.person(oid, text))
    found = rows(events(EventFilter(people=(oid,))).entries)
    [header, line] = list(csv.reader(io.StringIO("".join(csv_lines(found)), newline="")))
    assert tuple(header) == COLUMNS
    assert line[COLUMNS.index("actor_name")] == cell(text)
    assert line[COLUMNS.index("type")] == "trial.noted"
    [record] = list(json_lines(found))
    assert record.isascii()
    assert json.loads(record)["actor_name"] == text
    assert json.loads(record)["facts"] == {"note": text}
    assert record.count("\n") == 1


@pytest.mark.django_db
def test_lines_end_as_the_standard_says() -> None:
    oid = make.oid()
    note("x", actor=Actor.person(oid, "Ada"))
    lines = list(csv_lines(rows(events(EventFilter(people=(oid,))).entries)))
    assert len(lines) == 2
    assert all(line.endswith("\r\n") for line in lines)
