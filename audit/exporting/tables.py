"""Events as lines of CSV, of JSON Lines and of OCSF, inert in whatever opens them.

CSV follows RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe (OWASP, "CSV
Injection"), and so does what follows a semicolon, a tab or a line feed in it; characters that no one can see, or that
reorder what stands beside them, are written as their number.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from audit.forwarding import ocsf
from audit.history.presentation import Row
from audit.ledger import sentences
from audit.ledger.canonical import instant
from base.visible import visible

COLUMNS = (
    *("event_id", "recorded_at", "business_at", "type", "outcome", "sentence"),
    *("actor_kind", "actor_name", "actor_object_id", "about_name", "about_object_id"),
    *(
        "pim_group_object_id",
        "request_id",
        "grant_id",
        "address",
        "session",
        "words",
        "facts",
        "sealed_in_batch",
    ),
)
# Full-width signs are signs where East Asian languages are written.
_SIGNS = "=+-@|%\uff1d\uff0b\uff0d\uff20"
# A formula begins a cell, and behind what parts cells and lines elsewhere it begins one as well: a spreadsheet that expects
# semicolons doesn't heed the quotes around a cell that commas part.
_PARTED = re.compile(f'(?<=[;\\n\\t])(?=[\\s"]*[{re.escape(_SIGNS)}])')


def cell(value: object) -> str:
    """A value as a cell that no spreadsheet runs."""
    text = "" if value is None else visible(str(value))
    if ";" in text or "\n" in text or "\t" in text:
        text = _PARTED.sub("'", text)
    first = text.lstrip().lstrip('"')[:1]
    return f"'{text}" if first and first in _SIGNS else text


def facts(row: Row) -> dict[str, Any]:
    """Everything about an event, by the names in COLUMNS."""
    event, entry = row.entry.event, row.entry
    return {
        "event_id": event.id,
        "recorded_at": instant(event.at),
        "business_at": instant(event.business_at),
        "type": event.type,
        "outcome": event.outcome,
        "sentence": sentences.sentence(entry),
        "actor_kind": event.actor_kind,
        "actor_name": entry.texts.get("actor", ""),
        "actor_object_id": event.actor_oid,
        "about_name": entry.texts.get("about", ""),
        "about_object_id": event.about_oid,
        "pim_group_object_id": event.group_oid,
        "request_id": str(event.request_id or ""),
        "grant_id": str(event.grant_id or ""),
        "address": event.ip,
        "session": event.session,
        "words": {name: text for name, text in entry.texts.items() if name not in ("actor", "about")},
        "facts": dict(entry.fields),
        "sealed_in_batch": row.batch,
    }


def csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    """The header, then a line for each event."""
    yield csv_line(COLUMNS)
    for row in rows:
        found = facts(row)
        for name in ("words", "facts"):
            found[name] = json.dumps(found[name], ensure_ascii=False, sort_keys=True) if found[name] else ""
        yield csv_line([cell(found[name]) for name in COLUMNS])


def json_lines(rows: Iterable[Row]) -> Iterator[str]:
    """An object a line, in ASCII: nothing in it can act on whatever prints it."""
    for row in rows:
        yield json.dumps(facts(row), ensure_ascii=True) + "\n"


def ocsf_lines(rows: Iterable[Row]) -> Iterator[str]:
    """A document of the Open Cybersecurity Schema Framework a line, in ASCII."""
    for row in rows:
        yield ocsf.json_line(row.entry, row.batch) + "\n"


def csv_line(cells: Sequence[str]) -> str:
    """One line as RFC 4180 has it; make the cells with `cell`."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()
