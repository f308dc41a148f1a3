"""A workload's own identity provider, for federated credentials: it writes the token file that a pod would get.

The worker's registration trusts exactly this issuer, subject and audience, as a federated identity credential
of Entra does.
"""

import time
from pathlib import Path

from simulator.entra.files import write_private
from simulator.entra.tokens import InvalidTokenError, SigningKeys

ISSUER = "https://workload.simulator.example/"
SUBJECT = "system:serviceaccount:access-portal:worker"
AUDIENCE = "api://AzureADTokenExchange"
TOKEN_SECONDS = 3600
REFRESH_SECONDS = 1800


class Workload:
    """Signs the worker's federated token and keeps a fresh one in a file."""

    def __init__(self, folder: Path) -> None:
        self.token_path = folder / "workload-token.jwt"
        self._keys = SigningKeys(folder / "workload-keys.json")
        self._written_at = 0.0

    def refresh(self) -> None:
        """Write a fresh token when the one in the file is past half its life."""
        now = time.time()
        if now - self._written_at > REFRESH_SECONDS:
            write_private(self.token_path, self.token().encode())
            self._written_at = now

    def token(self, *, subject: str = SUBJECT, lifetime_seconds: int = TOKEN_SECONDS) -> str:
        """A token for the exchange."""
        now = int(time.time())
        return self._keys.sign(
            {
                "iss": ISSUER,
                "sub": subject,
                "aud": AUDIENCE,
                "iat": now,
                "nbf": now,
                "exp": now + lifetime_seconds,
            }
        )

    def trusts(self, assertion: str) -> bool:
        """Whether an assertion is this issuer's, for this subject, and still good."""
        try:
            claims = self._keys.verify(assertion, audiences=(AUDIENCE,), issuers=(ISSUER,))
        except InvalidTokenError:
            return False
        return claims.get("sub") == SUBJECT
