"""Exchanges with a server that end in time, however slowly it answers.

A timeout of a socket is one of each wait: whoever sends a byte every few seconds is waited for without end. Here all
waits of an exchange share one deadline. Only looking up a name isn't held to it: the resolver has times of its own.
"""

from __future__ import annotations

import http.client
import math
import socket
import ssl
import time
import urllib.request
from functools import cache
from typing import Any

DEFAULT_SECONDS = 10.0


class Deadline:
    """So many seconds from now on, or from when it was last begun again."""

    def __init__(self, seconds: float) -> None:
        self.restart(seconds)

    def restart(self, seconds: float) -> None:
        """Begin again."""
        self._last = time.monotonic() + seconds

    def left(self) -> float:
        """How many seconds are left. Raises TimeoutError when none are."""
        left = self._last - time.monotonic()
        if left <= 0:
            raise TimeoutError("The exchange took too long.")
        return left


class _Timed(socket.socket):
    """A socket of which no wait goes past its deadline. One wait of `sendall` and of TLS is bounded as a whole."""

    deadline: Deadline | None = None

    def _hold(self) -> None:
        if self.deadline is not None:
            self.settimeout(self.deadline.left())

    def recv(self, *given: Any) -> bytes:
        self._hold()
        return super().recv(*given)

    def recv_into(self, *given: Any) -> int:
        self._hold()
        return super().recv_into(*given)

    def send(self, *given: Any) -> int:
        self._hold()
        return super().send(*given)

    def sendall(self, *given: Any) -> None:
        self._hold()
        super().sendall(*given)


class _TimedTls(_Timed, ssl.SSLSocket):
    """The same over TLS."""


def connect(
    address: tuple[str, int], deadline: Deadline, *, connect_seconds: float = math.inf
) -> socket.socket:
    """A connection whose every wait ends with the deadline; the host's addresses are tried one by one. Raises OSError."""
    failed: OSError | None = None
    for family, kind, protocol, _, where in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        made = _Timed(family, kind, protocol)
        made.deadline = deadline
        try:
            made.settimeout(min(deadline.left(), connect_seconds))
            made.connect(where)
        except OSError as error:
            made.close()
            failed = error
        else:
            made.settimeout(deadline.left())
            return made
    raise failed or OSError("The host has no address.")


class Connection(http.client.HTTPConnection):
    """HTTP whose timeout is that of everything together, from the beginning on or since the deadline was restarted."""

    def __init__(
        self, host: str, port: int | None = None, *, timeout: float = DEFAULT_SECONDS, **more: Any
    ) -> None:
        super().__init__(host, port, timeout=timeout, **more)
        self.deadline = Deadline(timeout)
        self._create_connection = (
            self._connected
        )  # the library's own hook, used before a proxy's tunnel and TLS

    def _connected(self, address: tuple[str, int], *_: object) -> socket.socket:
        return connect(address, self.deadline)


class TlsConnection(Connection, http.client.HTTPSConnection):
    """The same over TLS."""

    def __init__(
        self, host: str, port: int | None = None, *, timeout: float = DEFAULT_SECONDS, **more: Any
    ) -> None:
        more.setdefault("context", _context())
        super().__init__(host, port, timeout=timeout, **more)

    def connect(self) -> None:
        super().connect()  # the handshake takes what TCP left of the timeout
        if isinstance(self.sock, _TimedTls):
            self.sock.deadline = self.deadline


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = _TimedTls
    return context


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(Connection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(TlsConnection, req)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A secret goes to the address that was configured and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def open_without_redirects(request: urllib.request.Request, seconds: float) -> http.client.HTTPResponse:
    """urllib's open, proxies of the environment included; `seconds` are for all of it, what is read of the answer too."""
    answer: http.client.HTTPResponse = _opener().open(request, timeout=seconds)
    return answer


@cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirects, _Http, _Https)
