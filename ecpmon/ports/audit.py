"""Who changes something, and what was changed. Whoever stores a change records it under the name of who is acting, in
the same transaction (`storage.audit`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol


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


@dataclass(frozen=True, slots=True)
class AuditRow:
    """`tenant_id`: the name of the tenant that it is about, None: of no single one."""

    number: int
    at: datetime
    actor: str
    issuer: str | None
    token: str | None
    address: str | None
    request_id: str | None
    tenant_id: str | None
    action: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


# When a row was written, and its number: rows are told from the newest on.
Place = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Sought:
    """Rows before a place and not before `since`. `tenants`: of these alone; None for those of no tenant as well."""

    before: Place
    since: datetime
    tenants: Collection[int] | None
    actor: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """`rest`: where to go on; None: that was all."""

    rows: Sequence[AuditRow]
    rest: Place | None


class AuditTrail(Protocol):
    async def page(self, sought: Sought, limit: int) -> AuditPage:
        """The newest rows, `limit` at most: fewer, and even none with a `rest`, when much was looked at or is told."""
        ...

    async def note(
        self, at: datetime, action: str, subject: str, tenant: int, after: Mapping[str, Any] | None
    ) -> None:
        """Of a change that somebody made elsewhere, and that is there: whoever is acting did it."""
        ...
