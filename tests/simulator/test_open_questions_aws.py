"""The product's adapters over HTTP, with both answers to what isn't documented of AWS."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from clients.aws.cutting import Boto3SessionDenials, build_denials
from clients.aws.identity_center import Boto3IdentityCenter
from clients.aws.organization import Boto3Organization
from clients.errors import Refused, Throttled
from clients.limits import LocalLimiter
from clients.types import GroupAssignment, ProgressCode, ProvisioningProgress
from simulator.aws.app import create_app
from simulator.aws.roles import SEVERER, WORKER, Role
from simulator.aws.throttles import NEVER, Throttles
from simulator.listener import Listener
from tests.clients.test_simulated_aws import FAST, NOBODY, Cloud
from tests.simulator.world.factory import Small, small_world
from tests.support.aws_models import aws_caller

WORKERS_KEY, SEVERERS_KEY = "AKIAWORKER0000000000", "AKIASEVERER000000000"


@dataclass
class Waited:
    """Time that the limits count in; it passes when botocore waits before it tries again."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += max(seconds, 0.05)


@contextmanager
def front(
    small: Small,
    monkeypatch: pytest.MonkeyPatch,
    *,
    throttles: Throttles = NEVER,
    role: Role = WORKER,
    attempts: int = 3,
) -> Iterator[Cloud]:
    """The worker's own adapters, its key and its retries, against this world."""
    listener = Listener(
        create_app(
            small.world,
            threading.RLock(),
            throttles=throttles,
            roles={WORKERS_KEY: role, SEVERERS_KEY: SEVERER},
        )
    )
    listener.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{listener.address}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", WORKERS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    region = small.world.state.identity_center.region
    caller = aws_caller(region, LocalLimiter(FAST), attempts=attempts, key=WORKERS_KEY)
    try:
        yield Cloud(small, Boto3IdentityCenter(caller), Boto3Organization(caller))
    finally:
        listener.stop()


@pytest.fixture
def small() -> Small:
    return small_world()


