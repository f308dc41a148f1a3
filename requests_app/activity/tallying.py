"""Counting events while they are read, in a form that a row's JSON can hold between two pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from clients.types import TrailEvent
from requests_app.activity.matching import DENIED, Used
from requests_app.activity.models import ActivityPlace, ActivityUse

# Bounds of one question; what is beyond them is counted together, and the page says so.
MOST_ACTIONS = 300
MOST_NEWEST = 100
_LONGEST = 128  # of a service's or an action's name


def empty() -> dict[str, Any]:
    """A tally of nothing."""
    return {"uses": [], "newest": [], "events": 0, "unreadable": 0, "oldest": None}


def add(tally: dict[str, Any], event: TrailEvent, used: Used) -> None:
    """Count one event that is the holder's."""
    service, action = event.source[:_LONGEST], event.name[:_LONGEST]
    key = [used.account_id, used.permission_set_name, service, action]
    rows = tally["uses"]
    row = next((each for each in rows if each["key"] == key), None)
    if row is None and len(rows) >= MOST_ACTIONS:
        key = [used.account_id, used.permission_set_name, "", ""]
        row = next((each for each in rows if each["key"] == key), None)
    at = event.at.isoformat()
    if row is None:
        row = {"key": key, "count": 0, "errors": 0, "denied": 0, "first": at, "last": at}
        rows.append(row)
    row["count"] += 1
    row["errors"] += bool(event.error_code)
    row["denied"] += event.error_code in DENIED
    row["first"], row["last"] = min(row["first"], at), max(row["last"], at)
    tally["events"] += 1
    if len(tally["newest"]) < MOST_NEWEST:  # CloudTrail gives the newest first
        tally["newest"].append(
            {
                "id": event.event_id,
                "at": at,
                "permission_set": used.permission_set_name,
                "service": service,
                "action": action,
                "error": event.error_code[:_LONGEST],
            }
        )


def keep(place: ActivityPlace, tally: Mapping[str, Any]) -> None:
    """Make the rows of a place those of a finished tally; the caller holds the transaction."""
    place.events, place.unreadable, place.newest = tally["events"], tally["unreadable"], tally["newest"]
    place.save()
    ActivityUse.objects.filter(place=place).delete()
    ActivityUse.objects.bulk_create(
        ActivityUse(
            place=place,
            account_id=row["key"][0],
            permission_set_name=row["key"][1],
            service=row["key"][2],
            action=row["key"][3],
            count=row["count"],
            errors=row["errors"],
            denied=row["denied"],
            first_at=datetime.fromisoformat(row["first"]),
            last_at=datetime.fromisoformat(row["last"]),
        )
        for row in tally["uses"]
    )
