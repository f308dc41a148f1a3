"""An export on its way: a page of the trail at a time, in bounded statements, with its beginning and end recorded.

How far it is stands in a row, which also says whether its owner wants it to go on (audit.exporting.running).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import structlog

from audit.exporting.models import How
from audit.exporting.running import Cancelled, Running, Stopped, begin
from audit.exporting.tables import csv_lines, json_lines, ocsf_lines
from audit.exporting.workbook import workbook_bytes
from audit.history.presentation import Row, rows
from audit.ledger import reading
from audit.ledger.reading import EventFilter, Page, Position
from audit.ledger.recorder import Actor
from base.errors import Invalid

log = structlog.get_logger(__name__)

PAGE = 1_000
MOST_ROWS = 1_000_000
# A workbook is sent when its last row is there, and whoever waits for it sees no byte until then.
MOST_OF_A_WORKBOOK = 100_000


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of file: what it is called, how browsers take it, how rows become it, and how many it holds."""

    label: str
    suffix: str
    content_type: str
    chunks: Callable[[Iterable[Row]], Iterator[bytes]]
    most: int = MOST_ROWS


def _text(lines: Callable[[Iterable[Row]], Iterator[str]]) -> Callable[[Iterable[Row]], Iterator[bytes]]:
    """A file of lines, a page of them at a time."""

    def chunks(rows: Iterable[Row]) -> Iterator[bytes]:
        chunk: list[str] = []
        for line in lines(rows):
            chunk.append(line)
            if len(chunk) >= PAGE:
                yield "".join(chunk).encode()
                chunk.clear()
        yield "".join(chunk).encode()

    return chunks


_NDJSON = "application/x-ndjson"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMS: Mapping[str, Form] = {
    "csv": Form("CSV", "csv", "text/csv; charset=utf-8", _text(csv_lines)),
    "xlsx": Form("Excel", "xlsx", _XLSX, workbook_bytes, MOST_OF_A_WORKBOOK),
    "jsonl": Form("JSON Lines", "jsonl", _NDJSON, _text(json_lines)),
    "ocsf": Form("OCSF", "ocsf.jsonl", _NDJSON, _text(ocsf_lines)),
}


class _Counted:
    """Rows newest first, page by page, counted as they leave."""

    def __init__(self, wanted: EventFilter, most: int, first: Page, running: Running) -> None:
        self.wanted = wanted
        self.most = most
        self.first = first
        self.running = running
        self.count = 0
        self.older = False  # whether the search finds older ones, which have no place in it

    def __iter__(self) -> Iterator[Row]:
        before = None
        while self.count < self.most:
            # Here too, because a workbook sends nothing before it has all of its rows.
            self.running.look(self.count)
            page = self._following(before) if before else self.first
            for row in rows(page.entries):
                self.count += 1
                yield row
            before = page.older
            if before is None:
                return
        self.older = True

    def _following(self, before: Position) -> Page:
        return reading.events(self.wanted, before=before, limit=min(PAGE, self.most - self.count))


def stream(form: str, wanted: EventFilter, *, query: str, actor: Actor) -> Iterator[bytes]:
    """The bytes of an export, newest first, at most as many events as its form holds.

    Its beginning is recorded before the first byte.
    `query` is the filter as the address had it, which is kept as words. Whoever breaks it off (GeneratorExit) or
    cancels it, and whatever fails on the way, is recorded too; both of the latter break the transfer, so that no half
    file looks whole.

    Raises:
        Invalid: the search takes too long. Nothing has begun then.
    """
    kind = FORMS[form]
    first = reading.events(wanted, limit=min(PAGE, kind.most))
    running = begin(form, wanted, query=query, most=kind.most, actor=actor)
    return _stream(kind, _Counted(wanted, kind.most, first, running), running)


def _stream(form: Form, counted: _Counted, running: Running) -> Iterator[bytes]:
    try:
        for chunk in form.chunks(counted):
            yield chunk
            running.look(counted.count)
    except GeneratorExit:
        running.end(How.BROKEN_OFF, counted.count)
        raise
    except Cancelled:
        running.end(How.CANCELLED, counted.count)
        raise
    except Stopped as error:
        running.end(How.FAILED, counted.count, reason=error.sentence)
        raise
    except Invalid as error:  # of a later page
        running.end(How.FAILED, counted.count, reason=error.sentence)
        raise Stopped(error.sentence) from error
    except Exception as error:
        log.exception("export_failed", export=str(running.export_id), error=type(error).__name__)
        running.end(How.FAILED, counted.count, reason=type(error).__name__)
        raise
    running.end(How.DONE, counted.count, left_out="older events" if counted.older else "")
