"""Every fault and everything that can happen, asked for over HTTP, and its effect seen over HTTP."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import boto3
import httpx
import jwt
import pytest
from botocore.config import Config

from simulator.entra.tokens import application_access_token
from simulator.server import Options, Simulator
from simulator.world.faults import KINDS
from simulator.world.happenings import NAMES
from simulator.world.switches import Switches

PIM = "/identityGovernance/privilegedAccess/group"


@dataclass
class Clouds:
    """A simulator that answers, and how a test speaks to it. The world is looked at for ids alone."""

    simulator: Simulator
    group: str
    person: str
    made: dict[str, Any] = field(default_factory=dict)

    @property
    def said(self) -> dict[str, Any]:
        return self.simulator.description()

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(method, f"{self.said['control_url']}{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def happen(self, kind: str, **about: str) -> Any:
        return self.control("POST", "/events", {"kind": kind, **about})

    def fault(self, kind: str, operation: str, **settings: Any) -> None:
        self.control("POST", "/faults", {"kind": kind, "operation": operation, **settings})

    def cycle(self) -> None:
        self.happen("cycle")
        self.control("POST", "/clock/advance", {"seconds": 120})

    def token(self) -> str:
        provider, worker = self.simulator.provider, self.simulator.provider.registrations.worker
        return application_access_token(
            provider.keys,
            issuer=provider.issuer(),
            tenant_id=provider.tenant_id,
            client_id=worker.client_id,
            service_principal_id=worker.service_principal_id,
            permissions=worker.permissions,
            by_certificate=True,
        )

    def graph(self, path: str, token: str = "", **query: str) -> httpx.Response:
        return httpx.get(
            f"{self.said['graph_base_url']}{path}",
            params={f"${name}": value for name, value in query.items()},
            headers={"Authorization": f"Bearer {token or self.token()}"},
            timeout=30,
        )

    def assign(self) -> httpx.Response:
        return httpx.post(
            f"{self.said['graph_base_url']}{PIM}/assignmentScheduleRequests",
            headers={"Authorization": f"Bearer {self.token()}"},
            json={
                "accessId": "member",
                "action": "adminAssign",
                "groupId": self.group,
                "principalId": self.person,
                "justification": "look",
                "scheduleInfo": {"expiration": {"type": "afterDuration", "duration": "PT2H"}},
            },
            timeout=30,
        )

    def held(self) -> int:
        """How many assignments PIM shows for the pair."""
        rows = self.graph(f"{PIM}/assignmentScheduleInstances", filter=f"groupId eq '{self.group}'").json()[
            "value"
        ]
        return len([row for row in rows if row["principalId"] == self.person])

    def members(self) -> set[str]:
        return {row["id"] for row in self.graph(f"/groups/{self.group}/members").json()["value"]}

    def aws(self, service: str) -> Any:
        if service not in self.made:
            self.made[service] = self._client(service)
        return self.made[service]

    def _client(self, service: str) -> Any:
        return boto3.session.Session().client(
            service,
            endpoint_url=self.said["aws_endpoint_url"],
            region_name=self.said["region"],
            aws_access_key_id=self.said["aws_access_key_id"],
            aws_secret_access_key=self.said["aws_secret_access_key"],
            config=Config(retries={"total_max_attempts": 1, "mode": "standard"}, proxies={}),
        )

    def in_aws(self) -> bool | None:
        """Whether the person is in the group in IAM Identity Center; None when the group isn't there."""
        store_id = self.simulator.world.state.identity_center.identity_store_id
        store = self.aws("identitystore")
        ids = {"Issuer": self.simulator.world.state.identity_center.external_id_issuer}
        found = [
            row["GroupId"]
            for row in store.list_groups(IdentityStoreId=store_id)["Groups"]
            if self.group in {each["Id"] for each in row.get("ExternalIds", ())}
        ]
        if not found:
            return None
        user = store.get_user_id(
            IdentityStoreId=store_id, AlternateIdentifier={"ExternalId": {**ids, "Id": self.person}}
        )["UserId"]
        (result,) = store.is_member_in_groups(
            IdentityStoreId=store_id, MemberId={"UserId": user}, GroupIds=found
        )["Results"]
        return bool(result["MembershipExists"])

    def job(self) -> dict[str, Any]:
        found: dict[str, Any] = self.control("GET", "/state")["provisioning"]
        return found


