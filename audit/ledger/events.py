"""What the ledger holds about itself."""

from __future__ import annotations

from audit.ledger.models import Outcome
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

_VERIFICATION = {
    "events": Field(Kind.NUMBER),
    "batches": Field(Kind.NUMBER),
    "last_batch": Field(Kind.NUMBER),  # the newest seal that it came to
    "took": Field(Kind.DURATION),  # of work, without the pauses between its pieces
    "signatures": Field(),  # with which keys they were checked, or that they weren't
}
VERIFIED = EventType(
    "ledger.verified",
    "{actor} verified the whole audit trail: {events} events up to batch {last_batch} are as they were sealed, "
    "signatures {signatures}",
    _VERIFICATION,
)
DIFFERS = EventType(
    "ledger.differs",
    "{actor} verified the whole audit trail, and it isn't as it was sealed and told: {names}",
    {
        **_VERIFICATION,
        "findings": Field(Kind.NUMBER),
        "first_bad_batch": Field(Kind.NUMBER, optional=True),  # none: every sealed batch is sound
        "names": Field(),  # of the findings, each once, with how many there are and where the first is
    },
    outcome=Outcome.FAILED,
)


def register_all() -> None:
    """Declare this app's event types."""
    register(KEY_ANNOUNCED, WORDS_ERASED, ROW_WORDS_ERASED, MONTH_REMOVED, ROWS_KNOWN, VERIFIED, DIFFERS)
