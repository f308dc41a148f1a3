"""A syslog server as a place that keeps seals: one message a seal, over TLS.

RFC 5424 says what a message is, RFC 5425 how it is carried: its length in bytes, a blank, the message. Nothing in
either lets the receiver say that it has kept one, so the receipt says only what was seen: an end of the connection in
good order, which a receiver that has read everything gives. What it has kept is seen when its lines are compared.
"""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from audit.ledger.anchors import TIMEOUT_SECONDS, AnchorError, SignedSeal
from base.tls import session

PORT = 6514  # of syslog over TLS (RFC 5425, section 4.1)
# Facility 13 (log audit), severity 5 (notice): RFC 5424, section 6.2.1.
PRIORITY = 13 * 8 + 5
_NIL = "-"


@dataclass(frozen=True, slots=True)
class SyslogAnchor:
    """One message a seal; the text after the header is the line that the other places keep."""

    host: str
    port: int
    ca_bundle: str = ""  # "": the system's own
    name: str = "syslog"

    @classmethod
    def at(cls, address: str, ca_bundle: str = "") -> Self:
        """The server at HOST or HOST:PORT; an IPv6 address in brackets. Raises ValueError."""
        host, port = address.strip(), str(PORT)
        if host.startswith("["):
            host, _, rest = host[1:].partition("]")
            port = rest.removeprefix(":") or port
        elif ":" in host:
            host, _, port = host.partition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{address!r} isn't HOST or HOST:PORT.")
        return cls(host, int(port), ca_bundle)

    def put(self, seal: SignedSeal) -> str:
        """See Anchor. The receipt names the server and the SHA-256 of its certificate."""
        said = message(seal)
        try:
            context = ssl.create_default_context(cafile=self.ca_bundle or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            with session(
                (self.host, self.port),
                context,
                connect_seconds=TIMEOUT_SECONDS,
                seconds=TIMEOUT_SECONDS,
            ) as tls:
                certificate = tls.certificate()
                tls.send(f"{len(said)} ".encode() + said)
                tls.end()
        except ssl.SSLCertVerificationError as error:
            raise AnchorError(
                f"The syslog server's certificate isn't trusted: {error.verify_message}."
            ) from error
        except OSError as error:
            raise AnchorError(f"The syslog server can't be reached ({type(error).__name__}).") from error
        digest = hashlib.sha256(certificate).hexdigest()
        return f"sent to {self.host}:{self.port}, certificate SHA-256 {digest}; syslog confirms nothing"


def message(seal: SignedSeal) -> bytes:
    """The seal as a message of RFC 5424; its time is now, the seal's own stands in the line."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    host = "".join(c for c in socket.gethostname() if "!" <= c <= "~")[:255] or _NIL
    header = f"<{PRIORITY}>1 {now} {host} access-portal {os.getpid()} audit-seal {_NIL} "
    return header.encode() + seal.line().encode()