@dataclass
class Shared:
    """One small simulator for all tests of this file, clients of AWS for it, and who was tried already."""

    simulator: Simulator
    aws: dict[str, Any] = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)

    def fresh(self) -> tuple[str, str]:
        """A group that stands as it did at first, and somebody eligible for it to whom nothing has happened yet."""
        world = self.simulator.world
        for group in world.state.managed_group_ids:
            if world.directory.find_group(group) is None or not world.directory.is_in_scope(group):
                continue
            for each in world.pim.eligibility_instances(group_id=group):
                person = world.directory.find_user(each.principal_id)
                if person is not None and person.account_enabled and person.id not in self.tried:
                    self.tried.add(person.id)
                    return group, person.id
        raise LookupError("everybody was tried: take a larger world")

    def leave(self, group: str, person: str) -> None:
        """What the test gave the person ends now, not in the middle of another test."""
        directory = self.simulator.world.directory
        if directory.find_group(group) is not None and directory.is_member(group, person):
            directory.remove_member(group, person)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("faults") / "state"
    simulator = Simulator(Options(state_dir=folder, seed="generated:faults", stepped=True))
    simulator.start()
    yield Shared(simulator)
    simulator.stop()


@pytest.fixture
def clouds(shared: Shared) -> Iterator[Clouds]:
    """The simulator with a group and a person of this test's own, at rest before and afterwards."""
    with shared.simulator.lock:
        group, person = shared.fresh()
    found = Clouds(shared.simulator, group, person, shared.aws)
    found.cycle()
    yield found
    found.control("DELETE", "/faults")
    found.control("PATCH", "/switches", asdict(Switches()))
    with shared.simulator.lock:
        shared.leave(group, person)


# --- Faults


def lose_request(clouds: Clouds) -> None:
    clouds.fault("lose_request", "graph.POST assignmentScheduleRequests")
    with pytest.raises(httpx.TransportError):
        clouds.assign()
    assert clouds.held() == 0


def lose_answer(clouds: Clouds) -> None:
    clouds.fault("lose_answer", "graph.POST assignmentScheduleRequests")
    with pytest.raises(httpx.TransportError):
        clouds.assign()
    assert clouds.held() == 1


def delay(clouds: Clouds) -> None:
    """One answer is held back for a minute; everybody else is answered, and letting go ends it."""
    clouds.fault("delay", "graph.GET groups", seconds=60)
    answers: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: answers.append(clouds.graph("/groups")))
    began = time.monotonic()
    waiting.start()
    while clouds.control("GET", "/faults"):  # until the fault is taken
        assert time.monotonic() - began < 30
    assert clouds.graph("/groups").status_code == 200
    assert clouds.control("POST", "/clock/advance", {"seconds": 60})
    assert answers == [], "it is held back still"
    clouds.control("DELETE", "/faults")
    waiting.join(timeout=30)
    assert [each.status_code for each in answers] == [200]
    assert time.monotonic() - began < 50


def throttle(clouds: Clouds) -> None:
    clouds.fault("throttle", "graph.GET groups", retry_after=7)
    clouds.fault("throttle", "graph.GET groups", retry_after=7, retry_after_date=True)
    seconds, date = clouds.graph("/groups"), clouds.graph("/groups")
    assert (seconds.status_code, seconds.headers["Retry-After"]) == (429, "7")
    assert date.headers["Retry-After"].endswith("GMT")
    clouds.fault("throttle", "aws.sso-admin.ListInstances")
    client = clouds.aws("sso-admin")
    with pytest.raises(client.exceptions.ThrottlingException):
        client.list_instances()
    assert client.list_instances()["Instances"]


def error(clouds: Clouds) -> None:
    clouds.fault("error", "graph.POST *", status=503, message="Maintenance")
    refused = clouds.assign()
    assert (refused.status_code, refused.json()["error"]["message"]) == (503, "Maintenance")
    assert clouds.held() == 0


def error_after(clouds: Clouds) -> None:
    clouds.fault("error_after", "graph.POST *", status=504)
    assert clouds.assign().status_code == 504
    assert clouds.held() == 1


