"""Replaying the audit trail: what the events alone say about every item, decision and grant.

Statuses, versions and windows are folded from the events and compared with the rows. Rows that no event made,
events that no row shows, and steps that the table of the life cycle doesn't have are differences too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from audit.ledger.models import Event, Version
from requests_app.lifecycle import MACHINES, Machine
from requests_app.models import Decision, Grant, GrantInterval, RequestItem
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


def differences() -> list[str]:
    """Where the trail and the rows say different things; empty when they agree."""
    found: list[str] = []
    told = _fold(found)
    for machine in MACHINES:
        rows = {row.pk: row for row in ROWS[machine.subject].objects.all()}
        for subject_id in rows.keys() | told[machine.subject].keys():
            found += _compare(
                machine, subject_id, rows.get(subject_id), told[machine.subject].get(subject_id)
            )
    return found


def _fold(found: list[str]) -> dict[str, dict[UUID, Replayed]]:
    versions = list(Version.objects.order_by("subject_kind", "subject_id", "version"))
    events = {event.id: event.data for event in Event.objects.filter(id__in=[v.event_id for v in versions])}
    told: dict[str, dict[UUID, Replayed]] = defaultdict(dict)
    # Extensions count by themselves and move no status: the last one's end is that of the grant.
    longer = {row.subject_id: row.event_id for row in versions if row.subject_kind == "extension"}
    machines = {machine.subject: machine for machine in MACHINES}
    for row in versions:
        machine = machines.get(row.subject_kind)
        if machine is None:
            continue
        state = told[machine.subject].setdefault(row.subject_id, Replayed())
        what = f"{machine.subject} {row.subject_id} version {row.version}"
        data = events.get(row.event_id)
        if data is None:
            found.append(f"{what}: its event is missing")
            continue
        found += [f"{what}: {problem}" for problem in _apply(machine, state, row.version, data)]
    for grant_id, event_id in longer.items():
        state = told["grant"].setdefault(grant_id, Replayed())
        state.ends_at = datetime.fromisoformat(events[event_id]["fields"]["ends_at"])
    return told


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
    machine: Machine,
    subject_id: UUID,
    row: RequestItem | Decision | Waiver | Grant | None,
    told: Replayed | None,
) -> list[str]:
    what = f"{machine.subject} {subject_id}"
    if row is None:
        return [f"{what}: the trail tells of it, and there is no row"]
    if told is None:
        return [f"{what}: there is a row ({row.status}), and the trail doesn't tell of it"]
    found = []
    if (row.status, row.version) != (told.status, told.version):
        found.append(f"{what}: {row.status} version {row.version}, told {told.status} version {told.version}")
    if isinstance(row, Grant) and (row.starts_at, row.ends_at) != (told.starts_at, told.ends_at):
        found.append(
            f"{what}: from {row.starts_at} to {row.ends_at}, told {told.starts_at} to {told.ends_at}"
        )
    return found


def union_of_intervals() -> dict[UUID, tuple[datetime, datetime]]:
    """For each grant, from the first to the last instant that an approved item contributed."""
    spans: dict[UUID, tuple[datetime, datetime]] = {}
    for row in GrantInterval.objects.all():
        start, end = spans.get(row.grant_id, (row.starts_at, row.ends_at))
        spans[row.grant_id] = min(start, row.starts_at), max(end, row.ends_at)
    return spans
