"""One event loop in one thread, through which synchronous workers use the asynchronous Graph client.

The SDK's client belongs to the loop that first used it: a second `asyncio.run` fails with "Event loop is
closed". So the loop lives as long as the process. A forked child has no such thread: it builds its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any


class LoopThread:
    """Runs coroutines for other threads."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run[T](self, work: Coroutine[Any, Any, T], *, seconds: float) -> T:
        """The coroutine's result, waited for at most this long; it is cancelled when the wait ends early.

        Raises:
            TimeoutError: when it took longer.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except BaseException:  # also a soft time limit of the worker, raised into this wait
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the loop, once what it still owes is done, and wait for its thread."""
        if self._thread.is_alive():
            self.run(_wind_up(), seconds=5)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)
        if not self._loop.is_running():
            self._loop.close()


async def _wind_up() -> None:
    """Cancel what still runs, and give closed connections the round in which the loop lets go of them."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()
    await asyncio.sleep(0)
