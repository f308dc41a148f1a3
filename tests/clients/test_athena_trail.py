"""Athena: what is asked and what is made of the answer, held to the service's model; and the table that is shipped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clients.activity_stores import AthenaTable, activity_store
from clients.aws.athena import AthenaTrail
from clients.aws.build import build_aws, build_trail
from clients.aws.caller import AwsCaller
from clients.aws.config import AwsConfig
from clients.aws.trail import Boto3ActivityTrail
from clients.errors import NotPermitted, QueryFailed, Refused, StillRunning, Throttled
from clients.limits import LocalLimiter
from tests.clients.queries import HOSTILE, QUESTION, stubbed
from tests.support.http_clients import UNPACED

TABLE = AthenaTable("111122223333", "eu-west-1", "activity", "logs", "trail")
ROLE = "arn:aws:iam::444455556666:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef"
NAMES = (
    "eventtime",
    "eventid",
    "eventsource",
    "eventname",
    "recipientaccountid",
    "errorcode",
    "type",
    "principalid",
)
HEAD = {
    "Data": [
        {"VarCharValue": name} for name in (*NAMES, "arn", "creationdate", "userid", "serviceeventdetails")
    ]
}


def row(number: int, **changes: str) -> dict[str, Any]:
    """A row as Athena gives it: without a value where there is none."""
    values = {
        "at": "2026-03-01T09:00:00Z",
        "id": f"event-{number}",
        "source": "ec2.amazonaws.com",
        "name": "StopInstances",
        "account": "444455556666",
        "error": "",
        "type": "AssumedRole",
        "principal": "AROA:ada@acme.example",
        "role": ROLE,
        "began": "2026-03-01T08:30:00Z",
        "user": "",
        "details": "",
    } | changes
    return {"Data": [{"VarCharValue": value} if value else {} for value in values.values()]}


def results(*rows: dict[str, Any], following: str = "") -> dict[str, Any]:
    return {"ResultSet": {"Rows": list(rows)}, **({"NextToken": following} if following else {})}


def state(name: str) -> dict[str, Any]:
    return {"QueryExecution": {"QueryExecutionId": "q-1", "Status": {"State": name}}}


def test_partitions_are_literals_and_what_is_looked_for_is_a_parameter() -> None:
    with stubbed("athena") as (callers, stub):
        trail = AthenaTrail(callers, TABLE, most_rows=2001)
        statement = trail.statement(QUESTION)
        assert ' FROM "logs"."trail" WHERE ' in statement
        assert "account = '444455556666' AND region = 'eu-west-1' AND " in statement
        assert "\"timestamp\" >= '2026/03/01' AND \"timestamp\" <= '2026/03/02' AND " in statement
        assert "eventtime >= '2026-03-01T08:00:00Z' AND eventtime <= '2026-03-01T23:59:59Z' AND " in statement
        assert statement.endswith(" = ? ORDER BY eventtime DESC, eventid LIMIT 2001")
        assert "ada" not in statement
        asked = {
            "QueryString": statement,
            "QueryExecutionContext": {"Database": "logs"},
            "WorkGroup": "activity",
            "ExecutionParameters": ["'ada@acme.example'"],
        }
        stub.add_response("start_query_execution", {"QueryExecutionId": "q-1"}, asked)
        stub.add_response("get_query_execution", state("SUCCEEDED"), {"QueryExecutionId": "q-1"})
        stub.add_response("get_query_results", results(HEAD))
        assert trail.look_up(QUESTION).value.events == ()
        everything = replace(QUESTION, attribute="", value="")
        del asked["ExecutionParameters"]
        asked["QueryString"] = trail.statement(everything)
        assert "?" not in trail.statement(everything)
        stub.add_response("start_query_execution", {"QueryExecutionId": "q-2"}, asked)
        stub.add_response("get_query_execution", state("SUCCEEDED"))
        stub.add_response("get_query_results", results(HEAD))
        trail.look_up(everything)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_never_asked(text: str) -> None:
    with stubbed("athena") as (callers, _):
        trail = AthenaTrail(callers, TABLE, most_rows=2001)
        for name in ("value", "account_id", "region"):
            with pytest.raises(Refused) as caught:
                trail.look_up(replace(QUESTION, **{name: text}))  # type: ignore[arg-type]  # texts all
            assert caught.value.code == "NotAskable"


def test_rows_become_events_page_by_page_without_the_line_of_names() -> None:
    opened = json.dumps({"account_id": "444455556666", "role_name": "Admin"})
    first: dict[str, Any] = {"QueryExecutionId": "q-1", "MaxResults": 51}
    with stubbed("athena") as (callers, stub):
        trail = AthenaTrail(callers, TABLE, most_rows=2001)
        stub.add_response("start_query_execution", {"QueryExecutionId": "q-1"})
        for _ in range(5):
            stub.add_response("get_query_execution", state("QUEUED"))
        with pytest.raises(StillRunning) as caught:
            trail.look_up(QUESTION)
        stub.add_response("get_query_execution", state("SUCCEEDED"))
        rows = (row(1), row(2, error="AccessDenied", user="u-1"), row(3, at="long ago"), row(4, details="{"))
        stub.add_response("get_query_results", results(HEAD, *rows, {"Data": []}, following="further"), first)
        found = trail.look_up(QUESTION, page=caught.value.page).value
        assert [each.event_id for each in found.events] == ["event-1", "event-2"]
        assert found.unreadable == 3
        plain, refused = found.events
        assert (plain.role_arn, plain.principal_id, plain.identity_type) == (
            ROLE,
            "AROA:ada@acme.example",
            "AssumedRole",
        )
        assert plain.session_started_at is not None
        assert plain.session_started_at.isoformat() == "2026-03-01T08:30:00+00:00"
        assert (refused.error_code, refused.store_user_id) == ("AccessDenied", "u-1")
        rest = {"QueryExecutionId": "q-1", "MaxResults": 50, "NextToken": "further"}
        stub.add_response("get_query_results", results(row(5, details=opened)), rest)
        last = trail.look_up(QUESTION, page=found.next_page).value
        (event,) = last.events
        assert (event.opened_account_id, event.opened_permission_set, last.next_page) == (
            "444455556666",
            "Admin",
            "",
        )


@pytest.mark.parametrize("name", ["FAILED", "CANCELLED"])
def test_a_query_that_has_failed_is_refused_with_its_id(name: str) -> None:
    with stubbed("athena") as (callers, stub):
        stub.add_response("start_query_execution", {"QueryExecutionId": "q-1"})
        stub.add_response("get_query_execution", state(name))
        with pytest.raises(QueryFailed, match=r"ended the query q-1 without an answer"):
            AthenaTrail(callers, TABLE, most_rows=2001).look_up(QUESTION)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("TooManyRequestsException", Throttled, "wait"),
        (
            "InvalidRequestException",
            Refused,
            "must check ACTIVITY_ATHENA_WORKGROUP and ACTIVITY_ATHENA_TABLE",
        ),
        (
            "AccessDeniedException",
            NotPermitted,
            "may not ask Athena in account 111122223333, Region eu-west-1",
        ),
    ],
)
def test_what_athena_refuses_is_said_with_what_to_do(code: str, kind: type[Exception], words: str) -> None:
    with stubbed("athena") as (callers, stub):
        stub.add_client_error("start_query_execution", code, http_status_code=400)
        with pytest.raises(kind, match=words):
            AthenaTrail(callers, TABLE, most_rows=2001).look_up(QUESTION)


def test_the_shipped_table_has_the_columns_and_partitions_that_are_asked() -> None:
    text = (Path(__file__).parents[2] / "docs" / "activity-athena.sql").read_text().lower()
    with stubbed("athena") as (callers, _):
        statement = AthenaTrail(callers, TABLE, most_rows=1).statement(QUESTION)
    columns = statement.removeprefix("SELECT DISTINCT ").partition(" FROM ")[0].split(", ")
    for part in {part for column in (*columns, "eventcategory", "awsregion") for part in column.split(".")}:
        assert f" {part} string" in text or f"{part}: st" in text or f"{part} struct<" in text, part
    assert "partitioned by (account string, region string, `timestamp` string)" in text
    assert "${account}/cloudtrail/${region}/${timestamp}'" in text
    assert "'projection.timestamp.format' = 'yyyy/mm/dd'" in text


def test_the_configuration_chooses_it() -> None:
    environ = {
        "AWS_REGION": "eu-west-1",
        "ACTIVITY_SOURCE": "athena",
        "ACTIVITY_ATHENA_WORKGROUP": "arn:aws:athena:eu-west-1:111122223333:workgroup/activity",
        "ACTIVITY_ATHENA_TABLE": "logs.trail",
    }
    assert activity_store(environ) == TABLE
    assert isinstance(build_aws(environ, limiter=LocalLimiter({})).trail, AthenaTrail)
    assert isinstance(
        build_aws({"AWS_REGION": "eu-west-1"}, limiter=LocalLimiter({})).trail, Boto3ActivityTrail
    )
    for missing in ("ACTIVITY_ATHENA_WORKGROUP", "ACTIVITY_ATHENA_TABLE"):
        with pytest.raises(NotPermitted, match=missing):
            build_aws({**environ, missing: ""}, limiter=LocalLimiter({}))


def test_other_processes_know_nothing_of_the_store() -> None:
    """ACTIVITY_SOURCE is everybody's, and where the store is the worker's alone."""
    environ = {"AWS_REGION": "eu-west-1", "ACTIVITY_SOURCE": "lake"}
    assert AwsConfig.from_environ(environ).activity_store is None


def test_it_works_with_a_service_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through STS and boto3 to moto, which keeps executions by itself and answers with the rows that it is given."""
    from moto import mock_aws
    from moto.athena.models import QueryResults, athena_backends

    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    limiter = LocalLimiter(UNPACED)
    with mock_aws():
        backend = athena_backends["111122223333"]["eu-west-1"]
        backend.create_work_group("activity", {}, "", [])
        backend.query_results_queue.append(QueryResults([HEAD, row(1), row(2)], []))
        caller = AwsCaller(
            AwsConfig("eu-west-1", activity_store=TABLE),
            limiter,
            attempts=1,
            credentials={"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret"},
        )
        found = build_trail(caller, limiter).look_up(QUESTION).value
        (execution,) = backend.executions.values()
    assert [each.event_id for each in found.events] == ["event-1", "event-2"]
    assert (execution.execution_parameters, execution.workgroup.name) == (["'ada@acme.example'"], "activity")
