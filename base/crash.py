"""Named points between two steps at which a process may die; tests make it die there.

`crash_point` does nothing unless a test installed a handler, or `PORTAL_CRASH_AT` names the
point in a process started in test mode (which then kills itself with SIGKILL, so that no
handler, `finally` or transaction gets a say).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

_handler: Callable[[str], None] | None = None
_names: set[str] = set()


def register(*names: str) -> None:
    """Declare the points of a module, so that a sweep can enumerate them without running."""
    _names.update(names)


def registered() -> tuple[str, ...]:
    """All declared points, sorted."""
    return tuple(sorted(_names))


def crash_point(name: str) -> None:
    """Mark the gap between two steps. Raises KeyError for a point nobody declared."""
    if _handler is None:
        return
    if name not in _names:
        raise KeyError(name)
    _handler(name)


def install(handler: Callable[[str], None] | None) -> None:
    """Set what happens at each point; None takes it away."""
    global _handler
    _handler = handler


def kill_at(name: str) -> None:
    """Install the handler that kills this very process at one point."""

    def handler(reached: str) -> None:
        if reached == name:
            os.kill(os.getpid(), signal.SIGKILL)

    install(handler)


def obey(environ: Mapping[str, str], *, mode: str) -> None:
    """In test mode, kill this process at the point that `PORTAL_CRASH_AT` names. In any other mode, nothing."""
    name = environ.get("PORTAL_CRASH_AT", "")
    if mode == "test" and name:
        kill_at(name)
