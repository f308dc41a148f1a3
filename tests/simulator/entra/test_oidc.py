"""The code flow of the simulated Entra, request by request."""

import json
import time
from typing import Any

import jwt
import pytest

from simulator.entra.tokens import read_login_hint
from tests.simulator.entra.flow import AUTHORIZE, answer, authorize_parameters, new_verifier, pick, redeem
from tests.simulator.entra.running import (
    ADA,
    CALLBACK,
    DISABLED,
    FOREIGN,
    OTHER_TENANT,
    SIGNED_OUT,
    TENANT,
    RunningEntra,
)


def verified(entra: RunningEntra, token: str, audience: str) -> dict[str, Any]:
    """Claims of a token checked against the published keys."""
    with entra.back_channel() as client:
        document = client.get(f"/{TENANT}/v2.0/.well-known/openid-configuration").json()
        keys = client.get(document["jwks_uri"]).json()
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(key for key in jwt.PyJWKSet.from_dict(keys).keys if key.key_id == kid)
    content: dict[str, Any] = jwt.decode(token, key.key, algorithms=["RS256"], audience=audience)
    return content


def sign_in(entra: RunningEntra, **changes: str | None) -> dict[str, str]:
    """Token answer of a whole sign-in as Ada."""
    verifier, challenge = new_verifier()
    with entra.browser() as browser:
        parameters = authorize_parameters(entra, code_challenge=challenge, **changes)
        code = answer(pick(browser, parameters, ADA.object_id))["code"]
    response = redeem(entra, code, verifier)
    assert response.status_code == 200, response.text
    tokens: dict[str, str] = response.json()
    return tokens


def test_discovery_names_one_tenant_exactly(entra: RunningEntra) -> None:
    with entra.back_channel() as client:
        document = client.get(f"/{TENANT}/v2.0/.well-known/openid-configuration").json()
        common = client.get("/common/v2.0/.well-known/openid-configuration")
        unknown = client.get(f"/{OTHER_TENANT}/v2.0/.well-known/openid-configuration")
    assert document["issuer"] == f"{entra.provider.authority}/{TENANT}/v2.0"
    assert document["issuer"].startswith("https://")
    assert document["authorization_endpoint"].startswith("http://127.0.0.1:")
    assert document["token_endpoint"].startswith(entra.provider.authority)
    assert common.json()["error_codes"] == [50194]
    assert unknown.json()["error_codes"] == [90002]


def test_id_token_holds_what_the_contract_says(entra: RunningEntra) -> None:
    tokens = sign_in(entra)
    claims = verified(entra, tokens["id_token"], entra.provider.registrations.signin.client_id)
    assert claims["iss"] == f"{entra.provider.authority}/{TENANT}/v2.0"
    assert (claims["tid"], claims["oid"], claims["ver"]) == (TENANT, ADA.object_id, "2.0")
    assert claims["nonce"] == "a-nonce"
    assert claims["roles"] == ["Portal.Auditor"]
    assert claims["preferred_username"] == ADA.user_principal_name
    assert claims["sub"] not in (ADA.object_id, "")
    assert read_login_hint(claims["login_hint"]) == ADA.object_id
    assert claims["sid"]
    assert claims["uti"]
    assert "auth_time" not in claims
    assert "acrs" not in claims
    assert "amr" not in claims


def test_delegated_access_token_is_for_graph(entra: RunningEntra) -> None:
    tokens = sign_in(entra, scope="openid profile User.Read")
    claims = verified(entra, tokens["access_token"], "https://graph.microsoft.com")
    assert "User.Read" in claims["scp"].split()
    assert "roles" not in claims
    assert claims["idtyp"] == "user"


