"""How old the catalogue is, part by part, and whether provisioning runs. For pages; no cloud call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import OuterRef, Subquery

from base.clock import business_clock, business_now
from base.words import moment_words
from catalog.models import ProvisioningState, SyncRun
from catalog.sync.intervals import OVERDUE_AFTER
from clients.types import ProvisioningCode


def real_age(read_at: datetime, now: datetime) -> timedelta:
    """How long ago in real time something was read; both are business time. Where that clock stands, as it says."""
    clock = business_clock()
    return clock.real_duration(now - read_at) if clock.factor > 0 else now - read_at


@dataclass(frozen=True, slots=True)
class PartAge:
    """One part of the catalogue: when it was last read in full, and what is wrong with it, if anything."""

    part: str
    label: str
    read_at: datetime | None  # business time, when the last reading that succeeded was complete
    problem: str  # why the newest reading failed; a sentence, "" when it didn't
    running: bool


def ages() -> Sequence[PartAge]:
    """Every part, as `SyncRun.Part` lists them. One query."""
    newest = SyncRun.objects.filter(part=OuterRef("part")).order_by("-started_at", "-pk")
    finished = SyncRun.objects.exclude(status=SyncRun.Status.RUNNING).filter(
        pk=Subquery(newest.exclude(status=SyncRun.Status.RUNNING).values("pk")[:1])
    )
    succeeded = SyncRun.objects.filter(status=SyncRun.Status.SUCCEEDED).filter(
        pk=Subquery(newest.filter(status=SyncRun.Status.SUCCEEDED).values("pk")[:1])
    )
    running = SyncRun.objects.filter(status=SyncRun.Status.RUNNING)
    rows = list((finished | succeeded | running).order_by("started_at", "pk"))
    return [_age(SyncRun.Part(part), [row for row in rows if row.part == part]) for part in SyncRun.Part]


def _age(part: SyncRun.Part, rows: Sequence[SyncRun]) -> PartAge:
    succeeded = [
        row.finished_at for row in rows if row.status == SyncRun.Status.SUCCEEDED and row.finished_at
    ]
    done = [row for row in rows if row.status != SyncRun.Status.RUNNING]
    return PartAge(
        part=part.value,
        label=part.label,
        read_at=business_clock().at(succeeded[-1]) if succeeded else None,
        problem=done[-1].error if done and done[-1].status == SyncRun.Status.FAILED else "",
        running=len(done) < len(rows),
    )


def read_at() -> datetime | None:
    """Business time of the oldest part's last complete reading; None while a part was never read."""
    instants = [age.read_at for age in ages()]
    known = [instant for instant in instants if instant is not None]
    return min(known) if len(known) == len(instants) else None


class HealthState(StrEnum):
    """What provisioning's state means for somebody who is about to ask."""

    WELL = "well"
    SLOW = "slow"  # it runs, but the last cycle failed or is late: warn
    STOPPED = "stopped"  # nothing is carried, so nothing arrives and nothing is removed: refuse
    UNKNOWN = "unknown"  # never seen, or not seen for too long: refuse


@dataclass(frozen=True, slots=True)
class ProvisioningHealth:
    """Whether SCIM carries memberships now, with the sentence that a page shows ("" when all is well)."""

    state: HealthState
    sentence: str
    observed_at: datetime | None  # business time

    @property
    def blocks(self) -> bool:
        """Whether new requests are refused because of it."""
        return self.state in (HealthState.STOPPED, HealthState.UNKNOWN)


def provisioning_health(now: datetime | None = None) -> ProvisioningHealth:
    """The provisioning job as last seen. One query. `now` is business time."""
    return judge_provisioning(ProvisioningState.objects.first(), now or business_now())


def judge_provisioning(state: ProvisioningState | None, now: datetime) -> ProvisioningHealth:
    """What a job's state means at `now` (business time)."""
    if state is None:
        return ProvisioningHealth(
            HealthState.UNKNOWN,
            "The provisioning job that carries memberships to AWS has not been seen yet. Try again in a minute.",
            None,
        )
    if real_age(state.observed_at, now) > OVERDUE_AFTER:
        return ProvisioningHealth(
            HealthState.UNKNOWN,
            "The provisioning job that carries memberships to AWS could not be seen for a while. "
            "Try again later, or tell an operator.",
            state.observed_at,
        )
    return ProvisioningHealth(*_judge_code(state, now), state.observed_at)


# quarantine.reason in plain words (entra-graph contract, 3.3); any other is shown as Microsoft spells it.
QUARANTINE_REASONS = {
    "EncounteredBaseEscrowThreshold": "too many entries in a row could not be written",
    "EncounteredTotalEscrowThreshold": "too many entries could not be written",
    "EncounteredEscrowProportionThreshold": "too large a share of the entries could not be written",
    "EncounteredQuarantineException": "Entra can't sign in to AWS, often because the SCIM token has expired",
    "QuarantinedOnDemand": "somebody put it there",
    "TooManyDeletes": "it would have deleted unusually many entries",
    "IngestionInterrupted": "reading the source was interrupted",
}


def _judge_code(state: ProvisioningState, now: datetime) -> tuple[HealthState, str]:
    match state.code:
        case ProvisioningCode.ACTIVE if state.last_cycle_completed:
            return HealthState.WELL, ""
        case ProvisioningCode.ACTIVE:
            return (
                HealthState.SLOW,
                "The last provisioning cycle did not succeed completely, so access may take longer to arrive.",
            )
        case ProvisioningCode.QUARANTINE:
            told = state.quarantine_reason
            words = QUARANTINE_REASONS.get(told)
            reason = f" because {words} ({told})" if words else f" ({told})" if told else ""
            attempt = state.next_attempt_at
            again = f" Entra tries again {moment_words(attempt, now)}." if attempt and attempt > now else ""
            return (
                HealthState.STOPPED,
                (
                    f"Provisioning to AWS is in quarantine{reason}: access would not arrive, and removals from AWS "
                    f"wait. Memberships in Entra still end in time. An operator must repair it in Entra first.{again}"
                ),
            )
        case ProvisioningCode.PAUSED:
            return (
                HealthState.STOPPED,
                (
                    "Provisioning to AWS is paused: access would not arrive, and removals from AWS wait. "
                    "Memberships in Entra still end in time. "
                    "An operator must start it in Entra first."
                ),
            )
        case ProvisioningCode.NOT_RUN | ProvisioningCode.NOT_CONFIGURED:
            return (
                HealthState.STOPPED,
                "Provisioning to AWS has not been started yet. An operator must set it up in Entra first.",
            )
        case _:
            return (
                HealthState.UNKNOWN,
                (
                    "Entra gives a state of provisioning that the portal doesn't know, so it can't tell whether access "
                    "would arrive. Tell an operator."
                ),
            )
