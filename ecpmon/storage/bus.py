"""The bus: what any process committed is told to every other (ADR 0010). A writer and a reader.

A reader is `STARTING` until it has heard a NOTIFY of its own, then `LISTENING`; when its connection breaks or falls
silent it is `POLLING` until it hears again. It reads from its horizon in every state, so nothing is told twice or not
at all, and what it tells is late at most by `POLL_SECONDS` (and by how long the database is away).

Invariants:
- Rows are handed on in order of their numbers, from one task, and the horizon moves with them.
- `trusted` is True only while changes are heard of: for a second after a reader left `LISTENING`, and never longer than
  `TRUST_SECONDS` after the database last answered, however long the process stood still since.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final

import orjson
import structlog

from ecpmon.errors import DatabaseUnavailable, EcpError
from ecpmon.model.bus import BusRow
from ecpmon.storage.database import Database
from ecpmon.storage.faults import wrap_errors
from ecpmon.storage.horizon import Horizon, Snapshot
from ecpmon.storage.queries import load
from ecpmon.tasks import end

_log = structlog.get_logger(__name__)
CHANNEL: Final = "ecpmon"
# While listening we look all the same, and must hear ourselves.
BACKSTOP_SECONDS: Final = 5.0
HEARD_SECONDS: Final = 2.0
POLL_SECONDS: Final = 1.0
# One who does not hear himself (a pooler is in between) tries less and less often.
MOST_PATIENCE: Final = 60.0
DOUBT_SECONDS: Final = 1.0
TRUST_SECONDS: Final = BACKSTOP_SECONDS + HEARD_SECONDS + DOUBT_SECONDS
# Many commits in a row are read together; the first after a silence at once. Who works is waited for by alerts; a front
# shows what others committed, and a question for each of their commits would cost it as much as its own commits do.
REST_SECONDS: Final = 0.01
FRONTS_REST_SECONDS: Final = 0.05
ANSWER_SECONDS: Final = 5.0
KEPT: Final = timedelta(minutes=10)


class BusState(StrEnum):
    STARTING = "starting"
    LISTENING = "listening"
    POLLING = "polling"


def new_origin() -> str:
    """A name for a process that writes to the bus and reads it."""
    return uuid.uuid4().hex[:16]


class BusWriter:
    """Says at the end of a transaction which tenants it touched. `judge`: whoever leads is to evaluate their rules."""

    def __init__(self, origin: str = "", *, judge: bool = False) -> None:
        self._origin = origin
        self._more: dict[str, Any] = {"judge": True} if judge else {}
        self._sql = load("bus")["tell"]

    async def tell(self, connection: Any, kind: str, tenants: Sequence[int], body: dict[str, Any]) -> None:
        """One row and one NOTIFY, both of which are there when the transaction is committed."""
        await connection.execute(self._sql, self._origin, kind, tenants, {**body, **self._more})

    @property
    def signed(self) -> tuple[str, dict[str, Any]]:
        """Origin and body of a row that says no more than whose it is, for a statement that writes it itself."""
        return self._origin, self._more


class BusKeeping:
    """Drops rows that every reader has had time to read."""

    def __init__(self, database: Database, kept: timedelta = KEPT) -> None:
        self._database = database
        self._kept = kept
        self._sql = load("bus")

    async def retain(self, now: datetime) -> int:
        """Note what is over by now, and drop what was so `kept` ago; the number of rows. Call it every minute."""
        async with self._database.transaction() as connection:
            with wrap_errors():
                await connection.execute(self._sql["mark"], now)
                return int(await connection.fetchval(self._sql["forget"], now - self._kept))


class BusReader:
    """Reads what others wrote and hands it on. The callbacks are called on the event loop and must not block.

    `on_rows`: new rows, in order, never those written under our own `origin`.
    `on_restart`: we have missed rows; whatever is known may be wrong.
    `on_doubt`: nothing was heard for `DOUBT_SECONDS`; changes are still told, but later.
    `rest`: seconds after a read in which no other is begun.
    """

    def __init__(
        self,
        database: Database,
        origin: str,
        *,
        on_rows: Callable[[Sequence[BusRow]], None],
        on_restart: Callable[[], None] = lambda: None,
        on_doubt: Callable[[], None] = lambda: None,
        rest: float = REST_SECONDS,
    ) -> None:
        self._database = database
        self._rest = rest
        self._origin = origin
        self._on_rows = on_rows
        self._on_restart = on_restart
        self._on_doubt = on_doubt
        self._sql = load("bus")
        self._horizon = Horizon()
        self._wake = asyncio.Event()
        self._heard = asyncio.Event()
        self._lost = False
        self._trusted_until = 0.0
        self._patience = POLL_SECONDS
        self._doubt: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self.state = BusState.STARTING

    @property
    def trusted(self) -> bool:
        """Whether a change that was committed a moment ago would be known by now."""
        return self._now() < self._trusted_until

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="bus")

    async def stop(self) -> None:
        await end(self._task)
        self._stop_doubting()

    def _stop_doubting(self) -> None:
        if self._doubt:
            self._doubt.cancel()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except EcpError as error:
                if self.state is not BusState.POLLING:
                    _log.warning("bus_polling", error=error.message)
                    self._doubt = asyncio.get_running_loop().call_later(DOUBT_SECONDS, self._on_doubt)
            except Exception:  # noqa: BLE001 - a bug in who listens must not make us deaf; it is logged
                _log.exception("bus_broken")
            self._trusted_until = min(self._trusted_until, self._now() + DOUBT_SECONDS)
            self.state = BusState.POLLING
            await self._poll()

    async def _poll(self) -> None:
        """Look every second, until it is time to try to listen again."""
        try_again = self._now() + self._patience
        while True:
            with contextlib.suppress(EcpError):  # away: the state says so, and we look again
                await self._read(self._database.fetch)
            if self._now() + POLL_SECONDS > try_again:
                break
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.sleep(max(0.0, try_again - self._now()))

    # --- listening ------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Until it fails. Raises DatabaseUnavailable and what else a database says."""
        self._lost = False
        connection = await self._database.dedicated(self._on_lost)
        try:
            with wrap_errors():
                await connection.add_listener(CHANNEL, self._on_notify)
                await connection.add_listener(self._own_channel, self._on_own)
            await self._hear_oneself(connection)
            await self._read(partial(connection.fetch, timeout=ANSWER_SECONDS))
            self.state, self._patience = BusState.LISTENING, POLL_SECONDS
            self._stop_doubting()
            await self._follow(connection)
        finally:
            await _end(connection)

    async def _hear_oneself(self, connection: Any) -> None:
        """Raises DatabaseUnavailable."""
        self._heard.clear()
        with wrap_errors():
            await connection.execute("SELECT pg_notify($1, '')", self._own_channel, timeout=ANSWER_SECONDS)
        try:
            async with asyncio.timeout(HEARD_SECONDS):
                await self._heard.wait()
        except TimeoutError:
            self._patience = min(MOST_PATIENCE, self._patience * 2)
            raise DatabaseUnavailable("a NOTIFY of our own does not arrive; is a pooler between?") from None

    async def _follow(self, connection: Any) -> None:
        look_at = self._now() + BACKSTOP_SECONDS
        while True:
            self._trusted_until = self._now() + TRUST_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(look_at):
                    await self._wake.wait()
            if self._lost:
                raise DatabaseUnavailable("the connection of the bus broke")
            if self._now() >= look_at:
                await self._hear_oneself(connection)
                look_at = self._now() + BACKSTOP_SECONDS
            self._wake.clear()
            await self._read(partial(connection.fetch, timeout=ANSWER_SECONDS))
            await asyncio.sleep(self._rest)

    @property
    def _own_channel(self) -> str:
        return f"{CHANNEL}_{self._origin}"

    def _on_notify(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        # Our own rows we would not read.
        if str(payload).partition(" ")[0] != self._origin:
            self._wake.set()

    def _on_own(self, *_: object) -> None:
        self._heard.set()

    def _on_lost(self) -> None:
        self._lost = True
        self._wake.set()
        self._heard.set()

    # --- reading --------------------------------------------------------------------------------------------

    async def _read(self, fetch: Callable[..., Awaitable[list[Any]]]) -> None:
        """Everything new since the last read. Raises DatabaseUnavailable."""
        last = self._horizon.last
        with wrap_errors():
            if last is None:
                [row] = await fetch(self._sql["now"])
                self._horizon.start(Snapshot.of(row["snapshot"]))
                return
            rows = await fetch(self._sql["read"], str(last), self._origin)
        if not self._horizon.move(Snapshot.of(rows[0]["snapshot"]), int(rows[0]["floor"])):
            _log.warning("bus_restarted")
            self._on_restart()
        told = [_row(r) for r in rows if r["seq"] is not None]
        if told:
            self._on_rows(told)


async def _end(connection: Any) -> None:
    with contextlib.suppress(EcpError), wrap_errors():
        await connection.close(timeout=2)
    if not connection.is_closed():
        connection.terminate()  # the server did not answer: drop it on our side


def _row(row: Any) -> BusRow:
    return BusRow(row["seq"], row["origin"], row["kind"], tuple(row["tenants"]), orjson.loads(row["body"]))
