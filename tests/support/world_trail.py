"""CloudTrail's port over a simulated world."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from clients.types import Reading, TrailEvent, TrailPage, TrailQuestion
from simulator.world.aws_state import TrailEvent as WorldEvent
from simulator.world.errors import WorldError
from tests.support.world_port import WorldPort

PAGE = 50


class WorldTrail(WorldPort):
    def look_up(self, question: TrailQuestion, *, page: str = "") -> Reading[TrailPage]:
        def answer() -> TrailPage:
            rows = [
                row
                for row in self._world.trail.visible(question.account_id, question.region)
                if question.starts_at <= row.at <= question.ends_at and _fits(row, question)
            ]
            ids = [row.id for row in rows]
            if page and page not in ids:
                raise WorldError(400, "InvalidNextTokenException", "The token isn't known.")
            first = ids.index(page) + 1 if page else 0
            last = first + PAGE
            following = rows[last - 1].id if last < len(rows) else ""
            return TrailPage(tuple(map(_event, rows[first:last])), following)

        where = f"{question.account_id}/{question.region}"
        return self._read("aws.cloudtrail.LookupEvents", answer, where=where)


def _fits(row: WorldEvent, question: TrailQuestion) -> bool:
    values = {"": question.value, "Username": row.username, "EventName": row.name}
    return values[question.attribute] == question.value


def _event(row: WorldEvent) -> TrailEvent:
    record = json.loads(row.record)
    identity = record["userIdentity"]
    context: Mapping[str, Any] = identity.get("sessionContext", {})
    started = context.get("attributes", {}).get("creationDate")
    details = record.get("serviceEventDetails", {})
    return TrailEvent(
        event_id=row.id,
        at=row.at,
        source=row.source,
        name=row.name,
        account_id=row.account_id,
        identity_type=identity["type"],
        principal_id=identity.get("principalId", ""),
        role_arn=context.get("sessionIssuer", {}).get("arn", ""),
        store_user_id=identity.get("onBehalfOf", {}).get("userId", ""),
        session_started_at=datetime.fromisoformat(started) if started else None,
        error_code=record.get("errorCode", ""),
        opened_account_id=details.get("account_id", ""),
        opened_permission_set=details.get("role_name", ""),
    )
