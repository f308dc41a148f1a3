"""The worker's credential at Entra, wrapped so that getting a token never blocks the event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    CredentialUnavailableError,
)

from clients.entra.config import EntraConfig


class ThreadedCredential:
    """An async face of a synchronous azure-identity credential; kiota awaits what `get_token` gives.

    azure-identity's own async credentials would need another HTTP library beside httpx.
    """

    def __init__(self, credential: Any) -> None:
        self._credential = credential

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        """A token from the credential's cache, or a fresh one, fetched in a thread."""
        return await asyncio.to_thread(self._credential.get_token, *scopes, **options)


def _token_in(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise CredentialUnavailableError(f"{file} can't be read: {type(error).__name__}") from error


def build_credential(config: EntraConfig) -> ThreadedCredential:
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
