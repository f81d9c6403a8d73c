"""Pushing many measurements: collected, sent together, and never lost without a word.

Invariants:
- An entry that `add` took ends in exactly one of three ways: it was delivered; the service refused it for good and
  it was handed to `on_refused`, or is in the NotDelivered of the next `add`, `flush` or `close`; or it is in the
  NotDelivered of a `close` that had no time left.
- An entry that the service cannot take now is tried until it can, or the batch is closed.
- Of one tenant one request is under way at a time; tenants do not wait for one another.
- Who adds faster than can be delivered waits: what is held is bounded.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, TypeVar

from ecpmon.client.calls import Call, as_json, instant, tenant_path
from ecpmon.client.errors import AnsweredError, ECPError, InvalidRequest, NotDelivered, passes
from ecpmon.client.pending import USUAL as USUAL_SIZES
from ecpmon.client.pending import Entry, Pending, Sizes
from ecpmon.client.retries import NEVER
from ecpmon.client.transport import Transport
from ecpmon.client.types import Metrics, PushResult, RejectedSample

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 30.0
_AT_ONCE: Final = 8
_log = logging.getLogger(__name__)
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Rejected:
    """Samples of one request that were not stored while the rest was: the first 20 by name and reason, and how many."""

    tenant_id: str
    samples: tuple[RejectedSample, ...]
    count: int


OnRejected = Callable[[Rejected], None]
OnRefused = Callable[[NotDelivered], None]


class AsyncBatch:
    """`async with client.batch() as batch: await batch.add(tenant_id, metrics)`. Closing it delivers the rest.

    `accepted` and `rejected` count samples, as the service does; `because` is why something could not be delivered
    last. `on_rejected` hears of samples that were not stored, `on_refused` of whole requests that never will be; both
    are called in the event loop and must not block.
    """

    def __init__(
        self,
        transport: Transport,
        sizes: Sizes = USUAL_SIZES,
        *,
        on_rejected: OnRejected | None = None,
        on_refused: OnRefused | None = None,
        on_closed: Callable[[AsyncBatch], None] = lambda _: None,
    ) -> None:
        self.accepted = 0
        self.rejected = 0
        self._transport = transport
        self._pending = Pending(sizes)
        self._on_rejected = on_rejected
        self._refusals: deque[NotDelivered] = deque()
        self._on_refused = on_refused or self._refusals.append
        self._on_closed = on_closed
        self._senders: dict[str, asyncio.Task[None]] = {}
        self._in_hand: dict[str, list[Entry]] = {}
        self.because: ECPError | None = None
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._look, self._room = asyncio.Event(), asyncio.Event()
        self._clock: asyncio.Task[None] | None = None
        self._flushes = 0
        self.closed = False

    async def __aenter__(self) -> AsyncBatch:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()

    def __len__(self) -> int:
        """Entries that are neither delivered nor given back yet."""
        return len(self._pending)

    async def add(self, tenant_id: str, metrics: Metrics, *, timestamp: datetime | str | None = None) -> None:
        """Take measurements of one instant, by default of now; waits while there is no room for them.

        Raises ValueError for what can never be stored, RuntimeError when the batch is closed, NotDelivered of what was
        refused for good before, where nobody hears of that: then these are not taken.
        """
        await self.put(Entry.of(tenant_id, metrics, instant(timestamp)))

    async def put(self, entry: Entry) -> None:
        while (look := self.offer(entry)) is None:
            self._room.clear()
            await self._room.wait()
        if look:
            self.look()

    def offer(self, entry: Entry) -> bool | None:
        """As `Pending.offer`, from any thread. Raises NotDelivered of what was refused before: this is not taken."""
        if self.closed:
            raise RuntimeError("the batch is closed")
        self._raise_refused()
        return self._pending.offer(entry, time.monotonic())

    def look(self) -> None:
        """There is something new to look at. In the event loop."""
        if self._clock is None:
            self._clock = asyncio.create_task(self._run(), name="ecp-batch")
        self._look.set()

    async def flush(self, timeout: float | None = None) -> None:
        """Deliver everything that is held, now, however long that takes.

        Raises NotDelivered of what was refused for good; TimeoutError after `timeout` seconds: the rest is still held.
        """
        await self._deliver_all(timeout)
        self._raise_refused()

    async def _deliver_all(self, timeout: float | None) -> None:
        self._flushes += 1
        try:
            async with asyncio.timeout(timeout):
                while len(self._pending):
                    self._begin_senders()
                    await asyncio.wait([*self._senders.values()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._flushes -= 1

    async def close(self, timeout: float = 30.0) -> None:
        """Deliver the rest, for `timeout` seconds. Raises NotDelivered of what was not, for whatever reason."""
        self.closed = True
        self._on_closed(self)
        # What was refused is raised below, together with what is left.
        with suppress(TimeoutError):
            await self._deliver_all(timeout)
        await self._stop()
        left = [entry for entries in self._in_hand.values() for entry in entries] + self._pending.rest()
        self._pending.done(left)
        self._in_hand.clear()
        if left:
            self._refusals.append(NotDelivered(left, self.because))
        self._room.set()
        self._raise_refused()

    async def _stop(self) -> None:
        tasks = [*self._senders.values(), *([self._clock] if self._clock else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _raise_refused(self) -> None:
        refusals: list[NotDelivered] = []
        with suppress(IndexError):  # any thread may be here
            while True:
                refusals.append(self._refusals.popleft())
        if refusals:
            entries = [entry for refusal in refusals for entry in refusal.entries]
            raise NotDelivered(entries, refusals[0].because)

    async def _run(self) -> None:
        """Begin to send what has waited long enough, or is enough."""
        while True:
            due = self._pending.next_due(besides=self._senders)
            wait = None if due is None else max(0.0, due - time.monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._look.wait()
            self._look.clear()
            self._begin_senders()

    def _begin_senders(self) -> None:
        for tenant_id in self._pending.due(time.monotonic(), everything=self._flushes > 0):
            if tenant_id not in self._senders:
                self._senders[tenant_id] = asyncio.create_task(self._send_all(tenant_id))

    async def _send_all(self, tenant_id: str) -> None:
        """A tenant's entries as long as some are due."""
        try:
            while tenant_id in self._pending.due(time.monotonic(), everything=self._flushes > 0):
                entries = self._in_hand[tenant_id] = self._pending.take(tenant_id, time.monotonic())
                await self._deliver(tenant_id, entries)
                del self._in_hand[tenant_id]
        finally:
            del self._senders[tenant_id]
            self._look.set()  # what came meanwhile has a time at which it is due

    async def _deliver(self, tenant_id: str, entries: list[Entry]) -> None:
        """Until the service has all of them, or has refused some for good. `entries` shrinks meanwhile."""
        wait, size = _FIRST_WAIT, len(entries)
        while entries:
            part = entries[:size]
            try:
                async with self._places:
                    result = await self._transport.send(_push(tenant_id, part), NEVER)
            except ECPError as error:
                self.because = error
                if passes(error):
                    await asyncio.sleep(_asked_wait(error, wait) * random.uniform(1, 1.5))
                    wait = min(_LONGEST_WAIT, wait * 2)
                    continue
                if isinstance(error, InvalidRequest) and len(part) > 1:
                    size = len(part) // 2  # one of them is wrong, or they are too many: the others are not
                    continue
                # Of a tenant that may not be pushed for, no other entry fares better.
                part = part if isinstance(error, InvalidRequest) else list(entries)
                _told(self._on_refused, NotDelivered(part, error))
            else:
                self._count(tenant_id, result)
                wait = _FIRST_WAIT
            self._drop(entries, part)

    def _drop(self, entries: list[Entry], part: Sequence[Entry]) -> None:
        del entries[: len(part)]
        self._pending.done(part)
        self._room.set()

    def _count(self, tenant_id: str, result: PushResult) -> None:
        self.accepted += result["accepted"]
        count = result["rejected_count"]
        self.rejected += count
        if count and self._on_rejected is not None:
            _told(self._on_rejected, Rejected(tenant_id, tuple(result["rejected"]), count))


def _told(listener: Callable[[A], None], what: A) -> None:
    """A listener that fails must not stop what is to be delivered yet."""
    try:
        listener(what)
    except Exception:  # noqa: BLE001 - whatever it raises is logged
        _log.exception("a listener of a batch failed")


def _asked_wait(error: ECPError, otherwise: float) -> float:
    """Seconds. A place among those that are under way is not held meanwhile: others may be served."""
    asked = error.retry_after if isinstance(error, AnsweredError) else None
    return otherwise if asked is None else asked


def _push(tenant_id: str, entries: Sequence[Entry]) -> Call[PushResult]:
    body = b"[" + b",".join(entry.body for entry in entries) + b"]"
    return Call("POST", tenant_path(tenant_id, "monitoring"), as_json, body=body, repeatable=True)
