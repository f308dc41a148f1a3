"""Events as an Excel workbook: every cell is text that nothing runs, and no row is kept in memory.

The library writes each row to a temporary file as it comes; the workbook is put together when the last one is there.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from xlsxwriter import Workbook

from audit.exporting.tables import COLUMNS, facts
from audit.history.presentation import Row
from base.visible import visible

LONGEST_CELL = 32_767  # characters; Excel's own limit
CUT = " … (cut)"
CHUNK = 256 * 1024  # bytes
# A number as Excel keeps it; everything else, and whatever looks like a formula, a link or a date, is text.
NUMBERS = frozenset({"event_id", "sealed_in_batch"})
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


def workbook_bytes(rows: Iterable[Row]) -> Iterator[bytes]:
    """The file in chunks; an empty one at once, the others when all rows are in it.

    With the empty one the head of the answer leaves. A browser whose connection broke before it would ask again.
    """
    yield b""
    with tempfile.TemporaryDirectory(prefix="access-portal-") as folder:
        path = Path(folder, "events.xlsx")
        book = Workbook(str(path), {**_OPTIONS, "tmpdir": folder})
        sheet = book.add_worksheet("Events")
        # The library closes its temporary file with the workbook, to which an export that ends early never gets.
        with closing(sheet.row_data_fh):
            sheet.freeze_panes(1, 0)
            sheet.write_row(0, 0, COLUMNS, book.add_format({"bold": True}))
            for number, row in enumerate(rows, 1):
                found = facts(row)
                for column, name in enumerate(COLUMNS):
                    value = found[name]
                    if name in NUMBERS and value is not None:
                        sheet.write_number(number, column, value)
                    elif text := cell_text(value):
                        sheet.write_string(number, column, text)
            book.close()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk


def cell_text(value: object) -> str:
    """What a cell shows: nothing that is invisible or reorders, and no more than fits."""
    if value is None or value == {}:
        return ""
    plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    text = visible(plain)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - len(CUT)] + CUT
