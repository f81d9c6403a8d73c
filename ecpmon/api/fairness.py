"""Turns of the event loop, shared fairly by those who send requests.

One loop serves everybody in the order in which bytes arrive: who sends on a hundred connections at once would make
his neighbour's one request wait behind a hundred. So a request begins when its sender's turn has come:

- In one turn of the loop at most one request of each sender begins, and at most `senders` requests in all.
- Senders that wait are served round and round; the requests of one in the order in which they came.
- Who finds nobody waiting, and has begun nothing in this turn, does not wait at all.

So a request waits for `ceil(k / senders)` turns of the loop at most, where k is how many other senders wait, and
however many of their requests do. A turn is as long as what has begun takes until it waits for something itself.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Final

SENDERS_AT_ONCE: Final = 8


class LoopTurns:
    """Of one event loop. Keys: whom requests count for."""

    def __init__(self, senders: int = SENDERS_AT_ONCE) -> None:
        self._senders = senders
        self._begun: set[str] = set()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._armed = False

    @property
    def waiting(self) -> int:
        """Requests whose turn has not come."""
        return sum(len(queue) for queue in self._waiting.values())

    async def wait(self, key: str) -> None:
        """Return when a request of `key` may begin."""
        loop = asyncio.get_running_loop()
        if not self._waiting and key not in self._begun and len(self._begun) < self._senders:
            self._begun.add(key)
            self._arm(loop)
            return
        mine: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(key, deque()).append(mine)
        self._arm(loop)
        await mine

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._armed:
            self._armed = True
            loop.call_soon(self._turn, loop)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """What is called here runs in the next turn of the loop, after what has begun in this one."""
        self._armed = False
        self._begun.clear()
        for key in list(self._waiting)[: self._senders]:
            queue = self._waiting[key]
            self._begin_first(key, queue)
            if queue:
                self._waiting.move_to_end(key)
            else:
                del self._waiting[key]
        if self._begun or self._waiting:
            self._arm(loop)

    def _begin_first(self, key: str, queue: deque[asyncio.Future[None]]) -> None:
        while queue:
            first = queue.popleft()
            if not first.done():  # a sender may have gone meanwhile
                first.set_result(None)
                self._begun.add(key)
                return
