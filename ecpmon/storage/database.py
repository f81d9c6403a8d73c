"""The connection pool, and what is asked through it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter
from typing import Any

import asyncpg

from ecpmon.errors import DatabaseNotWritable, Overloaded
from ecpmon.model.leadership import Claim
from ecpmon.ports.leading import leading
from ecpmon.storage import lanes, writability
from ecpmon.storage.askers import Askers
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.hang import HangWatch
from ecpmon.storage.queries import load
from ecpmon.storage.session_types import Session
from ecpmon.storage.sessions import as_it_is, counted, prepared, query_stats, writes
from ecpmon.storage.writability import WriteWatch

ACQUIRE_TIMEOUT = 1.0
KEPT_FROM_QUESTIONS = 6
# Connections that stay open while nobody needs them.
AT_HAND = 4
COMMAND_TIMEOUT = 60.0
_TOO_LONG = (
    f"a question to the database took over {COMMAND_TIMEOUT:.0f} s and was ended; ask for less, or later"
)
# A process that stands still must not keep its row locks: others wait for them. Longer than our loop is ever held.
IDLE_IN_TRANSACTION = 10.0
# How long a hanging server is waited for before it is called anew.
PROBE_TIMEOUT = 5.0


class _Kept:
    """A connection that is kept for one who uses it by `turn`, once there is one."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.own: tuple[asyncpg.Pool[Any], Any] | None = None

    async def give_back(self) -> None:
        own, self.own = self.own, None
        if own is not None:
            await _release(*own)


