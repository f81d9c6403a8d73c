"""An event loop in a thread of its own, for callers that have none."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for other threads, one loop for all of them. A daemon: it keeps no program from ending."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._process = os.getpid()
        self._last: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._thread = threading.Thread(target=self._run, name="ecp-client", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._end())
            self._loop.close()

    async def _end(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        if self._last is not None:
            await self._last()
        await self._loop.shutdown_default_executor()

    @property
    def here(self) -> bool:
        """Whether this is still the process that has the thread: a fork has not."""
        return self._process == os.getpid()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; Ctrl-C cancels it. Raises RuntimeError in the loop's own thread, which cannot wait."""
        if self._is_ours():
            work.close()
            raise RuntimeError("called in a callback of the client: it cannot wait for itself")
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop is closed
            work.close()
            raise
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def soon(self, call: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # it has been stopped: there is nothing left to do
            self._loop.call_soon_threadsafe(call)

    def stop(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """After `last` has been done; whatever else still runs is cancelled. Not from a process that was forked."""
        self._last = last
        self.soon(self._loop.stop)
        if not self._is_ours():
            self._thread.join(10)

    def _is_ours(self) -> bool:
        return threading.current_thread() is self._thread
