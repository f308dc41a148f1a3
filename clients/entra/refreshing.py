"""A person's access token for their refresh token, at the tenant's token endpoint.

By the sign-in app registration, to which the refresh token belongs, with a secret of the worker's own. Each use
declares cp1: PIM takes an authentication context only of clients that can answer a claims challenge. Sources: the
identity platform's pages on refresh tokens and on claims challenges, and the error codes of its token endpoint.

A token that Entra refuses is deleted, so only what Entra says of the token itself is such a refusal. An application that
asks too often may get a 429, or, where it asks for a person, an invalid_grant of the number AADSTS50196 ("client request
loop"), which says nothing of the token either. Source: "Understanding client and server throttling in MSAL.NET".
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from clients import errors
from clients.entra.config import EntraConfig
from clients.entra.failures import retry_after
from clients.types import PersonTokens, Receipt

_SECONDS = 10.0
UNCLEAR = "Entra's sign-in service gave no clear answer. The call is tried again."
# The person has to do something at Entra: multifactor authentication, a condition of the organisation's.
_INTERACTION = frozenset({50072, 50074, 50076, 50079, 50097, 50129, 50158, 53000, 53001, 53003, 53004})
_LOOP = 50196
# What is said of the grant itself, so that only its person can give another. Anything else says nothing about it.
_PERSONS = frozenset({"invalid_grant", "consent_required", "login_required"})
_PASSING = frozenset({"temporarily_unavailable", "server_error", ""})


def claims_for(context: str) -> dict[str, Any]:
    """What is asked of the access token: that it tells what our client can, and proves the context, if any."""
    wanted: dict[str, Any] = {"xms_cc": {"values": ["cp1"]}}
    if context:
        wanted["acrs"] = {"essential": True, "value": context}
    return {"access_token": wanted}


async def refresh(config: EntraConfig, refresh_token: str, *, context: str) -> PersonTokens:
    """Trade a refresh token.

    Raises:
        errors.StepUpRequired: the person must sign in with the claims that it carries.
        errors.SignInNeeded: the token is over, or the consent was withdrawn.
        errors.NotPermitted: Entra refuses the worker itself.
        errors.Throttled: it asks to wait; the caller holds the endpoint's bucket for everybody.
        errors.Unreachable: no answer that says anything; nothing was changed.
    """
    if not (config.signin_client_id and config.signin_secret):
        raise errors.NotPermitted(
            "This worker can't act with people's own tokens: ENTRA_SIGNIN_CLIENT_ID and ENTRA_SIGNIN_WORKER_SECRET "
            "are not set. An operator must act.",
            code="ENTRA_SIGNIN_WORKER_SECRET",
        )
    claims = claims_for(context)
    form = {
        "grant_type": "refresh_token",
        "client_id": config.signin_client_id,
        "client_secret": config.signin_secret,
        "refresh_token": refresh_token,
        "scope": " ".join(("offline_access", *config.personal_scopes)),
        "claims": json.dumps(claims),
    }
    trusted = ssl.create_default_context(cafile=config.ca_bundle or None)
    try:
        async with httpx.AsyncClient(verify=trusted, timeout=_SECONDS, follow_redirects=False) as client:
            response = await client.post(
                f"{config.authority}/{config.tenant_id}/oauth2/v2.0/token", data=form
            )
    except httpx.HTTPError as error:
        raise errors.Unreachable(UNCLEAR, code=type(error).__name__) from error
    if response.status_code == 429:
        raise _asks_to_wait(response.headers.get("retry-after"), "429")
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or response.status_code >= 500:
        raise errors.Unreachable(UNCLEAR, code=str(response.status_code))
    if response.status_code != 200:
        refused = refusal(answer, claims)
        refused.receipt = Receipt("", vendor_request_id=str(answer.get("trace_id", ""))[:100])
        raise refused
    access, next_refresh = answer.get("access_token"), answer.get("refresh_token", "")
    if not isinstance(access, str) or not isinstance(next_refresh, str):
        raise errors.Unreachable("Entra's sign-in service answered without a token.", code="NoToken")
    return PersonTokens(access_token=access, refresh_token=next_refresh)


def refusal(answer: Mapping[str, Any], asked: Mapping[str, Any]) -> errors.ClientError:
    """The port's error for what the token endpoint refused. Of its words only the code is kept."""
    error = str(answer.get("error", ""))
    numbers = [each for each in answer.get("error_codes", ()) if isinstance(each, int)]
    code = f"AADSTS{numbers[0]}" if numbers else error[:40]
    if _LOOP in numbers or f"AADSTS{_LOOP}" in str(answer.get("error_description", "")):
        return _asks_to_wait(None, f"AADSTS{_LOOP}")
    if error == "interaction_required" or set(numbers) & _INTERACTION:
        said = answer.get("claims")
        return errors.StepUpRequired(
            "Entra asks this person to sign in more strongly before it activates.",
            claims=said if isinstance(said, str) and said else json.dumps(asked),
            code=code,
        )
    if error in _PERSONS:
        return errors.SignInNeeded(
            "Entra doesn't accept this person's earlier sign-in any more. Signing in again mends that, unless the "
            "consent for it was withdrawn.",
            code=code,
        )
    if error in _PASSING:
        return errors.Unreachable(UNCLEAR, code=code)
    return errors.NotPermitted(
        f"Entra refuses the worker as the sign-in application ({code}). An operator must check "
        "ENTRA_SIGNIN_CLIENT_ID, ENTRA_SIGNIN_WORKER_SECRET and the scopes of docs/permissions.md.",
        code=code,
    )


def _asks_to_wait(header: str | None, code: str) -> errors.Throttled:
    return errors.Throttled(
        "Entra's sign-in service asks to wait.", retry_after=retry_after(header), code=code
    )
