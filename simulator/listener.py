"""HTTP and HTTPS listeners of the simulator: threaded WSGI servers on loopback.

Every request's environ carries `simulator.drop`: calling it closes the connection without an answer,
as a network fault would. Whatever the application returns afterwards is thrown away.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIApplication

from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter

from simulator.entra.tls import TlsFiles, server_context

LOOPBACK = "127.0.0.1"
THREADS = 8
DROP = "simulator.drop"


class _Gateway(wsgi.Gateway_10):
    def get_environ(self) -> Any:
        environ: Any = super().get_environ()  # type: ignore[no-untyped-call]  # cheroot has no hints for it
        connection = self.req.conn
        environ[DROP] = lambda: _drop(connection)
        return environ


def _drop(connection: Any) -> None:
    """Cut the connection at once; an answer written to it goes nowhere."""
    with contextlib.suppress(OSError):
        connection.socket.shutdown(socket.SHUT_RDWR)


class Listener:
    """One server in its own thread. `port` 0 takes a free one; a port in use falls back to a free one."""

    def __init__(
        self,
        app: WSGIApplication | None = None,
        *,
        port: int = 0,
        tls: TlsFiles | None = None,
        bind: str = LOOPBACK,
    ) -> None:
        self._app = app
        self._interface = bind
        self._server = self._bind(port, tls)
        self._thread = threading.Thread(target=self._server.serve, name="listener", daemon=True)

    def _bind(self, port: int, tls: TlsFiles | None) -> wsgi.Server:
        for candidate in (port, 0) if port else (0,):
            server = wsgi.Server(
                (self._interface, candidate),
                self._call,
                numthreads=THREADS,
                request_queue_size=64,
                timeout=60,
            )
            server.gateway = _Gateway
            server.shutdown_timeout = 2
            server.expiration_interval = 0.1  # seconds
            if tls is not None:
                adapter = BuiltinSSLAdapter(str(tls.server_certificate), str(tls.server_key))
                adapter.context = server_context(tls)
                server.ssl_adapter = adapter
            try:
                server.prepare()
            except OSError:
                server.stop()
                if candidate == 0:
                    raise
                continue
            return server
        raise OSError(f"no port to listen on at {self._interface}")

    def _call(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if self._app is None:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return []
        return self._app(environ, start_response)

    @property
    def port(self) -> int:
        """The port that it is bound to."""
        return int(self._server.bind_addr[1])

    @property
    def address(self) -> str:
        """Host and port to call it at, from this machine."""
        return f"{LOOPBACK}:{self.port}"

    def use(self, app: WSGIApplication) -> None:
        """Answer with this application from now on; lets applications be made once ports are known."""
        self._app = app

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port; returns once running requests are done, within seconds."""
        address = (LOOPBACK, self.port)
        stopping = threading.Thread(target=self._server.stop, name="listener-stop")
        stopping.start()
        while stopping.is_alive():
            # The loop looks for its end after each connection, and without one only every expiration_interval.
            with contextlib.suppress(OSError):
                socket.create_connection(address, timeout=1).close()
            stopping.join(timeout=0.005)
        if self._thread.is_alive():
            self._thread.join(timeout=5)
