"""The loop of remover and severer: look for owed work, do it, wait, until terminated."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import close_old_connections

log = structlog.get_logger(__name__)
_first: list[Callable[[], object]] = []


def at_each_pass(act: Callable[[], object]) -> None:
    """Have this done before every pass; the same again is harmless."""
    if act not in _first:
        _first.append(act)


def until_terminated(one_pass: Callable[[], object]) -> None:
    """For ever, or until SIGTERM or SIGINT: what breaks one pass, such as a database that restarts, is logged."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set():
        try:
            for act in _first:
                act()
            one_pass()
        except Exception as error:
            log.exception("cutting_failed", error=type(error).__name__)
        close_old_connections()
        stop.wait(settings.CUTTING_EVERY.total_seconds())
