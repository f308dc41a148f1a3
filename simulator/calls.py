"""The last calls that the fronts answered, for the state page and the control API."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

KEPT = 500


@dataclass(frozen=True)
class Call:
    """One call, without its body or token. `status` 0: the connection was closed without an answer."""

    at: str
    front: str
    what: str
    status: int
    caller: str = ""
    request_id: str = ""


class CallLog:
    """Thread-safe, bounded, newest first when read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=KEPT)
        self._total = 0

    def note(self, front: str, what: str, status: int, *, caller: str = "", request_id: str = "") -> None:
        """Remember a call that was just answered."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            self._total += 1
            self._calls.append(Call(moment, front, what, status, caller, request_id))

    def latest(self, count: int) -> list[dict[str, Any]]:
        """The newest calls first."""
        with self._lock:
            newest = list(self._calls)[-count:]
        return [asdict(call) for call in reversed(newest)]

    @property
    def total(self) -> int:
        """How many calls there were since the start."""
        with self._lock:
            return self._total

    def watch(self, app: Any, front: str, describe: Callable[[dict[str, Any]], str]) -> Any:
        """A WSGI application that answers as `app` does and notes each call."""

        def watched(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            def noted(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                self.note(front, describe(environ), int(status.split(" ", 1)[0]))
                return start_response(status, headers, *rest)

            return app(environ, noted)

        return watched
