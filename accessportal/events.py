"""What the ledger holds about the portal's own settings, which come from the environment."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register

# `process` is whose environment it was. `settings` are all that were recorded so far, by name, as they stand now: the next
# start is compared with them. No value of a secret is among them (accessportal.recorded_settings).
_WEB = "The portal's web process"
# `noted` is the sealer's row that a worker tells of.
_SEEN = {
    "process": Field(),
    "names": Field(),
    "settings": Field(Kind.JSON),
    "noted": Field(Kind.NUMBER, optional=True),
}

SETTINGS_RECORDED = EventType(
    "settings.recorded",
    "The {process} process started, and {number} of its settings were recorded for the first time",
    {"number": Field(Kind.NUMBER), **_SEEN},
    nobody=_WEB,
)
SETTINGS_CHANGED = EventType(
    "settings.changed",
    "The {process} process started with other settings than were recorded before: {names}",
    {**_SEEN, "changes": Field(Kind.JSON)},  # [{"name": ..., "before": ..., "after": ...}]
    nobody=_WEB,
)


def register_all() -> None:
    """Declare these event types."""
    register(SETTINGS_RECORDED, SETTINGS_CHANGED)
