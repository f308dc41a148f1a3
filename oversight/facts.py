"""What is true of this installation now: the one source of the health page, the metrics and the alerts.

Everything is read from PostgreSQL and Redis, in a fixed number of bounded queries; no cloud is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import redis
from django.conf import settings
from django.db.models import Count, Min, Q, QuerySet

from audit.forwarding.carrying import StreamState, stream_states
from audit.ledger.anchoring import AnchorState, anchor_states
from audit.ledger.scheduled import VerificationState, verification_state
from audit.ledger.waiting import waiting_for_seal
from base.clock import business_clock, business_now, real_now
from catalog.freshness import PartAge, ProvisioningHealth, ages, provisioning_health
from clients.breaker import CircuitState, circuit_states
from clients.limits import RATES
from oversight.models import (
    Alert,
    DriftRun,
    Expiry,
    Finding,
    FindingStatus,
    Heartbeat,
    RuleOutOfReach,
)
from requests_app.cutting import removing
from requests_app.cutting.models import FastRemoval, SeveringPlace
from requests_app.estimates import Hop, hops
from requests_app.models import Decision, Grant
from requests_app.overdue import Overdue, number_overdue, overdue_grants
from requests_app.waivers.models import Waiver

# Owed work that nobody has taken for this long (real time) is stuck.
STUCK_AFTER = timedelta(minutes=2)
# Heartbeats older than this (real time) tell of nobody.
WORKER_GONE_AFTER = timedelta(hours=1)
# What besides grants may be stuck, each with a process of its own or a worker that has to take it.
DECISION, WAIVER, FAST_REMOVAL, SEVERING = "decision", "waiver", "fast_removal", "severing"
MOST_OVERDUE = 20
_REDIS_TIMEOUT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Facts:
    """As of `now` (business time) and `real` (real time)."""

    now: datetime
    real: datetime
    beats: Mapping[str, datetime]  # real time
    catalogue: Sequence[PartAge]
    provisioning: ProvisioningHealth
    redis_reachable: bool
    circuits: Sequence[CircuitState]
    budgets: Mapping[str, float]  # calls that may be made at once now, by bucket family
    grants: Mapping[str, int]  # not over, by status
    stuck: Mapping[str, int]  # owed and taken by nobody: grants by status, and the other kinds below
    waiting: int  # grants whose next look is postponed after a failure
    oldest_owed_at: datetime | None  # business time
    overdue: Sequence[Overdue]  # the longest first
    overdue_count: int  # of all; 10,001 means more than 10,000
    findings: Mapping[str, int]  # open, by kind
    last_drift: DriftRun | None
    seal_lag: timedelta  # real time
    unsealed: int  # 10,001 means more than 10,000
    anchors: Sequence[AnchorState]  # the configured ones
    streams: Sequence[StreamState]  # the configured ones
    verification: VerificationState
    expiries: Sequence[Expiry]
    out_of_reach: Sequence[RuleOutOfReach]  # rules in force, by name
    alerts: int
    hops: Sequence[Hop]  # with this installation's own times
    last_arrival_at: datetime | None
    last_removal_at: datetime | None
    redis_problem: str = field(default="")

    def age_of(self, beat: str) -> timedelta | None:
        """How long ago something last did its work; None: never."""
        seen = self.beats.get(beat)
        return self.real - seen if seen else None


def facts() -> Facts:
    """Read everything; about twenty queries whatever there is."""
    now, real = business_now(), real_now()
    reachable, problem, circuits, budgets = _redis(real)
    unsealed = waiting_for_seal(real)
    overdue = overdue_grants(now)
    stuck, oldest = _stuck(now, real)
    last = Grant.objects.order_by("-created_at")
    return Facts(
        now=now,
        real=real,
        beats=dict(
            Heartbeat.objects.filter(seen_at__gt=real - timedelta(days=7)).values_list("name", "seen_at")[
                :200
            ]
        ),
        catalogue=ages(),
        provisioning=provisioning_health(now),
        redis_reachable=reachable,
        circuits=circuits,
        budgets=budgets,
        grants=_by(Grant.objects.filter(next_action_at__isnull=False), "status"),
        stuck=stuck,
        waiting=Grant.objects.filter(retry_at__gt=real, failures__gt=0).count(),
        oldest_owed_at=oldest,
        overdue=overdue[:MOST_OVERDUE],
        overdue_count=number_overdue(overdue, now),
        findings=_by(Finding.objects.filter(status=FindingStatus.OPEN), "kind"),
        last_drift=DriftRun.objects.exclude(status=DriftRun.Status.RUNNING).order_by("-started_at").first(),
        seal_lag=unsealed.lag,
        unsealed=unsealed.number,
        anchors=anchor_states(settings.AUDIT_ANCHORS),
        streams=stream_states(settings.AUDIT_STREAMS),
        verification=verification_state(),
        expiries=list(Expiry.objects.order_by("ends_at")),
        out_of_reach=list(
            RuleOutOfReach.objects.filter(rule__retired=False).select_related("rule").order_by("rule__name")
        ),
        alerts=Alert.objects.filter(cleared_at=None).count(),
        hops=hops(),
        last_arrival_at=last.filter(arrived_at__isnull=False).values_list("arrived_at", flat=True).first(),
        last_removal_at=last.filter(out_of_aws_at__isnull=False)
        .values_list("out_of_aws_at", flat=True)
        .first(),
        redis_problem=problem,
    )


def redis_connection() -> redis.Redis:
    """A connection for pages: it gives up after half a second."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=_REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
    )


