"""The simulator as a process: what it prints, keeps, records and breaks on request."""

import json
import re
import signal
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from tests.simulator.process import SimulatorProcess, simulator_process, start, stop
from tests.support.graph_contract import GraphContract

CALLBACK = "http://127.0.0.1:8000/accounts/oidc/entra/login/callback/"
SIGNED_OUT = "http://127.0.0.1:8000/signed-out/"
SAID = {
    "authority", "browser_origin", "graph_base_url", "aws_endpoint_url", "control_url", "ca_bundle",
    "tenant_id", "signin_client_id", "signin_client_secret", "worker_client_id", "worker_certificate_path",
    "aws_service_principal_id", "managed_groups_file", "approval_rules_file", "access_portal_url", "region",
    "aws_access_key_id", "aws_secret_access_key", "aws_remover_access_key_id", "aws_remover_secret_access_key",
    "aws_severer_access_key_id", "aws_severer_secret_access_key",
    "aws_administrator_access_key_id", "aws_administrator_secret_access_key",
}  # fmt: skip


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One process for the tests that leave no trace in another's way; its clock is stepped."""
    folder = tmp_path_factory.mktemp("simulator")
    arguments = ("--clock", "stepped", "--clock-anchor-business", "2026-03-02T09:00:00Z")
    addresses = ("--redirect-uri", CALLBACK, "--post-logout-redirect-uri", SIGNED_OUT)
    record = ("--record", str(folder / "exchanges.jsonl"))
    with simulator_process(folder / "state", *arguments, *addresses, *record) as running:
        yield running


def worker_token(running: SimulatorProcess) -> str:
    """A Graph token of the worker's, by its secret."""
    said = running.said
    response = httpx.post(
        f"{said['authority']}/{said['tenant_id']}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": said["worker_client_id"],
            "client_secret": said["worker_client_secret"],
            "scope": "https://graph.microsoft.com/.default",
        },
        verify=ssl.create_default_context(cafile=said["ca_bundle"]),
    )
    return str(response.json()["access_token"])


def graph(running: SimulatorProcess, path: str, **query: str) -> Any:
    """One GET of Graph as the worker."""
    return httpx.get(
        f"{running.said['graph_base_url']}{path}",
        params={f"${name}": value for name, value in query.items()},
        headers={"Authorization": f"Bearer {worker_token(running)}"},
        timeout=30,
    )


def test_it_says_what_a_client_needs(simulator: SimulatorProcess) -> None:
    said = simulator.said
    assert set(said) >= SAID
    for name in ("authority", "browser_origin", "aws_endpoint_url"):
        assert re.fullmatch(r"https?://127\.0\.0\.1:\d+", said[name])
    managed = Path(said["managed_groups_file"]).read_text().splitlines()
    ids = [line.split("#")[0].strip() for line in managed if not line.startswith("#")]
    assert len(ids) > 5
    assert graph(simulator, f"/groups/{ids[0]}").status_code == 200


def test_it_listens_on_loopback_only(simulator: SimulatorProcess) -> None:
    addresses = {str(address[4][0]) for address in socket.getaddrinfo(socket.gethostname(), None)}
    port = int(simulator.said["browser_origin"].rsplit(":", 1)[1])
    for address in addresses - {"127.0.0.1", "::1"}:
        if address.startswith("127."):
            continue
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as probe:
            probe.settimeout(2)
            assert probe.connect_ex((address, port)) != 0


def test_aws_answers_from_the_same_world(simulator: SimulatorProcess) -> None:
    said = simulator.said
    client = boto3.client(
        "sso-admin",
        endpoint_url=said["aws_endpoint_url"],
        region_name=said["region"],
        aws_access_key_id=said["aws_access_key_id"],
        aws_secret_access_key=said["aws_secret_access_key"],
    )
    (instance,) = client.list_instances()["Instances"]
    assert client.list_permission_sets(InstanceArn=instance["InstanceArn"])["PermissionSets"]


def test_people_and_state(simulator: SimulatorProcess) -> None:
    featured = simulator.control("GET", "/people?featured=1")
    assert all(person["what"] for person in featured)
    assert {"name", "upn", "oid", "what"} <= set(featured[0])
    assert len(simulator.control("GET", "/people")) > len(featured)
    state = simulator.control("GET", "/state")
    assert state["provisioning"]["code"] == "Active"
    assert any(group["identity_store"] is not None for group in state["groups"])
    page = httpx.get(simulator.said["browser_origin"] + "/").text
    assert state["groups"][0]["name"] in page


