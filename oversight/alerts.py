"""Alerts: raised once while something lasts, cleared when it is over, and told to every channel by rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.db import IntegrityError
from django.db.models import QuerySet
from django_subatomic.db import durable, transaction

from audit.ledger.recorder import Actor, record
from base.clock import real_now
from base.words import duration_words
from catalog.freshness import HealthState
from clients.breaker import CLOUDS
from clients.registry import notifiers
from notifications.channels import ALERT
from notifications.models import Message
from oversight.expiries import LABELS, WARN_BEFORE
from oversight.facts import FAST_REMOVAL, SEVERING, Facts
from oversight.models import DANGEROUS, Alert, AlertKind, Finding, FindingKind, FindingStatus
from requests_app.models import Grant
from requests_app.overdue import overdue

log = structlog.get_logger(__name__)

WORKERS = "Are workers and beat alive?"
_WHO_TAKES = {FAST_REMOVAL: "Is the remover alive?", SEVERING: "Is the severer alive?"}
SEAL_LAG = timedelta(minutes=2)
ANCHOR_LAG = timedelta(minutes=10)
MOST_FINDINGS = 100
KEEP = timedelta(days=400)
HEALTH = "/operations/"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An alert that should stand now."""

    kind: AlertKind
    key: str
    sentence: str
    address: str = HEALTH
    code: str = ""  # the vendor's, of the last failure


def wanted(facts: Facts) -> Iterator[Wanted]:
    """Everything that operators should know of now. No sentence names a person."""
    for late in facts.overdue:
        span = duration_words(facts.now - late.since)
        yield Wanted(
            AlertKind.OVERDUE,
            str(late.grant.pk),
            f"Access through {late.grant.group.display_name} is still in {late.hop}, overdue for {span}.",
        )
    for status, count in sorted(facts.stuck.items()):
        yield Wanted(
            AlertKind.STUCK,
            status,
            f"{count} owed and taken by nobody: {status.replace('_', ' ')}. {_WHO_TAKES.get(status, WORKERS)}",
        )
    if facts.provisioning.state is HealthState.STOPPED:
        yield Wanted(AlertKind.QUARANTINE, "provisioning", facts.provisioning.sentence)
    for finding in _risky().select_related("group").order_by("-first_seen_at")[:MOST_FINDINGS]:
        yield Wanted(
            AlertKind.DRIFT,
            str(finding.pk),
            f"{FindingKind(finding.kind).label} in {finding.group.display_name}: {finding.sentence}",
            f"/operations/drift/{finding.pk}/",
        )
    for expiry in facts.expiries:
        if expiry.ends_at - facts.real < WARN_BEFORE:
            label = LABELS.get(expiry.name, expiry.name)
            yield Wanted(AlertKind.ENDS_SOON, expiry.name, f"{label} ends on {expiry.ends_at:%Y-%m-%d}.")
    if facts.seal_lag > SEAL_LAG:
        lag = duration_words(facts.seal_lag)
        yield Wanted(
            AlertKind.SEAL_LAG, "ledger", f"The oldest unsealed event is {lag} old. Is the sealer alive?"
        )
    for anchor in facts.anchors:
        if anchor.lag > ANCHOR_LAG:
            yield Wanted(
                AlertKind.ANCHOR_LAG,
                anchor.place,
                f"Seals have not reached {anchor.place} for {duration_words(anchor.lag)}. "
                "The sealer's log says why under anchor.failed.",
            )
    yield from _verification(facts)
    yield from _rules(facts)
    for circuit in facts.circuits:
        if circuit.open:
            yield Wanted(
                AlertKind.BREAKER,
                circuit.cloud,
                f"{circuit.name} has not answered {circuit.failures} times in a row; its calls are postponed.",
                code=circuit.code,
            )


def _verification(facts: Facts) -> Iterator[Wanted]:
    state = facts.verification
    whole = state.whole
    if whole is not None and whole.findings:
        found = "1 thing" if whole.findings == 1 else f"{whole.findings:,} things"
        yield Wanted(
            AlertKind.DIFFERS,
            "ledger",
            f"A verification of the whole audit trail found {found} not as sealed or told: {whole.names}. Treat it as an "
            "incident: keep a copy of the database before anything else, then have manage.py audit_verify say all of it "
            "(docs/operations.md, “The audit trail doesn't verify”).",
        )
    if span := state.overdue(facts.real):
        yield Wanted(
            AlertKind.UNVERIFIED,
            "ledger",
            f"No verification of the whole audit trail has ended for {duration_words(span)}. {WORKERS} The worker's log "
            "says more under verification.postponed; manage.py audit_verify verifies it at once (docs/operations.md, “The "
            "audit trail isn't verified”).",
        )


