"""Messages to channels rather than people: chats that hear what approvers hear, and alerts to operators."""

from __future__ import annotations

from datetime import datetime

from clients.errors import Refused
from clients.registry import chats, notifiers
from clients.types import Notice
from notifications.composing import compose_notice
from notifications.facts import facts_of, no_longer_needed, path_of
from notifications.kinds import Kind
from notifications.models import Message
from notifications.tastes import default_taste

ALERT = "alert"  # the kind of messages to operators, whose facts are the whole notice


def post(message: Message) -> str | None:
    """Hand it to its channel; gives a sentence instead when it isn't needed any more.

    Raises:
        clients.errors.Refused: the channel is no longer configured.
        clients.errors.Unreachable: the channel didn't take it now.
    """
    sort, _, name = message.recipient.partition(":")
    channel = (notifiers() if sort == ALERT else chats()).get(name)
    if channel is None:
        raise Refused("This channel is no longer configured.")
    if message.kind != ALERT and (reason := no_longer_needed(message)):
        return reason
    channel.send(_alert(message) if message.kind == ALERT else _notice(message))
    return None


def _notice(message: Message) -> Notice:
    taste, kind = default_taste(), Kind(message.kind)
    title, text = compose_notice(kind, facts_of(message, taste.language, taste.zone), taste.language)
    return Notice(
        id=f"message-{message.pk}",
        title=title,
        sentence=text,
        path=path_of(message),
        kind=kind,
        over=kind == Kind.HANDLED,
        at=message.planned_at,
    )


def _alert(message: Message) -> Notice:
    facts = message.facts
    return Notice(
        id=message.occasion,
        title=facts["title"],
        sentence=facts["sentence"],
        path=facts["path"],
        kind=facts["kind"],
        over=facts["over"] == "yes",
        at=datetime.fromisoformat(facts["at"]),
    )
