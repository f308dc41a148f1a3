"""All adapters, built from the environment as a worker builds them, against the simulator as a process.

One membership is taken through its whole life: eligible, assigned, carried to AWS, removed, gone from AWS.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients import registry
from clients.entra.build import EntraAdapters, build_entra
from clients.errors import NotPermitted, Throttled, TokenThrottled, Unreachable
from clients.limits import LocalLimiter
from clients.registry import Clients
from clients.types import (
    AssignmentOrder,
    OnDemandOutcome,
    PimEligibility,
    PimRequestStatus,
    ProvisioningCode,
    RemovalOrder,
)
from tests.clients.graph_case import FAST

ROOT = Path(__file__).parents[2]


def environment(clouds: dict[str, Any]) -> dict[str, str]:
    """What a worker of the demo is started with."""
    return {
        "ENTRA_TENANT_ID": clouds["tenant_id"],
        "ENTRA_AUTHORITY": clouds["authority"],
        "ENTRA_CA_BUNDLE": clouds["ca_bundle"],
        "ENTRA_WORKER_CLIENT_ID": clouds["worker_client_id"],
        "ENTRA_WORKER_CERTIFICATE_PATH": clouds["worker_certificate_path"],
        "ENTRA_AWS_SERVICE_PRINCIPAL_ID": clouds["aws_service_principal_id"],
        "GRAPH_BASE_URL": clouds["graph_base_url"],
        "AWS_REGION": clouds["region"],
        "AWS_ENDPOINT_URL": clouds["aws_endpoint_url"],
        "AWS_ACCESS_KEY_ID": clouds["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": clouds["aws_secret_access_key"],
        "CLIENT_RATE_SSO_ADMIN": "60/60",
        "CLIENT_RATE_IDENTITYSTORE": "60/60",
        "CLIENT_RATE_ORGANIZATIONS": "16/30",
        "CLIENT_RATE_GRAPH": "1000/1000",
        "REDIS_URL": "",
    }


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The simulator's own description of where it is."""
    folder = tmp_path_factory.mktemp("simulator")
    command = [sys.executable, "-m", "simulator", "--state-dir", str(folder), "--clock", "stepped"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, (folder / "log").read_text()
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def ports(clouds: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """As `clients.registry` gives them to a worker."""
    for name, value in environment(clouds).items():
        monkeypatch.setenv(name, value)
    registry.forget()
    ports = registry.clients()
    yield ports
    ports.directory._caller.close()  # type: ignore[attr-defined]  # the Entra adapters share this caller
    registry.forget()


def control(clouds: dict[str, Any], method: str, path: str, **body: Any) -> Any:
    response = httpx.request(method, clouds["control_url"] + path, json=body or None, timeout=30)
    response.raise_for_status()
    return response.json()


def now(clouds: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(control(clouds, "GET", "/clock")["now"])


def step(clouds: dict[str, Any], span: timedelta) -> None:
    control(clouds, "POST", "/clock/advance", seconds=span.total_seconds())


def managed_groups(clouds: dict[str, Any]) -> list[str]:
    lines = Path(clouds["managed_groups_file"]).read_text().splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]


def somebody_eligible(clouds: dict[str, Any], ports: Clients) -> PimEligibility:
    """An eligible person whose group's settings are plain and who is in the identity store."""
    carried = ports.directory.application_groups().value
    for group_id in managed_groups(clouds):
        policy = ports.pim.group_policy(group_id).value
        demanding = policy.requires_mfa or policy.requires_ticket or policy.requires_approval
        if demanding or policy.authentication_context or group_id not in carried:
            continue
        if ports.pim.assignments(group_id).value:
            continue
        for eligibility in ports.pim.group_eligibilities(group_id).value:
            user = ports.directory.read_user(eligibility.principal_id).value
            if user and user.enabled and ports.identity_center.find_user(user.user_principal_name).value:
                return eligibility
    pytest.fail("the sample organisation has nobody who could ask")


def test_a_membership_lives_and_ends(clouds: dict[str, Any], ports: Clients) -> None:
    eligibility = somebody_eligible(clouds, ports)
    group_id, person_id = eligibility.group_id, eligibility.principal_id
    user = ports.directory.read_user(person_id).value
    assert user is not None
    store_user = ports.identity_center.find_user(user.user_principal_name).value
    assert store_user is not None
    store_group = next(each for each in ports.identity_center.groups().value if group_id in each.external_ids)
    assert ports.identity_center.group_assignments(store_group.group_id).value

    def in_aws() -> bool:
        held = ports.identity_center.memberships(store_user.user_id, [store_group.group_id])
        return held.value[store_group.group_id]

    starts_at = now(clouds)
    order = AssignmentOrder(
        group_id, person_id, starts_at, starts_at + timedelta(hours=1), tag="life:1", justification="test"
    )
    made = ports.pim.assign(order, client_request_id="life-1").value
    assert (made.status, made.tag, made.ends_at) == (PimRequestStatus.PROVISIONED, "life:1", order.ends_at)
    assert not in_aws()

    carried = ports.provisioning.provision_on_demand(group_id, [person_id], client_request_id="life-2")
    assert carried.value.outcome is OnDemandOutcome.SUCCESS
    step(clouds, timedelta(minutes=2))
    assert in_aws()

    step(clouds, timedelta(minutes=5))
    removal = RemovalOrder(group_id, person_id, tag="life:1", justification="done")
    ports.pim.remove(removal, client_request_id="life-3")
    removed_at = now(clouds)
    assert ports.pim.assignments(group_id, principal_id=person_id).value == ()
    assert in_aws()

    step(clouds, timedelta(minutes=90))
    job = ports.provisioning.job().value
    assert job.code is ProvisioningCode.ACTIVE
    assert job.last_cycle_began_at is not None
    assert job.last_cycle_began_at > removed_at
    assert not in_aws()


@pytest.mark.proof
def test_the_whole_catalogue_is_read(clouds: dict[str, Any], ports: Clients) -> None:
    sets = [
        ports.identity_center.permission_set(arn).value
        for arn in ports.identity_center.permission_set_arns().value
    ]
    accounts = ports.organization.accounts().value
    units = {unit.unit_id for unit in ports.organization.units().value}
    groups = ports.directory.read_groups(managed_groups(clouds)).value

    assert len({each.name for each in sets}) == len(sets) >= 20
    assert all(each.managed_policies or each.inline_policy or each.customer_managed_policies for each in sets)
    assert len(accounts) >= 30
    assert all(account.unit_id in units for account in accounts)
    assert len(groups) == len(managed_groups(clouds)) >= 20


def with_credential(
    clouds: dict[str, Any], name: str, value: str, limiter: LocalLimiter | None = None
) -> EntraAdapters:
    environ = environment(clouds)
    del environ["ENTRA_WORKER_CERTIFICATE_PATH"]
    return build_entra({**environ, name: value}, limiter=limiter or LocalLimiter(FAST))


OTHERS = [
    ("ENTRA_WORKER_CLIENT_SECRET", "worker_client_secret"),
    ("ENTRA_WORKER_FEDERATED_TOKEN_FILE", "worker_federated_token_file"),
]
CREDENTIALS = [*OTHERS, ("ENTRA_WORKER_CERTIFICATE_PATH", "worker_certificate_path")]


@pytest.mark.parametrize(("name", "known_as"), OTHERS)
def test_other_credentials_work_too(clouds: dict[str, Any], name: str, known_as: str) -> None:
    with closing(with_credential(clouds, name, clouds[known_as])) as entra:
        assert entra.directory.application_groups().value


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ENTRA_WORKER_CLIENT_SECRET", None),
        ("ENTRA_WORKER_FEDERATED_TOKEN_FILE", "no.such.token"),
        ("ENTRA_WORKER_FEDERATED_TOKEN_FILE", None),
        ("ENTRA_WORKER_CERTIFICATE_PATH", "not a certificate"),
        ("ENTRA_WORKER_CERTIFICATE_PATH", None),
    ],
)
def test_a_useless_credential_is_for_an_operator(
    clouds: dict[str, Any], tmp_path: Path, name: str, content: str | None
) -> None:
    file = tmp_path / "credential"
    if content is not None:
        file.write_text(content)
    with (
        closing(with_credential(clouds, name, str(file))) as entra,
        pytest.raises(NotPermitted, match="credential") as caught,
    ):
        entra.directory.application_groups()
    assert caught.value.code