def stale(clouds: Clouds) -> None:
    clouds.fault("stale", "*.read", seconds=60, count=None)
    assert clouds.assign().status_code == 201
    assert clouds.held() == 0, "reads show the world a minute ago"
    assert clouds.person not in clouds.members()
    clouds.control("POST", "/clock/advance", {"seconds": 61})
    assert clouds.held() == 1
    clouds.happen("member_removed", group=clouds.group, person=clouds.person)
    assert clouds.held() == 1
    clouds.control("DELETE", "/faults")
    assert clouds.held() == 0


# --- Happenings: several may share a function


def foreign_assignment(clouds: Clouds) -> None:
    world = clouds.simulator.world
    account = list(world.state.organization.accounts)[-1]
    name = world.identity_center.permission_sets()[0].name
    made = clouds.happen("foreign_assignment", account=account, permission_set=name, group=clouds.group)
    rows = clouds.aws("sso-admin").list_account_assignments(
        InstanceArn=world.state.identity_center.instance_arn,
        AccountId=account,
        PermissionSetArn=made["permission_set_arn"],
    )["AccountAssignments"]
    group = world.identity_store.find_group_by_external_id(clouds.group)
    assert group is not None
    assert group.id in {row["PrincipalId"] for row in rows}


def role_entitled(clouds: Clouds) -> None:
    account = list(clouds.simulator.world.state.organization.accounts)[-1]
    clouds.happen("role_entitled", account=account, role="Investigator", group=clouds.group)
    clouds.happen("foreign_store_member", group=clouds.group, person=clouds.person)
    opened = clouds.control(
        "POST", "/sessions", {"person": clouds.person, "account_id": account, "role": "Investigator"}
    )
    assert (opened["role"], opened["may_act"]) == ("Investigator", True)
    clouds.control("PATCH", "/switches", {"account_access_ends_with_membership": True})
    clouds.happen("store_member_removed", group=clouds.group, person=clouds.person)
    assert clouds.control("POST", f"/sessions/{opened['id']}/act", {})["allowed"] is False


def members_by_other_means(clouds: Clouds) -> None:
    clouds.happen("foreign_member", group=clouds.group, person=clouds.person)
    assert clouds.person in clouds.members()
    clouds.cycle()
    assert clouds.in_aws()
    clouds.happen("member_removed", group=clouds.group, person=clouds.person)
    assert clouds.person not in clouds.members()
    clouds.cycle()
    assert clouds.in_aws() is False


def members_of_the_store_alone(clouds: Clouds) -> None:
    clouds.happen("foreign_store_member", group=clouds.group, person=clouds.person)
    assert clouds.in_aws()
    assert clouds.person not in clouds.members()
    clouds.happen("store_member_removed", group=clouds.group, person=clouds.person)
    assert clouds.in_aws() is False


def removal_lost(clouds: Clouds) -> None:
    clouds.happen("foreign_member", group=clouds.group, person=clouds.person)
    clouds.cycle()
    clouds.happen("removal_lost", group=clouds.group, person=clouds.person)
    clouds.happen("member_removed", group=clouds.group, person=clouds.person)
    clouds.cycle()
    clouds.cycle()
    assert clouds.in_aws(), "no cycle carries the removal"


def people_disabled(clouds: Clouds) -> None:
    for kind, enabled in (("person_disabled", False), ("person_enabled", True)):
        clouds.happen(kind, person=clouds.person)
        user = clouds.graph(f"/users/{clouds.person}", select="id,accountEnabled").json()
        assert user["accountEnabled"] is enabled


def groups_go(clouds: Clouds) -> None:
    name = clouds.graph(f"/groups/{clouds.group}").json()["displayName"]
    made = clouds.happen("group_recreated", group=clouds.group)
    assert clouds.graph(f"/groups/{clouds.group}").status_code == 404
    assert clouds.graph(f"/groups/{made['group_id']}").json()["displayName"] == name
    clouds.happen("group_deleted", group=made["group_id"])
    assert clouds.graph(f"/groups/{made['group_id']}").status_code == 404


def group_unassigned(clouds: Clouds) -> None:
    clouds.happen("group_unassigned", group=clouds.group)
    rows = clouds.graph(
        f"/servicePrincipals/{clouds.said['aws_service_principal_id']}/appRoleAssignedTo"
    ).json()
    assert clouds.group not in {row["principalId"] for row in rows["value"]}
    clouds.cycle()
    assert clouds.in_aws() is None


