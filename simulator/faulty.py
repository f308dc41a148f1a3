"""Faults in front of any WSGI application, for endpoints that don't look after them themselves."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from simulator.delays import DELAYS, Hold
from simulator.listener import DROP
from simulator.world.faults import Fault

DEFAULT_RETRY_SECONDS = 10


def retry_after(fault: Fault, *, default: int | None = None) -> dict[str, str]:
    """The Retry-After header that a fault asks for, in seconds or as a date; `default` where it names none.

    The date is in real time, because clients count their pauses in it.
    """
    seconds = default if fault.retry_after is None else fault.retry_after
    if seconds is None:
        return {}
    if not fault.retry_after_date:
        return {"Retry-After": str(seconds)}
    return {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)}


def _refuse(fault: Fault, start_response: Callable[..., Any]) -> list[bytes]:
    status = 429 if fault.kind == "throttle" else fault.status
    message = fault.message or "The service can't answer at the moment."
    body = json.dumps(
        {"error": fault.code or "temporarily_unavailable", "error_description": message}
    ).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    headers += retry_after(fault, default=DEFAULT_RETRY_SECONDS if fault.kind == "throttle" else None).items()
    start_response(f"{status} Refused", headers)
    return [body]


def _drop(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    drop = environ.get(DROP)
    if drop is not None:
        drop()
    start_response("500 Dropped", [("Content-Length", "0")])
    return []


def faulty(app: Any, front: str, take: Callable[[str], Fault | None], hold: Hold = DELAYS.hold) -> Any:
    """`app`, with faults of operations named `<front>.<METHOD> <last segment of the path>`."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        segment = environ["PATH_INFO"].rstrip("/").rsplit("/", 1)[-1]
        fault = take(f"{front}.{environ['REQUEST_METHOD']} {segment}")
        if fault is None:
            return app(environ, start_response)
        if fault.kind == "lose_request":
            return _drop(environ, start_response)
        if fault.kind == "delay":
            hold(fault.seconds)
            return app(environ, start_response)
        if fault.kind in ("lose_answer", "error_after"):
            unseen = app(environ, lambda *_: lambda _: None)
            b"".join(unseen)
            if hasattr(unseen, "close"):
                unseen.close()
            return (
                _drop(environ, start_response)
                if fault.kind == "lose_answer"
                else _refuse(fault, start_response)
            )
        return _refuse(fault, start_response)

    return answer
