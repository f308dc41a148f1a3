"""CloudTrail over real HTTP, through boto3 and STS: each account and Region answers for itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import boto3
import pytest

from clients.aws.caller import AwsCaller
from clients.aws.config import AwsConfig
from clients.aws.trail import Boto3ActivityTrail
from clients.errors import NotPermitted, Throttled
from clients.limits import LocalLimiter, Rate
from clients.types import TrailQuestion
from simulator.aws.app import create_app
from simulator.aws.roles import WORKER
from simulator.aws.throttles import NEVER
from simulator.listener import Listener
from tests.simulator.world.factory import START, Small, small_world

KEY = "AKIAWORKER0000000000"
FAST = {name: Rate(10_000, burst=10_000) for name in ("sts", "cloudtrail")}


class Noting(LocalLimiter):
    """Remembers which buckets were drawn on."""

    def __init__(self) -> None:
        super().__init__(FAST)
        self.buckets: list[str] = []
        self.held: list[str] = []

    def acquire(self, bucket: str, cost: int = 1) -> None:
        self.buckets.append(bucket)
        super().acquire(bucket, cost)

    def hold(self, bucket: str, span: timedelta) -> None:
        self.held.append(bucket)


@dataclass
class Cloud:
    small: Small
    trail: Boto3ActivityTrail
    limiter: Noting
    time: list[float]

    @property
    def question(self) -> TrailQuestion:
        now = self.small.world.now()
        return TrailQuestion(self.small.account.id, "eu-west-1", START, now, "Username", "ada@acme.example")

    def act(self) -> None:
        """Ada stops something in the account."""
        self.small.world.switches.trail_delay_seconds = 0.0
        self.small.assign(self.small.ada)
        self.small.step(minutes=41)
        portal = self.small.world.access_portal
        session = portal.open_session(self.small.ada.id, self.small.account.id, "EC2AdminAccess")
        portal.act(session.id, "ec2:StopInstances")

    def fault(self, operation: str, code: str, *, count: int | None = 1, status: int = 400) -> None:
        self.small.world.faults.add(operation, "error", status=status, code=code, count=count)

    def names(self, **changes: Any) -> list[str]:
        answer = self.trail.look_up(replace(self.question, **changes)).value
        return [each.name for each in answer.events]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    small, limiter, time = small_world(), Noting(), [0.0]
    listener = Listener(create_app(small.world, threading.RLock(), throttles=NEVER, roles={KEY: WORKER}))
    listener.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{listener.address}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    caller = AwsCaller(AwsConfig(small.world.state.identity_center.region), limiter, attempts=2)
    try:
        yield Cloud(small, Boto3ActivityTrail(caller, limiter, now=lambda: time[0]), limiter, time)
    finally:
        listener.stop()


def test_the_accounts_role_is_assumed_once_an_hour_and_paced_by_account_and_region(cloud: Cloud) -> None:
    cloud.act()
    assert cloud.names() == ["StopInstances"]
    assert cloud.names(region="us-east-1") == []
    here = f"cloudtrail:{cloud.small.account.id}:eu-west-1"
    assert cloud.limiter.buckets == ["sts", here, here.replace("eu-west-1", "us-east-1")]
    cloud.time[0] += 3000
    cloud.names()
    assert cloud.limiter.buckets.count("sts") == 1
    cloud.time[0] += 400
    cloud.names()
    assert cloud.limiter.buckets.count("sts") == 2


def test_accounts_and_regions_share_what_was_read_of_services(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    original = boto3.session.Session

    def session(**given: Any) -> Any:
        made.append(given)
        return original(**given)

    monkeypatch.setattr("boto3.session.Session", session)
    owner = cloud.small.world.state.organization.management_account_id
    for account in (cloud.small.account.id, owner):
        for region in ("eu-west-1", "us-east-1"):
            cloud.names(account_id=account, region=region)
    assert made == [{}], "one session, with the worker's own credentials"


def test_a_key_that_is_over_is_taken_anew(cloud: Cloud) -> None:
    cloud.act()
    assert cloud.names() == ["StopInstances"]
    cloud.small.step(hours=2)  # on the clouds' clock alone
    assert cloud.names() == ["StopInstances"]
    assert cloud.limiter.buckets.count("sts") == 2


def test_one_account_that_refuses_and_one_without_the_role(cloud: Cloud) -> None:
    account, owner = cloud.small.account.id, cloud.small.world.state.organization.management_account_id
    cloud.fault(f"aws.cloudtrail.LookupEvents@{account}/*", "AccessDeniedException", count=None)
    with pytest.raises(NotPermitted, match=f"may not look events up in account {account}, Region eu-west-1"):
        cloud.names()
    assert cloud.names(account_id=owner) == []
    cloud.fault(f"aws.sts.AssumeRole@{owner}", "AccessDenied", count=None, status=403)
    cloud.time[0] += 4000
    with pytest.raises(NotPermitted, match=f"may not use the role AccessPortalActivity of account {owner}"):
        cloud.names(account_id=owner)
    with pytest.raises(NotPermitted, match="of account 999999999999"):
        cloud.names(account_id="999999999999")


def test_a_region_that_is_off_in_an_account(cloud: Cloud) -> None:
    cloud.fault("aws.cloudtrail.LookupEvents@*/ap-east-1", "UnrecognizedClientException", count=None)
    with pytest.raises(NotPermitted, match="Region ap-east-1 isn't enabled in account") as caught:
        cloud.names(region="ap-east-1")
    assert caught.value.code == "RegionNotEnabled"
    assert cloud.names() == []


def test_a_throttled_region_holds_its_own_bucket_alone(cloud: Cloud) -> None:
    here = f"@{cloud.small.account.id}/eu-west-1"
    cloud.small.world.faults.add(f"aws.cloudtrail.*{here}", "throttle", retry_after=30, count=None)
    with pytest.raises(Throttled) as caught:
        cloud.names()
    assert caught.value.retry_after == timedelta(seconds=5)  # LookupEvents names no wait of its own
    assert cloud.limiter.held == [f"cloudtrail:{cloud.small.account.id}:eu-west-1"]
    assert cloud.names(region="us-east-1") == []


@pytest.mark.parametrize("carried", [True, False])
def test_who_acted_with_and_without_the_users_id(cloud: Cloud, carried: bool) -> None:
    cloud.small.world.switches.sessions_carry_on_behalf_of = carried
    cloud.act()
    (event,) = cloud.trail.look_up(cloud.question).value.events
    assert event.store_user_id == (cloud.small.user_id_in_store(cloud.small.ada) if carried else "")
    assert event.principal_id.endswith(":ada@acme.example")
