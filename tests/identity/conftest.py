"""Fixtures of sign-in: an issuer on loopback, and a browser that goes there and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from identity.signin import entra
from tests.identity.issuer import CLIENT_ID, SECRET, TENANT_ID, RunningIssuer


@pytest.fixture
def issuer(settings: Settings) -> Iterator[RunningIssuer]:
    """An issuer that the portal is configured for."""
    cache.clear()  # the rate limits
    entra._tenant.cache_clear()
    with RunningIssuer() as running:
        settings.ENTRA_AUTHORITY = settings.ENTRA_BROWSER_ORIGIN = running.origin
        settings.ENTRA_TENANT_ID = TENANT_ID
        settings.ENTRA_SIGNIN_CLIENT_ID = CLIENT_ID
        settings.ENTRA_SIGNIN_CLIENT_SECRET = SECRET
        settings.ALLOWED_HOSTS = ["testserver", "localhost"]
        settings.PORTAL_ORIGIN = "http://testserver"
        yield running
    entra._tenant.cache_clear()


@dataclass
class Visitor:
    """A browser of the portal with the issuer at the other end."""

    client: Client
    issuer: RunningIssuer

    def start(self, **form: str) -> dict[str, str]:
        """Press the button; gives the parameters that Entra's authorize endpoint gets."""
        response = self.client.post("/signin/start/", form)
        assert response.status_code == 302, response.content
        query = urlsplit(response["Location"]).query
        return {name: values[0] for name, values in parse_qs(query).items()}

    def come_back(self, *, state: str, token: str) -> Any:
        """Return from Entra with a code that stands for `token`."""
        self.issuer.answer = (200, {"id_token": token, "access_token": "opaque"})
        return self.client.get("/accounts/oidc/entra/login/callback/", {"code": "the-code", "state": state})

    def sign_in(self, *, following: str = "", **claims: Any) -> Any:
        """The whole way, as the person of the claims; gives the callback's response."""
        sent = self.start(**({"next": following} if following else {}))
        token = self.issuer.sign(self.issuer.claims(**{"nonce": sent["nonce"], **claims}))
        return self.come_back(state=sent["state"], token=token)


@pytest.fixture
def web(db: None, as_role: Callable[[str], AbstractContextManager[None]]) -> Iterator[None]:
    """The test's queries run with the rights of the web process."""
    with as_role("portal_web"):
        yield


@pytest.fixture
def visitor(web: None, issuer: RunningIssuer, client: Client) -> Visitor:
    return Visitor(client=client, issuer=issuer)
