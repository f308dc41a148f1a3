"""The remover's and the severer's adapters over real HTTP, through boto3, with keys that may do this and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from clients.aws.cutting import (
    Boto3MembershipRemoval,
    Boto3SessionDenials,
    build_denials,
    build_removal,
    own_credentials,
)
from clients.errors import NotFound, NotPermitted, OutcomeUnknown, Throttled
from clients.limits import LocalLimiter, Rate
from clients.types import ProgressCode
from simulator.aws.app import create_app
from simulator.aws.roles import REMOVER, SEVERER
from simulator.aws.throttles import NEVER
from simulator.listener import Listener
from tests.simulator.world.factory import Small, small_world

FAST = {name: Rate(10_000, burst=10_000) for name in ("sso-admin", "identitystore", "organizations")}
KEYS = {"REMOVER": "AKIAREMOVER000000000", "SEVERER": "AKIASEVERER000000000"}


@pytest.fixture
def small() -> Small:
    return small_world()


@pytest.fixture
def environ(small: Small, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    roles = {KEYS["REMOVER"]: REMOVER, KEYS["SEVERER"]: SEVERER}
    listener = Listener(create_app(small.world, threading.RLock(), throttles=NEVER, roles=roles))
    listener.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{listener.address}")
    # A key of somebody else in the process's environment must not be the one that is used.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASTRANGER00000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    try:
        yield {
            "AWS_REGION": small.world.state.identity_center.region,
            **{f"{owner}_AWS_ACCESS_KEY_ID": key for owner, key in KEYS.items()},
            **{f"{owner}_AWS_SECRET_ACCESS_KEY": "secret" for owner in KEYS},
        }
    finally:
        listener.stop()


@pytest.fixture
def removal(environ: dict[str, str]) -> Boto3MembershipRemoval:
    return build_removal(environ, limiter=LocalLimiter(FAST))


def ids(small: Small) -> tuple[str, str]:
    return small.user_id_in_store(small.ada), small.builder.store_group(small.baseline).id


def test_a_membership_is_found_and_deleted_once(small: Small, removal: Boto3MembershipRemoval) -> None:
    user_id, group_id = ids(small)
    found = removal.membership(user_id, group_id).value
    assert found is not None
    assert found.created_at is not None
    answer = removal.delete(found.membership_id, client_request_id="ours")
    assert answer.receipt.client_request_id == "ours"
    assert answer.receipt.vendor_request_id
    assert not small.in_aws(small.ada, small.baseline)
    assert removal.membership(user_id, group_id).value is None
    with pytest.raises(NotFound):
        removal.delete(found.membership_id, client_request_id="again")


def test_a_membership_that_was_made_anew_has_another_id(
    small: Small, removal: Boto3MembershipRemoval
) -> None:
    user_id, group_id = ids(small)
    before = removal.membership(user_id, group_id).value
    assert before is not None
    small.world.identity_store.remove_member(group_id, user_id)
    small.world.identity_store.add_member(group_id, user_id)
    with pytest.raises(NotFound):
        removal.delete(before.membership_id, client_request_id="late")
    assert small.in_aws(small.ada, small.baseline)


@pytest.mark.parametrize(
    ("kind", "raised", "gone"),
    [
        ("lose_request", OutcomeUnknown, False),
        ("lose_answer", OutcomeUnknown, True),
        ("error", OutcomeUnknown, False),
        ("throttle", Throttled, False),
    ],
)
def test_a_write_is_never_tried_twice(
    small: Small, removal: Boto3MembershipRemoval, kind: str, raised: type[Exception], gone: bool
) -> None:
    user_id, group_id = ids(small)
    found = removal.membership(user_id, group_id).value
    assert found is not None
    small.world.faults.add("aws.identitystore.DeleteGroupMembership", kind, count=1)
    with pytest.raises(raised):
        removal.delete(found.membership_id, client_request_id="one")
    assert small.in_aws(small.ada, small.baseline) is not gone


def test_with_somebody_elses_key_nothing_goes(small: Small, environ: dict[str, str]) -> None:
    borrowed = environ | {"REMOVER_AWS_ACCESS_KEY_ID": KEYS["SEVERER"]}
    with pytest.raises(NotPermitted):
        build_removal(borrowed, limiter=LocalLimiter(FAST)).membership(*ids(small))


@pytest.fixture
def denials(environ: dict[str, str]) -> Boto3SessionDenials:
    return build_denials(environ, limiter=LocalLimiter(FAST))


DOCUMENT = '{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Deny","Action":"*","Resource":"*"}]}'


def test_a_service_control_policy_is_read_and_written(small: Small, denials: Boto3SessionDenials) -> None:
    organization = small.world.state.organization
    made = small.world.control_policies.create("sessions", "", DOCUMENT)
    small.world.control_policies.attach(made.id, organization.root_id)
    found = denials.service_control_policy(made.id).value
    assert (found.content, found.owner_account_id) == (DOCUMENT, organization.management_account_id)
    assert denials.policy_targets(made.id).value == {organization.root_id}
    wanted = DOCUMENT.replace('"A"', '"B"')
    answer = denials.put_service_control_policy(made.id, wanted, client_request_id="ours")
    assert answer.receipt.vendor_request_id
    assert denials.service_control_policy(made.id).value.content == wanted
    with pytest.raises(NotFound):
        denials.service_control_policy("p-00000000ff")


def test_an_inline_policy_is_carried_to_the_accounts(small: Small, denials: Boto3SessionDenials) -> None:
    arn = small.permission_set.arn
    assert denials.inline_policy(arn).value == ""
    denials.put_inline_policy(arn, DOCUMENT, client_request_id="ours")
    assert denials.inline_policy(arn).value == DOCUMENT
    begun = denials.provision_permission_set(arn, client_request_id="ours").value
    assert begun.code is ProgressCode.RUNNING
    small.step(seconds=10)
    assert denials.provisioning_progress(begun.vendor_id).value.code is ProgressCode.DONE
    assert small.permission_set.provisioned[small.account.id] == small.permission_set.revision


@pytest.mark.parametrize(("kind", "written"), [("lose_request", False), ("lose_answer", True)])
def test_an_unanswered_write_is_unknown(
    small: Small, denials: Boto3SessionDenials, kind: str, written: bool
) -> None:
    small.world.faults.add("aws.sso-admin.PutInlinePolicyToPermissionSet", kind, count=1)
    with pytest.raises(OutcomeUnknown):
        denials.put_inline_policy(small.permission_set.arn, DOCUMENT, client_request_id="ours")
    assert (denials.inline_policy(small.permission_set.arn).value == DOCUMENT) is written


def test_half_a_key_is_none() -> None:
    with pytest.raises(NotPermitted, match="belong together"):
        own_credentials({"REMOVER_AWS_ACCESS_KEY_ID": "AKIA"}, "REMOVER")
    assert own_credentials({}, "REMOVER") == {}
