"""Cases of EntraProvisioning."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clients import errors
from clients.types import OnDemandOutcome, ProvisioningCode, Reading
from simulator.world.happenings import happen
from tests.clients.ports.cloud import Cloud, case
from tests.simulator.world.factory import START


@case("EntraProvisioning.job")
def the_job_is_read(cloud: Cloud) -> None:
    small, provisioning = cloud.small, cloud.clients.provisioning
    small.step(minutes=41)
    job = provisioning.job().value
    assert (job.code, job.interval, job.last_cycle_completed) == (
        ProvisioningCode.ACTIVE,
        timedelta(minutes=40),
        True,
    )
    assert job.last_cycle_began_at == START + timedelta(minutes=40)
    small.step(minutes=40)
    assert provisioning.job().value.last_cycle_id != job.last_cycle_id
    happen(small.world, "job_paused", {})
    assert provisioning.job().value.code is ProvisioningCode.PAUSED
    happen(small.world, "job_started", {})
    happen(small.world, "quarantine", {})
    ill = provisioning.job().value
    assert (ill.code, ill.quarantine_reason) == (
        ProvisioningCode.QUARANTINE,
        "EncounteredQuarantineException",
    )
    assert ill.next_attempt_at is not None


@case("EntraProvisioning.provision_on_demand")
def somebody_is_carried_on_demand_five_times_in_ten_seconds(cloud: Cloud) -> None:
    cloud.assign()
    group, ada = cloud.small.group.id, cloud.small.ada.id

    def carry() -> Reading[Any]:
        return cloud.clients.provisioning.provision_on_demand(group, [ada], client_request_id="three")

    first = carry()
    assert (first.value.outcome, first.receipt.client_request_id) == (OnDemandOutcome.SUCCESS, "three")
    assert cloud.small.in_aws(cloud.small.ada)
    assert carry().value.outcome is OnDemandOutcome.SKIPPED
    for _ in range(3):
        carry()
    with pytest.raises(errors.Throttled):
        carry()
