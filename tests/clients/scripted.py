"""A tiny HTTP server that answers from a script and remembers what it was asked. For adapter tests."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from simulator.entra.graph.exchange import Exchange
from tests.support.graph_run import RECORDER

GRAPH = "/v1.0"


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    method: str
    path: str
    headers: Mapping[str, str]  # lower-case names
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What to answer. `drop` closes the connection without a word; `wait_for` holds the answer back."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    wait_for: threading.Event | None = None
    content_type: str = "application/json"


class Scripted:
    """Replies are given in order; when they run out, the last one repeats."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.replies: list[Reply | Callable[[Asked], Reply]] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"script": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def reply(self, *replies: Reply | Callable[[Asked], Reply]) -> None:
        self.replies = list(replies)

    def next_reply(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply(asked) if callable(reply) else reply

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _hold_to_contract(asked: Asked) -> None:
    """What the product sends to Graph keeps Graph's contract here too; the answers are made up, and may not."""
    address = urlsplit(asked.path)
    RECORDER.hold_request(
        Exchange(
            method=asked.method,
            path=unquote(address.path).removeprefix(GRAPH),
            query=dict(parse_qsl(address.query, keep_blank_values=True)),
            request_body=asked.json if asked.body else None,
            status=0,
            response_headers={},
            response_body=None,
        )
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Scripted

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        asked = Asked(
            method=self.command,
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
        )
        if asked.path.startswith(f"{GRAPH}/"):
            _hold_to_contract(asked)
        reply = self.script.next_reply(asked)
        if reply.wait_for is not None:
            reply.wait_for.wait(10)
        if reply.drop:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        with suppress(OSError):
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - the base class's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def scripted() -> Iterator[Scripted]:
    """A server on a free port until the block ends."""
    server = Scripted()
    try:
        yield server
    finally:
        server.close()


def graph_error(code: str, message: str = "said so") -> dict[str, Any]:
    """Graph's error envelope."""
    return {"error": {"code": code, "message": message, "innerError": {"request-id": "in-the-body"}}}
