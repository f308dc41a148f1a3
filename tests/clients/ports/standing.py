"""Cases of the product's own standing, and of the remover's port."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clients import errors
from tests.clients.ports.cloud import Cloud, case


@case("EntraStanding.identity", "AwsStanding.identity")
def the_worker_knows_who_it_is(cloud: Cloud) -> None:
    entra = cloud.clients.entra_standing.identity().value
    assert entra.tenant_id == cloud.small.world.state.tenant_id
    assert "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup" in entra.roles
    aws = cloud.clients.aws_standing.identity().value
    assert aws.account_id == cloud.small.world.state.organization.management_account_id
    for skew in (entra.clock_skew, aws.clock_skew):
        assert skew is not None
        assert abs(skew) < timedelta(seconds=30)


@case("MembershipRemoval.membership", "MembershipRemoval.delete")
def a_membership_is_deleted_once(cloud: Cloud) -> None:
    cloud.carried()
    held = cloud.removal.membership(cloud.store_ada, cloud.store_group).value
    assert held is not None
    cloud.removal.delete(held.membership_id, client_request_id="four")
    assert cloud.removal.membership(cloud.store_ada, cloud.store_group).value is None
    with pytest.raises(errors.NotFound):
        cloud.removal.delete(held.membership_id, client_request_id="five")
