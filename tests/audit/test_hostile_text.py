"""Hostile text is inert in everything that the portal gives out: one table of texts, one table of outputs.

An output that is added to a registry of the product fails here until the table of outputs has it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import re
import zipfile
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from unittest.mock import patch
from xml.etree import ElementTree as ET

import pytest
import structlog
from django.http import JsonResponse
from django.template.loader import render_to_string

from accessportal.logs import JsonFormatter
from audit.api.documents import event_document
from audit.exporting.streaming import FORMS
from audit.exporting.tables import COLUMNS
from audit.exporting.views import EVIDENCE
from audit.forwarding import cef, objects
from audit.forwarding.receivers import KINDS, PAYLOADS, Sealed, cloud_event, syslog_frame
from audit.history.forms import TimelineForm
from audit.history.presentation import Row
from audit.history.proof import Proof, ProvenEvent
from audit.history.searching import Timeline
from audit.ledger.canonical import clean
from audit.ledger.models import Seal
from base.visible import HIDDEN
from catalog.models import PimGroup
from identity.models import Person
from notifications.composing import compose, compose_notice
from notifications.kinds import Kind
from notifications.languages import LANGUAGES
from reviews.exporting import lines
from reviews.models import Campaign, ReviewEntry
from reviews.selectors import Row as Reviewed
from tests.audit.exporting.test_tables import HOSTILE as FORMULAS
from tests.audit.forwarding.entries import entry_of
from tests.notifications.test_composing import HOSTILE, assert_harmless, facts_with

TEXTS: Mapping[str, str] = {
    **HOSTILE,
    **{f"a cell, {number}": text for number, text in enumerate(FORMULAS)},
    "htmx": '"><b hx-get="/signout/" hx-trigger="load" hx-on::load="alert(1)">',
    "a log line": 'x"}\n{"event":"grant.ended","level":"info"}\r\n',
    "a syslog frame": "x\n99 <110>1 2026-05-01T00:00:00Z evil - - - - forged",
    "CEF": "x|10|suser=root cs1=forged\\|act=allow\nCEF:0|a|b|c|d|e|9|",
    "XML": "]]></t></is></c><c><f>1+1</f></c><!-- &#1; &lt;",
    "a megabyte": ("<b>\u202e" + "é" * 4_092) * 256,
}


class Elements(HTMLParser):
    """A document's elements with the names of their attributes, in order; and its text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def hidden(text: str) -> set[str]:
    """The characters in it that nobody sees, or that act on others."""
    return set(HIDDEN.findall(text))


def row_of(text: str) -> Row:
    return Row(entry_of("grant.revoked", text, ip=clean(text)[:100]), 7)


def assert_page(render: Callable[[Row], str], text: str) -> None:
    """The page has the very elements that it has for harmless text, and shows nothing that hides or reorders."""
    page = Elements(render(row_of(text)))
    assert page.found == Elements(render(row_of("harmless"))).found
    assert hidden(page.text) <= {"\n", "\t"}


def timeline(row: Row) -> str:
    found = Timeline([row], None, 1)
    portal = {"now": row.at, "data_read_at": row.at, "factor": 1.0}
    page = {"form": TimelineForm(), "kept": {}, "found": found, "portal": portal}
    return render_to_string("audit/timeline.html", page)


def event_page(row: Row) -> str:
    seal = Seal(batch=7, n=1, root=b"", prev_seal=b"", seal=b"", key_id="", signature=b"", at=row.at)
    canon = json.dumps(dict(row.entry.texts), ensure_ascii=False)
    found = ProvenEvent(row, canon, "", Proof(0, "", [], seal, [], []))
    portal = {"now": row.at, "data_read_at": row.at, "factor": 1.0}
    return render_to_string("audit/event.html", {"event": found, "title": "Event 7", "portal": portal})


def pack(row: Row) -> str:
    page = {"title": row.actor, "rows": [row], "made_at": row.at, "unsealed": 0}
    return render_to_string("audit/pack.html", page)


