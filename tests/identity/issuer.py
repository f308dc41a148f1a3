"""A tiny OpenID Connect issuer for tests: real HTTP on loopback, real RSA keys, and any token one likes."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

TENANT_ID = "11111111-2222-4333-8444-555555555555"
CLIENT_ID = "99999999-2222-4333-8444-555555555555"
SECRET = "a-secret-of-the-tests"


@cache
def rsa_key(number: int) -> rsa.RSAPrivateKey:
    """One of a few keys, made once for the whole run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Issuer:
    """What the server answers, and what it was asked."""

    origin: str = ""
    published: dict[str, int] = field(default_factory=lambda: {"key-1": 1})  # kid → number of the key
    answer: tuple[int, dict[str, Any]] = (200, {})  # of the token endpoint
    overrides: dict[str, Any] = field(default_factory=dict)  # of the configuration
    redeemed: list[dict[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return f"{self.origin}/{TENANT_ID}/v2.0"

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good ID token with changes; None takes a claim away."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "sub": "pairwise-subject",
            "tid": TENANT_ID,
            "oid": str(uuid.UUID(int=7)),
            "name": "Nora Lind",
            "preferred_username": "nora.lind@example.com",
            "email": "nora.lind@example.com",
            "ver": "2.0",
        }
        claims |= changes
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any], *, kid: str = "key-1", key: int = 1, **header: Any) -> str:
        """An RS256 token under a published or an unpublished key."""
        return jwt.encode(claims, rsa_key(key), algorithm="RS256", headers={"kid": kid, **header})

    def document(self) -> dict[str, Any]:
        path = f"{self.origin}/{TENANT_ID}"
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{path}/oauth2/v2.0/authorize",
            "token_endpoint": f"{path}/oauth2/v2.0/token",
            "jwks_uri": f"{path}/discovery/v2.0/keys",
            "end_session_endpoint": f"{path}/oauth2/v2.0/logout",
            **self.overrides,
        }

    def keys(self) -> dict[str, Any]:
        def one(kid: str, number: int) -> dict[str, Any]:
            public = jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key(number).public_key(), as_dict=True)
            return {**public, "kid": kid, "use": "sig", "alg": "RS256"}

        return {"keys": [one(kid, number) for kid, number in self.published.items()]}


class RunningIssuer(Issuer):
    """The issuer behind a listening socket; a context manager."""

    def __enter__(self) -> Self:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                known = {
                    f"/{TENANT_ID}/v2.0/.well-known/openid-configuration": issuer.document,
                    f"/{TENANT_ID}/discovery/v2.0/keys": issuer.keys,
                }
                found = known.get(self.path)
                self._send(*((200, found()) if found else (404, {"error": "not_found"})))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
                issuer.redeemed.append({name: values[0] for name, values in parse_qs(body).items()})
                self._send(*issuer.answer)

            def _send(self, status: int, document: dict[str, Any]) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing: pytest shows what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening; harmless when done already."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def challenge(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
