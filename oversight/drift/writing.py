"""Keeping what was found: new findings are opened, known ones seen again, and those that are gone closed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django_subatomic.db import transaction, transaction_required

from audit.ledger.recorder import Actor, Subject, record
from base.errors import Conflict
from catalog.models import PimGroup
from oversight.drift.judging import Found
from oversight.models import UNRESOLVED, Finding, FindingStatus, GroupLook

# What a person called handled may take a provisioning cycle to go; only then is it a new finding.
HANDLED_TAKES = timedelta(hours=1)


def write(
    group: PimGroup, found: Sequence[Found], *, now: datetime, unjudged: frozenset[str] = frozenset()
) -> int:
    """Bring one group's findings up to what a look found, in one transaction; gives how many are new.

    Findings of the kinds in `unjudged` stay as they are: that look could say nothing about them.
    """
    with transaction():
        known = {
            (row.kind, row.principal): row
            for row in Finding.objects.select_for_update().filter(group=group, status__in=UNRESOLVED)
        }
        handled = set(
            Finding.objects.filter(
                group=group, status=FindingStatus.HANDLED, resolved_at__gt=now - HANDLED_TAKES
            ).values_list("kind", "principal")
        )
        new = 0
        seen = set()
        for each in found:
            key = (each.kind.value, each.holder.principal)
            seen.add(key)
            if key in known:
                _seen_again(known[key], each, now)
            elif key not in handled:
                _open(group, each, now)
                new += 1
        for key, row in known.items():
            if key not in seen and row.kind not in unjudged:
                change(row, FindingStatus.GONE, "drift.gone", actor=Actor.worker(), now=now)
        GroupLook.objects.update_or_create(
            group=group, defaults={"looked_at": now, "problem": "", "doubt": ""}
        )
    return new


def not_looked(group: PimGroup, problem: str, *, doubt: str = "") -> None:
    """Keep why a group could not be compared. Its findings stay as they are: nothing was learnt about them."""
    GroupLook.objects.update_or_create(group=group, defaults={"problem": problem, "doubt": doubt})


@transaction_required
def change(
    row: Finding,
    status: FindingStatus,
    event: str,
    *,
    actor: Actor,
    now: datetime,
    words: str = "",
    fields: dict[str, Any] | None = None,
    **values: Any,
) -> None:
    """Give a finding another status, with its event.

    Raises:
        Conflict: the finding moved meanwhile.
    """
    resolved_at = None if status == FindingStatus.OPEN else now
    values = {"status": status, "version": row.version + 1, "resolved_at": resolved_at, **values}
    if not Finding.objects.filter(pk=row.pk, version=row.version).update(**values):
        raise Conflict("finding.moved", "Somebody else was faster. Reload the page to see what happened.")
    for name, value in values.items():
        setattr(row, name, value)
    _record(row, event, actor, {"first_seen_at": row.first_seen_at, **(fields or {})}, words)


def _open(group: PimGroup, found: Found, now: datetime) -> None:
    row = Finding.objects.create(
        kind=found.kind,
        principal=found.holder.principal[:64],
        principal_name=found.holder.name[:256],
        person_id=found.holder.person_id,
        group=group,
        grant=found.grant,
        first_seen_at=now,
        last_seen_at=now,
        sentence=found.sentence,
        proposal=found.proposal,
        evidence=dict(found.evidence),
    )
    _record(row, "drift.found", Actor.worker(), {"evidence": row.evidence}, "")


def _seen_again(row: Finding, found: Found, now: datetime) -> None:
    over = (
        row.status == FindingStatus.ACCEPTED and row.accepted_until is not None and row.accepted_until <= now
    )
    if over:
        change(
            row,
            FindingStatus.OPEN,
            "drift.reopened",
            actor=Actor.worker(),
            now=now,
            accepted_until=None,
            resolved_by=None,
            reason="",
        )
    Finding.objects.filter(pk=row.pk).update(
        last_seen_at=now,
        sentence=found.sentence,
        proposal=found.proposal,
        evidence=dict(found.evidence),
        principal_name=found.holder.name[:256],
        person_id=found.holder.person_id,
        grant=found.grant,
    )


def _record(row: Finding, event: str, actor: Actor, fields: dict[str, Any], reason: str) -> None:
    record(
        event,
        actor=actor,
        subject=Subject("finding", row.pk, row.version),
        fields={
            "finding_id": row.pk,
            "kind": row.kind,
            "finding": row.sentence,
            "group_name": row.group.display_name,
            **fields,
        },
        words={"reason": reason} if reason else {},
        about_oid="" if row.principal.startswith("store:") else row.principal,
        about_name=row.principal_name,
        group_oid=row.group.object_id,
        request_id=row.grant.first_request_id if row.grant else None,
        grant_id=row.grant_id,
    )
