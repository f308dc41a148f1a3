"""What a call to Graph turns into, over real HTTP: errors, retries, time limits, ids, the token's way."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from clients.entra.directory import GraphDirectory
from clients.entra.pim import GraphPim
from clients.errors import (
    AlreadyAssigned,
    ClientError,
    Conflicting,
    NotFound,
    NothingToRemove,
    NotPermitted,
    OutcomeUnknown,
    PolicyRefused,
    Refused,
    StepUpRequired,
    Throttled,
    TooYoungToRemove,
    Unreachable,
)
from clients.observing import observe_with
from clients.types import AssignmentOrder, Receipt
from tests.clients.graph_case import GROUP, PERSON, PRINCIPAL, graph_caller
from tests.clients.scripted import Asked, Reply, Scripted, graph_error, scripted
from tests.support.graph_run import RECORDER

ORDER = AssignmentOrder(
    group_id=GROUP,
    principal_id=PERSON,
    starts_at=datetime(2026, 11, 23, 10, tzinfo=UTC),
    ends_at=datetime(2026, 11, 23, 12, tzinfo=UTC),
    tag="9d3f:1",
    justification="rotate keys",
)
EMPTY = Reply(body={"value": []})


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.fixture
def pim(server: Scripted) -> Iterator[GraphPim]:
    with graph_caller(server.origin) as caller:
        yield GraphPim(caller)


def assign(pim: GraphPim) -> Any:
    return pim.assign(ORDER, client_request_id="our-id")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "RoleAssignmentExists", AlreadyAssigned),
        (400, "PendingRoleAssignmentRequest", AlreadyAssigned),
        (400, "ActiveDurationTooShort", TooYoungToRemove),
        (400, "RoleAssignmentDoesNotExist", NothingToRemove),
        (400, "RoleAssignmentRequestPolicyValidationFailed", PolicyRefused),
        (400, "RoleAssignmentRequestAcrsValidationFailed", StepUpRequired),
        (400, "SubjectNotFound", Unreachable),
        (404, "SubjectNotFound", Unreachable),
        (400, "AadPremiumLicenseRequired", NotPermitted),
        (400, "InvalidRoleAssignmentRequest", Refused),
        (401, "InvalidAuthenticationToken", NotPermitted),
        (403, "Authorization_RequestDenied", NotPermitted),
        (404, "ResourceNotFound", NotFound),
        (409, "Conflict", Conflicting),
        (429, "TooManyRequests", Throttled),
        (500, "InternalServerError", OutcomeUnknown),
        (503, "ServiceUnavailable", OutcomeUnknown),
        (504, "GatewayTimeout", OutcomeUnknown),
    ],
)
def test_a_refused_write_becomes_one_of_the_ports_errors_and_is_sent_once(
    server: Scripted, pim: GraphPim, status: int, code: str, kind: type[ClientError]
) -> None:
    server.reply(Reply(status, graph_error(code), headers={"request-id": "their-id"}))

    with pytest.raises(ClientError) as caught:
        assign(pim)

    assert type(caught.value) is kind
    assert caught.value.code == code
    assert caught.value.receipt == Receipt("our-id", "their-id")
    assert caught.value.sentence.endswith(".")
    assert len(server.asked) == 1


def test_a_policy_refusal_names_its_rules(server: Scripted, pim: GraphPim) -> None:
    message = 'The following policy rules failed: ["ExpirationRule","JustificationRule"]'
    server.reply(Reply(400, graph_error("RoleAssignmentRequestPolicyValidationFailed", message)))

    with pytest.raises(PolicyRefused, match="longer than the group allows") as caught:
        assign(pim)

    assert caught.value.rules == ("ExpirationRule", "JustificationRule")


def test_the_authentication_context_is_recognised_by_its_claims_under_any_code(
    server: Scripted, pim: GraphPim
) -> None:
    server.reply(Reply(400, graph_error("UnknownError", "&claims=%7B%22access_token%22")))

    with pytest.raises(PolicyRefused) as caught:
        assign(pim)

    assert caught.value.rules == ("AuthenticationContextRule",)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"Retry-After": "17"}, 17),
        ({"Retry-After": "a date"}, 300),
        ({}, 10),
        ({"Retry-After": "soon"}, 10),
    ],
)
def test_throttling_says_how_long_to_wait_and_is_not_waited_for_inside(
    server: Scripted, pim: GraphPim, header: dict[str, str], seconds: int
) -> None:
    if header.get("Retry-After") == "a date":
        header = {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)}
    server.reply(Reply(429, graph_error("TooManyRequests"), headers=header))

    with pytest.raises(Throttled) as caught:
        pim.assignments(GROUP)

    assert caught.value.retry_after.total_seconds() == pytest.approx(seconds, abs=30 if seconds == 300 else 0)
    assert len(server.asked) == 1


def test_throttling_holds_the_whole_bucket(server: Scripted) -> None:
    held: list[tuple[str, timedelta]] = []

    class Watching:
        def acquire(self, bucket: str, cost: int = 1) -> None: ...

        def hold(self, bucket: str, span: timedelta) -> None:
            held.append((bucket, span))

    server.reply(Reply(429, graph_error("TooManyRequests"), headers={"Retry-After": "7"}))
    with graph_caller(server.origin, limiter=Watching()) as caller, pytest.raises(Throttled):
        GraphPim(caller).assignments(GROUP)

    assert held == [("graph", timedelta(seconds=7))]


@pytest.mark.parametrize(
    "first", [Reply(503, graph_error("x")), Reply(500, graph_error("x")), Reply(drop=True)]
)
def test_a_read_is_tried_again(server: Scripted, pim: GraphPim, first: Reply) -> None:
    server.reply(first, EMPTY)

    assert pim.assignments(GROUP).value == ()
    assert len(server.asked) == 2


def test_a_read_that_keeps_failing_is_unreachable_after_three_attempts(
    server: Scripted, pim: GraphPim
) -> None:
    server.reply(Reply(503, graph_error("ServiceUnavailable")))

    with pytest.raises(Unreachable) as caught:
        pim.assignments(GROUP)

    assert type(caught.value) is Unreachable
    assert len(server.asked) == 3


def test_a_dropped_write_is_of_unknown_outcome_and_not_repeated(server: Scripted, pim: GraphPim) -> None:
    server.reply(Reply(drop=True))

    with pytest.raises(OutcomeUnknown):
        assign(pim)

    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>gateway</html>", content_type="text/html"),
        Reply(201, b""),
        Reply(201, b"{"),
        Reply(502, b"<html>bad gateway</html>", content_type="text/html"),
        Reply(302, b"", headers={"Location": "http://127.0.0.1:1/elsewhere"}),
    ],
)
def test_an_unreadable_answer_to_a_write_is_of_unknown_outcome(
    server: Scripted, pim: GraphPim, reply: Reply
) -> None:
    server.reply(reply)

    with pytest.raises(OutcomeUnknown):
        assign(pim)

    assert len(server.asked) == 1


def test_a_slow_answer_ends_the_call_in_time(server: Scripted) -> None:
    with graph_caller(server.origin) as warm:  # the SDK's imports aren't what is timed here
        server.reply(Reply(400, graph_error("x")), EMPTY)
        with pytest.raises(Refused):
            assign(GraphPim(warm))
        GraphPim(warm).assignments(GROUP)
    release = threading.Event()
    server.reply(Reply(wait_for=release, body={"value": []}))
    try:
        with graph_caller(server.origin, total_seconds=0.3) as caller:
            with pytest.raises(OutcomeUnknown):
                assign(GraphPim(caller))
            with pytest.raises(Unreachable):
                GraphPim(caller).assignments(GROUP)
    finally:
        release.set()


def test_a_refused_connection_changed_nothing() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with graph_caller(origin) as caller:
            with pytest.raises(Unreachable):
                assign(GraphPim(caller))
            with pytest.raises(Unreachable):
                GraphPim(caller).assignments(GROUP)


def test_no_token_means_not_sent(server: Scripted) -> None:
    refused = ClientAuthenticationError("AADSTS700027: the certificate is not registered")
    with graph_caller(server.origin, failure=refused) as caller, pytest.raises(NotPermitted) as caught:
        assign(GraphPim(caller))
    assert caught.value.code == "AADSTS700027"

    away = ServiceRequestError("no route")
    with graph_caller(server.origin, failure=away) as caller, pytest.raises(Unreachable):
        assign(GraphPim(caller))
    assert server.asked == []


def test_every_call_carries_an_id_of_ours_and_keeps_theirs(server: Scripted, pim: GraphPim) -> None:
    server.reply(Reply(body={"value": []}, headers={"request-id": "their-id"}))

    reading = pim.assignments(GROUP)

    sent = server.asked[0].headers
    assert sent["client-request-id"] == reading.receipt.client_request_id != ""
    assert reading.receipt.vendor_request_id == "their-id"
    assert sent["authorization"] == "Bearer the-token"


def test_pages_are_followed_to_the_end(server: Scripted) -> None:
    rows = [
        {"id": f"row-{number}", "principalId": f"{GROUP[:-1]}{number}", "principalType": "Group"}
        for number in range(3)
    ]

    def page(asked: Asked) -> Reply:
        number = int(asked.path.partition("skiptoken=")[2] or 0)
        body: dict[str, Any] = {"value": [rows[number]]}
        if number < 2:
            path = asked.path.partition("?")[0]
            body["@odata.nextLink"] = f"{server.origin}{path}?$skiptoken={number + 1}"
        return Reply(body=body)

    server.reply(page)
    with graph_caller(server.origin) as caller:
        groups = GraphDirectory(caller, aws_service_principal_id=PRINCIPAL).application_groups()

    assert groups.value == {GROUP[:-1] + "0", GROUP[:-1] + "1", GROUP[:-1] + "2"}
    assert len({asked.headers["client-request-id"] for asked in server.asked}) == 3


def test_pages_that_go_in_a_circle_are_left(server: Scripted, pim: GraphPim) -> None:
    path = "identityGovernance/privilegedAccess/group/assignmentScheduleInstances"
    link = f"{server.origin}/v1.0/{path}?$filter=groupId%20eq%20'{GROUP}'&$skiptoken=same"
    server.reply(Reply(body={"value": [], "@odata.nextLink": link}))

    with pytest.raises(Unreachable) as caught:
        pim.assignments(GROUP)

    assert caught.value.code == "EndlessPages"


def test_a_next_link_elsewhere_gets_neither_token_nor_call(server: Scripted, pim: GraphPim) -> None:
    with scripted() as elsewhere:  # the same host name, another port: another origin
        elsewhere.reply(EMPTY)
        server.reply(Reply(body={"value": [], "@odata.nextLink": f"{elsewhere.origin}/v1.0/steal"}))

        with pytest.raises(Unreachable) as caught:
            pim.assignments(GROUP)

        assert caught.value.code == "ForeignOrigin"
        assert elsewhere.asked == []


def test_redirects_are_not_followed(server: Scripted, pim: GraphPim) -> None:
    with scripted() as elsewhere:
        elsewhere.reply(EMPTY)
        server.reply(Reply(307, b"", headers={"Location": f"{elsewhere.origin}/v1.0/steal"}))

        with pytest.raises(Unreachable):
            pim.assignments(GROUP)

        assert elsewhere.asked == []


def test_what_is_sent_to_a_script_is_held_to_the_contract_too(server: Scripted) -> None:
    server.reply(EMPTY)
    with RECORDER.wrong_on_purpose() as found:
        httpx.get(f"{server.origin}/v1.0/groups", params={"$teapot": "1"})
    assert found == ["GET /groups (0): unknown query option $teapot"]


def test_threads_share_one_loop(server: Scripted, pim: GraphPim) -> None:
    server.reply(EMPTY)
    results: list[object] = []
    threads = [
        threading.Thread(target=lambda: results.append(pim.assignments(GROUP).value)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert results == [()] * 8
    assert sum(thread.name == "graph-loop" for thread in threading.enumerate()) == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_builds_its_own_loop(server: Scripted, pim: GraphPim) -> None:
    server.reply(EMPTY)
    pim.assignments(GROUP)

    child = os.fork()
    if child == 0:
        try:
            answered = pim.assignments(GROUP).value == ()
        except BaseException:  # noqa: BLE001 - a child must never return into pytest
            answered = False
        os._exit(0 if answered else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_observer_hears_of_every_call(server: Scripted, pim: GraphPim) -> None:
    heard: list[dict[str, Any]] = []
    observe_with(lambda **call: heard.append(call))
    try:
        server.reply(Reply(body={"value": []}, headers={"request-id": "their-id"}))
        pim.assignments(GROUP)
        server.reply(Reply(503, graph_error("x"), headers={"request-id": "other-id"}))
        with pytest.raises(OutcomeUnknown):
            assign(pim)
    finally:
        observe_with(None)

    assert [(call["operation"], call["outcome"]) for call in heard] == [
        ("assignments", "ok"),
        ("assign", "OutcomeUnknown"),
    ]
    assert heard[0]["receipt"].vendor_request_id == "their-id"
    assert heard[1]["receipt"] == Receipt("our-id", "other-id")
