"""Threads: for jobs, whose process answers nobody, and for tests."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ecpmon.compute.parcels import answered, opened, packed


class Threads:
    """`compute.Hands` that share the interpreter with the event loop, and that nothing can interrupt."""

    def __init__(self, count: int = 2, *, as_processes: bool = False) -> None:
        """`as_processes`: everything is packed as for a process, so that what does not pickle is found by tests."""
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="ecpmon-work")
        self._count = count
        self._as_processes = as_processes

    @property
    def count(self) -> int:
        return self._count

    async def work(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], limit: float
    ) -> Any:
        loop = asyncio.get_running_loop()
        if self._as_processes:
            return opened(await loop.run_in_executor(self._pool, answered, packed(function, args, kwargs)))
        inside = contextvars.copy_context()
        return await loop.run_in_executor(self._pool, partial(inside.run, function, *args, **kwargs))

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
