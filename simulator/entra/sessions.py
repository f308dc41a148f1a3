"""What the simulated Entra remembers between two requests of a sign-in: sessions, codes, refresh tokens.

Held in memory: a restart signs everybody out of the simulated Entra, as clearing its cookies would.
"""

import secrets
import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, replace

CODE_SECONDS = 600
SESSION_SECONDS = 24 * 3600
REFRESH_SECONDS = 90 * 24 * 3600
MOST_KEPT = 10_000


@dataclass(frozen=True)
class Session:
    """A browser signed in to the simulated Entra as one person."""

    session_id: str
    object_id: str
    authenticated_at: int
    contexts: tuple[str, ...] = ()
    mfa: bool = False


@dataclass(frozen=True)
class Grant:
    """What a code or a refresh token stands for."""

    client_id: str
    object_id: str
    session_id: str
    authenticated_at: int
    scopes: tuple[str, ...]
    expires_at: float
    redirect_uri: str = ""
    nonce: str | None = None
    challenge: str | None = None
    contexts: tuple[str, ...] = ()
    """Authentication contexts for the access token."""
    id_contexts: tuple[str, ...] = ()
    """Authentication contexts for the ID token, which asks for its own."""
    proven: tuple[str, ...] = ()
    """Every context that the sign-in proved: a refresh may ask for these."""
    capabilities: tuple[str, ...] = ()
    mfa: bool = False
    auth_time_wanted: bool = False
    foreign: bool = False
    """Issue tokens of the person's own tenant, which is not the one asked (as a multi-tenant app would)."""


class CodeError(Exception):
    """A code or refresh token that can't be redeemed."""

    def __init__(self, *, used: bool = False, expired: bool = False) -> None:
        super().__init__("used" if used else "expired" if expired else "unknown")
        self.used = used
        self.expired = expired


class SignInState:
    """Thread-safe store with bounded size."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._codes: OrderedDict[str, Grant] = OrderedDict()
        self._used: OrderedDict[str, None] = OrderedDict()
        self._refresh: OrderedDict[str, Grant] = OrderedDict()
        self._revoked: dict[str, int] = {}
        self.refresh_seconds: float = REFRESH_SECONDS

    def session(self, cookie: str | None) -> Session | None:
        """The live session behind a cookie."""
        with self._lock:
            found = self._sessions.get(cookie or "")
        if found is not None and found.authenticated_at + SESSION_SECONDS < time.time():
            return None
        return found

    def sign_in(
        self, *, cookie: str | None, object_id: str, contexts: tuple[str, ...], mfa: bool = False
    ) -> tuple[str, Session]:
        """Start a session, or freshen the one behind `cookie` when it is the same person's.

        Returns the cookie to set and the session.
        """
        with self._lock:
            existing = self._sessions.get(cookie or "")
            now = int(time.time())
            if cookie and existing is not None and existing.object_id == object_id:
                session = replace(
                    existing,
                    authenticated_at=now,
                    contexts=tuple(sorted({*existing.contexts, *contexts})),
                    mfa=existing.mfa or mfa,
                )
                self._sessions[cookie] = session
                return cookie, session
            if cookie:
                self._sessions.pop(cookie, None)
            fresh = secrets.token_urlsafe(32)
            session = Session(str(uuid.uuid4()), object_id, now, contexts, mfa)
            self._keep(self._sessions, fresh, session)
            return fresh, session

    def sign_out(self, cookie: str | None) -> Session | None:
        """End the session behind a cookie. Returns what ended."""
        with self._lock:
            return self._sessions.pop(cookie or "", None)

    def revoke_person(self, object_id: str) -> None:
        """End every session and revoke every token of a person, as an administrator can."""
        self.revoke_tokens(object_id)
        with self._lock:
            for cookie in [key for key, value in self._sessions.items() if value.object_id == object_id]:
                del self._sessions[cookie]
            for token in [key for key, value in self._refresh.items() if value.object_id == object_id]:
                del self._refresh[token]

    def revoke_tokens(self, object_id: str) -> None:
        """Access tokens of a person or service principal issued until now count no more where that is looked at."""
        with self._lock:
            self._revoked[object_id] = time.time_ns()

    def is_revoked(self, object_id: str, issued_ns: int) -> bool:
        """Whether tokens of that moment were revoked since."""
        with self._lock:
            return issued_ns <= self._revoked.get(object_id, -1)

    def sessions(self) -> list[Session]:
        """Every session, oldest first."""
        with self._lock:
            return list(self._sessions.values())

    def issue_code(self, grant: Grant) -> str:
        """A one-time authorization code."""
        code = "1." + secrets.token_urlsafe(48)
        with self._lock:
            self._keep(self._codes, code, replace(grant, expires_at=time.time() + CODE_SECONDS))
        return code

    def redeem_code(self, code: str) -> Grant:
        """What a code stands for; it can't be redeemed twice. Raises CodeError."""
        with self._lock:
            grant = self._codes.pop(code, None)
            if grant is None:
                raise CodeError(used=code in self._used)
            self._keep(self._used, code, None)
        if grant.expires_at < time.time():
            raise CodeError(expired=True)
        return grant

    def issue_refresh(self, grant: Grant) -> str:
        """A refresh token; earlier ones of the same grant stay good, as Entra documents it."""
        token = "1." + secrets.token_urlsafe(64)
        with self._lock:
            self._keep(self._refresh, token, replace(grant, expires_at=time.time() + self.refresh_seconds))
        return token

    def refresh(self, token: str) -> Grant:
        """What a refresh token stands for. Raises CodeError."""
        with self._lock:
            grant = self._refresh.get(token)
        if grant is None:
            raise CodeError
        if grant.expires_at < time.time():
            raise CodeError(expired=True)
        return grant

    @staticmethod
    def _keep[V](store: OrderedDict[str, V], key: str, value: V) -> None:
        store[key] = value
        while len(store) > MOST_KEPT:
            store.popitem(last=False)
