"""Where what was done is read: CloudTrail's event history, or a store of the organisation's own. From the environment.

No SDK is needed here, so that the system checks can say what is wrong before a worker starts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from clients.environment import required, setting
from clients.errors import NotPermitted

EVENT_HISTORY, LAKE, ATHENA = "event_history", "lake", "athena"
SOURCES = (EVENT_HISTORY, LAKE, ATHENA)

_PLACE = r"arn:aws[a-z-]*:{service}:(?P<region>[a-z0-9-]+):(?P<account>\d{{12}}):"
# The shapes are those of the services' API references: EventDataStoreArn with a UUID at its end; WorkGroupName.
_STORE = re.compile(
    _PLACE.format(service="cloudtrail")
    + r"eventdatastore/(?P<id>[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12})",
    re.ASCII,
)
_WORKGROUP = re.compile(
    _PLACE.format(service="athena") + r"workgroup/(?P<name>[a-zA-Z0-9._-]{1,128})", re.ASCII
)
_TABLE = re.compile(r"(?P<database>[a-z0-9_]{1,255})\.(?P<table>[a-z0-9_]{1,255})", re.ASCII)


@dataclass(frozen=True, slots=True)
class LakeStore:
    """An event data store of CloudTrail Lake."""

    account_id: str
    region: str
    store_id: str  # a UUID

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read ACTIVITY_LAKE_STORE. Raises NotPermitted."""
        name = "ACTIVITY_LAKE_STORE"
        text = required(environ, name, why="ACTIVITY_SOURCE is lake, and this says which event data store")
        found = _STORE.fullmatch(text)
        if found is None:
            raise _mistaken(name, "arn:aws:cloudtrail:REGION:ACCOUNT:eventdatastore/ID")
        return cls(found["account"], found["region"], found["id"])


@dataclass(frozen=True, slots=True)
class AthenaTable:
    """A table of a trail's bucket, and the workgroup that asks it."""

    account_id: str
    region: str
    workgroup: str
    database: str
    table: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read ACTIVITY_ATHENA_WORKGROUP and ACTIVITY_ATHENA_TABLE. Raises NotPermitted."""
        group, name = "ACTIVITY_ATHENA_WORKGROUP", "ACTIVITY_ATHENA_TABLE"
        text = required(environ, group, why="ACTIVITY_SOURCE is athena, and this says which workgroup asks")
        asked = _WORKGROUP.fullmatch(text)
        if asked is None:
            raise _mistaken(group, "arn:aws:athena:REGION:ACCOUNT:workgroup/NAME")
        table = _TABLE.fullmatch(
            required(environ, name, why="ACTIVITY_SOURCE is athena, and this says which table")
        )
        if table is None:
            raise _mistaken(name, "DATABASE.TABLE, in small letters, digits and underscores")
        return cls(asked["account"], asked["region"], asked["name"], table["database"], table["table"])


def activity_store(environ: Mapping[str, str]) -> LakeStore | AthenaTable | None:
    """By ACTIVITY_SOURCE; None for the event history of each account.

    Raises:
        NotPermitted: for a source that is none, and when what it needs is missing or impossible.
    """
    source = setting(environ, "ACTIVITY_SOURCE") or EVENT_HISTORY
    if source == LAKE:
        return LakeStore.from_environ(environ)
    if source == ATHENA:
        return AthenaTable.from_environ(environ)
    if source != EVENT_HISTORY:
        raise _mistaken("ACTIVITY_SOURCE", " or ".join(SOURCES))
    return None


def _mistaken(name: str, form: str) -> NotPermitted:
    return NotPermitted(f"{name} isn't what it has to be: {form}.", code=name)


__all__ = ["ATHENA", "EVENT_HISTORY", "LAKE", "SOURCES", "AthenaTable", "LakeStore", "activity_store"]
