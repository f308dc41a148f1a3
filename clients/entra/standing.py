"""Who the worker is at Entra, read from its own access token."""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from clients.entra.caller import GraphCaller
from clients.entra.config import EntraConfig
from clients.errors import ClientError
from clients.types import EntraIdentity, Reading

_PORT = "entra.standing"


class GraphStanding:
    """The port EntraStanding over Graph."""

    def __init__(self, caller: GraphCaller, config: EntraConfig) -> None:
        self._caller = caller
        self._config = config

    def identity(self) -> Reading[EntraIdentity]:
        token = self._caller.token(port=_PORT)
        # Any answer of Graph tells its time, a refusal too; what it says is other checks' business.
        with contextlib.suppress(ClientError):
            self._caller.item(
                "GET jobs",
                lambda client: (
                    client.service_principals.by_service_principal_id(
                        self._config.aws_service_principal_id
                    ).synchronization.jobs
                ),
                port=_PORT,
            )
        claims = _claims(token.value)
        roles = claims.get("roles")
        found = EntraIdentity(
            tenant_id=str(claims.get("tid", "")),
            application_id=str(claims.get("appid") or claims.get("azp") or ""),
            roles=frozenset(str(role) for role in roles) if isinstance(roles, list) else frozenset(),
            credential_ends_at=_certificate_end(self._config.certificate_path),
            clock_skew=self._caller.clock_skew,
        )
        return Reading(found, token.receipt)


def _claims(token: str) -> dict[str, Any]:
    """The claims of our own token. It came from the token endpoint over TLS, so its signature isn't in question.

    Microsoft calls the format of Graph's tokens private: what can't be read is {}, and the caller says so.
    """
    parts = token.split(".")
    try:
        content = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _certificate_end(path: str) -> datetime | None:
    if not path:
        return None
    try:
        certificates = x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError):
        return None
    return min(each.not_valid_after_utc for each in certificates)
