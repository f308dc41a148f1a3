"""The contract checker accepts the documented payloads and refuses what the contract forbids."""

import copy
import json
from typing import Any

import pytest

from simulator.entra.graph.exchange import Exchange
from tests.support.graph_contract import EXAMPLES, GraphContract

PIM = "/identityGovernance/privilegedAccess/group"
REQUESTS = f"{PIM}/assignmentScheduleRequests"
INDEX: list[dict[str, str]] = json.loads((EXAMPLES / "index.json").read_text())
HEADERS = {"request-id": "aa", "client-request-id": "bb"}


def example(name: str) -> Any:
    return json.loads((EXAMPLES / name).read_text())


def filled(path: str) -> str:
    return path.replace("{id}", "x").replace("{stageId}", "x").replace("{jobId}", "x")


def mandatory(path: str) -> dict[str, str]:
    if path.startswith("/policies"):
        return {"$filter": "scopeId eq 'g' and scopeType eq 'Group'"}
    return {"$filter": "groupId eq 'g'"} if path.startswith(PIM) and "{" not in path else {}


def exchange(method: str, path: str, **changes: Any) -> Exchange:
    given: dict[str, Any] = {
        "query": {},
        "request_body": None,
        "status": 0,
        "response_headers": HEADERS,
        "response_body": None,
        **changes,
    }
    return Exchange(method=method, path=path, **given)


@pytest.mark.parametrize("entry", INDEX, ids=[entry["file"] for entry in INDEX])
def test_documented_payloads_keep_the_contract(entry: dict[str, str]) -> None:
    body, kind = example(entry["file"]), entry["kind"]
    method, path = entry["method"], entry["path"]
    if kind == "request":
        seen = exchange(method, filled(path), request_body=body)
    else:
        status = 400 if kind == "error" else int(kind)
        seen = exchange(
            method,
            filled(path),
            query=mandatory(path) if method == "GET" else {},
            request_body=example("adminAssign.request.json")
            if path == REQUESTS and method == "POST"
            else None,
            status=status,
            response_body=body,
        )
        if path.endswith("/provisionOnDemand"):
            seen = exchange(
                method,
                filled(path),
                request_body=example("provisionOnDemand.request.json"),
                status=status,
                response_body=body,
            )
    assert GraphContract().check(seen) == []


def changed(name: str, *path: str | int, to: Any) -> Any:
    body = copy.deepcopy(example(name))
    target = body
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = to
    return body


@pytest.mark.parametrize(
    "body",
    [
        changed("adminAssign.request.json", "scheduleInfo", "expiration", "duration", to="2:00:00"),
        changed("adminAssign.request.json", "action", to="adminGrant"),
        changed("adminAssign.request.json", "reason", to="x"),
        changed("adminAssign.request.json", "groupId", to="not-a-guid"),
        {key: value for key, value in example("adminAssign.request.json").items() if key != "scheduleInfo"},
        None,
    ],
)
def test_wrong_requests_are_found(body: Any) -> None:
    contract = GraphContract()
    contract.observe(exchange("POST", REQUESTS, request_body=body))
    assert contract.problems
    with pytest.raises(AssertionError, match="Graph contract broken"):
        contract.assert_clean()


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", REQUESTS, {}),
        ("GET", REQUESTS, {"$filter": "status eq 'Provisioned'"}),
        ("GET", "/policies/roleManagementPolicyAssignments", {"$filter": "scopeId eq 'g'"}),
        ("GET", "/groups", {"$lookup": "x"}),
        ("GET", "/groups", {"$top": "0"}),
        ("GET", "/users", {}),
        ("DELETE", "/groups/x", {}),
    ],
)
def test_wrong_queries_are_found(method: str, path: str, query: dict[str, str]) -> None:
    assert GraphContract().check(exchange(method, path, query=query))


def test_wrong_answers_are_found() -> None:
    good = example("assignmentScheduleInstances.list.json")
    query = {"$filter": "groupId eq 'g'"}
    path = f"{PIM}/assignmentScheduleInstances"

    def problems(**changes: Any) -> list[str]:
        given = {"query": query, "status": 200, "response_body": good, **changes}
        return GraphContract().check(exchange("GET", path, **given))

    assert problems() == []
    assert problems(response_body=changed("assignmentScheduleInstances.list.json", "value", 0, "extra", to=1))
    assert problems(
        response_body=changed(
            "assignmentScheduleInstances.list.json", "value", 0, "memberType", to="sideways"
        )
    )
    assert problems(status=201)
    assert problems(response_headers={})
    without_id = {"value": [{key: value for key, value in good["value"][0].items() if key != "id"}]}
    assert problems(response_body=without_id)
    assert problems(response_body=without_id, query={**query, "$select": "principalId"}) == []
    assert problems(status=429, response_body=example("error.400.RoleAssignmentExists.json"))
    assert problems(response_body={"error": {"code": "x"}})


def test_a_recorded_line_reads_back() -> None:
    first = exchange("GET", "/groups/x", status=200, response_body=example("group.get.json"))
    assert Exchange.from_line(first.to_line()) == first
    contract = GraphContract()
    contract.observe(first)
    contract.assert_clean()
    assert contract.report() == "GET /groups/{id}: 200"
