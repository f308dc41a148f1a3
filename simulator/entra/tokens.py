"""Signing keys and JWTs of the simulated Entra: access tokens for Graph, ID tokens, key rotation.

Tokens live in real time: TLS and JWT libraries know no business time.
Claims follow the ID-token and access-token claims references of the Microsoft identity platform.
"""

import base64
import hashlib
import json
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from simulator.entra.files import write_private

GRAPH_AUDIENCE = "https://graph.microsoft.com"
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
ACCESS_TOKEN_SECONDS = 3599
ID_TOKEN_SECONDS = 3600
KEYS_PUBLISHED = 2


class InvalidTokenError(Exception):
    """A bearer token that can't be accepted; the text says why, in Graph's words."""


@dataclass(frozen=True)
class _Key:
    kid: str
    private: rsa.RSAPrivateKey


class SigningKeys:
    """RSA keys under which tokens are signed; the newest signs, older ones stay published for a while."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: list[_Key] = []
        if path.exists():
            for entry in json.loads(path.read_text()):
                # Validating takes longer than a test's calls, and nobody but `rotate` writes this private file.
                key = serialization.load_pem_private_key(
                    entry["pem"].encode(), password=None, unsafe_skip_rsa_key_validation=True
                )
                if not isinstance(key, rsa.RSAPrivateKey):
                    raise TypeError(f"{path} holds a key that is not RSA: delete the file to make new ones")
                self._keys.append(_Key(entry["kid"], key))
        if not self._keys:
            self.rotate()

    def rotate(self) -> str:
        """Sign with a new key from now on; the one before stays published. Returns the new key's id."""
        key = _Key(secrets.token_urlsafe(20), rsa.generate_private_key(public_exponent=65537, key_size=2048))
        self._keys = [key, *self._keys][:KEYS_PUBLISHED]
        stored = [
            {
                "kid": each.kid,
                "pem": each.private.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ).decode(),
            }
            for each in self._keys
        ]
        write_private(self._path, json.dumps(stored).encode())
        return key.kid

    def jwks(self, *, old: bool = True) -> dict[str, list[dict[str, Any]]]:
        """The public keys as a JSON Web Key Set; without `old` the newest alone."""
        published = []
        for key in self._keys if old else self._keys[:1]:
            entry = json.loads(RSAAlgorithm.to_jwk(key.private.public_key()))
            published.append(
                {"kty": "RSA", "use": "sig", "kid": key.kid, "alg": "RS256", "n": entry["n"], "e": entry["e"]}
            )
        return {"keys": published}

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT over `claims`, RS256, by the newest key."""
        key = self._keys[0]
        return jwt.encode(
            dict(claims), key.private, algorithm="RS256", headers={"kid": key.kid, "x5t": key.kid}
        )

    def verify(
        self, token: str, *, audiences: Sequence[str], issuers: Sequence[str] | None
    ) -> dict[str, Any]:
        """The claims of a token of ours, meant for one of `audiences`. Raises InvalidTokenError otherwise."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError as reason:
            raise InvalidTokenError("CompactToken parsing failed with error code: 80049217") from reason
        key = next((each for each in self._keys if each.kid == kid), None)
        if key is None:
            raise InvalidTokenError("Signing key is invalid.")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.private.public_key(),
                algorithms=["RS256"],
                audience=list(audiences),
                options={"require": ["exp", "aud", "iss"]},
            )
        except jwt.ExpiredSignatureError as reason:
            raise InvalidTokenError("Lifetime validation failed, the token is expired.") from reason
        except jwt.InvalidAudienceError as reason:
            raise InvalidTokenError("Access token validation failure. Invalid audience.") from reason
        except jwt.PyJWTError as reason:
            raise InvalidTokenError("Signature is invalid.") from reason
        if issuers is not None and claims["iss"] not in issuers:
            raise InvalidTokenError("Access token validation failure. Invalid issuer.")
        return claims


