"""Closes the sockets whose token or tenant is over: one look at all of them, every few seconds (docs/tokens.md)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Final

from ecpmon.api.context import Backend
from ecpmon.api.outboxes import Outbox
from ecpmon.api.sessions import ALL_TENANTS, FORBIDDEN, TENANT_GONE, UNAUTHORISED, Session, ending
from ecpmon.errors import DatabaseUnavailable
from ecpmon.ports.service import Clock
from ecpmon.ports.tokens import Shown, Standing

SECONDS: Final = 5.0
_REASONS: Final = {UNAUTHORISED: "token", FORBIDDEN: "role", TENANT_GONE: "tenant"}
# Without authentication nothing can be taken away but the tenant.
_EVERYTHING: Final = Standing(frozenset({"admin"}), holds=True)


class SessionCheck:
    """One per process. While a database is away, its sockets stay until their tokens expire by themselves."""

    def __init__(self, clock: Clock, count: Callable[[str], None] = lambda _: None) -> None:
        self._clock = clock
        self._count = count
        self._backends: dict[str, Backend] = {}

    def add(self, backend: Backend) -> None:
        self._backends[backend.name] = backend

    async def run_once(self) -> None:
        """Raises DatabaseUnavailable after every socket that can be judged has been."""
        now, opened = self._clock.now(), [o for b in self._backends.values() for o in b.hub.sessions()]
        for outbox, session in opened:
            if _expired(session, now):
                self._end(outbox, UNAUTHORISED, "this token has expired")
        sessions = [s for outbox, s in opened if not outbox.closed]
        standing: dict[str, Mapping[Shown, Standing]] = {}
        live: dict[str, Collection[int]] = {}
        away: DatabaseUnavailable | None = None
        for name, backend in self._backends.items():
            try:
                standing[name] = await _standing(backend, sessions, now)
                live[name] = await _live(backend, sessions)
            except DatabaseUnavailable as error:
                away = error
        for outbox, session in opened:
            if session.home in standing and session.database in live:
                here = session.tenant == ALL_TENANTS or session.tenant in live[session.database]
                end = ending(session, _of(session, standing[session.home]), live=here)
                if end is not None:
                    self._end(outbox, *end)
        if away is not None:
            raise away

    def _end(self, outbox: Outbox, code: int, reason: str) -> None:
        if not outbox.closed:
            self._count(_REASONS[code])
            outbox.close(code, reason)


def _expired(session: Session, now: datetime) -> bool:
    """Known without asking anybody."""
    return session.caller.expires_at is not None and session.caller.expires_at <= now


async def _standing(backend: Backend, sessions: list[Session], now: datetime) -> Mapping[Shown, Standing]:
    """What the tokens of this database still give, wherever they have opened sockets."""
    shown = {s.shown for s in sessions if s.home == backend.name and s.shown is not None}
    return await backend.tokens.standing(shown, now) if shown else {}


async def _live(backend: Backend, sessions: list[Session]) -> Collection[int]:
    watched = {s.tenant for s in sessions if s.database == backend.name and s.tenant != ALL_TENANTS}
    return await backend.tenants.live_among(watched) if watched else ()


def _of(session: Session, standing: Mapping[Shown, Standing]) -> Standing | None:
    return _EVERYTHING if session.shown is None else standing.get(session.shown)
