"""The worker's credential at Entra: a token from its cache, or asked for in the bucket of Entra's token endpoint.

azure-identity would sleep through any Retry-After in its thread, remember a 429 or 5xx for its own process only, and
call most of what goes wrong on the way a refused credential. The hooks of its pipeline see each request before it
leaves, and each answer before the library does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    CredentialUnavailableError,
)

from clients.entra import failures
from clients.entra.config import EntraConfig
from clients.errors import ClientError, Throttled, TokenThrottled
from clients.limits import SIGN_IN, Limiter
from clients.types import Receipt

_ASKED = "Entra's sign-in service asks to wait"
# Our own pace, or a 429 of before: the bucket doesn't tell which.
_OTHERS = "Requests for a token have to wait for their turn"


class _StopError(requests.RequestException):
    """Ends a request for a token. Of this kind, MSAL goes on with the token that it has, while that one is valid."""


@dataclass(slots=True)
class _Asking:
    """One look for a token, and why it was stopped; its thread shares it by the context."""

    stopped: ClientError | None = None

    def stop(self, error: ClientError) -> _StopError:
        self.stopped = error
        return _StopError(error.code)


_asking: ContextVar[_Asking] = ContextVar("asking_for_a_token")


class ThreadedCredential:
    """An async face of a synchronous azure-identity credential; kiota awaits what `get_token` gives.

    azure-identity's own async credentials would need another HTTP library beside httpx.
    """

    def __init__(self, credential: Any) -> None:
        self._credential = credential

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        """A token from the credential's cache, or a fresh one, fetched in a thread.

        Raises:
            TokenThrottled: Entra asks to wait, or did, for all workers.
            clients.errors.Unreachable, AzureError: it can't be asked at the moment.
            ClientAuthenticationError: it refuses the credential.
        """
        asking = _Asking()
        before = _asking.set(asking)
        try:
            return await asyncio.to_thread(self._credential.get_token, *scopes, **options)
        except Exception as error:
            if asking.stopped is not None:
                raise asking.stopped from error
            if isinstance(error, ClientAuthenticationError) and _on_the_way(error.__cause__):
                raise error.__cause__ from None
            raise
        finally:
            _asking.reset(before)


def _on_the_way(cause: BaseException | None) -> bool:
    """Whether it never came to a refusal: the library calls anything so."""
    return isinstance(cause, AzureError) and not isinstance(cause, ClientAuthenticationError)


def _hooks(limiter: Limiter) -> dict[str, Callable[[Any], None]]:
    """What azure-identity calls around each of its requests, in the thread that makes it."""

    def before(request: Any) -> None:  # noqa: ARG001 - all go to the same service
        try:
            limiter.acquire(SIGN_IN)
        except Throttled as error:
            raise _asking.get().stop(_throttled(_OTHERS, error.retry_after, error.code)) from error

    def after(response: Any) -> None:
        answer = response.http_response
        if answer.status_code == 429:
            wait = failures.retry_after(answer.headers.get("Retry-After"))
            limiter.hold(SIGN_IN, wait)
            raise _asking.get().stop(_throttled(_ASKED, wait, "429"))
        if answer.status_code >= 500:
            gone = failures.no_token(str(answer.status_code), refused=False, receipt=Receipt(""))
            raise _asking.get().stop(gone)

    return {"raw_request_hook": before, "raw_response_hook": after}


def _throttled(why: str, wait: timedelta, code: str) -> TokenThrottled:
    return TokenThrottled(
        f"{why}, so the worker has no token. The call is tried again.",
        retry_after=wait,
        code=code,
        receipt=Receipt(""),
    )


def _token_in(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise CredentialUnavailableError(f"{file} can't be read: {type(error).__name__}") from error


def build_credential(config: EntraConfig, limiter: Limiter) -> ThreadedCredential:
    """Certificate, federated token file or secret, whichever is configured.

    The token file is read at every use, because its issuer replaces it every few minutes.

    Raises:
        OSError, ValueError: when the certificate can't be read.
    """
    options: dict[str, Any] = {
        "authority": config.authority,
        "disable_instance_discovery": not config.public_cloud,
        "connection_timeout": 5,
        "read_timeout": 10,
        "retry_total": 1,
        **_hooks(limiter),
    }
    if config.ca_bundle:
        options["connection_verify"] = config.ca_bundle
    who = (config.tenant_id, config.client_id)
    if config.certificate_path:
        return ThreadedCredential(
            CertificateCredential(*who, certificate_path=config.certificate_path, **options)
        )
    if config.federated_token_file:
        token_file = Path(config.federated_token_file)
        return ThreadedCredential(ClientAssertionCredential(*who, lambda: _token_in(token_file), **options))
    return ThreadedCredential(ClientSecretCredential(*who, config.client_secret, **options))
