"""Who changes something. Whoever stores a change records it under this name, in the same transaction
(`storage.audit`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Actor:
    """`token`: its database and number, such as `production:7`, or `oidc:…` for whom a signed one names; None: nothing
    was shown. `address`: who is at the other end of the connection. `issuer`: who says that `name` is who it is."""

    name: str
    token: str | None = None
    address: str | None = None
    request_id: str | None = None
    issuer: str | None = None


# What no person does.
ITSELF: Final = Actor("ecpmon")
COMMAND_LINE: Final = Actor("command line")
acting: ContextVar[Actor] = ContextVar("acting", default=ITSELF)


@contextmanager
def as_actor(actor: Actor) -> Iterator[None]:
    """What runs inside, and the tasks it starts, is this one's doing."""
    token = acting.set(actor)
    try:
        yield
    finally:
        acting.reset(token)
