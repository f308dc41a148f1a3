"""Which places keep seals here, as the settings say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from django.conf import settings

from audit.ledger.anchors import KINDS, Anchor, FileAnchor, WebhookAnchor
from audit.ledger.syslog_anchor import SyslogAnchor

_MADE: Mapping[str, Callable[[], Anchor]] = {
    "file": lambda: FileAnchor(Path(settings.AUDIT_ANCHOR_FILE)),
    "webhook": lambda: WebhookAnchor(settings.AUDIT_ANCHOR_WEBHOOK_URL, settings.AUDIT_ANCHOR_WEBHOOK_SECRET),
    "syslog": lambda: SyslogAnchor.at(settings.AUDIT_ANCHOR_SYSLOG, settings.AUDIT_ANCHOR_SYSLOG_CA_BUNDLE),
}


def configured() -> Sequence[Anchor]:
    """The places that the settings name; the checks say what is wrong with them. Raises ValueError."""
    return [_MADE[kind]() for kind in KINDS if kind in settings.AUDIT_ANCHORS]
