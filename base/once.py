"""What several parts of a page need is read once, so that it costs one query and is the same in all of them.

While a page is put together (`a_page`), a function marked `once_a_page` gives what it gave first. Everywhere else, in an
action, a task or a command, it reads each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

_read: ContextVar[dict[Callable[[], Any], Any] | None] = ContextVar("read", default=None)


@contextmanager
def a_page() -> Iterator[None]:
    """The body puts one page together, and changes nothing of what it shows."""
    token = _read.set({})
    try:
        yield
    finally:
        _read.reset(token)


def once_a_page[T](read: Callable[[], T]) -> Callable[[], T]:
    """For a reading that takes no arguments and whose result nobody alters."""

    @wraps(read)
    def reading() -> T:
        known = _read.get()
        if known is None:
            return read()
        if read not in known:
            known[read] = read()
        found: T = known[read]
        return found

    return reading
