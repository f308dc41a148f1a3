"""Which places keep seals here, as the settings say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from django.conf import settings

from audit.ledger.anchors import KINDS, Anchor, FileAnchor, WebhookAnchor
from audit.ledger.read_back import ReadablePlace
from audit.ledger.syslog_anchor import SyslogAnchor
from audit.ledger.tsa_anchor import TsaAnchor

_MADE: dict[str, Callable[[], Anchor]] = {
    "file": lambda: FileAnchor(Path(settings.AUDIT_ANCHOR_FILE)),
    "webhook": lambda: WebhookAnchor(settings.AUDIT_ANCHOR_WEBHOOK_URL, settings.AUDIT_ANCHOR_WEBHOOK_SECRET),
    "syslog": lambda: SyslogAnchor.at(settings.AUDIT_ANCHOR_SYSLOG, settings.AUDIT_ANCHOR_SYSLOG_CA_BUNDLE),
    "tsa": lambda: TsaAnchor(settings.AUDIT_ANCHOR_TSA_URL, Path(settings.AUDIT_ANCHOR_TSA_ROOTS)),
}
_READABLE: dict[str, Callable[[], ReadablePlace]] = {}


def offer(kind: str, make: Callable[[], ReadablePlace]) -> None:
    """A room above has a place of this kind, which can be read again, too. Called once, when the application starts."""
    _MADE[kind] = _READABLE[kind] = make


def readable() -> Sequence[ReadablePlace]:
    """Those of the configured places that can be read again. Raises ValueError."""
    return [make() for kind, make in _READABLE.items() if kind in settings.AUDIT_ANCHORS]


def configured() -> Sequence[Anchor]:
    """The places that the settings name; the checks say what is wrong with them. Raises ValueError."""
    return [_MADE[kind]() for kind in KINDS if kind in settings.AUDIT_ANCHORS]
