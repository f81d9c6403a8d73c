"""Tasks that go on in the background until they are ended."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any


async def end(task: asyncio.Task[Any] | None) -> None:
    """Cancel it and wait until it is over; None: it was never begun. Raises what it had failed with by itself."""
    if task:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
