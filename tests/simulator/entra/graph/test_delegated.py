"""A person's own tokens for Graph: got by signing in and by refresh token, stepped up, withdrawn, used for PIM."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import jwt
import msal  # type: ignore[import-untyped]  # no types published
import pytest

from simulator.entra.tls import TlsFiles, ensure_server_tls
from simulator.listener import Listener
from tests.simulator.entra.flow import answer, authorize_parameters, new_verifier, pick, redeem
from tests.simulator.entra.graph.running import PIM, RunningGraph, running_graph
from tests.simulator.entra.graph.small_world import ADA, ADMINS, BEN, READERS
from tests.simulator.entra.graph.test_pim import REQUESTS, assign, code
from tests.simulator.entra.running import CALLBACK, OTHER_TENANT, TENANT, FewPeople, RunningEntra

GRAPH = "https://graph.microsoft.com"
SCOPES = (
    f"{GRAPH}/PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup "
    f"{GRAPH}/PrivilegedEligibilitySchedule.Read.AzureADGroup"
)
CAPABLE = {"xms_cc": {"values": ["cp1"]}}


@dataclass(frozen=True)
class Signing:
    """The sign-in app's way to tokens of the people of a running Graph."""

    graph: RunningGraph
    entra: RunningEntra

    def sign_in(
        self,
        person: str = ADA,
        *,
        claims: dict[str, Any] | None = None,
        scope: str = f"openid offline_access {SCOPES}",
    ) -> dict[str, Any]:
        """The token endpoint's answer after a whole code flow."""
        verifier, challenge = new_verifier()
        parameters = authorize_parameters(
            self.entra,
            code_challenge=challenge,
            scope=scope,
            claims=None if claims is None else json.dumps(claims),
        )
        with self.entra.browser() as browser:
            code_ = answer(pick(browser, parameters, person))["code"]
        response = redeem(self.entra, code_, verifier)
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens

    def refresh(self, token: str, **changes: str | None) -> httpx.Response:
        """Redeem a refresh token."""
        signin = self.entra.provider.registrations.signin
        form: dict[str, str | None] = {
            "grant_type": "refresh_token",
            "client_id": signin.client_id,
            "client_secret": signin.secret,
            "refresh_token": token,
            "scope": SCOPES + " offline_access",
            **changes,
        }
        with self.entra.back_channel() as client:
            return client.post(
                f"/{TENANT}/oauth2/v2.0/token",
                data={name: value for name, value in form.items() if value is not None},
            )

    def activate(self, token: str, action: str = "selfActivate", **changes: Any) -> httpx.Response:
        body = assign(action=action, **changes)
        if action == "selfDeactivate":
            body.pop("scheduleInfo")
        return self.graph.post(REQUESTS, body, token=token)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return ensure_server_tls(Path(tmp_path_factory.getbasetemp()))


@pytest.fixture
def signing(tls: TlsFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signing]:
    folder = tmp_path_factory.getbasetemp() / "graph-keys"
    with running_graph(folder, secure=Listener(tls=tls), redirect_uris=(CALLBACK,)) as graph:
        yield Signing(graph, RunningEntra(graph.front.provider, FewPeople(), tls))


