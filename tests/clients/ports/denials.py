"""Cases of SessionDenials."""

from __future__ import annotations

import pytest

from clients import errors
from clients.types import ProgressCode
from tests.clients.ports.cloud import NOBODY, Cloud, case

DENIAL = '{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Deny","Action":"*","Resource":"*"}]}'


@case(
    "SessionDenials.service_control_policy",
    "SessionDenials.put_service_control_policy",
    "SessionDenials.policy_targets",
)
def a_service_control_policy_is_read_and_written(cloud: Cloud) -> None:
    world, organization = cloud.small.world, cloud.small.world.state.organization
    made = world.control_policies.create("sessions", "", DENIAL)
    assert cloud.denials.policy_targets(made.id).value == frozenset()
    world.control_policies.attach(made.id, organization.root_id)
    assert cloud.denials.policy_targets(made.id).value == {organization.root_id}
    wanted = DENIAL.replace('"A"', '"B"')
    answer = cloud.denials.put_service_control_policy(made.id, wanted, client_request_id="one")
    assert (answer.value, answer.receipt.client_request_id) == (None, "one")
    found = cloud.denials.service_control_policy(made.id).value
    assert (found.content, found.owner_account_id) == (wanted, organization.management_account_id)
    with pytest.raises(errors.Refused):
        cloud.denials.put_service_control_policy(made.id, "{", client_request_id="two")
    for ask in (cloud.denials.service_control_policy, cloud.denials.policy_targets):
        with pytest.raises(errors.NotFound):
            ask("p-00000000ff")


@case(
    "SessionDenials.inline_policy",
    "SessionDenials.put_inline_policy",
    "SessionDenials.provision_permission_set",
    "SessionDenials.provisioning_progress",
)
def an_inline_policy_is_written_and_carried(cloud: Cloud) -> None:
    small, arn, denials = cloud.small, cloud.small.permission_set.arn, cloud.denials
    assert denials.inline_policy(arn).value == ""
    denials.put_inline_policy(arn, DENIAL, client_request_id="one")
    assert denials.inline_policy(arn).value == DENIAL
    with pytest.raises(errors.Refused):
        denials.put_inline_policy(arn, "{", client_request_id="two")
    begun = denials.provision_permission_set(arn, client_request_id="three").value
    assert begun.code is ProgressCode.RUNNING
    assert denials.provisioning_progress(begun.vendor_id).value == begun
    small.step(seconds=10)
    assert denials.provisioning_progress(begun.vendor_id).value.code is ProgressCode.DONE
    assert small.permission_set.provisioned[small.account.id] == small.permission_set.revision
    with pytest.raises(errors.NotFound):
        denials.provisioning_progress(NOBODY)
    with pytest.raises(errors.NotFound):
        denials.inline_policy(f"{arn[:-16]}ffffffffffffffff")
