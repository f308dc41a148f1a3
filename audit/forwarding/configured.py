"""Which receivers of the trail there are here, as the settings say."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from audit.forwarding import objects
from audit.forwarding.receivers import KINDS, Receiver, Syslog, Webhook


def configured() -> Mapping[str, Receiver]:
    """The receivers that the settings name; the checks say what is wrong with them."""
    host, _, port = settings.AUDIT_STREAM_SYSLOG.rpartition(":")
    receivers: dict[str, Receiver] = {
        "webhook": Webhook(settings.AUDIT_STREAM_WEBHOOK_URL, settings.AUDIT_STREAM_WEBHOOK_SECRET),
        "syslog": Syslog(
            host.strip("[]"),
            int(port) if port.isdecimal() else 0,
            settings.AUDIT_STREAM_SYSLOG_PAYLOAD,
            settings.AUDIT_STREAM_SYSLOG_CA,
            settings.AUDIT_STREAM_SYSLOG_CERTIFICATE,
            settings.AUDIT_STREAM_SYSLOG_CONFIRMS,
        ),
        objects.NAME: objects.receiver(),
    }
    return {kind: receivers[kind] for kind in KINDS if kind in settings.AUDIT_STREAMS}
