"""Receivers of the trail: a webhook that takes CloudEvents, and a syslog server over TLS.

A receiver is given events in their order and says which it has acknowledged. What is acknowledged doesn't come again;
everything else does, so that a receiver may see an event twice and knows it by its id.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from django.conf import settings

from audit.forwarding import cef, ocsf
from audit.forwarding.ocsf_classes import VERSION, Severity, meaning_of
from audit.ledger.canonical import instant
from audit.ledger.reading import Entry
from base.exchange import Connection, TlsConnection
from base.tls import Session, session

KINDS = ("webhook", "syslog", "s3")
# No delivery begins after carrying.MOST_SECONDS: with the longest of these that is well below a task's soft limit.
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0  # for all of one POST to a webhook, until its status is there
REST_SECONDS = 1.0  # for what a webhook says beyond its status, of which nothing is kept
MOST_ANSWER = 64 * 1024  # bytes that are read of that
SESSION_SECONDS = 20.0  # for all of one delivery to a syslog server, the end of its session included
# RFC 5424: facility 13 is "log audit"; severities from notice to critical.
_FACILITY = 13
_SEVERITIES = {
    Severity.INFORMATIONAL: 6,
    Severity.LOW: 5,
    Severity.MEDIUM: 4,
    Severity.HIGH: 3,
    Severity.CRITICAL: 2,
}
LONGEST_MESSAGE_ID = 32  # RFC 5424, section 6
_NOT_PRINTABLE = re.compile("[^!-~]")


class Undelivered(Exception):
    """The receiver didn't take it; the message says why, without any secret."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An event with its place in the sealed trail."""

    entry: Entry
    batch: int
    idx: int


class Receiver(Protocol):
    """Whoever is sent the trail."""

    @property
    def name(self) -> str:
        """What it is called on pages and in its row: one of KINDS."""

    def deliver(self, events: Sequence[Sealed]) -> Generator[Sealed, None, None]:
        """Send them in their order; gives each up to which everything is acknowledged, the last of some at least.

        Raises Undelivered, after giving what was acknowledged before.
        """


def _ocsf(sealed: Sealed) -> str:
    return ocsf.json_line(sealed.entry, sealed.batch, short=True)


def _cef(sealed: Sealed) -> str:
    return cef.line(sealed.entry, sealed.batch)


PAYLOADS: Mapping[str, Callable[[Sealed], str]] = {"ocsf": _ocsf, "cef": _cef}


def cloud_event(sealed: Sealed) -> bytes:
    """One event in the structured JSON form of CloudEvents 1.0, in ASCII; `sequence` orders as text does."""
    event = sealed.entry.event
    data = ocsf.document(sealed.entry, sealed.batch, short=True)
    kind = data["class_name"].lower().replace(" ", "_")
    found = {
        "specversion": "1.0",
        "id": str(event.id),
        "source": f"{settings.PORTAL_ORIGIN}/audit/",
        "type": f"access-portal.{event.type}",
        "time": instant(event.at),
        "datacontenttype": "application/json",
        "dataschema": f"https://schema.ocsf.io/{VERSION}/classes/{kind}",
        "sequence": f"{sealed.batch:012}.{sealed.idx:06}",
        "data": data,
    }
    if event.request_id:
        found["subject"] = str(event.request_id)
    return json.dumps(found, ensure_ascii=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Webhook:
    """One POST an event over one connection; an answer of 2xx is the acknowledgement. Redirects aren't followed."""

    url: str
    secret: str
    name: str = "webhook"

    def deliver(self, events: Sequence[Sealed]) -> Generator[Sealed, None, None]:
        """See Receiver."""
        parts = urlsplit(self.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        kind = TlsConnection if parts.scheme == "https" else Connection
        with closing(kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)) as connection:
            for sealed in events:
                self._post(connection, path, sealed)
                yield sealed

    def _post(self, connection: Connection, path: str, sealed: Sealed) -> None:
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "User-Agent": "access-portal",
            "Authorization": f"Bearer {self.secret}",
        }
        body = cloud_event(sealed)
        connection.deadline.restart(ANSWER_SECONDS)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
        except TimeoutError as error:
            raise Undelivered(f"The webhook didn't answer within {ANSWER_SECONDS:.0f} seconds.") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Undelivered(f"The webhook can't be reached ({type(error).__name__}).") from error
        if not 200 <= answer.status < 300:
            raise Undelivered(f"The webhook answered {answer.status} to event {sealed.entry.event.id}.")
        _pass_by(answer, connection)


def _pass_by(answer: http.client.HTTPResponse, connection: Connection) -> None:
    """Read past what follows the status, which counts already, or give the next event a connection of its own."""
    connection.deadline.restart(REST_SECONDS)
    with suppress(OSError, http.client.HTTPException, ValueError):
        answer.read(MOST_ANSWER)
    if not answer.isclosed():
        connection.close()


def syslog_frame(sealed: Sealed, payload: Callable[[Sealed], str], host: str) -> bytes:
    """One message of RFC 5424, framed by its length (RFC 5425, section 4.3)."""
    event = sealed.entry.event
    priority = _FACILITY * 8 + _SEVERITIES[meaning_of(event.type).severity]
    head = f"<{priority}>1 {instant(event.at)} {host} access-portal - {_message_id(event.type)} - "
    message = head.encode() + payload(sealed).encode()
    return f"{len(message)} ".encode() + message


def _message_id(event_type: str) -> str:
    """The type as RFC 5424, section 6.2.7, takes it: at most 32 printable characters of ASCII."""
    return _NOT_PRINTABLE.sub("?", event_type[:LONGEST_MESSAGE_ID]) or "-"


@dataclass(frozen=True, slots=True)
class Syslog:
    """A syslog server over TLS, a connection for each delivery.

    Syslog has no acknowledgement of its own. Here it is the end of the TLS session: RFC 5425, section 4.4, has the
    receiver answer our close_notify with its own, and it can only do so after reading everything before it. With
    `confirms` False, for a server that doesn't, what was handed to the network counts: that can lose events.
    """

    host: str
    port: int
    payload: str  # of PAYLOADS
    ca_bundle: str = ""
    certificate: str = ""  # PEM with our certificate and its key, for servers that ask for one
    confirms: bool = True
    name: str = "syslog"

    def deliver(self, events: Sequence[Sealed]) -> Generator[Sealed, None, None]:
        """See Receiver."""
        ours = urlsplit(settings.PORTAL_ORIGIN).hostname or "-"
        frames = [syslog_frame(sealed, PAYLOADS[self.payload], ours) for sealed in events]
        try:
            with session(
                (self.host, self.port),
                self._context(),
                connect_seconds=CONNECT_SECONDS,
                seconds=SESSION_SECONDS,
            ) as tls:
                for frame in frames:
                    tls.send(frame)
                self._end(tls)
        except (OSError, ValueError) as error:
            raise Undelivered(f"The syslog server can't be reached ({_reason(error)}).") from error
        if events:
            yield events[-1]

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_bundle or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate:
            context.load_cert_chain(self.certificate)
        return context

    def _end(self, tls: Session) -> None:
        try:
            tls.end()
        except OSError as error:
            if self.confirms:
                raise Undelivered(
                    "The syslog server didn't answer the end of the TLS session, so that nobody knows what it has "
                    f"({_reason(error)})."
                ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate isn't trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return type(error).__name__
