"""Mail to people and notices to operators, through whatever backend Django's mail is configured with."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from django.core.mail import EmailMessage, EmailMultiAlternatives

from clients.errors import Refused, Unreachable
from clients.types import Mail, Notice

# No answer to a mail that nobody reads: absences and lists say nothing to it.
_HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}


@dataclass(frozen=True, slots=True)
class MailPostman:
    """Mail from one sender."""

    sender: str

    def send(self, mail: Mail) -> None:
        """See Postman."""
        message = EmailMultiAlternatives(
            subject=mail.subject,
            body=mail.text,
            from_email=self.sender,
            to=list(mail.to),
            headers={"Message-ID": f"<{mail.id}@access-portal>", **_HEADERS},
        )
        if mail.html:
            message.attach_alternative(mail.html, "text/html")
        try:
            message.send()
        except ValueError as error:  # a header or an address that mail can't hold
            raise Refused("Mail can't be sent to this address.", code=type(error).__name__) from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            _not_taken(codes, error)
        except smtplib.SMTPDataError as error:
            _not_taken([error.smtp_code], error)
        except (OSError, smtplib.SMTPException) as error:
            raise Unreachable(
                "The mail server didn't take the message.", code=type(error).__name__
            ) from error


def _not_taken(codes: Sequence[int], error: Exception) -> NoReturn:
    """The server's word about this very mail: 4xx means later, 5xx never."""
    code = ",".join(map(str, codes))
    if codes and all(code >= 500 for code in codes):
        raise Refused("The mail server refuses this recipient or message.", code=code) from error
    raise Unreachable("The mail server takes this message later.", code=code) from error


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


__all__ = ["MailNotifier", "MailPostman"]
