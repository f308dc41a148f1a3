"""The provisioning job of the enterprise application: carries people and memberships to IAM Identity Center by SCIM.

Every forty minutes a cycle exports what changed in Entra since the last one, compared with what it remembers to have
exported: it doesn't look at a target group again after its own success. Activations take a fast path of two to ten
minutes, five per ten seconds; provisionOnDemand answers once it has looked at the target and exported, so here the
effect is there when the call returns. Sources: the provisioning sections of the Entra contract.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from simulator.scim.errors import ScimError
from simulator.world.durations import parse_duration
from simulator.world.errors import WorldError, bad_request
from simulator.world.export import Exporter, OnDemandAnswer
from simulator.world.state import Change, Execution, Job, ProvisioningLogRow, Quarantine

if TYPE_CHECKING:
    from simulator.world.world import World

BUCKET, BUCKET_SPAN = 5, timedelta(seconds=10)
FAST = (timedelta(minutes=2), timedelta(minutes=10))
CYCLE_SPAN = timedelta(seconds=20)
ATTEMPTS = (timedelta(hours=6), timedelta(hours=12), timedelta(hours=24))
# A job that stays in quarantine is disabled after four weeks, and runs no more until somebody restarts it.
DISABLED_AFTER = timedelta(days=28)
REASONS = (
    "EncounteredBaseEscrowThreshold",
    "EncounteredTotalEscrowThreshold",
    "EncounteredEscrowProportionThreshold",
    "EncounteredQuarantineException",
    "QuarantinedOnDemand",
    "TooManyDeletes",
    "IngestionInterrupted",
    "Unknown",
)
MOST_MEMBERS = 5
MOST_CHANGES = 50_000
REJECTED = "SystemForCrossDomainIdentityManagementCredentialValidationUnavailable"


@dataclass(frozen=True)
class Subject:
    """What provisionOnDemand is asked to carry: a group with some of its members, or a person."""

    object_id: str
    object_type: str = "Group"
    members: tuple[str, ...] = ()


class Provisioning:
    """The job, its cycle and its log."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.exporter = Exporter(world)

    @property
    def job(self) -> Job:
        """The job's state."""
        return self._world.state.job

    @property
    def rules(self) -> tuple[str, str]:
        """Ids of the synchronization rules that carry users and groups; the same one by a switch."""
        one = self._world.switches.one_rule_for_users_and_groups
        return (self.job.rule_group if one else self.job.rule_user), self.job.rule_group

    @property
    def interval(self) -> timedelta:
        """Time between two cycles."""
        return parse_duration(self._world.switches.job_interval)

    def note(self, kind: str, *, group_id: str | None = None, principal_id: str | None = None) -> None:
        """For the world's own parts: a change of the directory that the next cycle will look at."""
        job = self.job
        job.change_counter += 1
        job.changes.append(Change(job.change_counter, kind, group_id, principal_id))
        if len(job.changes) > MOST_CHANGES:
            del job.changes[: len(job.changes) - MOST_CHANGES]
        if kind == "member_removed" and self._world.switches.removal_fast_path:
            self._go_fast(group_id or "", principal_id or "", "remove")

    def log(self) -> list[ProvisioningLogRow]:
        """Rows of the provisioning log that have appeared, newest first."""
        now, switches = self._world.now(), self._world.switches
        newest = now - timedelta(seconds=switches.provisioning_log_seconds)
        oldest = now - timedelta(days=switches.provisioning_log_days)
        return [row for row in reversed(self._world.state.provisioning_log) if oldest <= row.at <= newest]

    # ------------------------------------------------------------ fast path

    def activated(self, group_id: str, principal_id: str, *, by_person: bool) -> None:
        """For PIM: somebody came into a group; carried fast when the path is open for such a change."""
        if by_person or self._world.switches.admin_assign_fast_path:
            self._go_fast(group_id, principal_id, "add")

    def _go_fast(self, group_id: str, principal_id: str, action: str) -> None:
        if not self._world.directory.is_in_scope(group_id) or not self._take_token():
            return
        delay = FAST[0] + (FAST[1] - FAST[0]) * self._world.dice.fraction()
        self._world.schedule(
            self._world.now() + delay,
            "provisioning.fast",
            group_id=group_id,
            principal_id=principal_id,
            action=action,
        )

    def _take_token(self) -> bool:
        now = self._world.now()
        job = self.job
        job.bucket = [at for at in job.bucket if now - at < BUCKET_SPAN]
        if len(job.bucket) >= BUCKET:
            return False
        job.bucket.append(now)
        return True

    def on_fast(self, group_id: str, principal_id: str, action: str = "add") -> None:
        """Due: a change on the fast path arrives, if it still holds and the job is well."""
        member = self._world.directory.is_member(group_id, principal_id)
        if self.job.code != "Active" or member != (action == "add"):
            return
        try:
            self.exporter.push_member(group_id, principal_id, present=member)
        except ScimError as error:
            self._world.journal("provisioning failed", str(error))

    # ------------------------------------------------------------ on demand

    def on_demand(self, subjects: list[Subject]) -> OnDemandAnswer:
        """Carry one group and up to five of its members now.

        Raises WorldError 400 for more than one subject or more than five members, 429 beyond five calls in
        ten seconds (shared with the fast path by a switch).
        """
        if len(subjects) != 1 or len(subjects[0].members) > MOST_MEMBERS:
            raise bad_request(
                "InvalidRequest", "On-demand provisioning takes one subject with at most five members."
            )
        self._throttle_on_demand()
        subject = subjects[0]
        if not self._world.state.identity_center.scim_token_valid:
            return _failure(REJECTED, "The credentials of the target system are not valid.")
        try:
            if subject.object_type == "User":
                return self.exporter.user_on_demand(subject.object_id)
            return self.exporter.group_on_demand(subject.object_id, subject.members)
        except ScimError as error:
            return _failure(error.kind, error.detail)

    def _throttle_on_demand(self) -> None:
        now = self._world.now()
        job = self.job
        if not self._world.switches.on_demand_shares_bucket:
            recent = [at for at in job.on_demand_calls if now - at < BUCKET_SPAN]
            job.on_demand_calls = recent if len(recent) >= BUCKET else [*recent, now]
            full, oldest = len(recent) >= BUCKET, recent[0] if recent else now
        else:
            full = not self._take_token()
            oldest = job.bucket[0]
        if full:
            left = (BUCKET_SPAN - (now - oldest)).total_seconds()
            wait = math.ceil(left / (self._world.clock.factor or 1))
            raise WorldError(429, "TooManyRequests", "Too many requests.", retry_after=max(1, wait))

    # ------------------------------------------------------------ cycles

    def begin(self) -> None:
        """Run the initial cycle at once and let the others follow."""
        self.job.code = "Active"
        self._run(full=True)

    def settle(self) -> None:
        """For sample data: the running cycle is over, and began as long ago as it took."""
        job = self.job
        if job.running is not None:
            length = job.running.ended_at - job.running.began_at
            job.running.began_at, job.running.ended_at = self._world.now() - length, self._world.now()
            self.on_cycle_end(job.running.id)

    def on_cycle(self) -> None:
        """Due: time for a cycle, unless the job was paused or the time was moved."""
        if self.job.next_cycle_at == self._world.now() and self.job.code in ("Active", "Quarantine"):
            self._run(full=False)

    def run_cycle(self) -> None:
        """Begin a cycle now, whatever the plan says."""
        self._run(full=False)

    def _plan(self, at: datetime) -> None:
        self.job.next_cycle_at = at
        self._world.schedule(at, "provisioning.cycle")

    def _run(self, *, full: bool) -> None:
        job, now = self.job, self._world.now()
        held = job.quarantine is not None and job.quarantine.held
        if held or not self._world.state.identity_center.scim_token_valid:
            self._failed_cycle()
            return
        if job.code == "Quarantine":
            job.code, job.quarantine = "Active", None
        began = now
        changes, job.changes, job.watermark = job.changes, [], job.change_counter
        result = self.exporter.cycle(changes, cycle_id=self._world.dice.guid(), full=full)
        length = CYCLE_SPAN + timedelta(milliseconds=100) * min(result.exported, 10_000)
        job.running = Execution(
            id=result.cycle_id,
            began_at=began,
            ended_at=began + length,
            state="EntryLevelErrors" if result.failed else "Succeeded",
            imported=len(changes),
            entitled=len(job.exported_users),
            exported=result.exported,
            escrowed=len(job.escrowed_users),
        )
        job.failures_in_row = 0
        self._world.schedule(job.running.ended_at, "provisioning.cycle_end", cycle_id=job.running.id)
        self._plan(began + self.interval)
        self._world.journal("cycle", f"A provisioning cycle began, {result.exported} exports")

    def on_cycle_end(self, cycle_id: str) -> None:
        """Due: the running cycle ends and becomes the last one."""
        job = self.job
        if job.running is None or job.running.id != cycle_id:
            return
        done, job.running = job.running, None
        job.last = job.last_successful = done
        if done.exported:
            job.last_with_exports = done
        job.first_steady_at = job.first_steady_at or done.ended_at

    def _failed_cycle(self) -> None:
        job, now = self.job, self._world.now()
        quarantine = job.quarantine or Quarantine(
            reason="EncounteredQuarantineException",
            began_at=now,
            next_attempt_at=now,
            series_count=0,
            error_code=REJECTED,
            error_message="The access token of the target system was rejected.",
        )
        wait = ATTEMPTS[min(quarantine.series_count, len(ATTEMPTS) - 1)]
        quarantine.series_count += 1
        quarantine.next_attempt_at = now + wait
        job.code, job.quarantine = "Quarantine", quarantine
        job.failures_in_row += 1
        job.last = Execution(
            id=self._world.dice.guid(),
            began_at=now,
            ended_at=now + CYCLE_SPAN,
            state="Failed",
            error_code=quarantine.error_code,
            error_message=quarantine.error_message,
        )
        if now - quarantine.began_at >= DISABLED_AFTER:
            job.disabled, job.next_cycle_at = True, None
            self._world.journal("job disabled", "Four weeks in quarantine: the provisioning job is disabled")
            return
        self._plan(quarantine.next_attempt_at)
        self._world.journal("quarantine", f"The provisioning job is in quarantine: {quarantine.reason}")

    # ------------------------------------------------------------ control

    def start(self) -> None:
        """Let the job run; a paused one begins a cycle at once, a running one only by a switch."""
        if self.job.code in ("Paused", "NotRun"):
            self.job.code = "Active"
            self._run(full=False)
        elif self.job.code == "Active" and self._world.switches.start_triggers_cycle:
            self._run(full=False)

    def pause(self) -> None:
        """Stop cycles and the fast path until somebody starts the job."""
        self.job.code, self.job.next_cycle_at = "Paused", None
        self._world.journal("job paused", "The provisioning job is paused")

    def restart(self, reset_scope: str = "") -> None:
        """Forget what the flags name and run a cycle; `Full` makes it an initial one."""
        flags = {each.strip() for each in reset_scope.split(",")}
        if flags & {"QuarantineState", "Full"}:
            self.job.quarantine = None
        if "Escrows" in flags:
            self.job.escrowed_users.clear()
        if self.job.quarantine is None:
            self.job.code, self.job.disabled = "Active", False
            self._run(full=bool(flags & {"Watermark", "Full"}))

    def quarantine(
        self,
        reason: str = "EncounteredQuarantineException",
        *,
        error_code: str = REJECTED,
        error_message: str = "",
    ) -> None:
        """Put the job into quarantine until `leave_quarantine`; attempts in between fail.

        Raises ValueError for a reason that the API doesn't know.
        """
        if reason not in REASONS:
            raise ValueError(f"unknown reason '{reason}'; one of {', '.join(REASONS)}")
        now = self._world.now()
        self.job.code = "Quarantine"
        self.job.quarantine = Quarantine(
            reason=reason,
            began_at=now,
            next_attempt_at=now + ATTEMPTS[0],
            error_code=error_code,
            error_message=error_message or "The job was put into quarantine.",
            held=True,
        )
        self._plan(now + ATTEMPTS[0])
        self._world.journal("quarantine", f"The provisioning job is in quarantine: {reason}")

    def leave_quarantine(self) -> None:
        """End the quarantine and run a cycle."""
        self.job.quarantine = None
        self.job.code, self.job.disabled = "Active", False
        self._run(full=False)

    def lose_removal(self, group_id: str, principal_id: str) -> None:
        """From now on no cycle carries this person's removal from this group."""
        self.job.lost_removals.append(f"{group_id}/{principal_id}")


def _failure(code: str, message: str) -> OnDemandAnswer:
    return OnDemandAnswer({"result": "Failure", "details": {"errorCode": code, "errorMessage": message}})
