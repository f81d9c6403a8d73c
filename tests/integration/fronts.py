"""Single fronts among those that share a port: whose a connection is, the kernel tells."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.integration.serving import Serving
from tests.waiting import until

_LOOPBACK = "0100007F"


def front_of(ours: int, port: int, fronts: Collection[int]) -> int | None:
    """Which of the processes has the connection from our port to `port` of 127.0.0.1; None: none of them, or ended."""
    ends = [f"{_LOOPBACK}:{port:04X}", f"{_LOOPBACK}:{ours:04X}"]
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    inodes = {f"socket:[{line[9]}]" for line in map(str.split, lines) if line[1:3] == ends}
    return next((pid for pid in fronts if inodes & _files_of(pid)), None)


def _files_of(pid: int) -> set[str]:
    found = set()
    try:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            found.add(os.readlink(file))
    except FileNotFoundError:  # it has ended, or closed a file meanwhile
        pass
    return found


@dataclass
class Ear:
    """A socket of alerts on one front, and the states that it was told."""

    socket: aiohttp.ClientWebSocketResponse
    told: list[str] = field(default_factory=list)
    # What it is to be told of from the beginning, and how many changes there were before that.
    first: list[str] = field(default_factory=list)
    before: int = 0

    async def listen(self) -> None:
        async for message in self.socket:
            self.told.append(message.json()["status"])

    def expected(self, changes: list[str]) -> list[str]:
        return [*self.first, *changes[self.before :]]


@dataclass
class Ears:
    """One socket on each front. Changes are `firing` and `resolved`."""

    found: Serving
    path: str
    fronts: Callable[[], Collection[int]]
    by_front: dict[int, Ear] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def open(self, changes: list[str]) -> None:
        """A socket on each front that has none, after these changes; those of fronts that are gone are forgotten."""

        async def everywhere() -> bool:
            alive = set(self.fronts())
            self.by_front = {pid: ear for pid, ear in self.by_front.items() if pid in alive}
            if len(self.by_front) < len(alive):
                await self._open_one(alive, changes)
            return len(self.by_front) == len(alive)

        await until(everywhere, "every front has a socket")

    async def _open_one(self, alive: set[int], changes: list[str]) -> None:
        try:
            socket = await self.found.session.ws_connect(self.found.url + self.path)
        except (aiohttp.ClientError, OSError):
            return  # a front that was killed had it in its queue
        _, ours = socket.get_extra_info("sockname")
        front = front_of(ours, port_of(self.found), alive)
        if front is None or front in self.by_front:
            await socket.close()
            return
        ear = Ear(socket, first=[s for s in changes[-1:] if s == "firing"], before=len(changes))
        self.by_front[front] = ear
        self.tasks.append(asyncio.create_task(ear.listen()))

    def have_heard(self, changes: list[str]) -> bool:
        """All of them as much as there was to hear."""
        return all(len(ear.told) >= len(ear.expected(changes)) for ear in self.by_front.values())

    def check(self, changes: list[str]) -> None:
        for ear in self.by_front.values():
            expected = ear.expected(changes)
            assert ear.told == expected, f"told {ear.told}, not {expected}"

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for ear in self.by_front.values():
            await ear.socket.close()


async def scrape_each(found: Serving, fronts: Collection[int]) -> dict[int, dict[str, float]]:
    """`/metrics` as each front gives it from now on: series -> value."""
    pages: dict[int, dict[str, float]] = {}

    async def all_have_answered() -> bool:
        front, text = await _metrics_of_some(port_of(found), fronts)
        if front is not None:
            pages[front] = series_of(text)
        return len(pages) == len(fronts)

    await until(all_have_answered, "every front has shown its metrics")
    return pages


async def _metrics_of_some(port: int, fronts: Collection[int]) -> tuple[int | None, str]:
    """Which front answered, and what; the connection stays open until that is known."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        [length] = re.findall(rb"Content-Length: (\d+)", head)
        text = (await reader.readexactly(int(length))).decode()
        return front_of(writer.get_extra_info("sockname")[1], port, fronts), text
    finally:
        writer.close()


def port_of(found: Serving) -> int:
    return int(found.url.rpartition(":")[2])


def series_of(text: str) -> dict[str, float]:
    """The lines of an exposition: series with its labels -> value."""
    lines = [line.rpartition(" ") for line in text.splitlines() if line[0] != "#"]
    return {series: float(value) for series, _, value in lines}
