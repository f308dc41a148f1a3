"""Celery's side of the ledger."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.conf import settings

from audit.ledger.erasure import erase_due
from audit.ledger.row_words import erase_rows_due
from audit.ledger.scheduled import LIMIT, go_on

log = structlog.get_logger(__name__)


@shared_task(name="audit.ledger.tasks.erase_words")
def erase_words() -> None:
    """Erase what people wrote where its time is over; nothing without AUDIT_WORDS_KEPT_DAYS."""
    for due in erase_due(settings.AUDIT_WORDS_KEPT_DAYS):
        log.info("ledger.words_erased", texts=due.texts, before=due.before.isoformat(), kept_days=due.days)
    for place, due in erase_rows_due(settings.AUDIT_WORDS_KEPT_DAYS):
        log.info("ledger.row_words_erased", table=place.table, column=place.column, texts=due.texts)


# Acknowledged before: what takes longer than the broker waits isn't delivered a second time. The row is the job.
@shared_task(
    name="audit.ledger.tasks.verify",
    acks_late=False,
    soft_time_limit=LIMIT.seconds + 60,
    time_limit=LIMIT.seconds + 120,
)
def verify() -> None:
    """Verify the trail when it is due; half a minute of it, or one statement that takes longer, then ring again."""
    if go_on():
        verify.delay()