def _by(rows: QuerySet[Any], column: str) -> Mapping[str, int]:
    return dict(rows.values_list(column).annotate(Count("pk")).order_by())


def _redis(real: datetime) -> tuple[bool, str, Sequence[CircuitState], Mapping[str, float]]:
    try:
        with redis_connection() as connection:
            connection.ping()
            return True, "", circuit_states(connection), _budgets(connection, real)
    except (redis.RedisError, ValueError) as error:
        return (
            False,
            f"Redis can't be reached ({type(error).__name__}). Work goes on at the sweeper's pace.",
            (),
            {},
        )


def _budgets(connection: redis.Redis, real: datetime) -> Mapping[str, float]:
    """What is left of each bucket family: of several buckets, the least. See clients.limits for the numbers."""
    left = {family: float(rate.burst) for family, rate in RATES.items()}
    now = real.timestamp() * 1_000_000
    prefix = "clients:rate:"
    for number, key in enumerate(connection.scan_iter(match=f"{prefix}*", count=100)):
        name = (key.decode() if isinstance(key, bytes) else str(key)).removeprefix(prefix)
        rate = RATES.get(name.partition(":")[0])
        due = connection.get(key)
        if number > 100:
            break
        if rate is None or due is None:
            continue
        ahead = max(0.0, float(due) - now) / 1_000_000
        family = name.partition(":")[0]
        left[family] = min(left[family], max(0.0, rate.burst - ahead * rate.per_second))
    return left


def _stuck(now: datetime, real: datetime) -> tuple[Mapping[str, int], datetime | None]:
    patience = business_clock().factor or 1.0
    due_before = now - STUCK_AFTER * patience
    free = Q(lease_until=None) | Q(lease_until__lt=real)
    ready = Q(retry_at=None) | Q(retry_at__lt=real - STUCK_AFTER)
    found = dict(_by(Grant.objects.filter(free, ready, next_action_at__lt=due_before), "status"))
    oldest = []
    for kind, rows, due in _owed_rows():
        seen = rows.filter(**{f"{due}__lte": now}).aggregate(
            oldest=Min(due), stuck=Count("pk", filter=free & ready & Q(**{f"{due}__lt": due_before}))
        )
        if seen["oldest"] is not None:
            oldest.append(seen["oldest"])
        if kind and seen["stuck"]:
            found[kind] = seen["stuck"]
    return found, min(oldest, default=None)


def _owed_rows() -> Iterator[tuple[str, QuerySet[Any], str]]:
    """All rows that may owe work: of what kind, and since which of their instants. Grants are told by their status."""
    yield "", Grant.objects.all(), "next_action_at"
    yield DECISION, Decision.objects.filter(status="submitted"), "submitted_at"
    yield WAIVER, Waiver.objects.filter(status="submitted"), "submitted_at"
    if removing.owed_at_all():
        yield FAST_REMOVAL, FastRemoval.objects.all(), "next_action_at"
    yield SEVERING, SeveringPlace.objects.all(), "next_action_at"
