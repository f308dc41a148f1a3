"""Seals to a syslog server over TLS: one message each, to nobody whose certificate isn't trusted."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from audit.ledger.anchors import AnchorError, SignedSeal
from audit.ledger.syslog_anchor import SyslogAnchor

SEAL = SignedSeal(
    batch=7,
    n=3,
    root=bytes(32),
    prev_seal=bytes(32),
    seal=sha256(b"seal").digest(),
    key_id="ab" * 8,
    signature=bytes(64),
    at=datetime(2026, 5, 1, 12, tzinfo=UTC),
)
# RFC 5425's frame around RFC 5424's message.
FRAME = re.compile(
    rb"(?P<length>\d+) (?P<message><109>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ access-portal \d+ audit-seal - "
    rb"(?P<line>\{.*\}))",
    re.DOTALL,
)


@dataclass
class Server:
    """A syslog server that keeps what it reads."""

    port: int
    certificate: Path
    got: list[bytes] = field(default_factory=list)


def certify(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "logs")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    certificate, key = certify(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening = socket.create_server(("127.0.0.1", 0))
    made = Server(listening.getsockname()[1], certificate)

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return  # closed: the test is over
            try:
                with context.wrap_socket(plain, server_side=True) as secure:
                    read = b""
                    while part := secure.recv(4096):
                        read += part
                    made.got.append(read)
                    secure.unwrap()
            except OSError:
                continue  # a client that doesn't trust us

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield made
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(10)


def test_a_seal_is_one_message_and_its_line_is_the_one_that_every_place_keeps(server: Server) -> None:
    place = SyslogAnchor.at(f"127.0.0.1:{server.port}", str(server.certificate))
    receipt = place.put(SEAL)
    (got,) = server.got
    frame = FRAME.fullmatch(got)
    assert frame, got
    assert int(frame["length"]) == len(frame["message"])
    assert SignedSeal.parse(frame["line"].decode()) == SEAL
    fingerprint = x509.load_pem_x509_certificate(server.certificate.read_bytes()).fingerprint(hashes.SHA256())
    assert receipt == (
        f"sent to 127.0.0.1:{server.port}, certificate SHA-256 {fingerprint.hex()}; syslog confirms nothing"
    )


def test_nothing_goes_to_a_server_that_is_not_trusted_or_not_there(server: Server) -> None:
    with pytest.raises(AnchorError, match="certificate isn't trusted"):
        SyslogAnchor("127.0.0.1", server.port).put(SEAL)
    with pytest.raises(AnchorError, match="certificate isn't trusted"):  # its name is another
        SyslogAnchor("localhost", server.port, str(server.certificate)).put(SEAL)
    assert server.got == []
    with pytest.raises(AnchorError, match="can't be reached"):
        SyslogAnchor("127.0.0.1", 1).put(SEAL)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("logs.example", ("logs.example", 6514)),
        ("logs.example:601", ("logs.example", 601)),
        ("[2001:db8::1]", ("2001:db8::1", 6514)),
        ("[2001:db8::1]:601", ("2001:db8::1", 601)),
    ],
)
def test_addresses_are_read(address: str, place: tuple[str, int]) -> None:
    made = SyslogAnchor.at(address)
    assert (made.host, made.port) == place
