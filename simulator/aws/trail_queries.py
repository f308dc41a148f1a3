"""CloudTrail Lake, answered from the world: one event data store of the management account, with all accounts and Regions.

Statements are read by the grammar below, which is a small part of Presto's; whatever else is asked is refused, as is what
isn't a text or a number where one belongs. A query is at work when it is looked at for the first time, and done after.
"""

import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from simulator.aws.calls import Call, Handler, invalid
from simulator.world.aws_state import TrailEvent
from simulator.world.world import World

STORE_ID = "0d5fbb1c-8ed2-4b3f-9d53-0c4f5b7a6e21"
MOST = 1000  # rows of a page
_TEXT = r"'(?:[^']|'')*'"
_SESSION_NAME = "element_at(split(useridentity.principalid, ':'), -1)"
_STATEMENT = re.compile(
    r"SELECT DISTINCT eventtime, eventid, eventjson FROM (?P<store>\S+) WHERE (?P<conditions>.+) "
    r"ORDER BY eventtime DESC, eventid LIMIT (?P<limit>\d+)",
    re.DOTALL,
)
_CONDITION = re.compile(
    rf"(?P<left>{re.escape(_SESSION_NAME)}|\w+) (?P<how>=|>=|<=) (?P<right>{_TEXT})(?: AND |\Z)"
)
# Of each world: query id -> rows, and whether it was looked at.
_QUERIES: WeakKeyDictionary[World, dict[str, tuple[list[dict[str, str]], list[bool]]]] = WeakKeyDictionary()


def start_query(call: Call) -> dict[str, Any]:
    """Answer the statement now, and give the answer later."""
    asked = _STATEMENT.fullmatch(call.need("QueryStatement"))
    if asked is None:
        raise invalid("The query has a syntax error.", "InvalidQueryStatementException")
    if asked["store"] != STORE_ID or not call.is_management:
        raise invalid("The specified event data store was not found.", "EventDataStoreNotFoundException")
    conditions = _conditions(asked["conditions"])
    rows = [each for each in _events(call.world, conditions) if _fits(each, conditions)]
    rows.sort(key=lambda each: each.id)
    rows.sort(key=lambda each: each.at, reverse=True)
    query_id = str(uuid.UUID(call.world.dice.guid()))
    found = [
        {"eventTime": f"{each.at:%Y-%m-%d %H:%M:%S}.000", "eventID": each.id, "eventJson": each.record}
        for each in rows[: int(asked["limit"])]
    ]
    _QUERIES.setdefault(call.world, {})[query_id] = (found, [])
    return {"QueryId": query_id}


def get_query_results(call: Call) -> dict[str, Any]:
    """A page of a query that is done."""
    size = int(call.params.get("MaxQueryResults") or MOST)
    if not 1 <= size <= MOST:
        raise invalid(f"MaxQueryResults is between 1 and {MOST}.", "InvalidMaxResultsException")
    rows, looks = _QUERIES.get(call.world, {}).get(call.need("QueryId"), (None, None))
    if rows is None or looks is None:
        raise invalid("The query ID does not exist.", "QueryIdNotFoundException")
    looks.append(True)
    if len(looks) == 1:
        return {"QueryStatus": "RUNNING", "QueryStatistics": {"ResultsCount": 0}}
    token = call.params.get("NextToken") or "row-0"
    if not re.fullmatch(r"row-\d{1,9}", token):
        raise invalid("The next token is not valid.", "InvalidNextTokenException")
    first = int(token[4:])
    page = rows[first : first + size]
    answer: dict[str, Any] = {
        "QueryStatus": "FINISHED",
        "QueryStatistics": {"ResultsCount": len(page), "TotalResultsCount": len(rows)},
        "QueryResultRows": [[{key: value} for key, value in each.items()] for each in page],
    }
    if first + size < len(rows):
        answer["NextToken"] = f"row-{first + size}"
    return answer


def _conditions(text: str) -> list[tuple[str, str, str]]:
    """What has to hold. Raises WorldError InvalidQueryStatementException for what isn't of the grammar."""
    found, at = [], 0
    while at < len(text):
        one = _CONDITION.match(text, at)
        if one is None:
            raise invalid("The query has a syntax error.", "InvalidQueryStatementException")
        found.append((one["left"].lower(), one["how"], one["right"][1:-1].replace("''", "'")))
        at = one.end()
    return found


def _events(world: World, conditions: list[tuple[str, str, str]]) -> list[TrailEvent]:
    wanted = {left: right for left, how, right in conditions if how == "="}
    return world.trail.visible(wanted.get("recipientaccountid", ""), wanted.get("awsregion", ""))


def _fits(event: TrailEvent, conditions: list[tuple[str, str, str]]) -> bool:
    record = json.loads(event.record)
    values = {key.lower(): value for key, value in record.items() if isinstance(value, str)}
    values["eventtime"] = f"{event.at:%Y-%m-%d %H:%M:%S}"
    values[_SESSION_NAME.lower()] = str(record["userIdentity"].get("principalId") or "").split(":")[-1]
    for left, how, right in conditions:
        have = values.get(left)
        if left == "eventtime":
            right = f"{datetime.fromisoformat(right).replace(tzinfo=UTC):%Y-%m-%d %H:%M:%S}"
        if have is None or not (
            (how == "=" and have == right)
            or (how == ">=" and have >= right)
            or (how == "<=" and have <= right)
        ):
            return False
    return True


OPERATIONS: dict[str, Handler] = {"StartQuery": start_query, "GetQueryResults": get_query_results}