def pairwise_subject(*, object_id: str, client_id: str) -> str:
    """`sub` of a person: stable for one application, different for each."""
    digest = hashlib.sha256(f"pairwise|{client_id}|{object_id}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _stamp() -> str:
    """Entra's opaque `aio`; here the nanosecond of issue, to tell tokens before a revocation from those after."""
    return str(time.time_ns())


def issued_ns(claims: Mapping[str, Any]) -> int:
    """When a token of ours was issued, in nanoseconds since the epoch."""
    return int(claims.get("aio") or int(claims.get("iat", 0)) * 10**9)


def _unique_token_id() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")


def application_access_token(
    keys: SigningKeys,
    *,
    issuer: str,
    tenant_id: str,
    client_id: str,
    service_principal_id: str,
    permissions: Sequence[str],
    audience: str = GRAPH_AUDIENCE,
    lifetime_seconds: int = ACCESS_TOKEN_SECONDS,
    by_certificate: bool,
    capabilities: Sequence[str] = (),
) -> str:
    """An app-only token: application permissions are in `roles`; there is no `scp` and no person."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "aud": audience,
        "iss": issuer,
        "iat": now,
        "nbf": now - 5,
        "exp": now + lifetime_seconds,
        "appid": client_id,
        "appidacr": "2" if by_certificate else "1",
        "aio": _stamp(),
        "idtyp": "app",
        "oid": service_principal_id,
        "sub": service_principal_id,
        "roles": sorted(permissions),
        "tid": tenant_id,
        "uti": _unique_token_id(),
        "ver": "1.0",
    }
    if capabilities:
        claims["xms_cc"] = list(capabilities)
    return keys.sign(claims)


def delegated_access_token(
    keys: SigningKeys,
    *,
    issuer: str,
    tenant_id: str,
    client_id: str,
    object_id: str,
    name: str,
    user_principal_name: str,
    scopes: Sequence[str],
    contexts: Sequence[str] = (),
    capabilities: Sequence[str] = (),
    mfa: bool = False,
    audience: str = GRAPH_AUDIENCE,
    lifetime_seconds: int = ACCESS_TOKEN_SECONDS,
) -> str:
    """A token for Graph on behalf of a person: delegated permissions are in `scp`."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "aud": audience,
        "iss": issuer,
        "iat": now,
        "nbf": now - 5,
        "exp": now + lifetime_seconds,
        "appid": client_id,
        "appidacr": "1",
        "aio": _stamp(),
        "amr": ["pwd", "mfa"] if mfa or contexts else ["pwd"],
        "idtyp": "user",
        "oid": object_id,
        "sub": pairwise_subject(object_id=object_id, client_id=GRAPH_APP_ID),
        "scp": " ".join(scopes),
        "name": name,
        "upn": user_principal_name,
        "tid": tenant_id,
        "uti": _unique_token_id(),
        "ver": "1.0",
    }
    if contexts:
        claims["acrs"] = list(contexts)
    if capabilities:
        claims["xms_cc"] = list(capabilities)
    return keys.sign(claims)


def id_token(
    keys: SigningKeys,
    *,
    issuer: str,
    tenant_id: str,
    client_id: str,
    object_id: str,
    name: str,
    user_principal_name: str,
    email: str | None,
    session_id: str,
    nonce: str | None,
    app_roles: Sequence[str],
    contexts: Sequence[str] = (),
    auth_time: int | None = None,
    lifetime_seconds: int = ID_TOKEN_SECONDS,
) -> str:
    """A v2.0 ID token with the optional claims `sid`, `login_hint`, `email` and `acrs` switched on."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "aud": client_id,
        "iss": issuer,
        "iat": now,
        "nbf": now,
        "exp": now + lifetime_seconds,
        "name": name,
        "oid": object_id,
        "preferred_username": user_principal_name,
        "sub": pairwise_subject(object_id=object_id, client_id=client_id),
        "tid": tenant_id,
        "sid": session_id,
        "login_hint": login_hint(object_id=object_id, session_id=session_id),
        "uti": _unique_token_id(),
        "ver": "2.0",
    }
    if email:
        claims["email"] = email
    if nonce:
        claims["nonce"] = nonce
    if app_roles:
        claims["roles"] = sorted(app_roles)
    if contexts:
        claims["acrs"] = list(contexts)
    if auth_time is not None:
        claims["auth_time"] = auth_time
    return keys.sign(claims)


def login_hint(*, object_id: str, session_id: str) -> str:
    """The opaque value that names a signed-in account at sign-out; not a user principal name."""
    content = json.dumps({"o": object_id, "s": session_id}, separators=(",", ":")).encode()
    return "O." + base64.urlsafe_b64encode(content).decode().rstrip("=")


def read_login_hint(value: str) -> str | None:
    """The object id inside a login hint of ours, or None."""
    if not value.startswith("O."):
        return None
    body = value[2:]
    try:
        content = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return str(uuid.UUID(content["o"]))
    except (ValueError, KeyError, TypeError):
        return None