def test_a_revoked_token_is_replaced_and_the_call_goes_on(clouds: dict[str, Any], ports: Clients) -> None:
    held = ports.directory.application_groups().value
    before = control(clouds, "GET", "/calls?count=500")["total"]
    control(clouds, "POST", "/tokens", revoke_worker=True)

    assert ports.directory.application_groups().value == held

    seen = control(clouds, "GET", "/calls?count=500")
    fresh = seen["calls"][: seen["total"] - before]
    statuses = [each["status"] for each in fresh if "appRoleAssignedTo" in each["what"]]
    assert sorted(statuses) == [200, 401], "one challenge, one answer"
    assert any("oauth2/v2.0/token" in each["what"] for each in fresh)


def test_a_disabled_worker_is_for_an_operator(clouds: dict[str, Any], ports: Clients) -> None:
    assert ports.directory.application_groups().value
    control(clouds, "POST", "/tokens", worker_enabled=False)
    try:
        with pytest.raises(NotPermitted) as caught:
            ports.directory.application_groups()
    finally:
        control(clouds, "POST", "/tokens", worker_enabled=True)
    assert caught.value.sentence.endswith(".")
    assert ports.directory.application_groups().value


# --- Entra's token endpoint, when it can't or won't


def tokens_asked_for(clouds: dict[str, Any]) -> int:
    calls = control(clouds, "GET", "/calls?count=500")["calls"]
    return sum("oauth2/v2.0/token" in each["what"] for each in calls)