def _rules(facts: Facts) -> Iterator[Wanted]:
    for row in facts.out_of_reach:
        yield Wanted(
            AlertKind.OUT_OF_REACH,
            str(row.rule_id),
            f"The rule “{row.rule.name}” lacks people who could act by it. {row.sentence}",
        )


def _risky() -> QuerySet[Finding]:
    return Finding.objects.filter(status=FindingStatus.OPEN, kind__in=sorted(DANGEROUS))


def _still_on(rows: Collection[Alert], facts: Facts) -> set[int]:
    """Which of these alerts, that nothing in the facts asks for, last all the same.

    What can't be known now isn't over, and of long lists the facts hold the beginning. Two queries at most.
    """
    unknown = set()
    if facts.provisioning.state is HealthState.UNKNOWN:
        unknown.add(AlertKind.QUARANTINE)
    if not facts.redis_reachable:
        unknown.add(AlertKind.BREAKER)
    kept = {row.pk for row in rows if row.kind in unknown}
    findings = {row.key: row.pk for row in rows if row.kind == AlertKind.DRIFT}
    if findings:
        kept |= {findings[str(pk)] for pk in _risky().filter(pk__in=findings).values_list("pk", flat=True)}
    grants = {row.key: row.pk for row in rows if row.kind == AlertKind.OVERDUE}
    if grants and facts.overdue_count > len(facts.overdue):
        late = (grant for grant in Grant.objects.filter(pk__in=grants) if overdue(grant, facts.now))
        kept |= {grants[str(grant.pk)] for grant in late}
    return kept


@durable
def raise_and_clear(facts: Facts) -> tuple[int, int]:
    """Bring the alerts up to the facts; gives how many were raised and cleared. One transaction each."""
    standing = {(row.kind, row.key): row for row in Alert.objects.filter(cleared_at=None)}
    now = real_now()
    raised, seen = 0, set()
    for each in wanted(facts):
        seen.add((each.kind.value, each.key))
        if (each.kind.value, each.key) not in standing:
            raised += _raise(each)
    unseen = [row for key, row in standing.items() if key not in seen]
    still_on = _still_on(unseen, facts)
    over = [row for row in unseen if row.pk not in still_on]
    for row in over:
        with transaction():
            if Alert.objects.filter(pk=row.pk, cleared_at=None).update(cleared_at=now):
                row.cleared_at = now
                _owe(row, cleared=True)
                if row.kind == AlertKind.BREAKER:
                    _tell("closed", row.key)
    Alert.objects.filter(cleared_at__lt=now - KEEP).delete()
    return raised, len(over)


def _raise(each: Wanted) -> int:
    try:
        with transaction():
            row = Alert.objects.create(
                kind=each.kind,
                key=each.key,
                sentence=each.sentence,
                address=each.address,
                raised_at=real_now(),
            )
            _owe(row, cleared=False)
            if each.kind is AlertKind.BREAKER:
                _tell("opened", each.key, code=each.code)
    except IntegrityError:
        return 0  # another worker was faster
    log.warning("alert_raised", kind=each.kind.value, key=each.key)
    return 1


def _tell(what: str, cloud: str, **fields: str) -> None:
    """Once for each outage: calls that are postponed meanwhile leave no event."""
    named = CLOUDS.get(cloud, cloud)
    record(f"operations.circuit_{what}", actor=Actor.worker(), fields={"cloud": named, **fields})


def _owe(row: Alert, *, cleared: bool) -> None:
    """One message to each channel, in the alert's own transaction; `notifications` sends it."""
    at = row.cleared_at if cleared and row.cleared_at else row.raised_at
    now, state = real_now(), "cleared" if cleared else "raised"
    facts = {
        "title": f"{'Over' if cleared else 'Alert'}: {AlertKind(row.kind).label}",
        "sentence": row.sentence,
        "path": row.address,
        "kind": str(row.kind),
        "over": "yes" if cleared else "",
        "at": at.isoformat(),
    }
    Message.objects.bulk_create(
        [
            Message(
                occasion=f"alert-{row.pk}-{state}",
                recipient=f"{ALERT}:{channel}",
                kind=ALERT,
                facts=facts,
                planned_at=now,
                retry_at=now,
            )
            for channel in notifiers()
        ],
        ignore_conflicts=True,
    )
