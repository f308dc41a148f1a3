"""Steps of a sign-in as a browser takes them, without a browser."""

import base64
import hashlib
import secrets
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.simulator.entra.running import CALLBACK, TENANT, RunningEntra


def new_verifier() -> tuple[str, str]:
    """A PKCE verifier and its challenge."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).decode().rstrip("=")


def authorize_parameters(entra: RunningEntra, **changes: str | None) -> dict[str, str]:
    """A good sign-in request, with some parameters replaced or (None) left out."""
    parameters: dict[str, str | None] = {
        "client_id": entra.provider.registrations.signin.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid profile email",
        "state": "a-state",
        "nonce": "a-nonce",
        "code_challenge": new_verifier()[1],
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in parameters.items() if value is not None}


AUTHORIZE = f"/{TENANT}/oauth2/v2.0/authorize"


def pick(browser: httpx.Client, parameters: dict[str, str], object_id: str, **form: str) -> httpx.Response:
    """Choose a person in the account picker."""
    return browser.post(AUTHORIZE, params=parameters, data={"account": object_id, **form})


def answer(response: httpx.Response) -> dict[str, str]:
    """What the redirect back to the application carries."""
    assert response.status_code == 302, response.text
    assert response.headers["location"].startswith(CALLBACK)
    return {
        name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()
    }


def redeem(entra: RunningEntra, code: str, verifier: str, **changes: str | None) -> httpx.Response:
    """Redeem a code at the token endpoint as the sign-in app."""
    signin = entra.provider.registrations.signin
    form: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "client_id": signin.client_id,
        "client_secret": signin.secret,
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": verifier,
        **changes,
    }
    with entra.back_channel() as client:
        return client.post(
            f"/{TENANT}/oauth2/v2.0/token",
            data={name: value for name, value in form.items() if value is not None},
        )
