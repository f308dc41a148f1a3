"""How old the catalogue is, part by part, and whether provisioning runs. For pages; no cloud call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from base.clock import business_clock, business_now
from base.once import once_a_page
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


# By an index that has each part's newest first, however many readings are kept. Written out, because every page asks: as a
# queryset it took longer to put together than to answer.
_NEWEST = """
SELECT run.id, run.part, run.status, run.started_at, run.finished_at, run.error
FROM unnest(%s::text[]) AS wanted (part) CROSS JOIN LATERAL (
    (SELECT * FROM catalog_syncrun WHERE part = wanted.part AND status = 'running')
    UNION ALL
    (SELECT * FROM catalog_syncrun WHERE part = wanted.part AND status <> 'running'
     ORDER BY started_at DESC, id DESC LIMIT 1)
    UNION ALL
    (SELECT * FROM catalog_syncrun WHERE part = wanted.part AND status = 'succeeded'
     ORDER BY started_at DESC, id DESC LIMIT 1)
) AS run
ORDER BY run.started_at, run.id
"""


@once_a_page
def ages() -> Sequence[PartAge]:
    """Every part, as `SyncRun.Part` lists them. One query."""
    rows = list(SyncRun.objects.raw(_NEWEST, [list(SyncRun.Part.values)]))
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
    return judge_provisioning(provisioning_state(), now or business_now())


@once_a_page
def provisioning_state() -> ProvisioningState | None:
    """The provisioning job as last seen, or None. One query."""
    return ProvisioningState.objects.order_by("-observed_at").first()


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
