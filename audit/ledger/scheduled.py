"""The verification that the portal does by itself, once a day: by a worker, in pieces, with its place in a row.

One verification of ten million events takes longer than a worker may be kept from other work. So a piece ends after half a
minute and rings for the next; each reads one state of the database, and the chain goes on from the seal that the piece
before has come to, which the row holds. Whoever dies leaves the row as it was, and the next tick goes on there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection
from django.db.models import F
from django_subatomic.db import durable, transaction

from audit.ledger.canonical import Value
from audit.ledger.events import DIFFERS, VERIFIED
from audit.ledger.findings import Finding
from audit.ledger.keys import KeyFileError, TrustedKey, load_public_keys
from audit.ledger.models import Verification
from audit.ledger.recorder import Actor, record
from audit.ledger.unexplained import further
from audit.ledger.verifying import CHAIN, Reached, Report, Walk, step_names, verify_step
from base.clock import business_clock, business_now, real_now

log = structlog.get_logger(__name__)

PIECE = timedelta(seconds=30)
# One statement, of those that look at the whole trail at once.
LIMIT = timedelta(minutes=25)
FIRST_AFTER = timedelta(minutes=3)  # what is new says first of all that it works
MOST_TRIES = 5  # of one step; then the verification is given up, until the next is due
OVERDUE = timedelta(hours=48)  # business time
NOT_BEFORE = timedelta(minutes=10)  # real time, for a clock that runs fast
QUIET_AFTER = timedelta(minutes=10)  # real time: of one under way
KEEP = timedelta(days=400)
NAMED = 10  # names of findings, of which each stands once
_LOCK = 0x7665726966  # "verif": one piece at a time, whoever makes it


@durable
def go_on(piece: timedelta = PIECE) -> bool:
    """Begin a verification when one is due, and carry what is under way on for a piece; gives whether to go on at once."""
    with _alone() as alone:
        if not alone:
            return False
        _begin_if_due()
        run = Verification.objects.filter(status=Verification.Status.RUNNING).first()
        if run is None or (run.retry_at is not None and run.retry_at > real_now()):
            return False
        until = time.monotonic() + piece.total_seconds()
        while _step(run, until):
            if time.monotonic() >= until:
                return True
        return False


def owe_first() -> None:
    """Have a first verification stand as owed, where there never was one: so that it is missed when nobody does it."""
    if Verification.objects.exists():
        return
    now = real_now()
    try:
        with transaction():
            Verification.objects.create(
                started_at=now, moved_at=now, unverified_since=now, retry_at=now + FIRST_AFTER
            )
    except IntegrityError:
        pass  # somebody else was faster


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else verifies: a lock of the connection, which ends with the process."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        ((locked,),) = cursor.fetchall()
    try:
        yield bool(locked)
    finally:
        if locked:
            _unlock()


def _unlock() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    except DatabaseError:
        connection.close()  # gone with its lock, or to be


def _begin_if_due() -> None:
    owe_first()
    newest = Verification.objects.latest("pk")
    if newest.status == Verification.Status.RUNNING:
        return
    if business_clock().at(newest.started_at) < last_turn(business_now()):
        now = real_now()
        Verification.objects.create(started_at=now, moved_at=now, unverified_since=newest.verified_until)


def last_turn(now: datetime) -> datetime:
    """The newest instant at which a verification was to begin, in business time."""
    turn = now.replace(hour=settings.AUDIT_VERIFY_HOUR, minute=0, second=0, microsecond=0)
    return turn if turn <= now else turn - timedelta(days=1)


def _step(run: Verification, until: float) -> bool:
    """One step, or of the chain as much as there is time for; gives whether another may follow now."""
    if run.tries >= MOST_TRIES:
        _give_up(run)
        return False
    # Counted before, so that one counts too that takes its process with it.
    Verification.objects.filter(pk=run.pk).update(tries=F("tries") + 1, moved_at=real_now(), retry_at=None)
    run.tries, begun = run.tries + 1, time.monotonic()
    try:
        keys = trusted_keys()
        names = step_names(further())
        if run.step not in names:
            run.step, run.cursor = names[0], None  # of another version of the portal: from the beginning
            run.events = run.batches = run.last_batch = run.findings = 0
            run.named, run.first_bad_batch = {}, None
        walk = Walk(Reached.of(run.cursor) if run.cursor else None, enough=lambda: time.monotonic() >= until)
        report = verify_step(run.step, keys, walk, beside=further(), limit=LIMIT)
    except (DatabaseError, KeyFileError, OSError) as error:
        _postpone(run, error)
        return False
    run.keys = "" if keys is None else ", ".join(sorted(keys))
    _add(run, report, walk, time.monotonic() - begun)
    if run.step != CHAIN or walk.ended:
        run.step = _next(names, run.step)
    _keep(run)
    return bool(run.step)


def trusted_keys() -> Mapping[str, TrustedKey] | None:
    """The sealer's public keys as far as workers are told them; None: no signature can be looked at. Raises KeyFileError."""
    named: list[str] = settings.AUDIT_VERIFY_KEYS
    return load_public_keys(named) if named else None


