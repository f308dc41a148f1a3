"""Who the worker is, as its own token and certificate say it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clients.aws.standing import Boto3Standing
from clients.entra.standing import GraphStanding
from clients.errors import NotPermitted
from clients.types import Reading, Receipt
from simulator.entra.tls import ensure_client_certificate

RECEIPT = Receipt("ours", "theirs")


class Caller:
    """A Graph that gives this token and refuses everything."""

    clock_skew = None

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self, *, port: str) -> Reading[str]:
        return Reading(self._token, RECEIPT)

    def item(self, *_: object, **__: object) -> None:
        raise NotPermitted("Refused.")


def standing(token: str, certificate: str = "") -> GraphStanding:
    config: Any = SimpleNamespace(certificate_path=certificate, aws_service_principal_id="x")
    caller: Any = Caller(token)
    return GraphStanding(caller, config)


def encoded(claims: object) -> str:
    return "head." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".signature"


def test_the_tokens_claims_are_read_though_graph_refuses_everything() -> None:
    found = standing(encoded({"tid": "t", "appid": "a", "roles": ["R.Read"]})).identity()
    assert (found.value.tenant_id, found.value.application_id) == ("t", "a")
    assert found.value.roles == {"R.Read"}
    assert (found.value.clock_skew, found.receipt) == (None, RECEIPT)


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", encoded(["no", "object"]), encoded({"roles": "R"})])
def test_a_token_that_cant_be_read_says_nothing(token: str) -> None:
    found = standing(token).identity().value
    assert (found.tenant_id, found.roles) == ("", frozenset())


def test_the_certificates_end_is_read(tmp_path: Path) -> None:
    certificate = ensure_client_certificate(tmp_path / "worker.pem", "worker")
    assert (
        standing("", str(tmp_path / "worker.pem")).identity().value.credential_ends_at
        == certificate.not_valid_after_utc
    )
    (tmp_path / "none.pem").write_text("nothing")
    assert standing("", str(tmp_path / "none.pem")).identity().value.credential_ends_at is None


@pytest.mark.parametrize(("date", "told"), [("Thu, 01 Jan 2026 00:00:00 GMT", True), ("soon", False)])
def test_the_clock_of_aws_is_read_from_its_answer(date: str, told: bool) -> None:
    answer = {"Account": "1", "Arn": "arn", "ResponseMetadata": {"HTTPHeaders": {"date": date}}}
    caller: Any = SimpleNamespace(one=lambda *_: Reading(answer, RECEIPT))
    skew = Boto3Standing(caller).identity().value.clock_skew
    assert (skew is not None) is told
    if skew is not None:
        assert abs(datetime.now(UTC) + skew - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() < 60
