"""The one place that writes a status. Each move and its audit event are one transaction.

A Conflict that a constraint raised leaves the transaction good for nothing but to be rolled back, or to a savepoint of
whoever goes on after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django_subatomic.db import transaction_required
from psycopg.errors import UniqueViolation

from audit.ledger.recorder import Actor, Subject, record
from base.errors import Conflict
from base.readymade import insert, set_columns
from catalog.models import PimGroup
from identity.models import Person
from requests_app.lifecycle import DECISION, GRANT, ITEM, WAIVER, Edge, Machine
from requests_app.models import Decision, Grant, RequestItem
from requests_app.waivers.models import Waiver

type Row = RequestItem | Decision | Waiver | Grant


def machine_of(row: Row) -> Machine:
    """The machine whose status this row carries."""
    match row:
        case RequestItem():
            return ITEM
        case Decision():
            return DECISION
        case Waiver():
            return WAIVER
        case Grant():
            return GRANT


@transaction_required
def create(
    row: Row, *, actor: Actor, fields: Mapping[str, Any], words: Mapping[str, str] | None = None
) -> None:
    """Insert a row in its first status, with its event.

    Raises:
        Conflict: a constraint that allows one at a time is already taken.
    """
    machine = machine_of(row)
    edge = _edge(machine, None, row.status)
    try:
        insert(row)
    except IntegrityError as error:
        raise Conflict(f"{machine.subject}.exists", _already(machine)) from error
    _record(row, machine, edge, actor, fields, words)


@transaction_required
def move(
    row: Row,
    target: str,
    *,
    actor: Actor,
    fields: Mapping[str, Any],
    words: Mapping[str, str] | None = None,
    **changes: Any,
) -> None:
    """Move a locked row along one edge, set `changes` beside it, and record the event.

    Raises:
        Conflict: the table has no such edge from the row's status, the row moved meanwhile, or a constraint that
            allows one at a time is already taken.
    """
    machine = machine_of(row)
    source = row.status
    edge = _edge(machine, source, target)
    values = {"status": target, "version": row.version + 1, **changes}
    try:
        updated = set_columns(type(row), {"pk": row.pk, "version": row.version, "status": source}, values)
    except IntegrityError as error:
        if not isinstance(error.__cause__, UniqueViolation):
            raise
        raise Conflict(f"{machine.subject}.exists", _already(machine)) from error
    if updated != 1:
        raise Conflict(
            f"{machine.subject}.moved", "Somebody else was faster. Reload the page to see what happened."
        )
    for name, value in values.items():
        setattr(row, name, value)
    _record(row, machine, edge, actor, fields, words)


def _edge(machine: Machine, source: str | None, target: str) -> Edge:
    edge = machine.edge(source, target)
    if edge is None:
        label = machine.statuses(source).label.lower() if source else "new"
        raise Conflict(
            f"{machine.subject}.{source or 'new'}_not_{target}",
            f"This is {label}, so that is no longer possible. Reload the page to see what happened.",
        )
    return edge


def _record(
    row: Row,
    machine: Machine,
    edge: Edge,
    actor: Actor,
    fields: Mapping[str, Any],
    words: Mapping[str, str] | None,
) -> None:
    about, group, request_id, grant_id = _references(row)
    record(
        edge.event,
        actor=actor,
        subject=Subject(machine.subject, row.pk, row.version),
        fields={"source": edge.source or "", "target": edge.target, **fields},
        words=words or {},
        about_oid=about.object_id,
        about_name=about.display_name,
        group_oid=group.object_id,
        request_id=request_id,
        grant_id=grant_id,
    )


def _references(row: Row) -> tuple[Person, PimGroup, UUID, UUID | None]:
    match row:
        case RequestItem():
            return row.requester, row.group, row.request_id, None
        case Decision() | Waiver():
            return row.item.requester, row.item.group, row.item.request_id, None
        case Grant():
            return row.person, row.group, row.first_request_id, row.pk


def _already(machine: Machine) -> str:
    match machine.subject:
        case "item":
            return "You already have a request for this that waits for a decision. Follow that one, or withdraw it."
        case "decision":
            return "You have already decided on this. Your decision is being checked or was counted."
        case _:
            return "There is already access through this PIM group that has not ended yet."
