"""One request to the Graph front together with its answer, as observers and recordings see it."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Exchange:
    """What went over the wire, with the body parsed; tokens are left out.

    `status` is 0 when the connection was closed without an answer.
    """

    method: str
    path: str
    """Below `/v1.0`, decoded."""
    query: Mapping[str, str]
    request_body: Any
    status: int
    response_headers: Mapping[str, str]
    response_body: Any
    application_id: str = ""

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":"), default=str)

    @classmethod
    def from_line(cls, line: str) -> "Exchange":
        """The exchange in a line of a recording. Raises ValueError or TypeError for any other line."""
        return cls(**json.loads(line))


EVERYWHERE: list[Callable[[Exchange], None]] = []
"""Who is told of every exchange of every Graph front in this process, before the answer leaves."""


class Recording:
    """Appends exchanges to a file, one JSON a line; safe between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def __call__(self, exchange: Exchange) -> None:
        """Write one exchange."""
        with self._lock, self._path.open("a") as file:
            file.write(exchange.to_line() + "\n")