def exported(form: str, text: str) -> bytes:
    return b"".join(FORMS[form].chunks([row_of(text)]))


def judge_csv(text: str) -> None:
    csv.field_size_limit(10_000_000)
    header, line = csv.reader(io.StringIO(exported("csv", text).decode(), newline=""))
    assert tuple(header) == COLUMNS
    for cell in line:
        assert cell.lstrip()[:1] not in {*"=+-@|%"}
        assert hidden(cell) <= {"\n", "\t"}


def judge_removals(text: str) -> None:
    who = Person(display_name=text, user_principal_name=text, object_id=text)
    group = PimGroup(display_name=text, object_id=text)
    entry = ReviewEntry(
        person=who, group=group, through=text, direct=True, verdict="remove", reason=text, decided_by=who
    )
    rows = lines(Campaign(name=text), [Reviewed(entry, None, own=False)])
    before = csv.field_size_limit(2**22)
    try:
        _, line = csv.reader(io.StringIO("".join(rows), newline=""))
    finally:
        csv.field_size_limit(before)
    for cell in line:
        assert cell.lstrip()[:1] not in {*"=+-@|%"}
        assert hidden(cell) <= {"\n", "\t"}


def judge_workbook(text: str) -> None:
    with zipfile.ZipFile(io.BytesIO(exported("xlsx", text))) as book:
        assert not [
            name for name in book.namelist() if "external" in name.lower() or "sheet1.xml.rels" in name
        ]
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314 - just written by us
    tags = {each.tag.rpartition("}")[2] for each in sheet.iter()}
    assert not tags & {"f", "hyperlink", "hyperlinks"}, "a cell acts"
    cells = [each for each in sheet.iter() if each.tag.endswith("}c")]
    assert {each.get("t") for each in cells} <= {"inlineStr", None}
    assert len([each for each in cells if each.get("t") is None]) == 2, "only our own two numbers are numbers"
    shown = [each.text or "" for each in sheet.iter() if each.tag.endswith("}t")]
    assert max(map(len, shown)) <= 32_767
    assert hidden("".join(shown)) <= {"\n", "\t"}


def judge_json(form: str) -> Callable[[str], None]:
    def judge(text: str) -> None:
        lines = exported(form, text)
        assert lines.isascii()
        assert lines.count(b"\n") == 1
        assert b"\r" not in lines
        said = json.loads(lines)
        assert clean(text) in (said.get("actor_name"), said.get("actor", {}).get("user", {}).get("name"))

    return judge


def judge_cef(text: str) -> None:
    line = cef.line(entry_of("grant.revoked", text, ip=clean(text)[:100]), 7)
    assert not hidden(line), "one line, and all of it visible"
    assert len(line) < 8_192
    assert line.count("CEF:0|") == 1 or "CEF:0" in text
    head = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    assert head[:4] == ["CEF:0", "Access Portal", "Access Portal", "1"]
    assert (head[4], head[6]) == ("grant.revoked", "6")
    names = re.findall(r"(?:^| )(\w+)(?<!\\)=", head[7])
    harmless = cef.line(entry_of("grant.revoked", "harmless", ip="::1"), 7).rpartition("|")[2]
    assert set(names) <= {*re.findall(r"(?:^| )(\w+)=", harmless), "src"}, "the text made a field of its own"


def judge_api(text: str) -> None:
    body = JsonResponse(event_document(row_of(text))).content
    assert body.isascii()
    assert len(body.splitlines()) == 1
    assert json.loads(body)["words"] == {"reason": clean(text)}


def judge_cloud_event(text: str) -> None:
    body = cloud_event(Sealed(entry_of("grant.revoked", text), 7, 0))
    assert body.isascii()
    assert len(body.splitlines()) == 1
    assert len(body) < 32_768
    assert json.loads(body)["type"] == "access-portal.grant.revoked"


