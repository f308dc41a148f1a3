"""Signing in once more in the way that Entra asks for: what goes to Entra, and what has to come back.

Entra, or PIM behind it, says what it wants as the `claims` parameter of OpenID Connect. That goes to Entra as it came.
Access tokens are no business of a client that asked for them, so an authentication context is asked for in the ID token
as well, where the portal can check it (Microsoft's developer guide to authentication contexts).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from identity.signin.entra import Claims
from identity.signin.problems import NOT_PROVEN, OTHER_PERSON, SignInError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sign-in has to prove: who it is, and one of the contexts. Nothing in particular by default."""

    object_id: str = ""
    contexts: frozenset[str] = frozenset()

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Self:
        """As `state` wrote it into the session before the browser left."""
        return cls(str(state.get("wanted_person", "")), frozenset(state.get("wanted_contexts", ())))

    @property
    def state(self) -> dict[str, Any]:
        """What the session keeps until the browser comes back."""
        return {"wanted_person": self.object_id, "wanted_contexts": sorted(self.contexts)}

    def check(self, claims: Claims) -> None:
        """Hold a verified ID token against it. Raises SignInError."""
        about = {"tenant_id": claims.tenant_id, "object_id": claims.object_id}
        if self.object_id and claims.object_id != self.object_id:
            raise SignInError(OTHER_PERSON, **about)
        if self.contexts and not self.contexts & claims.contexts:
            raise SignInError(NOT_PROVEN, **about)


def contexts_in(claims: Mapping[str, Any]) -> frozenset[str]:
    """The authentication contexts that claims ask for, of which the answer has to prove one."""
    asked: list[Any] = []
    for token in claims.values():
        acrs = token.get("acrs") if isinstance(token, dict) else None
        if isinstance(acrs, dict):
            several = acrs.get("values")
            asked += [acrs.get("value"), *(several if isinstance(several, list) else [])]
    return frozenset(each for each in asked if isinstance(each, str))


def parameters(claims: str) -> tuple[dict[str, str], frozenset[str]]:
    """What the authorize endpoint gets for claims as Entra gave them, and the contexts that have to come back.

    Without claims that can be read Entra is asked to authenticate the person afresh, by whatever its policies demand.
    """
    try:
        wanted = json.loads(claims or "null")
    except ValueError:
        wanted = None
    if not isinstance(wanted, dict):
        return {"prompt": "login"}, frozenset()
    contexts = contexts_in(wanted)
    access = wanted.get("access_token")
    if contexts and isinstance(access, dict) and "acrs" in access:
        identity = wanted.get("id_token")
        kept = identity if isinstance(identity, dict) else {}
        wanted = {**wanted, "id_token": {"acrs": access["acrs"], **kept}}
    return {"claims": json.dumps(wanted)}, contexts