def test_a_code_is_good_once(entra: RunningEntra) -> None:
    verifier, challenge = new_verifier()
    with entra.browser() as browser:
        parameters = authorize_parameters(entra, code_challenge=challenge)
        code = answer(pick(browser, parameters, ADA.object_id))["code"]
    assert redeem(entra, code, verifier).status_code == 200
    again = redeem(entra, code, verifier)
    assert again.status_code == 400
    assert again.json()["error_codes"] == [54005]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"code_verifier": "x" * 60}, 501481),
        ({"code_verifier": None}, 50148),
        ({"redirect_uri": CALLBACK + "x"}, 500112),
        ({"client_secret": "wrong"}, 7000215),
        ({"client_secret": None}, 7000218),
        ({"client_id": "unknown"}, 700016),
        ({"grant_type": "password"}, 70003),
        ({"grant_type": None}, 900144),
    ],
)
def test_a_code_is_refused(entra: RunningEntra, changes: dict[str, str | None], number: int) -> None:
    verifier, challenge = new_verifier()
    with entra.browser() as browser:
        parameters = authorize_parameters(entra, code_challenge=challenge)
        code = answer(pick(browser, parameters, ADA.object_id))["code"]
    response = redeem(entra, code, verifier, **changes)
    assert response.status_code in (400, 401)
    assert response.json()["error_codes"] == [number]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"redirect_uri": CALLBACK + "?x=1"}, 50011),
        ({"redirect_uri": "http://evil.example/"}, 50011),
        ({"redirect_uri": None}, 50011),
        ({"client_id": "unknown"}, 700016),
    ],
)
def test_a_request_that_must_not_be_redirected(
    entra: RunningEntra, changes: dict[str, str | None], number: int
) -> None:
    with entra.browser() as browser:
        response = browser.get(AUTHORIZE, params=authorize_parameters(entra, **changes))
    assert response.status_code == 400
    assert f"AADSTS{number}" in response.text
    assert "location" not in response.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"prompt": "shout"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"scope": None}, "invalid_request"),
        ({"scope": "openid Mail.Read"}, "consent_required"),
    ],
)
def test_a_refusal_is_told_to_the_application(
    entra: RunningEntra, changes: dict[str, str | None], error: str
) -> None:
    with entra.browser() as browser:
        response = browser.get(AUTHORIZE, params=authorize_parameters(entra, **changes))
    told = answer(response)
    assert told["error"] == error
    assert told["state"] == "a-state"
    assert told["error_description"].startswith("AADSTS")


def test_disabled_person_meets_entras_own_page(entra: RunningEntra) -> None:
    with entra.browser() as browser:
        response = pick(browser, authorize_parameters(entra), DISABLED.object_id)
    assert response.status_code == 400
    assert "AADSTS50057" in response.text


def test_person_of_another_tenant(entra: RunningEntra) -> None:
    verifier, challenge = new_verifier()
    parameters = authorize_parameters(entra, code_challenge=challenge)
    with entra.browser() as browser:
        refused = pick(browser, parameters, FOREIGN.object_id)
        let_through = pick(browser, parameters, FOREIGN.object_id, tokens="own-tenant")
    assert "AADSTS50020" in refused.text
    tokens = redeem(entra, answer(let_through)["code"], verifier).json()
    claims = verified(entra, tokens["id_token"], entra.provider.registrations.signin.client_id)
    assert claims["tid"] == OTHER_TENANT
    assert claims["iss"] == f"{entra.provider.authority}/{OTHER_TENANT}/v2.0"
    assert "roles" not in claims


def test_single_sign_on_and_its_limits(entra: RunningEntra) -> None:
    with entra.browser() as browser:
        assert browser.get(AUTHORIZE, params=authorize_parameters(entra)).status_code == 200
        pick(browser, authorize_parameters(entra), ADA.object_id)
        assert "code" in answer(browser.get(AUTHORIZE, params=authorize_parameters(entra)))
        assert "code" in answer(browser.get(AUTHORIZE, params=authorize_parameters(entra, prompt="none")))
        for prompt in ("login", "select_account"):
            asked = browser.get(AUTHORIZE, params=authorize_parameters(entra, prompt=prompt))
            assert asked.status_code == 200
            assert "Choose an account" in asked.text
        fresh_enough = browser.get(AUTHORIZE, params=authorize_parameters(entra, max_age="3600"))
        assert "code" in answer(fresh_enough)


def test_step_up_asks_again_and_then_holds(entra: RunningEntra) -> None:
    claims = json.dumps({"id_token": {"acrs": {"essential": True, "value": "c1"}}})
    verifier, challenge = new_verifier()
    with entra.browser() as browser:
        pick(browser, authorize_parameters(entra), ADA.object_id)
        stepping_up = authorize_parameters(entra, claims=claims, code_challenge=challenge, max_age="600")
        asked = browser.get(AUTHORIZE, params=stepping_up)
        assert asked.status_code == 200
        assert "authentication context c1" in asked.text
        code = answer(pick(browser, stepping_up, ADA.object_id))["code"]
        assert "code" in answer(browser.get(AUTHORIZE, params=authorize_parameters(entra, claims=claims)))
    content = jwt.decode(
        redeem(entra, code, verifier).json()["id_token"], options={"verify_signature": False}
    )
    assert content["acrs"] == ["c1"]
    assert abs(content["auth_time"] - time.time()) < 30