def eligibility_ended(clouds: Clouds) -> None:
    def eligible() -> set[str]:
        rows = clouds.graph(
            f"{PIM}/eligibilityScheduleInstances", filter=f"groupId eq '{clouds.group}'"
        ).json()
        return {row["principalId"] for row in rows["value"]}

    assert clouds.person in eligible()
    clouds.happen("eligibility_ended", group=clouds.group, person=clouds.person)
    assert clouds.person not in eligible()


def activation_demands(clouds: Clouds) -> None:
    wanted = f"scopeId eq '{clouds.group}' and scopeType eq 'Group' and roleDefinitionId eq 'member'"

    def rules() -> dict[str, Any]:
        rows = clouds.graph(
            "/policies/roleManagementPolicyAssignments",
            filter=wanted,
            expand="policy($expand=rules)",
        ).json()
        return {rule["id"]: rule for rule in rows["value"][0]["policy"]["rules"]}

    approval, context = "Approval_EndUser_Assignment", "AuthenticationContext_EndUser_Assignment"
    assert rules()[approval]["setting"]["isApprovalRequired"] is False
    said = clouds.happen("activation_demands", group=clouds.group, context="c1", approver=clouds.person)
    assert said["approver_id"] == clouds.person
    assert rules()[approval]["setting"]["isApprovalRequired"] is True
    assert rules()[context]["claimValue"] == "c1"


def job_states(clouds: Clouds) -> None:
    clouds.happen("quarantine", reason="TooManyDeletes")
    assert (clouds.job()["code"], clouds.job()["quarantine"]) == ("Quarantine", "TooManyDeletes")
    clouds.happen("foreign_member", group=clouds.group, person=clouds.person)
    clouds.control("POST", "/clock/advance", {"seconds": 3600})
    assert clouds.in_aws() is False, "nothing is carried in quarantine"
    clouds.happen("quarantine_lifted")
    clouds.control("POST", "/clock/advance", {"seconds": 120})
    assert (clouds.job()["code"], clouds.in_aws()) == ("Active", True)
    clouds.happen("job_paused")
    assert clouds.job()["code"] == "Paused"
    clouds.happen("job_started")
    assert clouds.job()["code"] == "Active"


def scim_token_ends(clouds: Clouds) -> None:
    clouds.happen("scim_token_expired")
    clouds.happen("foreign_member", group=clouds.group, person=clouds.person)
    clouds.cycle()
    assert clouds.in_aws() is False
    assert clouds.job()["code"] == "Quarantine"
    clouds.happen("scim_token_renewed")
    clouds.happen("quarantine_lifted")
    clouds.control("POST", "/clock/advance", {"seconds": 120})
    assert clouds.in_aws()


def expiry_late(clouds: Clouds) -> None:
    assert clouds.assign().status_code == 201
    clouds.happen("expiry_late", group=clouds.group, person=clouds.person, minutes="30")
    clouds.control("POST", "/clock/advance", {"seconds": 2 * 3600 + 60})
    assert clouds.held() == 1, "past its end"
    clouds.control("POST", "/clock/advance", {"seconds": 30 * 60})
    assert clouds.held() == 0


def portal_sessions_ended(clouds: Clouds) -> None:
    """The open portal is over, what was opened from it goes on."""
    clouds.happen("foreign_store_member", group=clouds.group, person=clouds.person)
    entry = clouds.simulator.world.access_portal.visible(clouds.person)[0]
    with httpx.Client(base_url=clouds.said["browser_origin"], follow_redirects=True, timeout=30) as browser:
        browser.post("/start/sign-in", data={"account": clouds.person})
        chosen = {"account_id": entry.account.id, "role_name": entry.permission_set.name}
        assert browser.post("/start/open", data=chosen).status_code == 200
        assert "/start/open" in browser.get("/start/").text
        assert clouds.happen("portal_sessions_ended", person=clouds.person) == {"user_id": clouds.person}
        for after in (browser.get("/start/"), browser.post("/start/open", data=chosen)):
            assert "/start/open" not in after.text
            assert "AWS access portal: sign in" in after.text
    [session] = clouds.control("GET", f"/sessions?person={clouds.person}")
    assert session["may_act"] is True


