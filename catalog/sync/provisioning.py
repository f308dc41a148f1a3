"""The provisioning job: one call, one row."""

from __future__ import annotations

from django_subatomic.db import transaction

from base.clock import business_now
from catalog.models import ProvisioningState
from catalog.sync.work import Work
from clients.registry import clients


class Provisioning:
    """State of the enterprise application's synchronization job."""

    def advance(self, work: Work) -> bool:
        """See the engine's Part."""
        job = work.fetch(clients().provisioning.job)
        with transaction():
            ProvisioningState.objects.exclude(job_id=job.job_id).delete()
            _, created = ProvisioningState.objects.update_or_create(
                job_id=job.job_id,
                defaults={
                    "code": job.code.value,
                    "interval": job.interval,
                    "last_cycle_id": job.last_cycle_id[:64],
                    "last_cycle_began_at": job.last_cycle_began_at,
                    "last_cycle_ended_at": job.last_cycle_ended_at,
                    "last_cycle_completed": job.last_cycle_completed,
                    "quarantine_reason": job.quarantine_reason[:64],
                    "next_attempt_at": job.next_attempt_at,
                    "observed_at": business_now(),
                },
            )
        work.changes["jobs"] += int(created)
        return True