@pytest.mark.parametrize(("name", "known_as"), CREDENTIALS)
def test_a_token_endpoint_that_asks_to_wait_is_left_alone_by_all_and_graph_is_not(
    clouds: dict[str, Any], name: str, known_as: str
) -> None:
    at = [1000.0]
    limiter = LocalLimiter(FAST, now=lambda: at[0])
    first, second, other = (with_credential(clouds, name, clouds[known_as], limiter) for _ in range(3))
    with closing(first), closing(second), closing(other):
        held = other.directory.application_groups().value
        control(clouds, "POST", "/faults", operation="entra.POST token", kind="throttle", retry_after=40)
        began, before = time.monotonic(), tokens_asked_for(clouds)
        with pytest.raises(TokenThrottled, match="asks to wait") as caught:
            first.directory.application_groups()
        assert caught.value.retry_after == timedelta(seconds=40)
        assert tokens_asked_for(clouds) == before + 1
        at[0] += 30
        with pytest.raises(TokenThrottled) as caught:
            second.directory.application_groups()
        assert caught.value.retry_after == timedelta(seconds=10)
        assert tokens_asked_for(clouds) == before + 1
        assert time.monotonic() - began < 10, "nobody sleeps it off"
        assert other.directory.application_groups().value == held, "who has a token goes on"
        at[0] += 11
        assert second.directory.application_groups().value == held


@pytest.mark.parametrize(
    ("credential", "fault"),
    [
        (OTHERS[0], {"kind": "error", "status": 503, "retry_after": 40}),
        (OTHERS[1], {"kind": "error", "status": 503, "retry_after": 40}),
        (CREDENTIALS[2], {"kind": "lose_request"}),
    ],
)
def test_a_token_endpoint_that_is_away_is_no_refusal(
    clouds: dict[str, Any], credential: tuple[str, str], fault: dict[str, Any]
) -> None:
    name, known_as = credential
    made = control(clouds, "POST", "/faults", operation="entra.POST token", count=20, **fault)
    with closing(with_credential(clouds, name, clouds[known_as])) as entra:
        began = time.monotonic()
        with pytest.raises(Unreachable, match="sign-in service") as caught:
            entra.directory.application_groups()
        assert not isinstance(caught.value, Throttled)
        assert time.monotonic() - began < 10
        httpx.delete(f"{clouds['control_url']}/faults/{made['id']}").raise_for_status()
        assert entra.directory.application_groups().value, "and nothing of it is remembered"


def test_a_token_that_ages_is_used_while_none_is_to_be_had(clouds: dict[str, Any]) -> None:
    name, known_as = OTHERS[0]
    limiter = LocalLimiter(FAST)
    with closing(with_credential(clouds, name, clouds[known_as], limiter)) as entra:
        held = entra.directory.application_groups().value
        cache: Any = entra.caller._signed_in._credential._cae_cache
        for entry in cache._cache["AccessToken"].values():
            entry["refresh_on"] = "1"
        control(clouds, "POST", "/faults", operation="entra.POST token", kind="throttle", retry_after=40)
        before = tokens_asked_for(clouds)
        assert entra.directory.application_groups().value == held
        assert tokens_asked_for(clouds) == before + 1
        assert entra.directory.application_groups().value == held
        assert tokens_asked_for(clouds) == before + 1, "its bucket is held all the same"
