"""All tenants over one socket: rows of the summary, looked at once for everybody who listens, and told as they change.

A row has the number of the look that found it changed; a listener the number of the last look whose changes it was
told. What it is to be told next are the rows with a higher one. So a client that does not read costs two numbers, and
is told the newest rows when it reads again.

Invariants: nothing is read but tenants that some listener may see, and none while nobody listens; a listener is told
of the tenants that its caller may see and of no other; between two looks lie a second or ten times what a look takes,
whichever is longer, and after one that failed a second. Whether looks fail is told at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from ecpmon.api.broadcast import Broadcast, Slice
from ecpmon.api.frames import Line, text_frame
from ecpmon.api.outboxes import Listener
from ecpmon.errors import EcpError
from ecpmon.wire import dumps, rfc3339

_log = structlog.get_logger(__name__)
# Whose turn of the threads a look is: nobody's in particular.
FLEET: Final = "fleet"
SECONDS: Final = 1.0
SHARE: Final = 10
# So long without a message, and one says that there is nothing new.
QUIET_SECONDS: Final = 5.0
Numbers = frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Look:
    """By number of the tenant: its name, its row as JSON."""

    at: datetime
    rows: Mapping[int, tuple[str, bytes]]


AskRows = Callable[[Collection[int] | None], Awaitable[Look]]


@dataclass(slots=True)
class _Row:
    """`row` None: the tenant is gone."""

    changed: int
    name: str
    row: bytes | None


class FleetListener(Listener):
    """`allowed`: numbers of tenants, None: all; `told`: the last look whose changes it knows."""

    __slots__ = ("allowed", "told", "told_at")

    def __init__(self, allowed: Numbers) -> None:
        super().__init__()
        self.allowed = allowed
        self.told = 0
        self.told_at = float("-inf")


class FleetBroadcast(Broadcast[FleetListener]):
    """`ask` reads the rows of some tenants, or of all. It raises EcpError while it cannot."""

    def __init__(self, ask: AskRows, patience: float) -> None:
        super().__init__(patience)
        self._ask = ask
        self._rows: dict[int, _Row] = {}
        self._look = 0
        # What the last look was at.
        self._seen: Numbers = frozenset()
        self._as_of: datetime | None = None
        # Whether the last look failed: what is known is as of `_as_of`.
        self._away = False
        self._look_at = float("-inf")
        self._beginning = asyncio.Lock()

    async def begin(self) -> None:
        """Before a listener is opened: what it is told afterwards are changes. Raises EcpError."""
        async with self._beginning:
            if self._as_of is None or not self._covers(self._wanted()):
                self._found(await self._ask(self._wanted()), self._wanted())

    def _covers(self, wanted: Numbers) -> bool:
        """Whether all of them were looked at, as far as one can tell."""
        return self._seen is None or (wanted is not None and wanted <= self._seen)

    def open(self, listener: FleetListener, line: Line) -> None:
        listener.told = self._look
        super().open(listener, line)

    def _wanted(self) -> Numbers:
        numbers: set[int] = set()
        for listener in self.listeners:
            if listener.allowed is None:
                return None
            numbers |= listener.allowed
        return frozenset(numbers)

    def _next(self) -> float:
        return self._look_at

    async def _turn(self) -> None:
        now = asyncio.get_running_loop().time
        if (began := now()) >= self._look_at:
            was_away = self._away
            await self._look_at_them()
            self._look_at = now() + max(SECONDS, 0 if self._away else SHARE * (now() - began))
            await self._tell(now(), at_once=self._away is not was_away)
            self._forget_gone()

    async def _look_at_them(self) -> None:
        wanted = self._wanted()
        try:
            self._found(await self._ask(wanted), wanted)
            self._away = False
        except EcpError as error:
            self._away = True
            _log.info("fleet_not_looked_at", error=error.message)

    def _found(self, look: Look, wanted: Numbers) -> None:
        """Take in what a look at `wanted` has found."""
        self._look += 1
        self._as_of, self._seen = look.at, wanted
        for number, (name, row) in look.rows.items():
            known = self._rows.get(number)
            if known is None or known.row != row:
                self._rows[number] = _Row(self._look, name, row)
        for number in self._rows.keys() - look.rows.keys():
            known = self._rows[number]
            if wanted is not None and number not in wanted:
                del self._rows[number]  # nobody asks for it any more
            elif known.row is not None:
                self._rows[number] = _Row(self._look, known.name, None)

    def _forget_gone(self) -> None:
        if all(listener.told == self._look for listener in self.listeners):
            self._rows = {number: row for number, row in self._rows.items() if row.row is not None}

    async def _tell(self, now: float, *, at_once: bool) -> None:
        frames: dict[tuple[int, Numbers], bytes | None] = {}
        slice_ = Slice()
        for listener in list(self.listeners):
            line = listener.line
            if line is None or listener not in self.listeners:
                continue
            key = listener.told, listener.allowed
            if key not in frames:
                frames[key] = self._frame(listener) or (self._message([], []) if at_once else None)
            self._give(listener, line, frames[key], now)
            await slice_.pause()

    def _give(self, listener: FleetListener, line: Line, frame: bytes | None, now: float) -> None:
        if frame is None and now - listener.told_at < QUIET_SECONDS:
            listener.told = self._look
        elif line.free:
            line.write(frame or self._message([], []))
            listener.told, listener.told_at = self._look, now
        else:
            self._is_behind(listener)

    async def _catch_up(self, listener: FleetListener, line: Line) -> bool:
        self._give(listener, line, self._frame(listener), asyncio.get_running_loop().time())
        return listener.told == self._look

    def _frame(self, listener: FleetListener) -> bytes | None:
        """What it is still to be told; None: nothing."""
        news = list(self._news(listener))
        if not news:
            return None
        return self._message(
            [n.name for n in news if n.row is None], [n.row for n in news if n.row is not None]
        )

    def _news(self, listener: FleetListener) -> Iterator[_Row]:
        for number, row in self._rows.items():
            if row.changed > listener.told and (listener.allowed is None or number in listener.allowed):
                yield row

    def _message(self, gone: list[str], rows: list[bytes]) -> bytes:
        as_of = "" if self._as_of is None else rfc3339(self._as_of)
        told = b'{"as_of":"%s","away":%s,"gone":%s,"tenants":[%s]}' % (
            as_of.encode(), dumps(self._away), dumps(gone), b",".join(rows)
        )  # fmt: skip
        return text_frame(told)
