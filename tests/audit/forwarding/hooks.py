"""Receivers on this machine: a webhook and a syslog server over TLS, which can die and come back."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Hook:
    """What a webhook was sent; it answers `status`, and falls silent after `most` requests.

    One that `trickles` sends the head of its answer, or the body, a byte at a time, and for seconds.
    """

    port: int = 0
    status: int = 200
    answer: bytes = b"ok"
    most: int = 1_000
    trickles: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events?from=portal"


@contextmanager
def webhook(hook: Hook) -> Iterator[None]:
    """The hook's server, on the hook's port from the second time on."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if len(hook.bodies) >= hook.most:
                self.close_connection = True
                return
            hook.headers.append({"path": self.path, **self.headers})
            if hook.status == 200:
                hook.bodies.append(body)
            if hook.trickles == "head":
                self.trickle()
                return
            self.send_response(hook.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "9999" if hook.trickles else str(len(hook.answer)))
            self.end_headers()
            if hook.trickles == "body":
                self.trickle()
            self.wfile.write(hook.answer)

        def trickle(self) -> None:
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.02)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """Of connections that the portal broke off."""

    server = Server(("127.0.0.1", hook.port), Handler)
    hook.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(folder: Path, name: str = "server") -> Path:
    """A certificate of 127.0.0.1 that vouches for itself, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / f"{name}.pem"
    path.write_bytes(private + made.public_bytes(pem))
    return path


@dataclass
class SyslogServer:
    """What a syslog server read. It dies after `most` bytes; without `polite` it ends no TLS session."""

    certificate: Path
    clients: Path | None = None  # who may speak to it
    most: int | None = None
    polite: bool = True
    port: int = 0
    read: bytes = b""

    @property
    def messages(self) -> list[bytes]:
        """The messages by octet counting (RFC 5425); a message that is cut off isn't one."""
        found, rest = [], self.read
        while rest:
            length, _, rest = rest.partition(b" ")
            if len(rest) < int(length):
                break
            found.append(rest[: int(length)])
            rest = rest[int(length) :]
        return found


@contextmanager
def syslog(server: SyslogServer) -> Iterator[None]:
    """The server, on its own port from the second time on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate)
    if server.clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(server.clients)
    listening = socket.create_server(("127.0.0.1", server.port))
    listening.settimeout(0.05)
    server.port = listening.getsockname()[1]
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                raw, _ = listening.accept()
            except TimeoutError:
                continue
            with raw:
                raw.settimeout(5)
                try:
                    _hear(server, context, raw)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        listening.close()


def _hear(server: SyslogServer, context: ssl.SSLContext, raw: socket.socket) -> None:
    with context.wrap_socket(raw, server_side=True) as tls:
        heard = 0
        while chunk := tls.recv(4096):
            server.read += chunk
            heard += len(chunk)
            if server.most is not None and heard > server.most:
                return  # dies with the session open
        if server.polite:
            tls.unwrap()
