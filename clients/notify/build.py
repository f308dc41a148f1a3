"""The channels of this installation, from the environment. Workers only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from clients.environment import setting
from clients.errors import NotPermitted
from clients.notify.mail import MailNotifier, MailPostman
from clients.notify.webhook import WebhookNotifier
from clients.ports import Notifier

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def build_notifiers(environ: Mapping[str, str] | None = None) -> Mapping[str, Notifier]:
    """By channel: "mail" where ALERT_MAIL_TO is set, "webhook" where ALERT_WEBHOOK_URL is.

    Raises:
        NotPermitted: the webhook's address isn't https (loopback apart).
    """
    environ = os.environ if environ is None else environ
    origin = setting(environ, "PORTAL_ORIGIN").rstrip("/")
    found: dict[str, Notifier] = {}
    recipients = [each.strip() for each in setting(environ, "ALERT_MAIL_TO").split(",") if each.strip()]
    if recipients:
        sender = setting(environ, "MAIL_FROM", recipients[0])
        found["mail"] = MailNotifier(recipients=recipients, sender=sender, origin=origin)
    if url := setting(environ, "ALERT_WEBHOOK_URL"):
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise NotPermitted("ALERT_WEBHOOK_URL must begin with https://.", code="ALERT_WEBHOOK_URL")
        found["webhook"] = WebhookNotifier(url=url, origin=origin)
    return found


def build_postman(environ: Mapping[str, str] | None = None) -> MailPostman | None:
    """Whoever carries mail to people, from the address in MAIL_FROM; None where it isn't set."""
    sender = setting(os.environ if environ is None else environ, "MAIL_FROM")
    return MailPostman(sender=sender) if sender else None


__all__ = ["build_notifiers", "build_postman"]
