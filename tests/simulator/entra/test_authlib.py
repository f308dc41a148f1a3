"""Authlib, an OpenID Connect client that isn't ours, through the whole code flow with PKCE.

It reads the discovery document, makes the request, redeems the code, verifies the ID token by the published keys,
refreshes, asks userinfo and signs out; nothing in it knows that Entra is simulated.
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidClaimError
from joserfc.jwk import KeySet

from tests.simulator.entra.graph.running import running_graph
from tests.simulator.entra.graph.small_world import ADA as SMALL_ADA
from tests.simulator.entra.running import ADA, CALLBACK, SIGNED_OUT, TENANT, RunningEntra

SCOPE = "openid profile email offline_access User.Read"


class Client:
    """What an application does with Authlib."""

    def __init__(self, entra: RunningEntra) -> None:
        self._entra = entra
        self.discovery = self._get(
            f"{entra.provider.authority}/{TENANT}/v2.0/.well-known/openid-configuration"
        )
        signin = entra.provider.registrations.signin
        self.client_id = signin.client_id
        self.session = OAuth2Session(
            signin.client_id,
            signin.secret,
            scope=SCOPE,
            redirect_uri=CALLBACK,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_post",
        )
        self.session.trust_env = False  # REQUESTS_CA_BUNDLE would overrule the next line
        self.session.verify = entra.ca_bundle

    def _get(self, address: str) -> dict[str, Any]:
        with self._entra.back_channel() as client:
            found: dict[str, Any] = client.get(address).raise_for_status().json()
        return found

    def sign_in(
        self, browser: httpx.Client, verifier: str = "v" * 64, nonce: str = "n-0S6"
    ) -> dict[str, Any]:
        """The code flow, with somebody who picks Ada in the browser; gives the tokens."""
        address, state = self.session.create_authorization_url(
            self.discovery["authorization_endpoint"], code_verifier=verifier, nonce=nonce
        )
        parts = urlsplit(address)
        picked = browser.post(parts.path, params=parts.query, data={"account": ADA.object_id})
        assert picked.status_code == 302, picked.text
        tokens: dict[str, Any] = self.session.fetch_token(
            self.discovery["token_endpoint"],
            authorization_response=picked.headers["location"],
            state=state,
            code_verifier=verifier,
        )
        return tokens

    def claims(self, encoded: str, *, nonce: str | None, client_id: str = "") -> CodeIDToken:
        """The ID token's claims, verified: signature by the published keys, issuer, audience, nonce, times."""
        keys = KeySet.import_key_set(self._get(self.discovery["jwks_uri"]))  # type: ignore[arg-type]  # JSON
        token = jwt.decode(encoded, keys, algorithms=["RS256"])
        options = {
            "iss": {"essential": True, "value": self.discovery["issuer"]},
            "aud": {"essential": True, "value": client_id or self.client_id},
        }
        claims = CodeIDToken(token.claims, token.header, options=options, params={"nonce": nonce})
        claims.validate(leeway=5)
        return claims


def test_the_whole_flow(entra: RunningEntra) -> None:
    client = Client(entra)
    with entra.browser() as browser:
        tokens = client.sign_in(browser)
        claims = client.claims(tokens["id_token"], nonce="n-0S6")
        assert (claims["oid"], claims["tid"], claims["ver"]) == (ADA.object_id, TENANT, "2.0")
        assert claims["preferred_username"] == ADA.user_principal_name
        assert claims["roles"] == list(ADA.app_roles)

        refreshed = client.session.refresh_token(client.discovery["token_endpoint"])
        assert refreshed["access_token"] != tokens["access_token"]
        assert refreshed["refresh_token"] != tokens["refresh_token"]
        again = client.claims(refreshed["id_token"], nonce=None)
        assert (again["sub"], again["oid"]) == (claims["sub"], claims["oid"])

        ended = browser.get(
            client.discovery["end_session_endpoint"],
            params={
                "post_logout_redirect_uri": SIGNED_OUT,
                "logout_hint": claims["login_hint"],
                "state": "bye",
            },
        )
        assert ended.status_code == 302
        assert ended.headers["location"].partition("?")[0] == SIGNED_OUT
        silent, _ = client.session.create_authorization_url(
            client.discovery["authorization_endpoint"], prompt="none", code_verifier="w" * 64
        )
        refused = browser.get(silent)
        assert parse_qs(urlsplit(refused.headers["location"]).query)["error"] == ["login_required"]


def test_what_must_not_be_believed_is_not(entra: RunningEntra) -> None:
    client = Client(entra)
    with entra.browser() as browser:
        tokens = client.sign_in(browser)
    encoded = tokens["id_token"]
    with pytest.raises(InvalidClaimError, match="nonce"):
        client.claims(encoded, nonce="another")
    with pytest.raises(InvalidClaimError, match="aud"):
        client.claims(encoded, nonce="n-0S6", client_id="another")
    head, body, signature = encoded.split(".")
    with pytest.raises(BadSignatureError):
        client.claims(f"{head}.{body}.{'A' * len(signature)}", nonce="n-0S6")


def test_keys_that_rotate_are_found_again(entra: RunningEntra) -> None:
    client = Client(entra)
    with entra.browser() as browser:
        before = client.sign_in(browser)["id_token"]
        entra.provider.keys.rotate()
        after = client.sign_in(browser)["id_token"]
    for encoded in (before, after):
        assert client.claims(encoded, nonce="n-0S6")["oid"] == ADA.object_id


def test_userinfo_says_who_it_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_graph(tmp_path_factory.getbasetemp() / "graph-keys") as graph:
        address = f"{graph.front.provider.browser_origin}/oidc/userinfo"
        with OAuth2Session(token=bearer(graph.user_token(SMALL_ADA, ["User.Read", "openid"]))) as session:
            found = session.get(address, timeout=30).json()
        with OAuth2Session(token=bearer("nonsense")) as session:
            assert session.get(address, timeout=30).status_code == 401
    assert found["name"] == "Ada Example"
    assert set(found) == {"sub", "name", "family_name", "given_name", "email"}, "as documented; no oid"


def bearer(token: str) -> dict[str, str]:
    return {"access_token": token, "token_type": "Bearer"}
