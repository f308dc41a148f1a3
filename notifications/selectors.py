"""What the pages about messages show, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from base.errors import Missing
from notifications.models import DemoMail

MOST_MAILS = 50


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a mail's text; `path` where it is an address of the portal."""

    text: str
    path: str = ""


def demo_mails(to: str) -> Sequence[DemoMail]:
    """The newest of the demo's mails, of everybody or to one address, without their texts."""
    rows = DemoMail.objects.order_by("-pk").defer("text", "html")
    return list((rows.filter(recipient=to) if to else rows)[:MOST_MAILS])


def demo_mail_or_missing(mail_id: int) -> DemoMail:
    """One mail of the demo. Raises Missing."""
    row = DemoMail.objects.filter(pk=mail_id).first()
    if row is None:
        raise Missing("mail.missing", "There is no such mail.")
    return row


def demo_mail_lines(mail: DemoMail) -> Sequence[Line]:
    """A mail's text, line by line; only the portal's own addresses become links."""
    origin = settings.PORTAL_ORIGIN
    return [
        Line(each, each.removeprefix(origin) if each.startswith(f"{origin}/") else "")
        for each in mail.text.splitlines()
    ]