class Database:
    """One PostgreSQL database with TimescaleDB. Opens lazily, so that it may be away when we start."""

    def __init__(
        self, url: str, *, max_connections: int = 16, name: str = "ecpmon", direct_url: str | None = None
    ) -> None:
        """`direct_url`: for connections of one's own, where `url` leads to a pooler."""
        self._url = url
        self._direct_url = direct_url or url
        self._max = max_connections
        self._name = name
        self._pool: asyncpg.Pool[Any] | None = None
        self._kept = {lane: _Kept() for lane in lanes.Lane}
        # Free ones, the last used last.
        self._at_hand: list[tuple[asyncpg.Pool[Any], Any]] = []
        self._opening = asyncio.Lock()
        self._free = asyncio.Semaphore(max_connections)
        self._questions = asyncio.Semaphore(max(1, max_connections - KEPT_FROM_QUESTIONS))
        self._askers = Askers()
        self._probe: asyncpg.Connection[Any] | None = None
        self._watch = HangWatch(self._probe_once, self._drop)
        self._writes = WriteWatch()
        self._check = load("leadership")["check"]

    async def _open(self) -> asyncpg.Pool[Any]:
        async with self._opening:
            if self._pool is None:
                # Our statements are short: compiling them takes longer than running them.
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    # Those are the writer's own.
                    max_size=self._max + len(self._kept),
                    timeout=ACQUIRE_TIMEOUT,
                    command_timeout=COMMAND_TIMEOUT,
                    max_inactive_connection_lifetime=300,
                    connection_class=Session,
                    init=prepared,
                    reset=as_it_is,
                    server_settings={
                        "application_name": self._name,
                        "timezone": "UTC",
                        "jit": "off",
                        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION:.0f}s",
                    },
                )
            return self._pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A pooled connection. Raises DatabaseUnavailable within about a second when the database is away or hangs.

        When it hangs in the midst of a transaction, whether that was committed is not known. Raises Overloaded when
        all connections are in use for too long, or a statement takes longer than `COMMAND_TIMEOUT`.
        """
        try:
            with wrap_errors(), self._watch.busy():
                async with lanes.Turn(self._askers, self._questions, self._free):
                    self._watch.check()
                    pool, connection = await self._free_one()
                    try:
                        if query_stats.get() is None:
                            yield connection
                        else:
                            with connection.query_logger(counted):
                                yield connection
                    except TimeoutError as error:
                        await _release(pool, connection)
                        self._watch.check()
                        raise Overloaded(_TOO_LONG) from error
                    except BaseException:
                        await _release(pool, connection)
                        raise
                    await self._put_back(pool, connection)
        except DatabaseNotWritable as refusal:
            self._writes.refused(refusal)
            raise

    async def _free_one(self) -> tuple[asyncpg.Pool[Any], Any]:
        """One that was put back, else one of the pool: that hands out and takes back in tasks, which cost as much as a
        short statement does."""
        while self._at_hand:
            pool, connection = self._at_hand.pop()
            if pool is self._pool and _lives(connection):
                return pool, connection
            await _release(pool, connection)
        pool = self._pool or await self._open()
        return pool, await self._acquire(pool)

    async def _put_back(self, pool: asyncpg.Pool[Any], connection: Any) -> None:
        """What ended well leaves nothing behind. More than a few are the pool's, which closes what nobody needs."""
        if len(self._at_hand) < AT_HAND and pool is self._pool and _lives(connection):
            self._at_hand.append((pool, connection))
        else:
            await _release(pool, connection)

    async def _acquire(self, pool: asyncpg.Pool[Any]) -> Any:
        """A connection that is there, or a new one. A server that answers our probe is busy, not away."""
        give_up = asyncio.get_running_loop().time() + lanes.QUEUE_TIMEOUT
        while True:
            try:
                return await pool.acquire(timeout=ACQUIRE_TIMEOUT)
            except TimeoutError:
                self._watch.check()
                if asyncio.get_running_loop().time() >= give_up:
                    raise Overloaded("the database is too busy for a connection; try again shortly") from None

    @asynccontextmanager
    async def transaction(self, *claims: Claim) -> AsyncIterator[Any]:
        """One transaction. In a leader's name (`ports.leading`, and `claims`) it is refused when that term is over.

        Raises NoLongerLeader then, before anything else; once inside, nobody takes over before its end.
        """
        async with self.connection() as connection, connection.transaction():
            await self._check_claims(connection, claims)
            yield connection

    async def _check_claims(self, connection: Any, claims: Collection[Claim]) -> None:
        own = leading.get()
        for claim in {*claims, own} if own else set(claims):
            with wrap_errors():
                await connection.execute(self._check, claim.role, claim.term, claim.holder)

    @asynccontextmanager
    async def writing(self, *claims: Claim, lane: lanes.Lane = lanes.Lane.LIGHT) -> AsyncIterator[Any]:
        """A transaction on the connection that is kept for whoever commits samples in a lane, one at a time.

        Raises as `connection` does, and `transaction`.
        """
        async with self.writing_at_once(lane) as connection, connection.transaction():
            await self._check_claims(connection, claims)
            yield connection

    @asynccontextmanager
    async def writing_at_once(self, lane: lanes.Lane) -> AsyncIterator[Any]:
        """That connection without a transaction, for one statement that is a whole commit.

        It waits for nobody's questions and keeps its prepared statements. After a failure it is given back to the
        pool, which knows what is to be done with it. Raises as `connection` does.
        """
        kept = self._kept[lane]
        try:
            with wrap_errors(), self._watch.busy():
                async with kept.turn:
                    self._watch.check()
                    try:
                        yield await self._writer(kept)
                    except BaseException:
                        await kept.give_back()
                        raise
        except DatabaseNotWritable as refusal:
            self._writes.refused(refusal)
            raise

    async def _writer(self, kept: _Kept) -> Any:
        pool = self._pool or await self._open()
        if kept.own is not None and (kept.own[0] is not pool or kept.own[1].is_closed()):
            await kept.give_back()
        if kept.own is None:
            # Who pushes first after a start need not wait for one more.
            kept.own = await self._free_one()
        return kept.own[1]

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Any]:
        """Several reads of one instant: what commits between them is seen by none or all."""
        async with (
            self.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    def _for(self, sql: str) -> AbstractAsyncContextManager[Any]:
        """For one statement: what a leader writes needs a transaction, in which its term is checked."""
        return self.transaction() if leading.get() and writes(sql) else self.connection()

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        async with self._for(sql) as connection:
            return list(await connection.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        async with self._for(sql) as connection:
            return await connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        async with self._for(sql) as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        async with self._for(sql) as connection:
            return str(await connection.execute(sql, *args))

    async def dedicated(
        self, on_lost: Callable[[], None] | None = None, patience: float = ACQUIRE_TIMEOUT
    ) -> Any:
        """A connection of one's own, for what a pool would undo: advisory locks and LISTEN.

        `on_lost` is called when it breaks. `patience`: seconds to connect in. The caller closes it.
        """
        with wrap_errors():
            connection = await asyncpg.connect(
                self._direct_url,
                connection_class=Session,
                timeout=patience,
                command_timeout=10,
                server_settings={
                    "application_name": f"{self._name}-dedicated",
                    "tcp_keepalives_idle": "5",
                    "tcp_keepalives_interval": "2",
                    "tcp_keepalives_count": "3",
                },
            )
        if on_lost is not None:
            connection.add_termination_listener(lambda _: on_lost())
        return connection

    async def ping(self) -> float:
        """Seconds one round trip takes."""
        began = perf_counter()
        await self.fetchval("SELECT 1")
        return perf_counter() - began

    async def check_writes(self) -> None:
        """Raises DatabaseNotWritable while the database stores nothing, as far as that is known or can be tried."""
        if self._writes.check():
            async with self.connection() as connection:
                await writability.probe(connection)
            self._writes.passed()

    async def _probe_once(self) -> None:
        """One round trip outside of the pool, which may be busy to the last connection."""
        if self._probe is None or self._probe.is_closed():
            settings = {"application_name": f"{self._name}-probe"}
            self._probe = await asyncpg.connect(self._url, timeout=PROBE_TIMEOUT, server_settings=settings)
        await self._probe.execute("SELECT 1")

    def _drop(self) -> None:
        """Give up every connection: whoever waits for an answer gets DatabaseUnavailable."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()
        self._drop_probe()

    def _drop_probe(self) -> None:
        # Not cancelled: asyncpg would ask the server politely to stop, and wait for its answer.
        probe, self._probe = self._probe, None
        if probe is not None:
            probe.terminate()

    async def close(self) -> None:
        await self._watch.close()
        self._drop_probe()
        pool, self._pool = self._pool, None
        if pool is not None:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                async with asyncio.timeout(3):
                    for kept in self._kept.values():
                        await kept.give_back()
                    while self._at_hand:
                        await _release(*self._at_hand.pop())
                    await pool.close()
            # Whatever has not ended by then is cut.
            pool.terminate()


async def _release(pool: asyncpg.Pool[Any], connection: Any) -> None:
    """To its pool, which knows what is to be done with it."""
    with contextlib.suppress(asyncpg.InterfaceError):  # of a pool that was given up
        # The timeout of `acquire` would bound this too, and make a failure of what was committed.
        await pool.release(connection, timeout=COMMAND_TIMEOUT)


def _lives(connection: Any) -> bool:
    """The pool takes back by itself what broke while nobody used it."""
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False
