"""The demo's mail server: a Django mail backend that keeps what is sent, for a page where anybody may read it."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend

from base.clock import business_now
from notifications.models import DemoMail

BACKEND = "notifications.demo_mail.EmailBackend"
MOST_KEPT = 1000


class EmailBackend(BaseEmailBackend):
    """Keeps mail in PostgreSQL. Only for the demo: a system check refuses it in production."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """See Django."""
        for message in email_messages:
            message.message()  # refuses what no header may hold, as a server's client would
            DemoMail.objects.bulk_create([_kept(message, to) for to in message.recipients()])
        newest = DemoMail.objects.order_by("-pk").values_list("pk", flat=True)[MOST_KEPT : MOST_KEPT + 1]
        DemoMail.objects.filter(pk__lte=newest[0] if newest else 0).delete()
        return len(email_messages)


def _kept(message: EmailMessage, to: str) -> DemoMail:
    html = ""
    if isinstance(message, EmailMultiAlternatives):
        html = next((str(content) for content, kind in message.alternatives if kind == "text/html"), "")
    return DemoMail(
        sent_at=business_now(),
        recipient=to[:320],
        subject=str(message.subject)[:256],
        text=str(message.body),
        html=html,
    )
