"""The back channel to Entra's one tenant: its OpenID configuration, its keys, and trading a code for claims.

allauth fetches the configuration at every sign-in, sends no nonce and leaves the ID token's signature
unchecked; what is stricter here follows contracts of OpenID Connect Core 3.1.3.7 and Entra's ID token claims.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hmac import compare_digest
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
from django.conf import settings

from identity.signin.problems import (
    MISCONFIGURED,
    NO_OBJECT_ID,
    TOKEN_INVALID,
    UNREACHABLE,
    WRONG_TENANT,
    SignInError,
    from_entra,
)

LEEWAY_SECONDS = 60
METADATA_SECONDS = 300
TIMEOUT_SECONDS = 5
REQUIRED_CLAIMS = ["exp", "nbf", "iat", "iss", "aud", "sub", "tid", "nonce"]
_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the portal needs of the tenant's OpenID configuration."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What a code was traded for. The tokens are secrets: their text shows none of them."""

    id_token: str = field(repr=False)
    refresh_token: str = field(repr=False)  # "" unless `offline_access` was asked for and given


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified ID token says. Identity is (tenant_id, object_id); the names are for display."""

    tenant_id: str
    object_id: str
    name: str
    user_principal_name: str
    app_roles: tuple[str, ...]
    sid: str  # Entra's session, "" unless the optional claim is configured
    login_hint: str  # names the session at sign-out, "" likewise
    contexts: frozenset[str]  # the authentication contexts (acrs) that it proves; an optional claim, too
    authenticated_at: datetime | None = (
        None  # `auth_time`, real time; None unless Entra says it: optional, too
    )


class Tenant:
    """One tenant and this portal's sign-in application in it."""

    def __init__(
        self, *, authority: str, browser_origin: str, tenant_id: str, client_id: str, ca_bundle: str
    ) -> None:
        self.issuer = f"{authority}/{tenant_id}/v2.0"
        self.tenant_id = tenant_id
        self._client_id = client_id
        self._back_channel = authority
        self._front_channel = browser_origin
        self._ca_bundle = ca_bundle
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: dict[str, jwt.PyJWKClient] = {}

    def metadata(self) -> Metadata:
        """The tenant's endpoints, at most five minutes old, or older while Entra can't be reached.

        Raises SignInError when there are none, or when they don't belong to the configured tenant.
        """
        now = time.monotonic()
        if self._metadata is not None and now - self._metadata[0] < METADATA_SECONDS:
            return self._metadata[1]
        try:
            fresh = self._fetch_metadata()
        except SignInError as refused:
            if self._metadata is None or refused.problem is not UNREACHABLE:
                raise
            return self._metadata[1]
        self._metadata = (now, fresh)
        return fresh

    def redeem(self, *, code: str, verifier: str, redirect_uri: str, secret: str) -> Redeemed:
        """Trade a code for its ID token, which is still unverified. Raises SignInError."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self._client_id,
            "client_secret": secret,
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        }
        answer = self._json("POST", self.metadata().token_endpoint, form)
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise SignInError(TOKEN_INVALID)
        return Redeemed(id_token, _text(answer, "refresh_token"))

    def verify(self, id_token: str, *, nonce: str) -> Claims:
        """The claims of an ID token that is ours, fresh, for this tenant and for this very sign-in.

        Raises SignInError.
        """
        key = self._signing_key(id_token)
        try:
            claims = jwt.decode(
                id_token,
                key,
                algorithms=["RS256"],
                audience=self._client_id,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED_CLAIMS, "strict_aud": True},
            )
        except jwt.PyJWTError as error:
            raise SignInError(TOKEN_INVALID) from error
        self._check_tenant(claims)
        if not (nonce and compare_digest(str(claims["nonce"]).encode(), nonce.encode())):
            raise SignInError(TOKEN_INVALID)
        object_id = _text(claims, "oid").lower()
        if not _GUID.fullmatch(object_id):
            raise SignInError(NO_OBJECT_ID)
        return Claims(
            tenant_id=self.tenant_id,
            object_id=object_id,
            name=_text(claims, "name"),
            user_principal_name=_text(claims, "preferred_username"),
            app_roles=tuple(role for role in _list(claims, "roles") if isinstance(role, str)),
            sid=_text(claims, "sid"),
            login_hint=_text(claims, "login_hint"),
            contexts=frozenset(each for each in _list(claims, "acrs") if isinstance(each, str)),
            authenticated_at=_past_instant(claims, "auth_time"),
        )

    def _check_tenant(self, claims: Mapping[str, Any]) -> None:
        tenant_id = _text(claims, "tid").lower()
        if tenant_id != self.tenant_id:
            raise SignInError(
                WRONG_TENANT,
                tenant_id=tenant_id if _GUID.fullmatch(tenant_id) else "",
                object_id=_guid(claims, "oid"),
            )
        if claims["iss"] != self.issuer:
            raise SignInError(TOKEN_INVALID)

    def _signing_key(self, id_token: str) -> Any:
        jwks_uri = self.metadata().jwks_uri
        keys = self._keys.get(jwks_uri)
        if keys is None:
            keys = self._keys.setdefault(jwks_uri, self._key_client(jwks_uri))
        try:
            kid = jwt.get_unverified_header(id_token).get("kid", "")
            key = keys.get_signing_key(kid)  # fetches the set once more for a kid that it doesn't know
        except jwt.PyJWKClientConnectionError as error:
            raise SignInError(UNREACHABLE) from error
        except jwt.PyJWTError as error:
            raise SignInError(TOKEN_INVALID) from error
        if key.key_type != "RSA":
            raise SignInError(TOKEN_INVALID)
        return key.key

    def _key_client(self, jwks_uri: str) -> jwt.PyJWKClient:
        context = ssl.create_default_context()
        if self._ca_bundle:
            context.load_verify_locations(self._ca_bundle)
        return jwt.PyJWKClient(
            jwks_uri,
            lifespan=3600,
            cooldown_duration=5,
            timeout=TIMEOUT_SECONDS,
            ssl_context=context,
        )

    def _fetch_metadata(self) -> Metadata:
        document = self._json("GET", f"{self.issuer}/.well-known/openid-configuration")
        if document.get("issuer") != self.issuer:
            raise SignInError(MISCONFIGURED)
        metadata = Metadata(
            authorization_endpoint=_text(document, "authorization_endpoint"),
            token_endpoint=_text(document, "token_endpoint"),
            jwks_uri=_text(document, "jwks_uri"),
            end_session_endpoint=_text(document, "end_session_endpoint"),
        )
        front = (metadata.authorization_endpoint, metadata.end_session_endpoint)
        back = (metadata.token_endpoint, metadata.jwks_uri)
        if {_origin(url) for url in front} != {self._front_channel}:
            # The Content-Security-Policy lets sign-in go nowhere else.
            raise SignInError(MISCONFIGURED)
        if {_origin(url) for url in back} != {self._back_channel}:
            raise SignInError(MISCONFIGURED)
        return metadata

    def _json(self, method: str, url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        try:
            response = requests.request(
                method,
                url,
                data=form,
                timeout=TIMEOUT_SECONDS,
                verify=self._ca_bundle or True,
                allow_redirects=False,
            )
            answer = response.json()
        except requests.RequestException as error:
            raise SignInError(UNREACHABLE) from error
        if not isinstance(answer, dict) or response.status_code >= 500:
            raise SignInError(UNREACHABLE)
        if response.status_code != 200:
            raise from_entra(_text(answer, "error"), _text(answer, "error_description"))
        return answer


def tenant() -> Tenant:
    """The tenant of the settings. One object for each, so that its caches last."""
    return _tenant(
        settings.ENTRA_AUTHORITY,
        settings.ENTRA_BROWSER_ORIGIN,
        settings.ENTRA_TENANT_ID.lower(),
        settings.ENTRA_SIGNIN_CLIENT_ID,
        settings.ENTRA_CA_BUNDLE,
    )


@lru_cache(maxsize=4)
def _tenant(authority: str, browser_origin: str, tenant_id: str, client_id: str, ca_bundle: str) -> Tenant:
    return Tenant(
        authority=authority,
        browser_origin=browser_origin,
        tenant_id=tenant_id,
        client_id=client_id,
        ca_bundle=ca_bundle,
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name, "")
    return value if isinstance(value, str) else ""


def _list(document: Mapping[str, Any], name: str) -> list[Any]:
    value = document.get(name, [])
    return value if isinstance(value, list) else []


def _past_instant(document: Mapping[str, Any], name: str) -> datetime | None:
    """A time in seconds since 1970 that is not to come; None for anything else."""
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= time.time() + LEEWAY_SECONDS:
        return None
    return datetime.fromtimestamp(value, UTC)


def _guid(document: Mapping[str, Any], name: str) -> str:
    value = _text(document, name).lower()
    return value if _GUID.fullmatch(value) else ""
