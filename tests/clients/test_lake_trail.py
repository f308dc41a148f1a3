"""CloudTrail Lake: the port's contract over HTTP against the simulated store, and what the service's model allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from clients.activity_stores import LakeStore
from clients.aws.build import build_trail
from clients.aws.caller import AwsCaller
from clients.aws.config import AwsConfig
from clients.aws.lake import LakeTrail
from clients.aws.trail_sql import literal
from clients.errors import NotPermitted, QueryFailed, Refused, StillRunning, Throttled, Unreachable
from clients.limits import LocalLimiter
from clients.types import TrailQuestion
from simulator.aws.trail_queries import STORE_ID
from tests.clients.ports.cloud import Cloud
from tests.clients.ports.trail import events_are_looked_up_in_one_account_and_region
from tests.clients.queries import HOSTILE, QUESTION, stubbed
from tests.simulator.world.factory import START, small_world
from tests.support.http_clients import UNPACED, http_clients
from tests.support.world_clients import Calls
from tests.support.world_cutters import WorldDenials, WorldRemoval
from tests.support.world_objects import WorldObjects

STORE = LakeStore("111122223333", "eu-west-1", STORE_ID)
QUERY = "4d6b7c1e-2b5a-4c7e-9a53-6a1f0c9b2d11"


@pytest.fixture
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    small, limiter = small_world(), LocalLimiter(UNPACED)
    with http_clients(small.world, tmp_path_factory.getbasetemp() / "http-clients-keys") as (found, _):
        center = small.world.state.identity_center
        store = LakeStore(small.world.state.organization.management_account_id, center.region, STORE_ID)
        config = AwsConfig(center.region, activity_store=store)
        trail = build_trail(AwsCaller(config, limiter, attempts=2), limiter)
        assert isinstance(trail, LakeTrail)
        calls = Calls({})
        yield Cloud(
            small,
            replace(found, trail=trail),
            WorldRemoval(small.world, calls),
            WorldDenials(small.world, calls),
            lambda bucket: WorldObjects(small.world, calls, bucket),
        )


def test_the_contract_of_the_port(cloud: Cloud) -> None:
    events_are_looked_up_in_one_account_and_region(cloud)


def test_it_asks_the_account_of_the_store_and_says_what_is_refused_there(cloud: Cloud) -> None:
    world, owner = cloud.small.world, cloud.small.world.state.organization.management_account_id
    question = TrailQuestion(cloud.small.account.id, "eu-west-1", START, world.now())
    world.faults.add(f"aws.sts.AssumeRole@{cloud.small.account.id}", "error", status=403, code="AccessDenied")
    assert cloud.clients.trail.look_up(question).value.events == ()
    world.faults.clear()
    world.faults.add(
        f"aws.cloudtrail.StartQuery@{owner}/*", "error", status=400, code="AccessDeniedException"
    )
    with pytest.raises(NotPermitted, match=f"may not ask CloudTrail Lake in account {owner}"):
        cloud.clients.trail.look_up(question)


def looked(trail: LakeTrail, **given: Any) -> Any:
    return trail.look_up(QUESTION, **given).value


def record(number: int) -> str:
    return json.dumps(
        {
            "eventID": f"event-{number}",
            "eventTime": "2026-03-01T09:00:00Z",
            "eventSource": "ec2.amazonaws.com",
            "eventName": "StopInstances",
            "recipientAccountId": "444455556666",
            "userIdentity": {"type": "AssumedRole", "principalId": "AROA:ada@acme.example"},
        }
    )


def test_the_statement_holds_exactly_what_is_asked() -> None:
    with stubbed("cloudtrail") as (callers, _):
        trail = LakeTrail(callers, STORE, most_rows=2001)
        common = [
            "eventtime >= '2026-03-01 08:00:00'",
            "eventtime <= '2026-03-01 23:59:59'",
            "recipientaccountid = '444455556666'",
            "awsregion = 'eu-west-1'",
            "eventcategory = 'Management'",
        ]

        def held(**changes: str) -> list[str]:
            statement = trail.statement(replace(QUESTION, **changes))  # type: ignore[arg-type]  # texts all
            head, _, rest = statement.partition(" WHERE ")
            conditions, _, order = rest.partition(" ORDER BY ")
            assert head.removesuffix(STORE_ID) == "SELECT DISTINCT eventtime, eventid, eventjson FROM "
            assert order == "eventtime DESC, eventid LIMIT 2001"
            return conditions.split(" AND ")

        name = "element_at(split(useridentity.principalid, ':'), -1) = 'ada@acme.example'"
        assert held() == [*common, name]
        assert held(attribute="") == common
        assert held(attribute="EventName", value="Federate") == [*common, "eventname = 'Federate'"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_never_asked(text: str) -> None:
    with stubbed("cloudtrail") as (callers, _):  # nothing is scripted: a call would fail otherwise
        trail = LakeTrail(callers, STORE, most_rows=2001)
        for changes in (
            {"value": text},
            {"attribute": "EventName", "value": text},
            {"account_id": text},
            {"region": text},
            {"attribute": text or "EventId"},
        ):
            with pytest.raises(Refused) as caught:
                trail.look_up(replace(QUESTION, **changes))  # type: ignore[arg-type]  # texts all
            assert caught.value.code == "NotAskable"


def test_a_quote_stays_within_its_text() -> None:
    assert literal("o'hara' --") == "'o''hara'' --'"
    for text in ("a\nb", "a\x00", "a\u202eb"):
        with pytest.raises(Refused):
            literal(text)


def test_a_query_that_lasts_is_started_once_and_gone_on_with() -> None:
    now = [1000.0]
    with stubbed("cloudtrail") as (callers, stub):
        trail = LakeTrail(callers, STORE, most_rows=2001, now=lambda: now[0])
        stub.add_response("start_query", {"QueryId": QUERY}, {"QueryStatement": trail.statement(QUESTION)})
        asked: dict[str, Any] = {"QueryId": QUERY, "MaxQueryResults": 50}
        for _ in range(5):
            stub.add_response("get_query_results", {"QueryStatus": "RUNNING"}, asked)
        with pytest.raises(StillRunning) as caught:
            looked(trail)
        page = caught.value.page
        rows = [
            [{"eventTime": "2026-03-01 09:00:00.000"}, {"eventJson": text}]
            for text in (record(1), "{", "null")
        ]
        stub.add_response(
            "get_query_results",
            {"QueryStatus": "FINISHED", "QueryResultRows": rows, "NextToken": "further"},
            asked,
        )
        found = looked(trail, page=page)
        assert ([each.event_id for each in found.events], found.unreadable) == (["event-1"], 2)
        rest = {"QueryStatus": "FINISHED", "QueryResultRows": [[{"EVENTJSON": record(2)}]]}
        stub.add_response("get_query_results", rest, {**asked, "NextToken": "further"})
        last = looked(trail, page=found.next_page)
        assert ([each.event_id for each in last.events], last.next_page) == (["event-2"], "")
        with pytest.raises(Refused) as other:
            trail.look_up(replace(QUESTION, value="bob"), page=page)
        assert other.value.code == "UnknownPage"
        for _ in range(5):
            stub.add_response("get_query_results", {"QueryStatus": "QUEUED"}, asked)
        now[0] += 601
        with pytest.raises(Unreachable) as late:
            looked(trail, page=page)
        assert late.value.code == "QueryTooLong"
        assert not isinstance(late.value, StillRunning)


def test_a_look_that_fails_starts_nothing_anew() -> None:
    with stubbed("cloudtrail") as (callers, stub):
        trail = LakeTrail(callers, STORE, most_rows=2001)
        stub.add_response("start_query", {"QueryId": QUERY})
        stub.add_client_error("get_query_results", "InternalServerException", http_status_code=500)
        with pytest.raises(StillRunning) as caught:
            looked(trail)
        stub.add_response("get_query_results", {"QueryStatus": "FINISHED"})
        assert looked(trail, page=caught.value.page).events == ()


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "TIMED_OUT"])
def test_a_query_that_has_failed_is_refused_with_its_id(state: str) -> None:
    with stubbed("cloudtrail") as (callers, stub):
        stub.add_response("start_query", {"QueryId": QUERY})
        stub.add_response("get_query_results", {"QueryStatus": state, "ErrorMessage": "<b>Why</b>"})
        with pytest.raises(QueryFailed, match=QUERY) as caught:
            looked(LakeTrail(callers, STORE, most_rows=2001))
        assert "Why" not in caught.value.sentence


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("MaxConcurrentQueriesException", Throttled, "wait"),
        ("EventDataStoreNotFoundException", Refused, "must check ACTIVITY_LAKE_STORE"),
        ("InactiveEventDataStoreException", Refused, "must check ACTIVITY_LAKE_STORE"),
        (
            "AccessDeniedException",
            NotPermitted,
            "The role AccessPortalActivity may not ask CloudTrail Lake in account 1111",
        ),
    ],
)
def test_what_lake_refuses_is_said_with_what_to_do(code: str, kind: type[Exception], words: str) -> None:
    with stubbed("cloudtrail") as (callers, stub):
        stub.add_client_error("start_query", code, http_status_code=400)
        with pytest.raises(kind, match=words):
            looked(LakeTrail(callers, STORE, most_rows=2001))
