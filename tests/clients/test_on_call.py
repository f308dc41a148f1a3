"""The document of who is on call, read over real HTTPS on this machine: what is anything but it makes nobody on call."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pytest_django import Settings

from base.clock import business_now
from clients import on_call as document
from policy import on_call
from policy.on_call import known_on_call, on_call_at, read_on_call
from policy.scope import OnCall
from simulator.entra import tls
from tests.requests_app import factories as make

pytestmark = pytest.mark.django_db


@dataclass
class Source:
    """A server of the organisation's: what it answers, and which paths it was asked for."""

    address: str = ""
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[[], object] = lambda: None  # what it does before it answers
    drips: bool = False  # a byte at a time, for ever
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


def handler(source: Source) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            source.asked.append(self.path)
            source.before()
            self.send_response(source.status)
            for name, value in {"Content-Length": str(len(source.body)), **source.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            while source.drips and not source.over.wait(0.01):
                self.wfile.write(b" ")
                self.wfile.flush()
            self.wfile.write(source.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


class Quiet(ThreadingHTTPServer):
    """Whoever hangs up on it is no error of a test's."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """The client's own business."""


@pytest.fixture
def source(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    """It names Oli for the schedule that a rule has, with a certificate that this machine trusts."""
    files, made = tls.ensure_server_tls(tmp_path), Source()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server_certificate, files.server_key)
    server = Quiet(("127.0.0.1", 0), handler(made))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    made.address = f"https://127.0.0.1:{server.server_port}/on-call.json"
    settings.ON_CALL_SOURCE, settings.ON_CALL_DOCUMENT = "clients.on_call.from_document", made.address
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files.ca_bundle))
    make.rule(stages=[{"on_call": "payments"}])
    oli = make.person("Oli Oncall")
    made.body = json.dumps({"payments": [oli.user_principal_name]}).encode()
    try:
        yield made
    finally:
        made.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
        for asking in on_call._asking.values():
            asking.join(5)
        on_call._asking.clear()


def found() -> OnCall:
    read_on_call()
    now = business_now()
    return on_call_at(known_on_call(["payments"], [now]), ["payments"], now)["payments"]


def test_the_document_is_read(source: Source) -> None:
    assert (len(found().people), found().problem) == (1, "")
    assert set(source.asked) == {"/on-call.json"}
    source.headers, source.body = {"Content-Encoding": "gzip"}, gzip.compress(source.body)
    source.headers["Content-Length"] = str(len(source.body))
    assert len(found().people) == 1, "packed, too"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 500}, "could not be read (HTTPError)"),
        ({"status": 404}, "could not be read (HTTPError)"),
        ({"status": 302, "headers": {"Location": "/elsewhere.json"}}, "could not be read (ValueError)"),
        ({"status": 203}, "could not be read (ValueError)"),
        ({"body": b"<html>Sign in first</html>"}, "could not be read (JSONDecodeError)"),
        ({"body": b"\xff\xfe\x00"}, "could not be read ("),
        ({"body": b'["oli@example.com"]'}, "could not be read (ValueError)"),
        ({"body": b'{"others": ["oli@example.com"]}'}, "could not be read (ValueError)"),
        ({"body": b'{"payments": [1]}'}, "could not be read (ValueError)"),
        ({"body": b'{"payments": []}'}, "nobody is on call for payments"),
        ({"body": b'{"payments": ["' + b"x" * 200 + b'"]}'}, "could not be read (ValueError)"),
        (
            {"body": gzip.compress(b" " * 100_000), "headers": {"Content-Encoding": "gzip"}},
            "could not be read (ValueError)",
        ),
        ({"body": b"{", "headers": {"Content-Length": "900"}}, "could not be read ("),
    ],
    ids=lambda each: str(each)[:40] if isinstance(each, dict) else "",
)
def test_any_other_answer_makes_nobody_on_call_and_says_so(
    source: Source, monkeypatch: pytest.MonkeyPatch, answer: dict[str, object], words: str
) -> None:
    monkeypatch.setattr(document, "LARGEST", 200)
    for name, value in answer.items():
        setattr(source, name, value)
    nobody = found()
    assert (nobody.people, words in nobody.problem) == (frozenset(), True), nobody.problem
    assert source.asked == ["/on-call.json"], "nobody is led elsewhere"


def test_a_server_that_is_silent_slow_or_gone_makes_nobody_on_call(
    source: Source, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "TIMEOUT_SECONDS", 0.2)
    source.before = source.over.wait  # it takes the call, and says nothing
    assert "could not be read (ReadTimeout)" in found().problem
    # A byte now and then keeps each reading alive: the whole has a limit of its own.
    source.before, source.drips, source.headers = (lambda: None), True, {"Content-Length": "1000000"}
    monkeypatch.setattr(on_call, "TIME_LIMIT", timedelta(seconds=0.3))
    began = time.monotonic()
    assert "no answer within" in found().problem
    assert time.monotonic() - began < 5
    assert "still hangs" in found().problem, "and it isn't asked again meanwhile"
    on_call._asking.clear()
    settings.ON_CALL_DOCUMENT = "https://127.0.0.1:1/on-call.json"
    assert "could not be read (ConnectionError)" in found().problem


def test_a_server_whose_certificate_nobody_trusts_makes_nobody_on_call(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert "could not be read (SSLError)" in found().problem
    assert source.asked == []
