"""Signing in once more in the way that Entra asks for: what goes to Entra, and what has to come back.

Entra, or PIM behind it, says what it wants as the `claims` parameter of OpenID Connect. That goes to Entra as it came.
Access tokens are no business of a client that asked for them, so an authentication context is asked for in the ID token
as well, where the portal can check it (Microsoft's developer guide to authentication contexts).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from base.clock import real_now
from identity.signin.entra import LEEWAY_SECONDS, Claims
from identity.signin.problems import NOT_FRESH, NOT_PROVEN, OTHER_PERSON, SignInError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sign-in has to prove: who it is, one of the contexts, and that it was not long ago (real time).

    Nothing in particular by default.
    """

    object_id: str = ""
    contexts: frozenset[str] = frozenset()
    fresh_within: timedelta | None = None

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Self:
        """As `state` wrote it into the session before the browser left."""
        seconds = state.get("wanted_seconds")
        return cls(
            str(state.get("wanted_person", "")),
            frozenset(state.get("wanted_contexts", ())),
            timedelta(seconds=int(seconds)) if seconds is not None else None,
        )

    @property
    def state(self) -> dict[str, Any]:
        """What the session keeps until the browser comes back."""
        found: dict[str, Any] = {"wanted_person": self.object_id, "wanted_contexts": sorted(self.contexts)}
        if self.fresh_within is not None:
            found["wanted_seconds"] = int(self.fresh_within.total_seconds())
        return found

    def check(self, claims: Claims) -> None:
        """Hold a verified ID token against it. Raises SignInError."""
        about = {"tenant_id": claims.tenant_id, "object_id": claims.object_id}
        if self.object_id and claims.object_id != self.object_id:
            raise SignInError(OTHER_PERSON, **about)
        if self.contexts and not self.contexts & claims.contexts:
            raise SignInError(NOT_PROVEN, **about)
        if self.fresh_within is not None and not fresh(claims, self.fresh_within):
            raise SignInError(NOT_FRESH, **about)


def fresh(claims: Claims, within: timedelta) -> bool:
    """Whether Entra says that the person was authenticated so short a time ago; unsaid, it is not known."""
    told = claims.authenticated_at
    return told is not None and real_now() - told <= within + timedelta(seconds=LEEWAY_SECONDS)


def ask_afresh(within: timedelta) -> dict[str, str]:
    """What the authorize endpoint gets for an authentication that is no older than this.

    `prompt=login` makes Entra ask the person (Microsoft's OpenID Connect page); `max_age` makes `auth_time` part of the
    answer (OpenID Connect Core 3.1.2.1), by which the portal sees that it did.
    """
    return {"prompt": "login", "max_age": str(int(within.total_seconds()))}


def claims_for(context: str) -> str:
    """The claims by which Entra is asked for one authentication context in the ID token."""
    return json.dumps({"id_token": {"acrs": {"essential": True, "value": context}}})


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
