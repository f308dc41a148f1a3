"""One place that hears of every outside call, so that adapters needn't know who keeps the attempts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from clients.errors import ClientError
from clients.ports import CallObserver
from clients.types import Receipt

_log = structlog.get_logger("clients")


def log_call(*, port: str, operation: str, outcome: str, receipt: Receipt, milliseconds: int) -> None:
    """The default observer: one debug line per call, with nothing of its content."""
    _log.debug(
        "outside_call",
        port=port,
        operation=operation,
        outcome=outcome,
        client_request_id=receipt.client_request_id,
        vendor_request_id=receipt.vendor_request_id,
        milliseconds=milliseconds,
    )


_observer: CallObserver = log_call


def observe_with(observer: CallObserver | None) -> None:
    """Set the process's observer; None restores the log line."""
    global _observer
    _observer = observer or log_call


@dataclass(slots=True)
class Watched:
    """Filled in by the adapter while the call runs."""

    receipt: Receipt


@contextmanager
def watching(port: str, operation: str, *, client_request_id: str) -> Iterator[Watched]:
    """Time one call and tell the observer how it went: "ok", or the name of the client error."""
    watched = Watched(Receipt(client_request_id=client_request_id))
    outcome = "broken"
    began = time.monotonic()
    try:
        yield watched
        outcome = "ok"
    except ClientError as error:
        outcome = type(error).__name__
        watched.receipt = error.receipt or watched.receipt
        raise
    finally:
        _observer(
            port=port,
            operation=operation,
            outcome=outcome,
            receipt=watched.receipt,
            milliseconds=round((time.monotonic() - began) * 1000),
        )


__all__ = ["Watched", "log_call", "observe_with", "watching"]
