"""The `claims` parameter (OpenID Connect Core 5.5), as Entra reads it at authorize and at the token endpoint."""

import json
from collections.abc import Mapping
from typing import Any

CAPABLE = "cp1"
"""What a client declares in `xms_cc` when it can answer a claims challenge."""


def parse_claims(text: str | None) -> dict[str, Any] | None:
    """The parameter as an object, {} when it is missing; None when it is not one."""
    try:
        claims = json.loads(text or "{}")
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


def _values(claims: Mapping[str, object], part: str, name: str) -> tuple[str, ...]:
    wanted = claims.get(part)
    asked = wanted.get(name) if isinstance(wanted, Mapping) else None
    if not isinstance(asked, Mapping):
        return ()
    listed = asked.get("values")
    values = [asked.get("value"), *(listed if isinstance(listed, list) else [])]
    return tuple(value for value in values if isinstance(value, str))


def contexts_asked(claims: Mapping[str, object], part: str) -> tuple[str, ...]:
    """The authentication contexts (`acrs`) asked for in one kind of token: `id_token` or `access_token`."""
    return _values(claims, part, "acrs")


def capabilities_declared(claims: Mapping[str, object]) -> tuple[str, ...]:
    """What the client says that it can do (`xms_cc` of the access token)."""
    return _values(claims, "access_token", "xms_cc")
