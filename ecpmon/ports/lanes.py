"""Who waits for whom at the connections to the database.

What people ask (questions) gets a part of them only, so that samples, alerts and jobs always find one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

asking: ContextVar[bool] = ContextVar("asking", default=False)


@contextmanager
def question() -> Iterator[None]:
    """What runs inside, and the tasks it starts, are somebody's question."""
    token = asking.set(True)
    try:
        yield
    finally:
        asking.reset(token)