def _next(names: list[str], step: str) -> str:
    """The step after that one; "" after the last."""
    later = names[names.index(step) + 1 :]
    return later[0] if later else ""


def _add(run: Verification, report: Report, walk: Walk, seconds: float) -> None:
    run.events += report.events
    run.batches += report.batches
    run.seconds += seconds
    run.findings += len(report.findings) + report.more_findings
    run.named = _named(run.named, report)
    bad = [batch for batch in (run.first_bad_batch, report.first_bad_batch) if batch is not None]
    run.first_bad_batch = min(bad, default=None)
    if walk.reached is not None:
        run.cursor, run.last_batch = walk.reached.document(), walk.reached.batch
    run.tries, run.problem, run.moved_at = 0, "", real_now()


def _named(before: dict[str, Any], report: Report) -> dict[str, Any]:
    """How many there are of each name, and where the first is. Sentences may say what rows say, and events never forget."""
    named = dict(before)
    for code, (many, first) in report.by_code.items():
        if code in named:
            named[code] = {**named[code], "many": named[code]["many"] + many}
        elif len(named) < NAMED:
            named[code] = {"many": many, "first": _where(first)}
    return named


def _where(finding: Finding) -> str:
    event = f"event {finding.event_id}" if finding.event_id is not None else ""
    batch = f"batch {finding.batch}" if finding.batch is not None else ""
    return ", ".join(filter(None, (event, batch)))


def _keep(run: Verification) -> None:
    """The row as it stands now, and with the last step what came out, as an event."""
    with transaction():
        if not run.step:
            run.status, run.finished_at = Verification.Status.DONE, real_now()
            run.event_id = _record(run)
            Verification.objects.filter(started_at__lt=real_now() - KEEP).delete()
        run.save()
    if not run.step:
        say = log.error if run.findings else log.info
        say("verification.ended", events=run.events, findings=run.findings, seconds=round(run.seconds))


def _record(run: Verification) -> int:
    fields: dict[str, Value] = {
        "events": run.events,
        "batches": run.batches,
        "last_batch": run.last_batch,
        "took": timedelta(seconds=round(run.seconds, 3)),
        "signatures": f"checked with {run.keys}" if run.keys else "not checked",
    }
    if not run.findings:
        return record(VERIFIED.name, actor=Actor.worker(), fields=fields)
    found: dict[str, Value] = {
        "findings": run.findings,
        "names": run.names,
        "first_bad_batch": run.first_bad_batch,
    }
    return record(DIFFERS.name, actor=Actor.worker(), fields={**fields, **found})


def _postpone(run: Verification, error: Exception) -> None:
    """Tried again, each time later; what was found so far stays in the row as it was."""
    log.warning("verification.postponed", step=run.step, error=type(error).__name__, tries=run.tries)
    Verification.objects.filter(pk=run.pk).update(
        problem=f"{type(error).__name__} at the step {run.step or 'before the first'}",
        retry_at=real_now() + timedelta(minutes=2 ** (run.tries - 1)),
    )


def _give_up(run: Verification) -> None:
    log.error("verification.given_up", step=run.step, problem=run.problem)
    Verification.objects.filter(pk=run.pk).update(
        status=Verification.Status.GIVEN_UP,
        finished_at=real_now(),
        problem=run.problem or f"Its worker ended at the step {run.step}",
    )


@dataclass(frozen=True, slots=True)
class VerificationState:
    """The newest verification, and the newest that went through everything; None: there was none."""

    newest: Verification | None
    whole: Verification | None

    @property
    def under_way(self) -> Verification | None:
        running = self.newest is not None and self.newest.status == Verification.Status.RUNNING
        return self.newest if running else None

    @property
    def since(self) -> datetime | None:
        """Since when none ended (real time): its end, or of the first, since when it is owed."""
        return self.newest.verified_until if self.newest else None

    def overdue(self, real: datetime) -> timedelta | None:
        """For how long none has ended whole (business time), when that is too long."""
        if self.since is None or real - self.since < NOT_BEFORE:
            return None
        span = business_clock().at(real) - business_clock().at(self.since)
        return span if span > OVERDUE else None

    def stands_still(self, real: datetime) -> bool:
        """Whether one is under way that nobody has carried on for some time."""
        run = self.under_way
        return run is not None and real - max(run.moved_at, run.retry_at or run.moved_at) > QUIET_AFTER


def verification_state() -> VerificationState:
    """As of now, in one query."""
    rows = list(Verification.objects.order_by("status", "-pk").distinct("status"))
    newest = max(rows, key=lambda row: row.pk, default=None)
    whole = next((row for row in rows if row.status == Verification.Status.DONE), None)
    return VerificationState(newest, whole)
