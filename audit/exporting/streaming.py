"""An export on its way: a page of the trail at a time, in bounded statements, with its beginning and end recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog

from audit.exporting.tables import csv_lines, json_lines
from audit.history.presentation import Row, rows
from audit.ledger import reading
from audit.ledger.reading import EventFilter
from audit.ledger.recorder import Actor, record_alone

log = structlog.get_logger(__name__)

PAGE = 1_000
MOST_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of file: what it is called, how browsers take it, and how rows become its text."""

    suffix: str
    content_type: str
    lines: Callable[[Iterable[Row]], Iterator[str]]


FORMS: Mapping[str, Form] = {
    "csv": Form("csv", "text/csv; charset=utf-8", csv_lines),
    "jsonl": Form("jsonl", "application/x-ndjson", json_lines),
}


class _Counted:
    """Rows newest first, page by page, counted as they leave."""

    def __init__(self, wanted: EventFilter) -> None:
        self.wanted = wanted
        self.count = 0

    def __iter__(self) -> Iterator[Row]:
        before = None
        while self.count < MOST_ROWS:
            page = reading.events(self.wanted, before=before, limit=min(PAGE, MOST_ROWS - self.count))
            for row in rows(page.entries):
                self.count += 1
                yield row
            before = page.older
            if before is None:
                return


def stream(form: str, wanted: EventFilter, *, query: str, actor: Actor) -> Iterator[bytes]:
    """The bytes of an export, at most MOST_ROWS events, newest first. Its beginning is recorded before the first.

    `query` is the filter as the address had it, which is kept as words. Whoever breaks it off (GeneratorExit) and
    whatever fails on the way is recorded too; a failure breaks the transfer, so that no half file looks whole.
    """
    export_id = uuid4()
    record_alone(
        "export.began",
        actor=actor,
        fields={"form": form, "export_id": export_id},
        words={"filter": query} if query else {},
    )
    return _stream(FORMS[form], form, _Counted(wanted), export_id, actor)


def _stream(form: Form, name: str, counted: _Counted, export_id: UUID, actor: Actor) -> Iterator[bytes]:
    def ended(event: str, **more: str) -> None:
        record_alone(
            event, actor=actor, fields={"form": name, "export_id": export_id, "rows": counted.count, **more}
        )

    try:
        chunk: list[str] = []
        for line in form.lines(counted):
            chunk.append(line)
            if len(chunk) >= PAGE:
                yield "".join(chunk).encode()
                chunk.clear()
        yield "".join(chunk).encode()
    except GeneratorExit:
        ended("export.cancelled")
        raise
    except Exception as error:
        log.exception("export_failed", export=str(export_id), error=type(error).__name__)
        ended("export.failed", reason=type(error).__name__)
        raise
    ended("export.finished")
