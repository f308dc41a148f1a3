"""CloudTrail Lake: an event data store of the organisation answers for all accounts and Regions that it records.

Facts used here, from the CloudTrail API reference (StartQuery, GetQueryResults) and user guide ("CloudTrail Lake SQL
constraints", "Supported SQL schemas for event data stores"):

* A store is named by the id at the end of its ARN; only SELECT is possible, with Presto's functions; `eventtime` is a
  timestamp that compares with a text such as 2026-01-05 13:51:00; `eventjson` is the whole record.
* QueryParameters belong to QueryAlias and to the service's own dashboards, so values stand in the statement: each is
  held to its form and quoted (clients.aws.trail_sql).
* Ten queries may run at a time (MaxConcurrentQueriesException asks to wait); pages hold 1,000 rows at most.
* It has taken no new customers since 31 May 2026. What is scanned is billed; only the time bounds limit that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clients.activity_stores import LakeStore
from clients.aws.accounts import AccountCallers
from clients.aws.caller import AwsCaller
from clients.aws.queried import PAGE, Answer, QueriedTrail
from clients.aws.records import event_of_text
from clients.aws.trail_sql import instant, literal, select
from clients.types import Reading, TrailQuestion

_AT_WORK = frozenset({"QUEUED", "RUNNING"})
_DONE = "FINISHED"
_COLUMNS = ("eventtime", "eventid", "eventjson")
_MOMENT = "%Y-%m-%d %H:%M:%S"
# What comes after the last colon of a principal's id is the session's name (CloudTrail user guide, userIdentity).
_ATTRIBUTES = {"Username": "element_at(split(useridentity.principalid, ':'), -1)", "EventName": "eventname"}


class LakeTrail(QueriedTrail):
    """Implements clients.ports.ActivityTrail over an event data store."""

    name, settings, family = "CloudTrail Lake", "ACTIVITY_LAKE_STORE", "cloudtrail"

    def __init__(self, callers: AccountCallers, store: LakeStore, **options: Any) -> None:
        """`options` are QueriedTrail's."""
        super().__init__(callers, store.account_id, store.region, **options)
        self._store_id = store.store_id

    def statement(self, question: TrailQuestion) -> str:
        """The query of a checked question, newest first."""
        conditions = [
            f"eventtime >= {instant(question.starts_at, _MOMENT)}",
            f"eventtime <= {instant(question.ends_at, _MOMENT)}",
            f"recipientaccountid = {literal(question.account_id)}",
            f"awsregion = {literal(question.region)}",
            "eventcategory = 'Management'",
        ]
        if question.attribute:
            conditions.append(f"{_ATTRIBUTES[question.attribute]} = {literal(question.value)}")
        return select(_COLUMNS, self._store_id, conditions, most=self._most_rows)

    def start(self, caller: AwsCaller, question: TrailQuestion) -> str:
        """See QueriedTrail."""
        answer = caller.one("cloudtrail", "start_query", QueryStatement=self.statement(question))
        return str(answer.value["QueryId"])

    def read(self, caller: AwsCaller, query_id: str, token: str) -> Reading[Answer | None]:
        """See QueriedTrail."""
        arguments: dict[str, Any] = {"QueryId": query_id, "MaxQueryResults": PAGE}
        if token:
            arguments["NextToken"] = token
        answer = caller.one("cloudtrail", "get_query_results", **arguments)
        state = str(answer.value.get("QueryStatus") or "")
        if state in _AT_WORK:
            return Reading(None, answer.receipt)
        if state != _DONE:
            raise self.failed(query_id, state or "UNKNOWN")
        rows = answer.value.get("QueryResultRows") or []
        events = [event_of_text(_column(row, "eventjson")) for row in rows]
        return Reading(Answer(events, str(answer.value.get("NextToken") or "")), answer.receipt)


def _column(row: Sequence[Mapping[str, str]], name: str) -> str:
    """A row is a list of objects, each with one column; how names are spelt isn't told."""
    return next((value for part in row for key, value in part.items() if key.lower() == name), "")