@pytest.fixture
def cloud(small: Small, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with front(small, monkeypatch) as running:
        yield running


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> Waited:
    made = Waited()
    # botocore's own view of the clock only: the server beside it goes on waiting for real.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=made.sleep, time=time.time))
    return made


# --- the identity store


@pytest.mark.parametrize("stamped", [True, False])
def test_when_a_membership_landed(cloud: Cloud, stamped: bool) -> None:
    small = cloud.small
    small.world.switches.membership_created_at = stamped
    small.assign(small.ada)
    small.step(minutes=45)
    found = cloud.center.membership(small.user_id_in_store(small.ada), cloud.group().group_id).value
    assert found is not None, "a membership without a stamp is a membership"
    assert (found.created_at is not None) is stamped


@pytest.mark.parametrize("folds", [True, False])
def test_names_that_differ_in_case(cloud: Cloud, folds: bool) -> None:
    small = cloud.small
    small.world.switches.case_insensitive_user_name = folds
    found = cloud.center.find_user(small.ada.user_principal_name.upper()).value
    assert (found is not None) is folds, "unknown, never an error and never somebody else"
    joined = [each for each in cloud.center.users().value if small.ada.id in each.external_ids]
    assert [each.user_id for each in joined] == [small.user_id_in_store(small.ada)], "the id joins anyway"


@pytest.mark.parametrize("issuer", ["", "https://scim.example/another"])
def test_whoever_issued_external_ids(cloud: Cloud, issuer: str) -> None:
    cloud.small.world.switches.external_id_issuer = issuer
    assert cloud.small.group.id in cloud.group().external_ids
    ada = cloud.center.find_user(cloud.small.ada.user_principal_name).value
    assert ada is not None
    assert cloud.small.ada.id in ada.external_ids


@pytest.mark.parametrize("size", [1, 100])
def test_pages_of_any_size_are_read_to_the_end(cloud: Cloud, size: int) -> None:
    small = cloud.small
    small.world.switches.aws_page_size = size
    small.permission_set.tags = {"owner": "platform", "risk": "high", "review": "yearly"}
    assert cloud.center.permission_set(small.permission_set.arn).value.tags == small.permission_set.tags
    assert len(cloud.center.users().value) == 2


@pytest.mark.parametrize("short", [True, False])
def test_pages_may_be_short_and_even_empty(cloud: Cloud, short: bool) -> None:
    small = cloud.small
    small.world.switches.aws_short_pages = short
    for number in range(22):
        small.builder.account(f"Account {number}")
    small.assign(small.ada)
    small.step(minutes=45)
    user_id, group_id = small.user_id_in_store(small.ada), cloud.group().group_id
    assert len(cloud.organization.accounts().value) == 24
    assert len(cloud.organization.units().value) == len(small.world.state.organization.units) + 1
    assert cloud.center.permission_set_arns().value == (small.permission_set.arn,)
    assert cloud.center.group_assignments(group_id).value == (
        GroupAssignment(small.account.id, small.permission_set.arn),
    )
    assert len(cloud.center.users().value) == 2
    assert [each.user_id for each in cloud.center.group_memberships(group_id).value] == [user_id]
    assert cloud.center.membership(user_id, group_id).value is not None


@pytest.mark.parametrize(("inline", "boundary"), [(True, False), (False, True)])
def test_a_set_without_policies_of_its_own(cloud: Cloud, inline: bool, boundary: bool) -> None:
    cloud.small.world.switches.no_inline_policy_is_refused = inline
    cloud.small.world.switches.no_boundary_is_refused = boundary
    found = cloud.center.permission_set(cloud.small.permission_set.arn).value
    assert (found.name, found.inline_policy, found.permissions_boundary) == ("EC2AdminAccess", "", "")


@pytest.mark.parametrize("refused", [True, False])
def test_nobody_is_in_a_group_that_is_gone(cloud: Cloud, refused: bool) -> None:
    small = cloud.small
    small.world.switches.unknown_group_is_refused = refused
    small.assign(small.ada)
    small.step(minutes=45)
    group_id, gone = cloud.group().group_id, NOBODY
    held = cloud.center.memberships(small.user_id_in_store(small.ada), [gone, group_id]).value
    assert held == {gone: False, group_id: True}


# --- who may ask, and what is told


@pytest.mark.parametrize("may", [True, False])
def test_a_delegated_administrator_learns_the_same(
    small: Small, monkeypatch: pytest.MonkeyPatch, may: bool
) -> None:
    small.world.switches.delegated_administrator_may_list_for_principal = may
    small.world.state.organization.delegated_administrators.append(small.account.id)
    delegate = Role(WORKER.name, WORKER.actions, small.account.id)
    with front(small, monkeypatch, role=delegate) as cloud:
        rows = cloud.center.group_assignments(cloud.group().group_id).value
    assert rows == (GroupAssignment(small.account.id, small.permission_set.arn),)


# --- limits


def drained(throttles: Throttles, service: str, operation: str, account: str = "") -> None:
    """Somebody else has used a bucket up."""
    while throttles.take(service, operation, account=account, caller=account):
        pass


@pytest.mark.parametrize("rate", [1.0, 20.0])
def test_organizations_may_allow_little_or_much(
    small: Small, monkeypatch: pytest.MonkeyPatch, waited: Waited, rate: float
) -> None:
    small.world.switches.organizations_per_second = rate
    for number in range(90):
        small.builder.account(f"Account {number}")
    throttles = Throttles(clock=waited)
    with front(small, monkeypatch, throttles=throttles, attempts=6) as cloud:
        accounts = cloud.organization.accounts().value
    assert len(accounts) == 92, "five pages, whatever they cost"
    assert bool(waited.waits) is (rate == 1.0)


@pytest.mark.parametrize("per_account", [True, False])
def test_limits_may_count_for_everybody_together(
    small: Small, monkeypatch: pytest.MonkeyPatch, waited: Waited, per_account: bool
) -> None:
    small.world.switches.aws_limits_per_account = per_account
    throttles = Throttles(clock=waited)
    drained(throttles, "sso-admin", "ListInstances", small.account.id if per_account else "")
    with front(small, monkeypatch, throttles=throttles, attempts=6) as cloud:
        assert cloud.center.instance().value.instance_arn
    assert bool(waited.waits) is not per_account


@pytest.mark.parametrize("status", [400, 429])
def test_a_throttled_call_by_any_status(
    small: Small, monkeypatch: pytest.MonkeyPatch, waited: Waited, status: int
) -> None:
    small.world.switches.throttling_status = status
    throttled(small, monkeypatch, waited)


@pytest.mark.parametrize("message", ["Rate exceeded", "There are too many requests processing"])
def test_a_throttled_call_in_any_words(
    small: Small, monkeypatch: pytest.MonkeyPatch, waited: Waited, message: str
) -> None:
    small.world.switches.throttling_message = message
    throttled(small, monkeypatch, waited)


def throttled(small: Small, monkeypatch: pytest.MonkeyPatch, waited: Waited) -> None:
    """Each service's own error is one that goes away by waiting."""
    with front(small, monkeypatch, attempts=1) as cloud:
        assert cloud.center.instance().value.instance_arn
        asks: dict[str, Any] = {
            "sso-admin": cloud.center.permission_set_arns,
            "identitystore": cloud.center.groups,
            "organizations": cloud.organization.accounts,
        }
        for service, ask in asks.items():
            small.world.faults.add(f"aws.{service}.*", "throttle", retry_after=7)
            with pytest.raises(Throttled) as caught:
                ask()
            assert caught.value.retry_after.total_seconds() > 0
    assert waited.waits == []


# --- what cuts sessions


@pytest.fixture
def denials(small: Small, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Boto3SessionDenials:
    """The severer's own adapter and key."""
    monkeypatch.setenv("SEVERER_AWS_ACCESS_KEY_ID", SEVERERS_KEY)
    monkeypatch.setenv("SEVERER_AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", small.world.state.identity_center.region)
    return build_denials(limiter=LocalLimiter(FAST))


def deny(*user_ids: str) -> str:
    condition = {"StringEquals": {"identitystore:userId": list(user_ids)}}
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def finish(small: Small, denials: Boto3SessionDenials) -> ProvisioningProgress:
    """Ask until AWS is done, a second apart."""
    progress = denials.provision_permission_set(small.permission_set.arn, client_request_id="p").value
    while progress.code is ProgressCode.RUNNING:
        small.step(seconds=1)
        progress = denials.provisioning_progress(progress.vendor_id).value
    return progress


def session_of_ada(small: Small) -> str:
    small.permission_set.session_duration = "PT12H"
    small.assign(small.ada, duration="PT8H")
    small.step(minutes=41)
    return small.world.access_portal.open_session(small.ada.id, small.account.id, "EC2AdminAccess").id


@pytest.mark.parametrize("seconds", [0.0, 90.0])
def test_provisioning_takes_its_time(small: Small, denials: Boto3SessionDenials, seconds: float) -> None:
    small.world.switches.provision_permission_set_seconds = seconds
    document = deny(small.user_id_in_store(small.ada))
    denials.put_inline_policy(small.permission_set.arn, document, client_request_id="w")
    before = small.world.now()
    assert finish(small, denials).code is ProgressCode.DONE
    assert (small.world.now() - before).total_seconds() >= seconds
    assert small.permission_set.provisioned[small.account.id] == small.permission_set.revision


@pytest.mark.parametrize("code", ["ConflictException", "ThrottlingException"])
def test_too_many_provisionings_are_asked_for_again(
    small: Small, denials: Boto3SessionDenials, code: str
) -> None:
    small.world.switches.provision_busy_code = code
    for _ in range(3):
        small.world.identity_center.provision(small.permission_set.arn)
    with pytest.raises(Throttled) as caught:
        denials.provision_permission_set(small.permission_set.arn, client_request_id="p")
    assert caught.value.code == code
    assert caught.value.retry_after.total_seconds() > 0


@pytest.mark.parametrize("seconds", [0.0, 120.0])
def test_denials_may_act_at_once_or_later(small: Small, denials: Boto3SessionDenials, seconds: float) -> None:
    small.world.switches.policy_effect_seconds = seconds
    portal, session = small.world.access_portal, session_of_ada(small)
    policy = small.world.control_policies.create("Cut", "", deny("nobody"))
    small.world.control_policies.attach(policy.id, small.account.id)
    document = deny(small.user_id_in_store(small.ada))
    denials.put_service_control_policy(policy.id, document, client_request_id="w")
    assert denials.service_control_policy(policy.id).value.content == document, (
        "what is read back is what was written"
    )
    small.world.advance()
    assert portal.may_act(session).allowed is bool(seconds)
    small.step(seconds=seconds)
    assert not portal.may_act(session).allowed


@pytest.mark.parametrize("most", [5120, 10_240])
def test_a_denial_may_be_too_long(small: Small, denials: Boto3SessionDenials, most: int) -> None:
    small.world.switches.control_policy_characters = most
    policy = small.world.control_policies.create("Cut", "", deny("nobody"))
    long = deny(*(f"9067642ac7-{number:036d}" for number in range(150)))
    assert 5120 < len(long) < 10_240
    if most > len(long):
        denials.put_service_control_policy(policy.id, long, client_request_id="w")
        assert denials.service_control_policy(policy.id).value.content == long
    else:
        with pytest.raises(Refused) as caught:
            denials.put_service_control_policy(policy.id, long, client_request_id="w")
        assert caught.value.code == "ConstraintViolationException"
        assert denials.service_control_policy(policy.id).value.content == deny("nobody"), (
            "nothing was cut off"
        )
