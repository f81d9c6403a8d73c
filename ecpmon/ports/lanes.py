"""Who waits for whom at the connections to the database.

What people ask (questions) gets a part of them only, so that samples, alerts and jobs always find one; and of one asker
one question at a time, so that others' find the database free (`storage.askers`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Whose question it is; empty: nobody's.
asking: ContextVar[str] = ContextVar("asking", default="")


@contextmanager
def question(whose: str) -> Iterator[None]:
    """What runs inside, and the tasks it starts, are a question of `whose`."""
    token = asking.set(whose)
    try:
        yield
    finally:
        asking.reset(token)
