"""Addresses that somebody might make up for the auditor's searches: sensible, nonsense and hostile ones, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote, urlencode
from uuid import UUID

from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpResponse, HttpResponseBase
from django.test import RequestFactory

from audit.controls.views import page as controls
from audit.history.views import access_as_of, access_changes, history
from audit.ledger.registry import registered
from identity.models import User

type View = Callable[..., HttpResponseBase]

NAMES = ("person", "permission_set", "account", "unit", "group")
PAGES: tuple[tuple[str, View, tuple[str, ...]], ...] = (
    ("/audit/", history, (*NAMES, "by", "words", "address", "action", "outcome", "since", "until", "before")),
    ("/audit/as-of/", access_as_of, (*NAMES, "at", "after")),
    ("/audit/changes/", access_changes, (*NAMES, "since", "until", "show", "page")),
    ("/audit/controls/", controls, ("since", "until")),
)
# What an ORM would do with these if any of them got there.
INTERNALS = (
    "actor_oid__regex", "canon__contains", "data__fields__note", "id__in", "person__user__app_roles",
    "requester__user__subject__startswith", "item__request__justification__contains", "pk", "pk__gte", "order_by",
    "ordering", "sort", "o", "q", "limit", "offset", "page_size", "fields", "select_related", "extra", "where",
    "_connector", "_negated", "table", "using", "format", "callback", "at__lt", "type__in", "annotate", "raw",
)  # fmt: skip
_TEXTS = (
    "", " ", "ada", "Ada Asker", "Rare", "Common", "common disk", "arn:Rare", "arn:", "000000000017", "999999999999",
    "00000000-0000-4000-8000-00000000aaaa", "AWS - Group", "%", "_", "a%", "\\", "'", '"', "''", "' OR 1=1 --",
    "'; DROP TABLE audit_event; --", "1 UNION SELECT canon FROM audit_event", "{0.__class__}", "%s", "%(x)s", "$1",
    "{{ 7*7 }}", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "../../etc/passwd", "\x00", "a\x00b",
    "\r\nSet-Cookie: a=b", "\u202e", "\ufeff", "\ud83d", "e\u0301" * 40, "\U0001f600" * 30, "ß", "İ", "ﬁ", "١٢٣", "x" * 127,
    "x" * 128, "x" * 129, "y" * 5_000, "a b c d e f g h i j k", "!!!", ":*", "a & b", "a | !b", "<->", "'a':*", "null",
    "None", "True", "NaN", "Infinity", "ou-ab12-0000000a",
    "Everything", "192.0.2.7", "::ffff:192.0.2.7", "192.0.2.0/24", "::1%eth0",
    "-1", "0", "1e9", "99999999999999999999999999", "()", "[]", "{}", "__class__",
)  # fmt: skip
_MOMENTS = (
    "2026-05-01T14:30", "2026-05-01 14:30", "2026-05-01", "2025-12-31T23:59", "0001-01-01", "1999-12-31", "2000-01-01",
    "2200-01-01", "9999-12-31T23:59", "2026-02-30", "2026-13-01", "2026-05-01T25:00", "2026-05-01T14:30:00Z",
    "2026-05-01T14:30+02:00", "20260501", "01/05/2026", "now", "-infinity", "epoch", "2026-05-01T14:30:00.000001",
)  # fmt: skip
_PLACES = (
    "1-1", "0-0", "1770000000000000-5", "9" * 30 + "-1", "1-" + "9" * 30, "-1-1", "\u0661-\u0661", "1", "-", "1-1-1",
    str(UUID(int=0)), str(UUID(int=5, version=4)), "2", "10", "last", "-3", "99999999999999999999",
)  # fmt: skip


_TAILS = ("&", "&=", "&&&", "%", "%zz", "%ff%fe", ";a=b", "=", "&person", quote("é", encoding="latin-1"))


def _value(dice: random.Random, name: str) -> str:
    known: Sequence[str] = _TEXTS
    if name in ("since", "until", "at"):
        known = _MOMENTS
    elif name in ("before", "after", "page"):
        known = _PLACES
    elif name == "action":
        known = (*registered(), "item.", "grant.", ".")
    elif name in ("outcome", "show"):
        known = ("done", "refused", "failed", "gained", "lost", "same", "all")
    fate = dice.random()
    if fate < 0.75:
        return dice.choice(known)
    if fate < 0.9:
        return dice.choice(_TEXTS)
    return "".join(
        chr(dice.choice([dice.randrange(0x80), dice.randrange(0xD7FF)])) for _ in range(dice.randrange(20))
    )


def addresses(seed: int, number: int) -> Iterator[tuple[str, View, str]]:
    """Paths, views and query strings: mostly one to three parameters of the page's own, some of everything else."""
    dice = random.Random(seed)
    for _ in range(number):
        path, view, names = dice.choices(PAGES, weights=(6, 2, 2, 1))[0]
        chosen = dice.sample(names, min(len(names), dice.choice([0, 1, 1, 2, 2, 3, len(names)])))
        if dice.random() < 0.3:
            chosen += dice.sample(INTERNALS, 2)
        if dice.random() < 0.1:
            chosen += dice.choices(names, k=2)  # the same once more
        query = urlencode([(name, _value(dice, name)) for name in chosen], errors="surrogatepass")
        if dice.random() < 0.05:
            query += dice.choice(
                [
                    "&",
                    "&=",
                    "&&&",
                    "%",
                    "%zz",
                    "%ff%fe",
                    ";a=b",
                    "=",
                    "&person",
                    quote("é", encoding="latin-1"),
                ]
            )
        yield path, view, query


class Asker:
    """An auditor's requests, given to the view as such: no browser, no middleware."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.factory = RequestFactory()

    def ask(self, path: str, view: View, query: str) -> HttpResponse:
        request = self.factory.get(path, QUERY_STRING=query)
        request.user = self.user
        request._messages = CookieStorage(request)  # type: ignore[attr-defined]  # what the middleware would put there
        answer = view(request)
        assert isinstance(answer, HttpResponse)
        return answer
