"""Athena over the bucket of an organisation's trail, by the table of docs/activity-athena.sql.

Facts used here, from the Athena user guide ("Create the table for CloudTrail logs using partition projection",
"Supported types for partition projection", "Use parameterized queries", "Working with query results") and API reference:

* Files lie by account, Region and day of delivery, so that is what the table is partitioned by. A partition column of
  the type `injected` wants an equality with a literal in the statement. Hence account, Region and days stand in it,
  each held to its form (clients.aws.trail_sql); what else is looked for is an execution parameter.
* Execution parameters take the places of question marks in the WHERE clause and are literals themselves: texts are
  quoted. Each has 1,024 characters at most.
* The first row of the first page of a SELECT's results names the columns. Pages hold 1,000 rows at most.
* How many bytes a query may scan is the workgroup's to say (BytesScannedCutoffPerQuery), as is where results lie.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from clients.activity_stores import AthenaTable
from clients.aws.accounts import AccountCallers
from clients.aws.caller import AwsCaller
from clients.aws.queried import PAGE, Answer, QueriedTrail
from clients.aws.records import event_of
from clients.aws.trail_sql import instant, literal, select
from clients.types import Reading, TrailEvent, TrailQuestion

_AT_WORK = frozenset({"QUEUED", "RUNNING"})
_DONE = "SUCCEEDED"
_MOMENT, _DAY = "%Y-%m-%dT%H:%M:%SZ", "%Y/%m/%d"
_LATE = timedelta(days=1)  # a file may lie under the day after
_COLUMNS = (
    "eventtime",
    "eventid",
    "eventsource",
    "eventname",
    "recipientaccountid",
    "errorcode",
    "useridentity.type",
    "useridentity.principalid",
    "useridentity.sessioncontext.sessionissuer.arn",
    "useridentity.sessioncontext.attributes.creationdate",
    "useridentity.onbehalfof.userid",
    "serviceeventdetails",
)
_ATTRIBUTES = {"Username": "element_at(split(useridentity.principalid, ':'), -1)", "EventName": "eventname"}


class AthenaTrail(QueriedTrail):
    """Implements clients.ports.ActivityTrail over a table."""

    name, family = "Athena", "athena"
    settings = "ACTIVITY_ATHENA_WORKGROUP and ACTIVITY_ATHENA_TABLE"

    def __init__(self, callers: AccountCallers, table: AthenaTable, **options: Any) -> None:
        """`options` are QueriedTrail's."""
        super().__init__(callers, table.account_id, table.region, **options)
        self._table = table

    def statement(self, question: TrailQuestion) -> str:
        """The query of a checked question, newest first; a question mark for what is looked for."""
        conditions = [
            f"account = {literal(question.account_id)}",
            f"region = {literal(question.region)}",
            f'"timestamp" >= {instant(question.starts_at, _DAY)}',
            f'"timestamp" <= {instant(question.ends_at + _LATE, _DAY)}',
            f"eventtime >= {instant(question.starts_at, _MOMENT)}",
            f"eventtime <= {instant(question.ends_at, _MOMENT)}",
            f"recipientaccountid = {literal(question.account_id)}",
            f"awsregion = {literal(question.region)}",
            "eventcategory = 'Management'",
        ]
        if question.attribute:
            conditions.append(f"{_ATTRIBUTES[question.attribute]} = ?")
        table = f'"{self._table.database}"."{self._table.table}"'
        return select(_COLUMNS, table, conditions, most=self._most_rows)

    def start(self, caller: AwsCaller, question: TrailQuestion) -> str:
        """See QueriedTrail."""
        arguments: dict[str, Any] = {
            "QueryString": self.statement(question),
            "QueryExecutionContext": {"Database": self._table.database},
            "WorkGroup": self._table.workgroup,
        }
        if question.attribute:
            arguments["ExecutionParameters"] = [literal(question.value)]
        return str(caller.one("athena", "start_query_execution", **arguments).value["QueryExecutionId"])

    def read(self, caller: AwsCaller, query_id: str, token: str) -> Reading[Answer | None]:
        """See QueriedTrail."""
        if not token:
            looked = caller.one("athena", "get_query_execution", QueryExecutionId=query_id)
            state = str(looked.value["QueryExecution"].get("Status", {}).get("State") or "")
            if state in _AT_WORK:
                return Reading(None, looked.receipt)
            if state != _DONE:
                raise self.failed(query_id, state or "UNKNOWN")
        arguments: dict[str, Any] = {"QueryExecutionId": query_id, "MaxResults": PAGE if token else PAGE + 1}
        if token:
            arguments["NextToken"] = token
        answer = caller.one("athena", "get_query_results", **arguments)
        rows = answer.value.get("ResultSet", {}).get("Rows") or []
        events = [_event(row.get("Data") or []) for row in (rows if token else rows[1:])]
        return Reading(Answer(events, str(answer.value.get("NextToken") or "")), answer.receipt)


def _event(data: Sequence[Mapping[str, str]]) -> TrailEvent | None:
    """One event by the columns of its row, or None when that can't be read."""
    if len(data) != len(_COLUMNS):
        return None
    of = dict(zip(_COLUMNS, (each.get("VarCharValue", "") for each in data), strict=True))
    try:
        details = json.loads(of["serviceeventdetails"] or "null")
    except ValueError:
        return None
    return event_of(
        {
            "eventTime": of["eventtime"],
            "eventID": of["eventid"],
            "eventSource": of["eventsource"],
            "eventName": of["eventname"],
            "recipientAccountId": of["recipientaccountid"],
            "errorCode": of["errorcode"],
            "userIdentity": {
                "type": of["useridentity.type"],
                "principalId": of["useridentity.principalid"],
                "sessionContext": {
                    "sessionIssuer": {"arn": of["useridentity.sessioncontext.sessionissuer.arn"]},
                    "attributes": {"creationDate": of["useridentity.sessioncontext.attributes.creationdate"]},
                },
                "onBehalfOf": {"userId": of["useridentity.onbehalfof.userid"]},
            },
            "serviceEventDetails": details,
        }
    )
