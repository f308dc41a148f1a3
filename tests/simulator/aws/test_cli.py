"""The AWS command line of AWS's own making, against the simulated accounts and with the profiles that the portal gives."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from awscli.clidriver import create_clidriver
from botocore.exceptions import SSOTokenLoadError

from requests_app.models import RequestScope
from requests_app.ways_in import aws_config, ways_in
from simulator.aws.roles import ADMINISTRATOR, REMOVER, SEVERER
from simulator.aws.throttles import NEVER
from simulator.sample import load_sample
from simulator.world.clock import WorldClock
from simulator.world.world import World
from tests.simulator.aws.running import Aws, serving
from tests.simulator.world.factory import START

KEYS = {
    "AKIAADMINISTRATOR000": ADMINISTRATOR,
    "AKIAREMOVER000000000": REMOVER,
    "AKIASEVERER000000000": SEVERER,
}
ADMIN, REMOVES, SEVERS = KEYS


@pytest.fixture(scope="module")
def world() -> World:
    found = load_sample(WorldClock.stepping(START))
    found.switches.trail_delay_seconds = 0.0
    return found


@pytest.fixture(scope="module")
def sample(world: World) -> Iterator[Aws]:
    with serving(world, throttles=NEVER, roles=KEYS) as running:
        yield running


@pytest.fixture
def environment(sample: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the machine's own configuration reaches the command, and the command reaches the front alone."""
    for name in [each for each in os.environ if each.startswith("AWS_") and each != "AWS_DATA_PATH"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", sample.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", sample.region)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_PAGER", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def aws(environment: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `aws …` in this process, which saves its start-up; gives what it printed. One driver for each key."""
    drivers: dict[str, Any] = {}

    def run(*arguments: str, key: str = ADMIN) -> Any:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        printed, complained = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
            driver = drivers[key] if key in drivers else drivers.setdefault(key, create_clidriver())
            status = driver.main([*arguments, "--output", "json"])
        if status:
            return complained.getvalue()
        return json.loads(printed.getvalue() or "null")

    return run


def test_the_command_as_a_command(environment: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ADMIN)
    command = [sys.executable, str(Path(sys.executable).with_name("aws")), "sso-admin", "list-instances"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (instance,) = json.loads(done.stdout)["Instances"]
    assert instance["IdentityStoreId"] == world.state.identity_center.identity_store_id


def test_reading(aws: Any, world: World) -> None:
    center, organization = world.state.identity_center, world.state.organization
    sets = aws("sso-admin", "list-permission-sets", "--instance-arn", center.instance_arn)["PermissionSets"]
    assert sets == list(center.permission_sets)
    users = aws("identitystore", "list-users", "--identity-store-id", center.identity_store_id)["Users"]
    assert [each["UserId"] for each in users] == list(center.users)
    accounts = aws("organizations", "list-accounts")["Accounts"]
    assert {each["Id"] for each in accounts} == set(organization.accounts), "all pages"
    identity = aws("sts", "get-caller-identity", key=REMOVES)
    assert identity["Account"] == organization.management_account_id


def test_removing_a_membership_with_the_key_that_may(aws: Any, world: World) -> None:
    store = world.state.identity_center
    group = world.identity_store.find_group_by_name("AWS - All employees")
    assert group is not None
    membership = next(iter(group.members.values()))
    arguments = (
        "identitystore",
        "delete-group-membership",
        "--identity-store-id",
        store.identity_store_id,
        "--membership-id",
        membership.id,
    )
    refused = aws(*arguments, key=SEVERS)
    assert "(AccessDeniedException)" in refused
    assert "identitystore:DeleteGroupMembership" in refused
    assert aws(*arguments, key=REMOVES) is None
    assert membership.user_id not in group.members


def test_cutting_with_a_service_control_policy(aws: Any, world: World) -> None:
    content = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
    kind = ("--type", "SERVICE_CONTROL_POLICY", "--description", "cuts")
    made = aws("organizations", "create-policy", "--name", "Cut", "--content", content, *kind)
    policy_id = made["Policy"]["PolicySummary"]["Id"]
    target = ("--policy-id", policy_id, "--target-id", world.state.organization.root_id)
    assert aws("organizations", "attach-policy", *target) is None
    assert "DuplicatePolicyAttachmentException" in aws("organizations", "attach-policy", *target)
    assert aws("organizations", "detach-policy", *target) is None
    assert aws("organizations", "delete-policy", "--policy-id", policy_id) is None


def test_looking_events_up(aws: Any, world: World) -> None:
    user = world.directory.find_user_by_name("amara.okafor@acme.example")
    assert user is not None
    for _ in range(60):
        world.access_portal.sign_in(user.id)
    name = ("--lookup-attributes", "AttributeKey=EventName,AttributeValue=Authenticate")
    events = aws("cloudtrail", "lookup-events", *name)["Events"]
    assert len(events) == 60, "both pages"
    assert json.loads(events[0]["CloudTrailEvent"])["additionalEventData"]["UserName"] == (
        "amara.okafor@acme.example"
    )
    assert "(AccessDeniedException)" in aws("cloudtrail", "lookup-events", key=SEVERS)


def test_the_portals_profiles_are_botocores(environment: Path) -> None:
    portal = "https://acme.awsapps.com/start"
    ways = ways_in(
        [
            RequestScope(
                account_id=account,
                account_name=name,
                permission_set_name=permission_set,
                session_duration=timedelta(hours=1),
            )
            for account, name, permission_set in (
                ("111122223333", "Billing (prod) ]", "EC2Admin"),
                ("222233334444", "web = #1", "Read,Only@+=x"),
            )
        ],
        portal_url=portal,
    )
    (environment / "config").write_text(aws_config(ways, portal_url=portal, region="eu-central-1"))
    session = botocore.session.Session()
    assert session.available_profiles == ["billing-prod-ec2admin", "web-1-read-only-x"]
    config = session.full_config
    assert config["sso_sessions"] == {
        "access-portal": {
            "sso_start_url": portal,
            "sso_region": "eu-central-1",
            "sso_registration_scopes": "sso:account:access",
        }
    }
    assert config["profiles"]["web-1-read-only-x"] == {
        "sso_session": "access-portal",
        "sso_account_id": "222233334444",
        "sso_role_name": "Read,Only@+=x",
    }
    signed_out = botocore.session.Session(profile="billing-prod-ec2admin")
    with pytest.raises(SSOTokenLoadError):
        signed_out.create_client("sts", region_name="eu-central-1").get_caller_identity()