def test_clock_is_stepped_and_never_goes_back(simulator: SimulatorProcess) -> None:
    before = simulator.control("GET", "/clock")
    assert before["stepped"] is True
    after = simulator.control("POST", "/clock/advance", {"seconds": 60})
    assert after["now"] > before["now"]
    assert simulator.control("GET", "/clock")["now"] == after["now"]
    for nonsense in ({"seconds": -1}, {"seconds": "x"}, {}):
        with pytest.raises(httpx.HTTPStatusError):
            simulator.control("POST", "/clock/advance", nonsense)


def test_faults_are_asked_for_and_taken_back(simulator: SimulatorProcess) -> None:
    fault = simulator.control("POST", "/faults", {"operation": "graph.GET groups", "kind": "throttle"})
    assert graph(simulator, "/groups").status_code == 429
    assert graph(simulator, "/groups").status_code == 200
    fault = simulator.control(
        "POST", "/faults", {"operation": "graph.*", "kind": "error", "status": 503, "count": 9}
    )
    assert [each["id"] for each in simulator.control("GET", "/faults")] == [fault["id"]]
    simulator.control("DELETE", f"/faults/{fault['id']}")
    assert graph(simulator, "/groups").status_code == 200
    with pytest.raises(httpx.HTTPStatusError):
        simulator.control("POST", "/faults", {"operation": "graph.*", "kind": "explode"})


def test_the_token_endpoint_has_faults_too(simulator: SimulatorProcess) -> None:
    simulator.control("POST", "/faults", {"operation": "entra.POST token", "kind": "lose_answer"})
    with pytest.raises(httpx.TransportError):
        worker_token(simulator)
    simulator.control("POST", "/faults", {"operation": "entra.POST token", "kind": "error", "status": 503})
    with pytest.raises(KeyError):
        worker_token(simulator)
    assert worker_token(simulator)


def test_a_foreign_page_can_not_post(simulator: SimulatorProcess) -> None:
    response = httpx.post(
        f"{simulator.said['control_url']}/clock/advance",
        content='{"seconds": 60}',
        headers={"Content-Type": "text/plain"},
    )
    assert response.status_code == 400


def test_something_happens_behind_the_products_back(simulator: SimulatorProcess) -> None:
    person = simulator.control("GET", "/people?featured=1")[0]
    simulator.control("POST", "/events", {"kind": "person_disabled", "person": person["oid"]})
    try:
        user = graph(simulator, f"/users/{person['oid']}", select="id,accountEnabled").json()
        assert user["accountEnabled"] is False
    finally:
        simulator.control("POST", "/events", {"kind": "person_enabled", "person": person["oid"]})
    with pytest.raises(httpx.HTTPStatusError):
        simulator.control("POST", "/events", {"kind": "sky_falls"})


def test_switches_are_typed(simulator: SimulatorProcess) -> None:
    before = simulator.control("GET", "/switches")
    changed = simulator.control("PATCH", "/switches", {"admin_assign_fast_path": True})
    assert changed["admin_assign_fast_path"] is True
    simulator.control("PATCH", "/switches", before)
    for nonsense in ({"admin_assign_fast_path": "yes"}, {"no_such_switch": True}):
        with pytest.raises(httpx.HTTPStatusError):
            simulator.control("PATCH", "/switches", nonsense)
    assert simulator.control("GET", "/switches") == before


def test_permissions_of_the_worker_can_be_taken(simulator: SimulatorProcess) -> None:
    held = simulator.control("POST", "/tokens", {})["worker_permissions"]
    simulator.control("POST", "/tokens", {"worker_permissions": []})
    try:
        assert graph(simulator, "/groups").status_code == 403
    finally:
        simulator.control("POST", "/tokens", {"worker_permissions": held})
    assert graph(simulator, "/groups").status_code == 200


def eligible_pair(running: SimulatorProcess) -> tuple[str, str]:
    """A managed group and a person who is directly eligible for it."""
    people = {person["oid"] for person in running.control("GET", "/people") if person["enabled"]}
    for line in Path(running.said["managed_groups_file"]).read_text().splitlines():
        group_id = line.split("#")[0].strip()
        if group_id:
            path = "/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances"
            for row in graph(running, path, filter=f"groupId eq '{group_id}'").json()["value"]:
                if row["principalId"] in people:
                    return group_id, row["principalId"]
    raise AssertionError("nobody is directly eligible for a managed group")


