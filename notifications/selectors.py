"""What the pages about messages show, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Min

from base.errors import Missing
from notifications.channels import ALERT
from notifications.kinds import MANNERS, Kind
from notifications.models import DemoMail, EventOwed, Message
from notifications.planning import MOST_FAILURES

MOST_MAILS = 50
MOST_GIVEN_UP = 50


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A message that nobody will be sent."""

    message: Message
    what: str
    to: str


@dataclass(frozen=True, slots=True)
class Outbox:
    """What operators see of messages to people: what waits, since when, and what is given up."""

    owed: int
    oldest: datetime | None  # real time: the oldest that is to be sent now was planned then
    trying: int  # tried, and not taken yet
    problem: str  # what the newest of these was answered
    unplanned: int  # events for which nobody could be found to tell
    given_up: Sequence[GivenUp]


def outbox() -> Outbox:
    """Four queries, each by an index of what is open."""
    owed = Message.objects.filter(state=Message.State.OWED)
    now = owed.filter(digest_at=None).aggregate(count=Count("pk"), oldest=Min("planned_at"))
    trying = owed.filter(attempts__gt=0).order_by("-retry_at")
    rows = Message.objects.filter(state=Message.State.GIVEN_UP).select_related("person")
    return Outbox(
        owed=now["count"],
        oldest=now["oldest"],
        trying=trying.count(),
        problem=trying.values_list("problem", flat=True).first() or "",
        unplanned=EventOwed.objects.filter(failures__gte=MOST_FAILURES).count(),
        given_up=[_given_up(row) for row in rows.order_by("-settled_at")[:MOST_GIVEN_UP]],
    )


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a mail's text; `path` where it is an address of the portal."""

    text: str
    path: str = ""


def _given_up(row: Message) -> GivenUp:
    what = "Alert to operators" if row.kind == ALERT else MANNERS[Kind(row.kind)].name
    to = row.person.display_name if row.person else f"channel {row.recipient.partition(':')[2]}"
    return GivenUp(row, what, to)


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
