"""The channels of this installation, from the environment. Workers only."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from clients.environment import setting
from clients.errors import NotPermitted
from clients.notify.chat import ChatNotifier
from clients.notify.mail import MailNotifier, MailPostman
from clients.notify.webhook import WebhookNotifier
from clients.ports import Notifier

_LABEL = re.compile(r"[a-z][a-z0-9-]{0,31}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def build_notifiers(environ: Mapping[str, str] | None = None) -> Mapping[str, Notifier]:
    """By channel: "mail" where ALERT_MAIL_TO is set, "webhook" where ALERT_WEBHOOK_URL is, and ALERT_CHATS by name.

    Raises:
        NotPermitted: the webhook's address isn't https (loopback apart), or ALERT_CHATS can't be read.
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
    return found | _chats(environ, "ALERT_CHATS")


def build_chats(environ: Mapping[str, str] | None = None) -> Mapping[str, Notifier]:
    """The chats that hear what approvers hear, by the names that APPROVAL_CHATS gives them.

    Raises:
        NotPermitted: it can't be read.
    """
    return _chats(os.environ if environ is None else environ, "APPROVAL_CHATS")


def _chats(environ: Mapping[str, str], name: str) -> dict[str, Notifier]:
    """NAME=ADDRESS by blanks; the address is one of Apprise's."""
    origin = setting(environ, "PORTAL_ORIGIN").rstrip("/")
    found: dict[str, Notifier] = {}
    for entry in setting(environ, name).split():
        label, _, url = entry.partition("=")
        if not _LABEL.fullmatch(label) or "://" not in url or label in (*found, "mail", "webhook"):
            raise NotPermitted(
                f"{name} can't be read. Write NAME=ADDRESS by blanks, each name once, such as team=slack://…",
                code=name,
            )
        found[label] = ChatNotifier(url=url, origin=origin)
    return found


def build_postman(environ: Mapping[str, str] | None = None) -> MailPostman | None:
    """Whoever carries mail to people, from the address in MAIL_FROM; None where it isn't set."""
    sender = setting(os.environ if environ is None else environ, "MAIL_FROM")
    return MailPostman(sender=sender) if sender else None


__all__ = ["build_chats", "build_notifiers", "build_postman"]
