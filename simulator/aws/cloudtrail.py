"""cloudtrail, answered from the world: `lookup_events` of the caller's own account in the Region that is asked."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from simulator.aws.calls import Call, Handler, invalid
from simulator.world.aws_state import TrailEvent

MOST = 50
KEYS = (
    "EventId",
    "EventName",
    "ReadOnly",
    "Username",
    "ResourceType",
    "ResourceName",
    "EventSource",
    "AccessKeyId",
)


def _values(event: TrailEvent) -> dict[str, list[str]]:
    return {
        "EventId": [event.id],
        "EventName": [event.name],
        "ReadOnly": [str(event.read_only).lower()],
        "Username": [event.username],
        "ResourceType": [_type(each) for each in event.resources],
        "ResourceName": event.resources,
        "EventSource": [event.source],
        "AccessKeyId": [event.access_key_id],
    }


def _type(arn: str) -> str:
    """AWS::S3::Bucket-like name of an ARN's kind, as far as it can be told from the ARN."""
    parts = arn.split(":")
    service = parts[2] if len(parts) > 2 else "unknown"
    kind = parts[5].split("/")[0] if len(parts) > 5 else ""
    return f"AWS::{service.upper()}::{kind.title() or 'Resource'}"


def _moment(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(float(value), UTC)


def lookup_events(call: Call) -> dict[str, Any]:
    """Management events, newest first: one attribute at most, fifty a page, ninety days."""
    if call.params.get("EventCategory"):
        return {"Events": []}  # there are no Insights events here
    wanted = call.params.get("LookupAttributes") or []
    if len(wanted) > 1:
        raise invalid("You can specify only one lookup attribute.", "InvalidLookupAttributesException")
    if any(each.get("AttributeKey") not in KEYS or not each.get("AttributeValue") for each in wanted):
        raise invalid("The lookup attribute is not valid.", "InvalidLookupAttributesException")
    size = int(call.params.get("MaxResults") or MOST)
    if not 1 <= size <= MOST:
        raise invalid(f"MaxResults is between 1 and {MOST}.", "InvalidMaxResultsException")
    start, end = _moment(call.params.get("StartTime")), _moment(call.params.get("EndTime"))
    if start is not None and end is not None and start > end:
        raise invalid("The start time is after the end time.", "InvalidTimeRangeException")
    rows = [
        each
        for each in call.world.trail.visible(call.account, call.region)
        if (start is None or start <= each.at)
        and (end is None or each.at <= end)
        and all(one["AttributeValue"] in _values(each)[one["AttributeKey"]] for one in wanted)
    ]
    asked = repr((wanted, start, end))
    first = _after(rows, call.params.get("NextToken"), asked)
    answer: dict[str, Any] = {"Events": [_event(each) for each in rows[first : first + size]]}
    if first + size < len(rows):
        last = rows[first + size - 1].id
        answer["NextToken"] = base64.urlsafe_b64encode(f"{last}|{asked}".encode()).decode()
    return answer


def _after(rows: list[TrailEvent], token: str | None, asked: str) -> int:
    """Where the next page begins; a token belongs to one question. Raises WorldError InvalidNextTokenException."""
    if not token:
        return 0
    try:
        last, _, question = base64.urlsafe_b64decode(token).decode().partition("|")
    except (ValueError, binascii.Error):
        last, question = "", ""
    for index, each in enumerate(rows):
        if each.id == last and question == asked:
            return index + 1
    raise invalid("The next token is not valid for this lookup.", "InvalidNextTokenException")


def _event(event: TrailEvent) -> dict[str, Any]:
    content: dict[str, Any] = {
        "EventId": event.id,
        "EventName": event.name,
        "ReadOnly": str(event.read_only).lower(),
        "AccessKeyId": event.access_key_id,
        "EventTime": event.at,
        "EventSource": event.source,
        "Username": event.username,
        "Resources": [{"ResourceType": _type(each), "ResourceName": each} for each in event.resources],
        "CloudTrailEvent": event.record,
    }
    return {key: value for key, value in content.items() if value != ""}


OPERATIONS: dict[str, Handler] = {"LookupEvents": lookup_events}
