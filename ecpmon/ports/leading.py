"""In whose name the database is written to: what a leader does is refused once somebody else leads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ecpmon.model.leadership import Claim

# None: not a leader's doing, such as a push. It is never refused for that.
leading: ContextVar[Claim | None] = ContextVar("leading", default=None)


@contextmanager
def as_leader(claim: Claim | None) -> Iterator[None]:
    """What runs inside, and the tasks it starts, write under this claim and no later one."""
    token = leading.set(claim)
    try:
        yield
    finally:
        leading.reset(token)
