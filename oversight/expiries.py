"""When credentials end. The worker reads its own certificate; the SCIM token's end is told by an operator."""

from __future__ import annotations

import os
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import structlog
from cryptography import x509
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import real_now
from base.errors import Invalid
from clients.environment import setting
from identity.models import Person
from oversight.events import EXPIRY
from oversight.models import Expiry

log = structlog.get_logger(__name__)

CERTIFICATE, SCIM_TOKEN = "worker-certificate", "scim-token"
LABELS = {CERTIFICATE: "The worker's certificate", SCIM_TOKEN: "The enterprise application's SCIM token"}
# Warned of so long ahead.
WARN_BEFORE = timedelta(days=30)


def note_certificate() -> None:
    """Keep when this worker's certificate ends; nothing where it has none or can't read it."""
    path = setting(os.environ, "ENTRA_WORKER_CERTIFICATE_PATH")
    if not path:
        return
    try:
        ends_at = certificate_end(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        log.warning("certificate_unreadable", error=type(error).__name__)
        return
    Expiry.objects.update_or_create(
        name=CERTIFICATE, defaults={"ends_at": ends_at, "recorded_at": real_now(), "recorded_by": None}
    )


def certificate_end(pem: bytes) -> datetime:
    """The end of the first certificate of a PEM file. Raises ValueError when there is none."""
    return x509.load_pem_x509_certificates(pem)[0].not_valid_after_utc


def record_scim_token_end(*, day: datetime, by: Person, actor: Actor) -> None:
    """Keep when the SCIM token ends, as an operator read it in AWS. Raises Invalid for a day in the past."""
    ends_at = datetime.combine(day, time(0, 0), tzinfo=UTC)
    if ends_at <= real_now():
        raise Invalid("expiry.past", "Choose the day on which the present token ends.", field="day")
    with transaction():
        row, _ = Expiry.objects.update_or_create(
            name=SCIM_TOKEN, defaults={"ends_at": ends_at, "recorded_at": real_now(), "recorded_by": by}
        )
        record(
            "operations.end_recorded",
            actor=actor,
            fields={"what": LABELS[SCIM_TOKEN], "ends_at": ends_at},
            rows=(EXPIRY.stands(row),),
        )
