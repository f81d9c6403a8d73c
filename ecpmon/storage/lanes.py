"""Waiting for a connection to the database: among all who use one, and among those who ask questions."""

from __future__ import annotations

import asyncio
from enum import Enum

from ecpmon.errors import Overloaded
from ecpmon.ports.lanes import asking
from ecpmon.storage.askers import Askers

# Waiting for one of our own connections to become free says nothing about the server.
QUEUE_TIMEOUT = 5.0


class Lane(Enum):
    """Who commits samples on a connection of its own (`storage.writer`)."""

    STEADY = "steady"
    LIGHT = "light"
    HEAVY = "heavy"


class Turn:
    """Among those who use a connection; for a question, among its asker's and among all questions first.

    A class, as this is around every statement: nested generators cost as much as a small one.
    """

    __slots__ = ("_asker", "_free", "_held", "_questions")

    def __init__(self, askers: Askers, questions: asyncio.Semaphore, free: asyncio.Semaphore) -> None:
        whose = asking.get()
        self._asker = askers.turn(whose) if whose else None
        self._questions, self._free = questions, free
        self._held = 0

    async def __aenter__(self) -> None:
        if self._asker is not None:
            await self._asker.__aenter__()
        try:
            waits = any(lane.locked() for lane in self._lanes)
            if waits:
                async with asyncio.timeout(QUEUE_TIMEOUT):
                    await self._enter_lanes()
            else:
                await self._enter_lanes()
        except BaseException as error:
            await self.__aexit__()
            if isinstance(error, TimeoutError):
                text = "every connection to the database is in use; try again shortly"
                raise Overloaded(text) from None
            raise

    @property
    def _lanes(self) -> tuple[asyncio.Semaphore, ...]:
        return (self._free,) if self._asker is None else (self._questions, self._free)

    async def _enter_lanes(self) -> None:
        for lane in self._lanes:
            await lane.acquire()
            self._held += 1

    async def __aexit__(self, *_: object) -> None:
        for lane in reversed(self._lanes[: self._held]):
            lane.release()
        self._held = 0
        if self._asker is not None:
            await self._asker.__aexit__()
