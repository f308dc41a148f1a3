"""The OpenID provider that the endpoints of the simulated Entra share, and how it refuses."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.entra.accounts import Account, Accounts
from simulator.entra.registrations import Registrations
from simulator.entra.sessions import SignInState
from simulator.entra.tokens import ACCESS_TOKEN_SECONDS, GRAPH_AUDIENCE, ID_TOKEN_SECONDS, SigningKeys
from simulator.entra.workload import Workload


@dataclass(eq=False)
class OAuthError(Exception):
    """A refusal with OAuth's error word and Entra's AADSTS number and sentence."""

    error: str
    number: int
    sentence: str
    status: int = 400
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further members of the token endpoint's answer: `suberror`, `claims`."""

    @property
    def description(self) -> str:
        """Entra's way of writing it, without the trace lines."""
        return f"AADSTS{self.number}: {self.sentence}"


@dataclass
class Provider:
    """Everything that the endpoints share."""

    tenant_id: str
    authority: str
    """Origin of the HTTPS listener, without a slash at the end."""
    browser_origin: str
    """Origin of the plain HTTP listener."""
    keys: SigningKeys
    registrations: Registrations
    accounts: Accounts
    workload: Workload | None = None
    """Whose tokens the worker may bring instead of a certificate."""
    state: SignInState = field(default_factory=SignInState)
    access_token_seconds: int = ACCESS_TOKEN_SECONDS
    id_token_seconds: int = ID_TOKEN_SECONDS
    old_keys_stay: Callable[[], bool] = lambda: True
    """Whether the key before a rotation is still published."""
    mfa_at_sign_in: bool = True
    """Whether everybody signs in with a second factor; an authentication context proves one in any case."""

    def issuer(self, tenant_id: str | None = None) -> str:
        """The exact `iss` of tokens of a tenant (ours unless named)."""
        return f"{self.authority}/{tenant_id or self.tenant_id}/v2.0"

    @property
    def token_endpoint(self) -> str:
        """Absolute address of the token endpoint."""
        return f"{self.authority}/{self.tenant_id}/oauth2/v2.0/token"

    def graph_audiences(self) -> tuple[str, ...]:
        """What an access token's `aud` may be for our Graph front to accept it."""
        return (GRAPH_AUDIENCE,)

    def withdrawn(self, object_id: str, issued_ns: int, *, delegated: bool) -> bool:
        """Whether a token that was good when issued isn't any more: revoked, or its person disabled or gone."""
        if self.state.is_revoked(object_id, issued_ns):
            return True
        if not delegated:
            return not self.registrations.worker.enabled
        account = self.accounts.find(object_id)
        return account is None or not account.enabled

    def check_tenant(self, tenant: str) -> None:
        """Raises OAuthError unless the path names our tenant."""
        if tenant.lower() == self.tenant_id.lower():
            return
        if tenant in ("common", "organizations", "consumers"):
            raise OAuthError(
                "invalid_request",
                50194,
                "Application is not configured as a multi-tenant application. Usage of the /common endpoint "
                "is not supported for such apps. Use a tenant-specific endpoint.",
            )
        raise OAuthError(
            "invalid_request",
            90002,
            f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.",
        )

    def check_person(self, account: Account | None) -> Account:
        """Raises OAuthError for a person who can't sign in any more."""
        if account is None:
            raise OAuthError("invalid_grant", 50034, "The user account does not exist in the directory.")
        if not account.enabled:
            raise OAuthError("invalid_grant", 50057, "The user account is disabled.")
        return account


def error_body(problem: OAuthError) -> dict[str, Any]:
    """The token endpoint's error answer."""
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    moment = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    return {
        "error": problem.error,
        "error_description": (
            f"{problem.description} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {moment}"
        ),
        "error_codes": [problem.number],
        "timestamp": moment,
        "trace_id": trace,
        "correlation_id": correlation,
        **problem.extra,
    }
