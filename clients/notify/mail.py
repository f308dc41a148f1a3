"""Notices by mail, through whatever backend Django's mail is configured with."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.mail import EmailMessage

from clients.errors import Unreachable
from clients.types import Notice


@dataclass(frozen=True, slots=True)
class MailNotifier:
    """One message to a list of addresses; `origin` makes links of paths."""

    recipients: Sequence[str]
    sender: str
    origin: str

    def send(self, notice: Notice) -> None:
        """See Notifier."""
        body = f"{notice.sentence}\n\n{self.origin}{notice.path}\n"
        message = EmailMessage(
            subject=f"[Access Portal] {notice.title}",
            body=body,
            from_email=self.sender,
            to=list(self.recipients),
            headers={"Message-ID": f"<{notice.id}@access-portal>", "Auto-Submitted": "auto-generated"},
        )
        try:
            message.send()
        except (OSError, smtplib.SMTPException) as error:
            raise Unreachable(
                "The mail server didn't take the message. It is tried again.", code=type(error).__name__
            ) from error


__all__ = ["MailNotifier"]