FAULTS: dict[str, Callable[[Clouds], None]] = {
    each.__name__: each for each in (lose_request, lose_answer, delay, throttle, error, error_after, stale)
}
HAPPENINGS: dict[Callable[[Clouds], None], set[str]] = {
    foreign_assignment: {"foreign_assignment"},
    role_entitled: {"role_entitled"},
    members_by_other_means: {"foreign_member", "member_removed", "cycle"},
    members_of_the_store_alone: {"foreign_store_member", "store_member_removed"},
    removal_lost: {"removal_lost"},
    people_disabled: {"person_disabled", "person_enabled"},
    groups_go: {"group_recreated", "group_deleted"},
    group_unassigned: {"group_unassigned"},
    eligibility_ended: {"eligibility_ended"},
    activation_demands: {"activation_demands"},
    job_states: {"quarantine", "quarantine_lifted", "job_paused", "job_started"},
    scim_token_ends: {"scim_token_expired", "scim_token_renewed"},
    expiry_late: {"expiry_late"},
    portal_sessions_ended: {"portal_sessions_ended"},
}


@pytest.mark.parametrize("effect", [*FAULTS.values(), *HAPPENINGS], ids=lambda each: each.__name__)
def test_effect(clouds: Clouds, effect: Callable[[Clouds], None]) -> None:
    effect(clouds)


def test_every_fault_and_happening_has_its_effect_shown() -> None:
    assert set(FAULTS) == set(KINDS)
    assert set().union(*HAPPENINGS.values()) == set(NAMES)


def test_the_state_page_shows_it_all(clouds: Clouds) -> None:
    def page() -> str:
        return httpx.get(clouds.said["browser_origin"] + "/", timeout=30).text

    name = clouds.graph(f"/groups/{clouds.group}").json()["displayName"]
    quiet = page()
    assert "Nothing: Entra hasn't changed since the last cycle." in quiet
    assert "changed</span>" not in quiet
    clouds.happen("foreign_member", group=clouds.group, person=clouds.person)
    clouds.fault("throttle", "scim.PATCH Groups", count=3)
    clouds.control("PATCH", "/switches", {"on_demand_removes": True})
    busy = page()
    (change,) = clouds.job()["next_changes"]
    assert (change["what"], change["group"]) == ("comes in", name)
    assert change["at"] == clouds.job()["next_cycle"][:19] + "+00:00"
    for shown in ("comes in", "differs</span>", "<code>scim.PATCH Groups</code>", "changed</span>"):
        assert shown in busy
    clouds.control("DELETE", "/faults")
    clouds.cycle()
    entry = clouds.simulator.world.access_portal.visible(clouds.person)[0]
    clouds.control(
        "POST",
        "/sessions",
        {
            "person": clouds.person,
            "account_id": entry.account.id,
            "permission_set": entry.permission_set.name,
        },
    )
    later = page()
    assert f"{entry.account.name} ({entry.account.id})" in later
    assert "GET /groups/" in later


def test_tokens_and_credentials_expire(clouds: Clouds) -> None:
    said = clouds.said

    def ask() -> httpx.Response:
        return httpx.post(
            f"{said['authority']}/{said['tenant_id']}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": said["worker_client_id"],
                "client_secret": said["worker_client_secret"],
                "scope": "https://graph.microsoft.com/.default",
            },
            verify=ssl_context(said["ca_bundle"]),
        )

    usual = clouds.control("POST", "/tokens", {})["access_token_seconds"]
    clouds.control("POST", "/tokens", {"access_token_seconds": 1})
    token = ask().json()["access_token"]
    end = jwt.decode(token, options={"verify_signature": False})["exp"]
    while time.time() <= end:
        clouds.control("GET", "/clock")  # its lifetime is real time
    assert clouds.graph("/groups", token).status_code == 401
    clouds.control("POST", "/tokens", {"worker_credentials_expired": True})
    assert "7000222" in ask().json()["error_description"]
    clouds.control("POST", "/tokens", {"worker_credentials_expired": False, "access_token_seconds": usual})
    assert ask().status_code == 200


def ssl_context(ca_bundle: str) -> ssl.SSLContext:

    return ssl.create_default_context(cafile=ca_bundle)
