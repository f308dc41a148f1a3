"""Replaying the audit trail: what the events alone say about every item, decision and grant.

Statuses, versions and windows are folded from the events and compared with the rows. Rows that no event made,
events that no row shows, and steps that the table of the life cycle doesn't have are differences too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from audit.ledger.models import Event, Version
from requests_app.lifecycle import MACHINES, Machine
from requests_app.models import Decision, Grant, RequestItem
from requests_app.waivers.models import Waiver

ROWS: dict[str, type[RequestItem | Decision | Waiver | Grant]] = {
    "item": RequestItem,
    "decision": Decision,
    "waiver": Waiver,
    "grant": Grant,
}


# Its end is that of PIM's assignment, which as the person is asked for a little less than the window.
OF_ENTRA = {"grant.assigned"}


@dataclass
class Replayed:
    """One subject as its events tell it."""

    status: str = ""
    version: int = 0
    starts_at: datetime | None = None
    ends_at: datetime | None = None


class Told(NamedTuple):
    """What one event says to the invariants."""

    id: int
    grant_id: UUID | None
    request_id: UUID | None
    client_request_id: str


@dataclass
class Trail:
    """What the events tell so far. `read` goes on from where it ended the last time.

    That is for who alone writes to this database, in the order of the ids, and looks again and again; whoever looks a
    last time begins anew, so that what was changed in the past is seen as well.
    """

    last: int = 0  # the newest event that was read
    subjects: dict[str, dict[UUID, Replayed]] = field(default_factory=lambda: defaultdict(dict))
    # Extensions count by themselves and move no status: the last one's end is that of the grant.
    longer: dict[UUID, datetime] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _by_type: dict[str, list[Told]] = field(default_factory=lambda: defaultdict(list))

    def of(self, *types: str) -> Iterator[tuple[str, Told]]:
        """The events of these types, the oldest first within each."""
        for name in types:
            for told in self._by_type.get(name, ()):
                yield name, told

    def read(self) -> None:
        """Take in the events that have come since."""
        events: dict[int, dict[str, Any]] = {}
        rows = Event.objects.filter(id__gt=self.last).order_by("id")
        for number, name, grant_id, request_id, data in rows.values_list(
            "id", "type", "grant_id", "request_id", "data"
        ):
            events[number] = data
            call_id = data["fields"].get("client_request_id", "")
            self._by_type[name].append(Told(number, grant_id, request_id, call_id))
        versions = Version.objects.filter(event_id__gt=self.last)
        for kind, subject_id, version, event_id in versions.order_by(
            "subject_kind", "subject_id", "version"
        ).values_list("subject_kind", "subject_id", "version", "event_id"):
            self._fold(kind, subject_id, version, events.get(event_id))
        self.last = max(events, default=self.last)

    def _fold(self, kind: str, subject_id: UUID, version: int, data: dict[str, Any] | None) -> None:
        machine = _MACHINES.get(kind)
        if machine is None and kind != "extension":
            return
        what = f"{kind} {subject_id} version {version}"
        if data is None:
            self.problems.append(f"{what}: its event is missing")
        elif machine is None:
            self.longer[subject_id] = datetime.fromisoformat(data["fields"]["ends_at"])
            self.subjects["grant"].setdefault(subject_id, Replayed())
        else:
            state = self.subjects[kind].setdefault(subject_id, Replayed())
            self.problems += [f"{what}: {problem}" for problem in _apply(machine, state, version, data)]


_MACHINES = {machine.subject: machine for machine in MACHINES}


class Row(NamedTuple):
    """What is compared of a row."""

    status: str
    version: int
    starts_at: datetime | None = None
    ends_at: datetime | None = None


def differences(trail: Trail | None = None) -> list[str]:
    """Where the trail and the rows say different things; empty when they agree. A `trail` is read on."""
    trail = trail or Trail()
    trail.read()
    found = list(trail.problems)
    for machine in MACHINES:
        rows, told = _rows(machine), trail.subjects[machine.subject]
        for subject_id in rows.keys() | told.keys():
            longer = trail.longer.get(subject_id) if machine.subject == "grant" else None
            found += _compare(machine, subject_id, rows.get(subject_id), told.get(subject_id), longer)
    return found


def _rows(machine: Machine) -> dict[UUID, Row]:
    window = ("starts_at", "ends_at") if machine.subject == "grant" else ()
    rows = ROWS[machine.subject].objects.values_list("pk", "status", "version", *window)
    return {pk: Row(*values) for pk, *values in rows}


def _apply(machine: Machine, state: Replayed, version: int, data: dict[str, Any]) -> list[str]:
    fields = data["fields"]
    source, target = fields.get("source", ""), fields.get("target", "")
    problems = []
    if version != state.version + 1:
        problems.append(f"follows version {state.version}")
    if source != state.status:
        problems.append(f"goes on from “{source}”, the event before ended in “{state.status}”")
    edge = machine.edge(source or None, target)
    if edge is None:
        problems.append(f"there is no step from “{source}” to “{target}”")
    elif edge.event != data["type"]:
        problems.append(f"{data['type']} tells of a step that belongs to {edge.event}")
    state.version, state.status = version, target
    for name in ("starts_at", "ends_at"):
        if machine.subject == "grant" and data["type"] not in OF_ENTRA and fields.get(name):
            setattr(state, name, datetime.fromisoformat(fields[name]))
    return problems


def _compare(
    machine: Machine, subject_id: UUID, row: Row | None, told: Replayed | None, longer: datetime | None
) -> list[str]:
    what = f"{machine.subject} {subject_id}"
    if row is None:
        return [f"{what}: the trail tells of it, and there is no row"]
    if told is None:
        return [f"{what}: there is a row ({row.status}), and the trail doesn't tell of it"]
    found = []
    if (row.status, row.version) != (told.status, told.version):
        found.append(f"{what}: {row.status} version {row.version}, told {told.status} version {told.version}")
    ends_at = longer or told.ends_at
    if machine.subject == "grant" and (row.starts_at, row.ends_at) != (told.starts_at, ends_at):
        found.append(f"{what}: from {row.starts_at} to {row.ends_at}, told {told.starts_at} to {ends_at}")
    return found
