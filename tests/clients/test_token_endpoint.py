"""A person's token: what Entra's token endpoint says holds its own bucket and circuit, and not Graph's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from clients.breaker import FAILURES, CircuitOpen, LocalBreaker
from clients.entra.caller import GraphCaller
from clients.entra.credential import _Asking, _asking, _hooks, _StopError
from clients.entra.failures import DEFAULT_RETRY_AFTER
from clients.entra.personal import GraphPersonalPim
from clients.entra.pim import GraphPim
from clients.errors import ClientError, StepUpRequired, Throttled, TokenThrottled, Unreachable
from clients.limits import SIGN_IN, LocalLimiter
from tests.clients.graph_case import FAST, GROUP, FixedToken, config_for
from tests.clients.scripted import Reply, Scripted, scripted

WAIT = Reply(429, {"error": "temporarily_unavailable"}, headers={"Retry-After": "40"})
LOOP = "AADSTS50196: The server terminated an operation because it encountered a loop while processing a request."


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.fixture
def caller(server: Scripted) -> Iterator[GraphCaller]:
    config = replace(
        config_for(server.origin), authority=server.origin, signin_client_id="signin", signin_secret="secret"
    )
    caller = GraphCaller(
        config,
        LocalLimiter(FAST),
        read_pauses=(0.01, 0.01),
        credential=FixedToken(),
        breaker=LocalBreaker(),
    )
    yield caller
    caller.close()


@pytest.fixture
def personal(caller: GraphCaller) -> GraphPersonalPim:
    return GraphPersonalPim(caller, caller._config)


def test_a_429_is_asked_once_and_nobody_asks_before_its_time(
    server: Scripted, caller: GraphCaller, personal: GraphPersonalPim
) -> None:
    server.reply(WAIT, Reply(body={"value": []}))
    for _ in range(2):
        with pytest.raises(Throttled) as caught:
            personal.sign_in("ada")
        assert timedelta(seconds=39) < caught.value.retry_after <= timedelta(seconds=40)
    assert len(server.asked) == 1
    assert GraphPim(caller).assignments(GROUP).value == (), "Graph said nothing of the sort"


@pytest.mark.parametrize("said", [{"error_codes": [50196]}, {"error_description": LOOP}])
def test_a_refusal_that_asks_to_wait_holds_the_bucket_as_a_429_does(
    server: Scripted, personal: GraphPersonalPim, said: dict[str, Any]
) -> None:
    server.reply(Reply(400, {"error": "invalid_grant", **said}))
    for sentence in ("Entra's sign-in service asks to wait", "Too many calls"):
        with pytest.raises(ClientError, match=sentence) as caught:
            personal.sign_in("ada")
        assert isinstance(caught.value, Throttled), "of the token itself nothing was said"
        assert timedelta(seconds=9) < caught.value.retry_after <= DEFAULT_RETRY_AFTER
    assert len(server.asked) == 1


def test_what_holds_peoples_tokens_does_not_hold_the_workers_and_the_other_way_round(
    server: Scripted, caller: GraphCaller, personal: GraphPersonalPim
) -> None:
    server.reply(WAIT)
    with pytest.raises(Throttled):
        personal.sign_in("ada")
    before, _ = _hooks(caller._limiter).values()
    before(None)
    caller._limiter.hold(SIGN_IN, timedelta(seconds=40))
    asking = _Asking()
    held = _asking.set(asking)
    try:
        with pytest.raises(_StopError):
            before(None)
    finally:
        _asking.reset(held)
    assert isinstance(asking.stopped, TokenThrottled)
    assert "Entra" not in asking.stopped.sentence, "it wasn't Entra who said so"
    assert caller.token(port="entra.standing").value == "the-token", "who has a token goes on"
    server.reply(Reply(body={"access_token": "hers", "refresh_token": "next"}))
    with pytest.raises(Throttled):
        personal.sign_in("ada")
    caller._limiter = LocalLimiter(FAST)
    caller._limiter.hold(SIGN_IN, timedelta(seconds=40))
    assert personal.sign_in("ada").value.access_token == "hers"


def test_an_outage_of_the_sign_in_is_not_graphs_and_the_other_way_round(
    server: Scripted, caller: GraphCaller, personal: GraphPersonalPim
) -> None:
    server.reply(Reply(503, {"error": "temporarily_unavailable"}))
    for _ in range(FAILURES):
        with pytest.raises(Unreachable, match="no clear answer"):
            personal.sign_in("ada")
    with pytest.raises(CircuitOpen, match="Entra's sign-in service"):
        personal.sign_in("ada")
    server.reply(Reply(body={"value": []}))
    assert GraphPim(caller).assignments(GROUP).value == ()
    assert caller.token(port="entra.standing").value == "the-token"
    with pytest.raises(CircuitOpen):  # and what Graph answered, or a cache, says nothing about the sign-in
        personal.sign_in("ada")


def test_a_refusal_is_an_answer_with_its_number(server: Scripted, personal: GraphPersonalPim) -> None:
    refused: dict[str, Any] = {"error": "interaction_required", "error_codes": [50076], "trace_id": "theirs"}
    server.reply(Reply(400, refused))
    with pytest.raises(StepUpRequired) as caught:
        personal.sign_in("ada")
    assert caught.value.receipt is not None
    assert caught.value.receipt.vendor_request_id == "theirs"