def content(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


# ------------------------------------------------------------ refresh tokens


def test_a_refresh_token_gives_tokens_that_activate_and_deactivate(signing: Signing) -> None:
    first = signing.sign_in()
    fresh = signing.refresh(first["refresh_token"]).json()
    assert set(fresh["scope"].split()) >= {each.removeprefix(GRAPH + "/") for each in SCOPES.split()}
    mine = fresh["access_token"]
    eligible = signing.graph.get(
        f"{PIM}/eligibilityScheduleInstances/filterByCurrentUser(on='principal')", token=mine
    )
    assert [row["groupId"] for row in eligible.json()["value"]] == [ADMINS]
    assert signing.activate(mine).json()["status"] == "Provisioned"
    signing.graph.world.clock.step(timedelta(minutes=6))
    ended = signing.activate(mine, "selfDeactivate")
    assert (ended.status_code, ended.json()["status"]) == (201, "Revoked")
    assert signing.graph.values(f"/groups/{ADMINS}/members") == []


def test_msal_gets_the_same(signing: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they would win over `verify`
        monkeypatch.delenv(name, raising=False)
    signin = signing.entra.provider.registrations.signin
    app = msal.ConfidentialClientApplication(
        signin.client_id,
        client_credential=signin.secret,
        authority=f"{signing.entra.provider.authority}/{TENANT}",
        instance_discovery=False,
        verify=signing.entra.ca_bundle,
        client_capabilities=["CP1"],
    )
    kept = signing.sign_in()["refresh_token"]
    result = app.acquire_token_by_refresh_token(kept, scopes=SCOPES.split())
    assert "error" not in result, result
    # By refresh token it sends no capabilities, whatever the application declared; by code it does.
    assert "xms_cc" not in content(result["access_token"])
    assert signing.activate(result["access_token"]).status_code == 201


def test_each_use_gives_another_and_the_old_one_stays_good(signing: Signing) -> None:
    first = signing.sign_in()["refresh_token"]
    second = signing.refresh(first).json()["refresh_token"]
    assert second != first
    assert signing.refresh(second).status_code == 200
    assert signing.refresh(first).status_code == 200, "replaced, not revoked"


def refused(response: httpx.Response) -> tuple[str, list[int], str | None]:
    assert response.status_code in (400, 401)
    body = response.json()
    return body["error"], body["error_codes"], body.get("suberror")


def test_a_refresh_token_ends(signing: Signing) -> None:
    state = signing.entra.provider.state
    before = state.refresh_seconds
    state.refresh_seconds = -1
    expired = signing.sign_in()["refresh_token"]
    state.refresh_seconds = before
    assert refused(signing.refresh(expired)) == ("invalid_grant", [700082], None)
    good = signing.sign_in()["refresh_token"]
    state.revoke_person(ADA)
    assert refused(signing.refresh(good)) == ("invalid_grant", [50173], None)
    later = signing.sign_in()["refresh_token"]
    signing.graph.world.happen("person_disabled", person=ADA)
    assert refused(signing.refresh(later)) == ("invalid_grant", [50057], None)


def test_withdrawn_consent_ends_what_it_allowed(signing: Signing) -> None:
    registrations = signing.entra.provider.registrations
    kept = signing.sign_in()["refresh_token"]
    registrations.set_signin_scopes(("openid", "profile", "email", "offline_access", "User.Read"))
    assert refused(signing.refresh(kept)) == ("invalid_grant", [65001], "consent_required")
    assert refused(signing.refresh(kept, scope=None)) == ("invalid_grant", [65001], "consent_required")
    assert signing.refresh(kept, scope="openid User.Read").status_code == 200


def test_only_its_own_client_redeems_it(signing: Signing) -> None:
    worker = signing.entra.provider.registrations.worker
    kept = signing.sign_in()["refresh_token"]
    other = signing.refresh(kept, client_id=worker.client_id, client_secret=worker.secret)
    assert refused(other) == ("invalid_grant", [700005], None)


# ------------------------------------------------------------ step-up


@pytest.mark.parametrize("part", ["access_token", "id_token"])
def test_each_kind_of_token_asks_for_its_own_context(signing: Signing, part: str) -> None:
    tokens = signing.sign_in(claims={part: {"acrs": {"essential": True, "value": "c1"}}})
    for each in ("access_token", "id_token"):
        assert content(tokens[each]).get("acrs") == (["c1"] if each == part else None)


def claims_in(response: httpx.Response) -> dict[str, Any]:
    """The claims that PIM asks for, out of its message."""
    found = re.search(r"claims=([^&\s]+)", response.json()["error"]["message"])
    assert found is not None
    claims: dict[str, Any] = json.loads(unquote(found.group(1)))
    return claims


def test_pim_asks_for_a_context_and_takes_the_token_that_proves_it(signing: Signing) -> None:
    signing.graph.world.policies.change(ADMINS, authentication_context="c2")
    first = signing.sign_in()
    refusal = signing.activate(first["access_token"])
    assert (refusal.status_code, code(refusal)) == (400, "RoleAssignmentRequestAcrsValidationFailed")
    wanted = claims_in(refusal)
    assert wanted == {"access_token": {"acrs": {"essential": True, "value": "c2"}}}
    silent = signing.refresh(first["refresh_token"], claims=json.dumps(wanted))
    assert refused(silent) == ("interaction_required", [50076], "basic_action")
    assert json.loads(silent.json()["claims"]) == wanted
    wanted["access_token"].update(CAPABLE)
    stepped_up = signing.sign_in(claims=wanted)
    assert signing.activate(stepped_up["access_token"]).status_code == 201


@pytest.mark.parametrize("needed", [True, False])
def test_contexts_of_incapable_clients_are_a_switch(signing: Signing, needed: bool) -> None:
    signing.graph.world.switches.acrs_needs_capability = needed
    signing.graph.world.policies.change(ADMINS, authentication_context="c2")
    claims: dict[str, Any] = {"access_token": {"acrs": {"essential": True, "value": "c2"}}}
    mine = signing.sign_in(claims=claims)
    assert signing.activate(mine["access_token"]).status_code == (400 if needed else 201)
    claims["access_token"].update(CAPABLE)
    capable = signing.refresh(mine["refresh_token"], claims=json.dumps(claims)).json()["access_token"]
    again = signing.activate(capable)
    assert (again.status_code, again.json().get("error", {}).get("code")) == (
        (201, None) if needed else (400, "RoleAssignmentExists")
    )


def test_the_rules_for_the_person_are_named(signing: Signing) -> None:
    signing.graph.world.policies.change(
        ADMINS,
        activation_maximum="PT1H",
        activation_rules=["MultiFactorAuthentication", "Justification", "Ticketing"],
    )
    signing.entra.provider.mfa_at_sign_in = False
    weak = signing.sign_in()["access_token"]
    response = signing.activate(weak, justification="")
    assert code(response) == "RoleAssignmentRequestPolicyValidationFailed"
    assert response.json()["error"]["message"].endswith(
        '["ExpirationRule","JustificationRule","TicketingRule","MfaRule"]'
    )
    signing.entra.provider.mfa_at_sign_in = True
    strong = signing.sign_in()["access_token"]
    hour = {"expiration": {"type": "afterDuration", "duration": "PT1H"}}
    ticket = {"ticketNumber": "INC-1", "ticketSystem": "Desk"}
    asked: dict[str, Any] = {"scheduleInfo": hour, "ticketInfo": ticket}
    rehearsed = signing.activate(strong, isValidationOnly=True, **asked)
    assert (rehearsed.status_code, rehearsed.json()["isValidationOnly"]) == (201, True)
    assert signing.graph.values(f"{PIM}/assignmentScheduleInstances", filter=f"groupId eq '{ADMINS}'") == []
    done = signing.activate(strong, **asked)
    assert (done.status_code, done.json()["ticketInfo"]) == (201, ticket)


def test_eligible_through_a_group_one_person_is_let_in(signing: Signing) -> None:
    bens = signing.sign_in(BEN)["access_token"]
    path = f"{PIM}/eligibilityScheduleInstances/filterByCurrentUser(on='principal')"
    (row,) = signing.graph.get(path, token=bens).json()["value"]
    assert (row["groupId"], row["memberType"], row["principalId"]) == (READERS, "Group", BEN)
    assert signing.activate(bens, groupId=READERS, principalId=BEN).status_code == 201
    assert [each["id"] for each in signing.graph.values(f"/groups/{READERS}/members")] == [BEN]
    other = signing.activate(bens, groupId=ADMINS, principalId=ADA)
    assert other.status_code == 403, "for oneself alone"


# ------------------------------------------------------------ tokens that aren't good any more


def challenge(response: httpx.Response) -> dict[str, Any] | None:
    """The claims of a challenge, as a client reads them."""
    assert response.status_code == 401
    found = re.search(r'error="insufficient_claims", claims="([^"]+)"', response.headers["www-authenticate"])
    return json.loads(base64.b64decode(found.group(1))) if found else None


@pytest.mark.parametrize("why", ["revoked", "disabled"])
def test_a_withdrawn_token_is_challenged_when_its_client_can_answer(signing: Signing, why: str) -> None:
    capable = signing.sign_in(claims={"access_token": CAPABLE})["access_token"]
    plain = signing.sign_in()["access_token"]
    mine = f"{PIM}/assignmentScheduleInstances/filterByCurrentUser(on='principal')"
    assert signing.graph.get(mine, token=capable).status_code == 200
    if why == "revoked":
        signing.entra.provider.state.revoke_person(ADA)
    else:
        signing.graph.world.happen("person_disabled", person=ADA)
    claims = challenge(signing.graph.get(mine, token=capable))
    assert claims is not None
    assert abs(int(claims["access_token"]["nbf"]["value"]) - time.time()) < 60
    assert signing.graph.get(mine, token=plain).status_code == 200, "good until it expires"
    if why == "revoked":
        again = signing.sign_in(claims={"access_token": CAPABLE})["access_token"]
        assert signing.graph.get(mine, token=again).status_code == 200


def test_tokens_of_another_tenant_audience_or_retired_key_are_no_tokens(signing: Signing) -> None:
    keys = signing.entra.provider.keys
    good = signing.sign_in()["access_token"]
    claims = content(good)
    authority = signing.entra.provider.authority
    wrong = {
        "Invalid issuer": keys.sign(
            {**claims, "iss": f"{authority}/{OTHER_TENANT}/v2.0", "tid": OTHER_TENANT}
        ),
        "Invalid audience": keys.sign({**claims, "aud": "https://management.azure.com"}),
        "expired": keys.sign({**claims, "exp": int(time.time()) - 10}),
    }
    mine = f"{PIM}/assignmentScheduleInstances/filterByCurrentUser(on='principal')"
    for word, token in wrong.items():
        response = signing.graph.get(mine, token=token)
        assert challenge(response) is None
        assert word in response.json()["error"]["message"]
    keys.rotate()
    assert signing.graph.get(mine, token=good).status_code == 200, "the key before is still published"
    keys.rotate()
    assert "Signing key is invalid" in signing.graph.get(mine, token=good).json()["error"]["message"]


def test_a_disabled_service_principal_gets_no_token_and_its_old_one_is_challenged(signing: Signing) -> None:
    registrations = signing.entra.provider.registrations
    capable = signing.graph.app_token(capabilities=("CP1",))
    assert signing.graph.get("/groups", token=capable).status_code == 200
    registrations.set_worker_enabled(enabled=False)
    assert challenge(signing.graph.get("/groups", token=capable)) is not None
    form = {"grant_type": "client_credentials", "scope": f"{GRAPH}/.default"}
    with signing.entra.back_channel() as client:
        response = client.post(
            f"/{TENANT}/oauth2/v2.0/token",
            data=form,
            auth=(registrations.worker.client_id, registrations.worker.secret),
        )
    assert refused(response) == ("unauthorized_client", [7000112], None)
