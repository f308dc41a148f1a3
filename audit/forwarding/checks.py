"""System checks: the streams of the trail are of a known kind, and the worker knows where they lead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from audit.forwarding.receivers import KINDS, PAYLOADS


def register_all() -> None:
    """Declare the checks; called once when Django starts."""
    register(check_streams, "portal")


def check_streams(**_: Any) -> list[CheckMessage]:
    """AUDIT_STREAMS names kinds of receivers, and the worker can reach them."""
    return [*_names(), *(_worker() if settings.PORTAL_PROCESS == "worker" else ())]


def _names() -> Iterator[CheckMessage]:
    for kind in settings.AUDIT_STREAMS:
        if kind not in KINDS:
            yield Error(
                f"AUDIT_STREAMS names {kind!r}, which is no kind of receiver.",
                hint=f"It is any of {' and '.join(KINDS)}, with blanks between them, or nothing.",
                id="forwarding.E001",
            )


def _worker() -> Iterator[CheckMessage]:
    named = settings.AUDIT_STREAMS
    if "webhook" in named and not (
        settings.AUDIT_STREAM_WEBHOOK_URL and settings.AUDIT_STREAM_WEBHOOK_SECRET
    ):
        yield Error(
            "AUDIT_STREAMS names webhook, and its address or secret is missing.",
            hint="Set AUDIT_STREAM_WEBHOOK_URL and AUDIT_STREAM_WEBHOOK_SECRET for the worker.",
            id="forwarding.E002",
        )
    if "s3" in named and not (settings.AUDIT_STREAM_BUCKET and settings.AUDIT_STREAM_BUCKET_REGION):
        yield Error(
            "AUDIT_STREAMS names s3, and its bucket or its Region is missing.",
            hint="Set AUDIT_STREAM_BUCKET and AUDIT_STREAM_BUCKET_REGION for the worker.",
            id="forwarding.E006",
        )
    if "syslog" not in named:
        return
    host, _, port = settings.AUDIT_STREAM_SYSLOG.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 65_536):
        yield Error(
            f"AUDIT_STREAM_SYSLOG is {settings.AUDIT_STREAM_SYSLOG!r}, which names no server.",
            hint="Write HOST:PORT; the port of syslog over TLS is 6514.",
            id="forwarding.E003",
        )
    if settings.AUDIT_STREAM_SYSLOG_PAYLOAD not in PAYLOADS:
        yield Error(
            f"AUDIT_STREAM_SYSLOG_PAYLOAD is {settings.AUDIT_STREAM_SYSLOG_PAYLOAD!r}.",
            hint=f"It is one of {', '.join(PAYLOADS)}.",
            id="forwarding.E004",
        )
    for name in ("AUDIT_STREAM_SYSLOG_CA", "AUDIT_STREAM_SYSLOG_CERTIFICATE"):
        path = getattr(settings, name)
        if path and not (Path(path).is_file() and os.access(path, os.R_OK)):
            yield Error(
                f"{name} names {path!r}, which this process can't read.",
                hint="Check the path, that it is mounted, and its permissions.",
                id="forwarding.E005",
            )
