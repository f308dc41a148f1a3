"""What the sign-ins of one browser session have proven, so that an ask or a decision can stand on it.

The portal itself verifies `acrs` and `auth_time` in the ID token (Microsoft's developer guide to authentication contexts;
OpenID Connect Core 2). Nothing but a verified token makes a proof, and the session that holds it is the person's own.
All instants are real time: they are Entra's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from django.contrib.sessions.backends.base import SessionBase

from identity.signin.entra import Claims

SESSION_KEY = "proven"
# What goes on when the same person signs in once more in the same browser: Django's session is another one then.
CARRIED = (SESSION_KEY, "typed")


@dataclass(frozen=True, slots=True)
class Proof:
    """Who proved what: the last authentication that Entra told of (None: it never did), and when each context was seen."""

    person: str  # object id
    verified_at: datetime  # when the portal checked the newest token
    authenticated_at: datetime | None = None
    contexts: Mapping[str, datetime] = field(default_factory=dict)
    used_at: datetime | None = None  # when somebody asked or decided on the strength of it; None in a session

    def used(self, at: datetime) -> Self:
        """The proof as the row of an ask or a decision keeps it."""
        return replace(self, used_at=at)

    def after(self, claims: Claims, now: datetime) -> Self:
        """With what a further verified token of the same person says."""
        told = [each for each in (self.authenticated_at, claims.authenticated_at) if each is not None]
        return replace(
            self,
            verified_at=now,
            authenticated_at=max(told, default=None),
            contexts={**self.contexts, **dict.fromkeys(sorted(claims.contexts), now)},
        )

    def as_json(self) -> dict[str, Any]:
        """The form that `of_json` reads."""
        return {
            "person": self.person,
            "verified_at": self.verified_at.isoformat(),
            "authenticated_at": self.authenticated_at.isoformat() if self.authenticated_at else None,
            "contexts": {name: at.isoformat() for name, at in sorted(self.contexts.items())},
            "used_at": self.used_at.isoformat() if self.used_at else None,
        }

    @classmethod
    def of_json(cls, raw: object) -> Self | None:
        """A stored proof; None where there is none, or none that can be read."""
        if not isinstance(raw, Mapping):
            return None
        try:
            verified_at = _instant(raw["verified_at"])
            contexts = {str(name): _instant(at) for name, at in dict(raw["contexts"]).items()}
            authenticated_at, used_at = (
                _instant(raw[name]) if raw[name] else None for name in ("authenticated_at", "used_at")
            )
        except (KeyError, TypeError, ValueError):
            return None
        return cls(str(raw.get("person", "")), verified_at, authenticated_at, contexts, used_at)


def _instant(text: object) -> datetime:
    found = datetime.fromisoformat(str(text))
    if found.tzinfo is None:
        raise ValueError("An instant without its zone says nothing.")
    return found


def carried(session: SessionBase) -> dict[str, Any]:
    """What of a session outlasts a further sign-in of the same person."""
    return {key: session[key] for key in CARRIED if key in session}


def note(session: SessionBase, claims: Claims, kept: Mapping[str, Any], *, now: datetime) -> None:
    """Write what a verified token proves into the session that has just begun, beside what was `carried`."""
    before = Proof.of_json(kept.get(SESSION_KEY))
    if before is None or before.person != claims.object_id:
        before = Proof(claims.object_id, now)
    for key, value in kept.items():
        session[key] = value
    session[SESSION_KEY] = before.after(claims, now).as_json()


def proof_of(session: SessionBase) -> Proof | None:
    """What this session has proven; None when no sign-in of it proved anything."""
    return Proof.of_json(session.get(SESSION_KEY))