def test_sign_out_ends_the_session(entra: RunningEntra) -> None:
    verifier, challenge = new_verifier()
    with entra.browser() as browser:
        parameters = authorize_parameters(entra, code_challenge=challenge)
        code = answer(pick(browser, parameters, ADA.object_id))["code"]
        hint = jwt.decode(
            redeem(entra, code, verifier).json()["id_token"], options={"verify_signature": False}
        )["login_hint"]
        response = browser.get(
            f"/{TENANT}/oauth2/v2.0/logout",
            params={"post_logout_redirect_uri": SIGNED_OUT, "logout_hint": hint},
        )
        assert response.status_code == 302
        assert response.headers["location"] == SIGNED_OUT
        assert browser.get(AUTHORIZE, params=authorize_parameters(entra)).status_code == 200


def test_sign_out_without_a_hint_asks_which_account(entra: RunningEntra) -> None:
    with entra.browser() as browser:
        pick(browser, authorize_parameters(entra), ADA.object_id)
        where = {"post_logout_redirect_uri": SIGNED_OUT}
        asked = browser.get(f"/{TENANT}/oauth2/v2.0/logout", params=where)
        assert asked.status_code == 200
        assert ADA.name in asked.text
        assert "code" in answer(browser.get(AUTHORIZE, params=authorize_parameters(entra)))
        confirmed = browser.post(f"/{TENANT}/oauth2/v2.0/logout", data={**where, "confirm": "yes"})
        assert confirmed.headers["location"] == SIGNED_OUT
        assert browser.get(AUTHORIZE, params=authorize_parameters(entra)).status_code == 200


def test_sign_out_never_leads_to_an_unregistered_address(entra: RunningEntra) -> None:
    with entra.browser() as browser:
        response = browser.get(
            f"/{TENANT}/oauth2/v2.0/logout", params={"post_logout_redirect_uri": SIGNED_OUT + "x"}
        )
    assert response.status_code == 200
    assert "not registered" in response.text


def test_refresh_gives_fresh_tokens_until_the_person_is_disabled(entra: RunningEntra) -> None:
    signin = entra.provider.registrations.signin
    tokens = sign_in(entra, scope="openid profile offline_access User.Read")
    form = {
        "grant_type": "refresh_token",
        "client_id": signin.client_id,
        "client_secret": signin.secret,
        "refresh_token": tokens["refresh_token"],
    }
    with entra.back_channel() as client:
        fresh = client.post(f"/{TENANT}/oauth2/v2.0/token", data=form)
        assert fresh.status_code == 200
        assert fresh.json()["refresh_token"] != tokens["refresh_token"]
        entra.people.people[ADA.object_id] = DISABLED
        try:
            refused = client.post(f"/{TENANT}/oauth2/v2.0/token", data=form)
        finally:
            entra.people.people[ADA.object_id] = ADA
    assert refused.json()["error"] == "invalid_grant"
    assert refused.json()["error_codes"] == [50057]


def test_pages_allow_no_script_and_lead_only_back_to_the_application(entra: RunningEntra) -> None:
    with entra.browser() as browser:
        response = browser.get(AUTHORIZE, params=authorize_parameters(entra, search="d"))
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:8000;" in policy
    assert "<script" not in response.text
    assert "style=" not in response.text
    assert "Dora Disabled" in response.text


def test_keys_rotate_and_old_tokens_stay_good(entra: RunningEntra) -> None:
    audience = entra.provider.registrations.signin.client_id
    before = sign_in(entra)["id_token"]
    kid = entra.provider.keys.rotate()
    after = sign_in(entra)["id_token"]
    assert jwt.get_unverified_header(after)["kid"] == kid
    assert jwt.get_unverified_header(before)["kid"] != kid
    assert verified(entra, before, audience)["oid"] == ADA.object_id
    assert verified(entra, after, audience)["oid"] == ADA.object_id


def test_client_credentials_need_a_default_scope(entra: RunningEntra) -> None:
    worker = entra.provider.registrations.worker
    with entra.back_channel() as client:
        response = client.post(
            f"/{TENANT}/oauth2/v2.0/token",
            data={"grant_type": "client_credentials", "scope": "User.Read"},
            auth=(worker.client_id, worker.secret),
        )
    assert response.json()["error_codes"] == [1002012]
