"""However a server behaves, an exchange with it is over when its time is."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from base.exchange import open_without_redirects
from base.tls import session
from tests.audit.forwarding.hooks import certificate

SECONDS = 0.3
LATE = 3.0  # it would have been let go only then
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@contextmanager
def dripping(first: bytes, tls: Path | None = None, *, reads: bool = True) -> Iterator[int]:
    """A server that says `first` and then a byte every few milliseconds, for LATE at most; gives its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError), listening.accept()[0] as plain:
            plain.settimeout(LATE)
            with wrapped(plain) as talking:
                drip(talking)

    def wrapped(plain: socket.socket) -> socket.socket:
        if tls is None:
            return plain
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        return context.wrap_socket(plain, server_side=True)

    def drip(talking: socket.socket) -> None:
        if reads:
            talking.recv(65536)
        last = time.monotonic() + LATE
        talking.sendall(first)
        while reads and time.monotonic() < last:
            talking.sendall(b"x")
            over.wait(0.02)
        over.wait(LATE)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        over.set()
        listening.close()
        thread.join()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("first", [b"", HEAD, HEAD + b"Content-Length: 9999\r\n\r\n"])
def test_an_answer_that_trickles_is_not_waited_for_beyond_the_deadline(
    first: bytes, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vouched = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(vouched))
    with dripping(first, vouched if scheme == "https" else None) as port:
        began = time.monotonic()
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}/", data=b"?")  # noqa: S310 - this machine
        with pytest.raises(TimeoutError), open_without_redirects(request, SECONDS) as answer:
            answer.read()
        assert time.monotonic() - began < LATE / 2


def say_much(port: int, vouched: Path, much: int) -> None:
    context = ssl.create_default_context(cafile=vouched)
    with session(("127.0.0.1", port), context, connect_seconds=1, seconds=SECONDS) as tls:
        tls.send(b"?")
        for _ in range(much):
            tls.send(bytes(1 << 20))
        tls.end()


@pytest.mark.parametrize("reads", [True, False])
def test_a_tls_session_ends_with_its_deadline_whether_the_other_side_talks_on_or_stops_reading(
    reads: bool, tmp_path: Path
) -> None:
    vouched = certificate(tmp_path)
    with dripping(b"", vouched, reads=reads) as port:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            say_much(port, vouched, much=0 if reads else 200)
        assert time.monotonic() - began < LATE / 2
