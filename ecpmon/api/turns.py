"""Turns: how many are at something at once, in all and per key, and who is next."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque

from ecpmon.errors import Overloaded, RateLimited


class Turns:
    """A few at a time in all and per key; the keys that wait are served in turn, however many wait behind one key."""

    def __init__(self, what: str, slots: int, per_key: int, waiting_per_key: int, patience: float) -> None:
        self._what = what
        self._limit = {"limit": what.replace(" ", "_")}
        self._slots = slots
        self._per_key = per_key
        self._most = waiting_per_key
        self._patience = patience
        self._busy: Counter[str] = Counter()
        self._used = 0
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def turn(self, key: str) -> Turn:
        """`async with turns.turn(key):` raises RateLimited (too many wait behind this key) or Overloaded (no turn in
        time)."""
        return Turn(self, key)

    async def enter(self, key: str) -> None:
        """Raises as `turn` does. `leave` belongs to it."""
        if not self.take_free(key):
            await self.wait(key)

    def take_free(self, key: str) -> bool:
        """Whether there was a turn at once, and then it is taken. `leave` belongs to it."""
        if self._waiting or not self._free(key):
            return False
        self._take(key)
        return True

    def _free(self, key: str) -> bool:
        return self._used < self._slots and self._busy[key] < self._per_key

    def _take(self, key: str) -> None:
        self._busy[key] += 1
        self._used += 1

    def leave(self, key: str) -> None:
        self._used -= 1
        self._busy[key] -= 1
        if not self._busy[key]:
            del self._busy[key]
        if self._waiting:
            self._next()

    async def wait(self, key: str) -> None:
        """For a turn that is not there at once; raises as `turn` does. `leave` belongs to it."""
        queue = self._waiting.setdefault(key, deque())
        if len(queue) >= self._most:
            text = f"too many {self._what} of yours are waiting; wait for the answers"
            raise RateLimited(text, details=self._limit)
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(mine)
        self._next()
        try:
            async with asyncio.timeout(self._patience):
                await mine
        except BaseException as error:
            if mine.done() and not mine.cancelled():
                self.leave(key)  # the turn came as we left
            if isinstance(error, TimeoutError):
                text = f"too many {self._what} are waiting; try again shortly"
                raise Overloaded(text, details=self._limit) from None
            raise

    def _next(self) -> None:
        """Give what is free to the keys that wait, one turn each, then round again."""
        given = True
        while given:
            given = False
            for key in list(self._waiting):
                queue = self._waiting[key]
                while queue and queue[0].done():
                    queue.popleft()
                if not queue:
                    del self._waiting[key]
                elif self._free(key):
                    self._take(key)
                    queue.popleft().set_result(None)
                    self._waiting.move_to_end(key)
                    given = True


class Turn:
    """One turn, from its beginning to its end."""

    __slots__ = ("_key", "_turns")

    def __init__(self, turns: Turns, key: str) -> None:
        self._turns = turns
        self._key = key

    async def __aenter__(self) -> None:
        await self._turns.enter(self._key)

    async def __aexit__(self, *_: object) -> None:
        self._turns.leave(self._key)
