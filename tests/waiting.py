"""How tests wait for what other processes do: until it holds, never for a time that hopes to be long enough."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

PATIENCE = 120.0
"""Seconds after which a test gives up. A net under what never comes, not a claim: machines may be slow."""
PAUSE = 0.02


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask again and again until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not await holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        await asyncio.sleep(PAUSE)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """The same for tests that are not asynchronous."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        time.sleep(PAUSE)