def test_access_portal_opens_what_provisioning_carried(simulator: SimulatorProcess) -> None:
    group_id, person = eligible_pair(simulator)
    browser = httpx.Client(base_url=simulator.said["browser_origin"], follow_redirects=True, timeout=30)
    with browser:
        browser.post("/start/sign-in", data={"account": person})
        before = re.findall(r'data-account="(\d+)" data-role="([^"]+)"', browser.get("/start").text)
        simulator.control("POST", "/clock/advance", {"seconds": 1})
        simulator.control("POST", "/events", {"kind": "foreign_member", "group": group_id, "person": person})
        simulator.control("POST", "/events", {"kind": "cycle"})
        simulator.control("POST", "/clock/advance", {"seconds": 120})
        still = re.findall(r'data-account="(\d+)" data-role="([^"]+)"', browser.get("/start").text)
        assert still == before, "an open portal doesn't show it yet"
        browser.post("/start/sign-out")
        browser.post("/start/sign-in", data={"account": person})
        after = re.findall(r'data-account="(\d+)" data-role="([^"]+)"', browser.get("/start").text)
        gained = [each for each in after if each not in before]
        assert gained, "the membership opens nothing"
        account_id, role_name = gained[0]
        opened = browser.post("/start/open", data={"account_id": account_id, "role_name": role_name})
        assert opened.status_code == 200
        assert "is open until" in opened.text
        refused = browser.post("/start/open", data={"account_id": account_id, "role_name": "Nothing"})
        assert refused.status_code == 403
    (session,) = [
        each
        for each in simulator.control("GET", f"/sessions?person={person}")
        if (each["account_id"], each["permission_set"]) == (account_id, role_name)
    ]
    assert session["ends_at"] > session["started_at"]
    body = {"person": person, "account_id": account_id, "permission_set": role_name}
    opened_here = simulator.control("POST", "/sessions", body)
    assert (opened_here["account_id"], opened_here["may_act"]) == (account_id, True)
    act = f"/sessions/{opened_here['id']}/act"
    assert simulator.control("POST", act, {"action": "ec2:StopInstances"})["allowed"] is True
    simulator.control("POST", "/clock/advance", {"seconds": 13 * 3600})
    assert simulator.control("POST", act, {})["refusal"] == "The session is over."


def test_recorded_exchanges_keep_the_contract(simulator: SimulatorProcess) -> None:
    graph(simulator, "/groups", select="id,displayName")
    recording = Path(simulator.said["ca_bundle"]).parents[1] / "exchanges.jsonl"
    contract = GraphContract()
    assert contract.read_recording(recording) > 0
    contract.assert_clean()
    assert "GET /groups" in contract.exercised
    assert "Bearer" not in recording.read_text()


@pytest.mark.proof
def test_everything_is_kept_for_the_next_run(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    stepped = ("--clock", "stepped", "--clock-anchor-business", "2026-03-02T09:00:00Z")
    first = start(folder, *stepped)
    now = first.control("POST", "/clock/advance", {"seconds": 86_400})["now"]
    person = first.control("GET", "/people?featured=1")[0]
    first.control("POST", "/events", {"kind": "person_disabled", "person": person["oid"]})
    assert stop(first) == 0
    with simulator_process(folder, *stepped) as second:
        for name in ("tenant_id", "signin_client_id", "signin_client_secret", "worker_client_id",
                     "aws_access_key_id", "aws_secret_access_key", "aws_service_principal_id"):  # fmt: skip
            assert second.said[name] == first.said[name]
        assert second.control("GET", "/clock")["now"] == now
        again = {each["oid"]: each for each in second.control("GET", "/people")}[person["oid"]]
        assert again["enabled"] is False
    for path in folder.iterdir():
        if path.name != "managed-groups.txt":
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name


@pytest.mark.proof
def test_interrupt_ends_it_cleanly_and_frees_its_ports(tmp_path: Path) -> None:
    running = start(tmp_path / "state")
    port = int(running.said["authority"].rsplit(":", 1)[1])
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=20) == 0
    stop(running)
    assert (
        json.loads((tmp_path / "state" / "world.json").read_text())["tenant_id"] == running.said["tenant_id"]
    )
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.proof
def test_a_taken_port_is_stepped_around(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        base = taken.getsockname()[1]
        with simulator_process(tmp_path / "state", "--port-base", str(base)) as running:
            assert not running.said["authority"].endswith(f":{base}")
            assert running.control("GET", "/clock")["now"]


@pytest.mark.proof
def test_the_large_organisation_is_there_within_twenty_seconds(tmp_path: Path) -> None:
    began = time.monotonic()
    with simulator_process(tmp_path / "state", "--seed", "large") as running:
        assert time.monotonic() - began < 20, "11 s with both cores busy"
        assert len(running.control("GET", "/people")) == 5_000


@pytest.mark.proof
def test_an_unknown_world_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=re.escape("there is no world 'huge'. There are 'sample'")):
        start(tmp_path / "state", "--seed", "huge")
