"""What of a question may stand in a statement. Everything is held to a form before, and quoted besides.

The engines of CloudTrail Lake and of Athena speak Presto's SQL, in which a quote within a text is doubled and no
other character means anything (Presto documentation, "Literals" of the SQL language).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from clients.errors import Refused
from clients.types import TrailQuestion

_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_REGION = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,12}){1,3}-\d{1,2}", re.ASCII)
# What a session can be called (STS API reference, AssumeRole, RoleSessionName). A person whose user name isn't like
# that has sessions under a name that we don't know: that is a gap, and no reason to ask for something else.
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_EVENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,127}", re.ASCII)
_FORMS = {"Username": _SESSION_NAME, "EventName": _EVENT_NAME}


def literal(text: str) -> str:
    """A text as the engines read it.

    Raises:
        Refused: for control characters.
    """
    if any(not each.isprintable() for each in text):
        raise _not_askable("A value")
    return "'" + text.replace("'", "''") + "'"


def checked(question: TrailQuestion) -> TrailQuestion:
    """The same question, once every part of it is of its form.

    Raises:
        Refused: otherwise; nothing was asked.
    """
    if not _ACCOUNT.fullmatch(question.account_id):
        raise _not_askable("The account id")
    if not _REGION.fullmatch(question.region):
        raise _not_askable("The Region")
    if question.attribute:
        form = _FORMS.get(question.attribute)
        if form is None or not form.fullmatch(question.value):
            raise _not_askable("The user name" if question.attribute == "Username" else "What is looked for")
    return question


def instant(moment: datetime, form: str) -> str:
    """A moment in UTC as a literal; `form` is strftime's. Events name whole seconds."""
    return literal(moment.astimezone(UTC).strftime(form))


def select(columns: Iterable[str], table: str, conditions: Iterable[str], *, most: int) -> str:
    """The statement, newest first. An event that was delivered twice counts once."""
    listed, held = ", ".join(columns), " AND ".join(conditions)
    order = "eventtime DESC, eventid"
    return " ".join(
        ("SELECT DISTINCT", listed, "FROM", table, "WHERE", held, "ORDER BY", order, "LIMIT", str(most))
    )


def _not_askable(what: str) -> Refused:
    return Refused(
        f"{what} holds characters that CloudTrail's names don't have, so nothing was asked. An operator must look at it.",
        code="NotAskable",
    )


__all__ = ["checked", "instant", "literal", "select"]