def judge_syslog(payload: str) -> Callable[[str], None]:
    def judge(text: str) -> None:
        sealed = Sealed(entry_of("grant.revoked", text), 7, 0)
        length, _, message = syslog_frame(sealed, PAYLOADS[payload], "access.example.com").partition(b" ")
        assert int(length) == len(message) < 32_768
        assert not hidden(message.decode()), "no second line, and nothing hidden"
        assert message.startswith(
            b"<108>1 2026-05-01T12:30:00.123456Z access.example.com access-portal - grant."
        )

    return judge


def judge_object(text: str) -> None:
    bucket = objects.Bucket("trail", "eu-central-1", "")
    with patch.object(objects, "object_store") as store:
        list(bucket.deliver([Sealed(entry_of("grant.revoked", text), 7, 0)]))
    key, body = store.return_value.put.call_args.args
    assert key == "000000000007.000000-000000000007.000000.jsonl.gz"
    lines = gzip.decompress(body)
    assert lines.isascii()
    assert len(lines.splitlines()) == 1
    assert json.loads(lines)["class_uid"]


def judge_mail(text: str) -> None:
    facts = facts_with(text)
    for kind in (
        Kind.DECIDE,
        Kind.HANDLED,
    ):  # tests/notifications/test_composing.py reads every kind and language
        letter = compose(kind, facts, "/approvals/1/", LANGUAGES["en"])
        assert_harmless(letter)
        assert len(letter.text) < 20_000


def judge_chat(text: str) -> None:
    for said in compose_notice(Kind.DECIDE, facts_with(text), LANGUAGES["en"]):
        assert not set(said) & set("<>@`*[]|~\n")
        assert "://" not in said
        assert hidden(said) <= {"\u200c", "\u200d"}


def judge_log(text: str) -> None:
    formatter = JsonFormatter()
    foreign = logging.LogRecord("django", logging.WARNING, __file__, 1, "Bad: %s", (text,), None)
    event = {"event": "something", "path": text, "level": "info", "_record": foreign, "_from_structlog": True}
    ours = logging.LogRecord("portal", logging.INFO, __file__, 1, "", (), None)
    ours.msg, ours._logger, ours._name = (
        event,
        structlog.get_logger(),
        "info",
    )  # as wrap_for_formatter leaves it
    for line in (formatter.format(foreign), formatter.format(ours)):
        assert line.isascii()
        assert len(line.splitlines()) == 1
        assert json.loads(line)["level"] in ("warning", "info")


OUTPUTS: Mapping[str, Callable[[str], None]] = {
    "page": lambda text: assert_page(timeline, text),
    "an event's page": lambda text: assert_page(event_page, text),
    EVIDENCE: lambda text: assert_page(pack, text),
    "csv": judge_csv,
    "removals of a review": judge_removals,
    "xlsx": judge_workbook,
    "jsonl": judge_json("jsonl"),
    "ocsf": judge_json("ocsf"),
    "cef": judge_cef,
    "api": judge_api,
    "webhook": judge_cloud_event,
    **{f"syslog, {payload}": judge_syslog(payload) for payload in PAYLOADS},
    "s3": judge_object,
    "mail": judge_mail,
    "chat": judge_chat,
    "log": judge_log,
}


def test_every_output_of_the_product_is_in_the_table() -> None:
    assert set(FORMS) | {EVIDENCE} <= set(OUTPUTS)
    assert {"webhook", "s3", *(f"syslog, {payload}" for payload in PAYLOADS)} <= set(OUTPUTS)
    assert set(KINDS) == {"webhook", "syslog", "s3"}


@pytest.mark.parametrize("output", OUTPUTS)
def test_hostile_text_is_inert(output: str) -> None:
    for name, text in TEXTS.items():
        try:
            OUTPUTS[output](text)
        except AssertionError as error:
            error.add_note(f"The text is {name!r}.")
            raise
