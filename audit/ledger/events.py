"""What the ledger holds about itself."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register

KEY_ANNOUNCED = EventType(
    "ledger.key_announced",
    "{actor} announced that key {key} seals the audit trail from now on: {reason}",
    {
        "key": Field(Kind.ID),
        "former": Field(Kind.ID, optional=True),  # the key of the newest seal; none in a new installation
        "after_batch": Field(Kind.NUMBER),  # the newest seal's
    },
    words=("reason",),
)


WORDS_ERASED = EventType(
    "ledger.words_erased",
    "{actor} erased {texts} texts and names beside events of before {before}, which are kept for {kept_days} days",
    {
        "types": Field(Kind.JSON),  # names of event types
        "since": Field(
            Kind.INSTANT, optional=True
        ),  # of the events' own time, included; none: from the first
        "before": Field(Kind.INSTANT),  # excluded
        "kept_days": Field(Kind.NUMBER),
        "texts": Field(Kind.NUMBER),
    },
)


ROW_WORDS_ERASED = EventType(
    "ledger.row_words_erased",
    "{actor} erased {texts} texts in {column} of {table}, written before {before}, which are kept for {kept_days} days",
    {
        "table": Field(),
        "column": Field(),
        "of": Field(),  # the type of the events that they came with
        "before": Field(Kind.INSTANT),  # excluded
        "kept_days": Field(Kind.NUMBER),
        "texts": Field(Kind.NUMBER),
    },
)

MONTH_REMOVED = EventType(
    "ledger.month_removed",
    "{actor} removed the {events} events of {month} from the audit trail, which seals {first_batch} to {last_batch} sealed",
    {
        "month": Field(),  # like 2021-03, in UTC
        "events": Field(Kind.NUMBER),
        "texts": Field(Kind.NUMBER),  # words and names that went with them
        "first_batch": Field(Kind.NUMBER),  # 0 where there was no event
        "last_batch": Field(Kind.NUMBER),
        "months": Field(
            Kind.JSON
        ),  # every month that was ever removed, with counts and the hash of its leaves
        "keys": Field(Kind.JSON),  # sealing keys that were announced in them
    },
)

ROWS_KNOWN = EventType(
    "ledger.rows_known",
    "{actor} found {count} rows of {table} as they stand, and holds them to it from now on",
    {"table": Field(), "count": Field(Kind.NUMBER)},
    tells=None,
)


def register_all() -> None:
    """Declare this app's event types."""
    register(KEY_ANNOUNCED, WORDS_ERASED, ROW_WORDS_ERASED, MONTH_REMOVED, ROWS_KNOWN)
