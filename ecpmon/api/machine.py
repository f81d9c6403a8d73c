"""What the processes of one machine tell one another, over sockets in a folder that only they can enter (ADR 0010).

Never on a port: nobody is asked who he is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
import structlog
from aiohttp import web

from ecpmon.api.context import ApiContext
from ecpmon.api.exposition import joined
from ecpmon.local.machine import socket_of
from ecpmon.slices import in_slices
from ecpmon.summing import Part, newest_usage, summed, summed_requests
from ecpmon.telemetry import Telemetry, rendered
from ecpmon.tenantseries import TenantSeries

_log = structlog.get_logger(__name__)
ANSWER_SECONDS: Final = 5.0
_PART: Final = "/machine/part"
_SERIES: Final = "/machine/series"


def machine_api(context: ApiContext, machine: MachineMetrics) -> web.Application:
    """What a process answers on its socket: whether it is well, and its metrics."""

    async def health(_: web.Request) -> web.Response:
        return _reply({"status": "ok"})

    async def ready(_: web.Request) -> web.Response:
        return _reply(await context.production.health.ready())

    async def part(request: web.Request) -> web.StreamResponse:
        return await _send(request, (await machine.own_part()).lines())

    async def series(request: web.Request) -> web.StreamResponse:
        asked = orjson.loads(await request.read())
        tenants = None if asked is None else frozenset(asked)
        return await _send(request, context.telemetry.tenants.exposition(tenants, leads=True, shared=False))

    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    app.router.add_get(_PART, part)
    app.router.add_post(_SERIES, series)
    return app


def _reply(document: Any) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json")


async def _send(request: web.Request, pieces: Iterator[bytes]) -> web.StreamResponse:
    found, response = await joined(pieces), web.StreamResponse()
    await response.prepare(request)
    for piece in found:
        await response.write(piece)
    return response


class MachineMetrics:
    """The metrics of all processes of a machine. What each told last is kept in the folder for when it is gone."""

    def __init__(self, telemetry: Telemetry, run_dir: Path) -> None:
        self._telemetry = telemetry
        self._run_dir = run_dir

    async def exposition(self, tenants: Collection[str] | None) -> Iterator[bytes]:
        """As `Telemetry.exposition`, of all of them."""
        parts, leader = [await self.own_part()], os.getpid() if self._telemetry.leads else None
        for pid, told in await self._others():
            parts.append(told)
            leader = pid if told.leads else leader
        series = await _series_of(parts)
        return self._pieces(parts, series, await self._of_leader(leader, tenants), tenants)

    async def own_part(self) -> Part:
        """What this process tells, which is on record from now on."""
        told = await self._telemetry.part()
        path = self._run_dir / f"{os.getpid()}.last"
        lines = await joined(told.lines())
        with contextlib.suppress(OSError):  # a full disk: the sum falls when we are gone
            await asyncio.to_thread(_write, path, lines)
        return told

    async def _others(self) -> list[tuple[int | None, Part]]:
        """The parts of the other processes; of those that do not answer, what they had counted when they last did."""
        found: list[tuple[int | None, Part]] = []
        alive = {int(path.stem) for path in self._run_dir.glob("*.sock")} - {os.getpid()}
        answers = await asyncio.gather(*(self._ask(pid, _part_of) for pid in alive))
        told = {pid: part for pid, part in zip(alive, answers, strict=True) if part is not None}
        found.extend(told.items())
        for path in self._run_dir.glob("*.last"):
            if int(path.stem) not in {os.getpid(), *told}:
                with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
                    found.append((None, (await _taken(_lines_of(path))).counted()))
        return found

    async def _of_leader(self, pid: int | None, tenants: Collection[str] | None) -> Iterable[bytes]:
        """The series of tenants that only a leader knows, in pieces."""
        if pid is None:
            return ()
        if pid == os.getpid():
            return self._telemetry.tenants.exposition(tenants, leads=True, shared=False)
        asked = orjson.dumps(None if tenants is None else sorted(tenants))

        async def ask(session: aiohttp.ClientSession) -> list[bytes]:
            async with session.post(f"http://process{_SERIES}", data=asked) as answer:
                return [piece async for piece in answer.content.iter_any()]

        return await self._ask(pid, ask) or ()

    async def _ask(self, pid: int, ask: Callable[[aiohttp.ClientSession], Awaitable[Any]]) -> Any:
        connector = aiohttp.UnixConnector(str(socket_of(self._run_dir, pid)))
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        try:
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                return await ask(session)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, TypeError, AttributeError) as error:
            _log.warning("process_does_not_answer", pid=pid, error=str(error))
            return None

    @staticmethod
    def _pieces(
        parts: list[Part], series: TenantSeries, of_leader: Iterable[bytes], tenants: Collection[str] | None
    ) -> Iterator[bytes]:
        for metric in summed(parts):
            if text := rendered(metric, tenants):
                yield text
        yield from series.exposition(tenants, leads=False)
        yield from of_leader


async def _series_of(parts: list[Part]) -> TenantSeries:
    """What all of them tell of tenants, for itself or added up."""
    usage: dict[str, Sequence[Any]] = {}
    requests: dict[str, Counter[tuple[str, int]]] = {}
    async for _ in in_slices(chain(newest_usage(parts, usage), summed_requests(parts, requests))):
        pass
    return TenantSeries.of({tenant_id: told[1] for tenant_id, told in usage.items()}, requests)


async def _part_of(session: aiohttp.ClientSession) -> Part:
    async with session.get(f"http://process{_PART}") as answer:
        raw = await answer.read()
    return await _taken(raw.splitlines())


async def _taken(lines: Iterable[bytes]) -> Part:
    """Raises what `Part.take` does."""
    part = Part()
    async for line in in_slices(lines):
        part.take(line)
    return part


def _lines_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    new = path.with_suffix(f".{os.urandom(4).hex()}")
    with new.open("wb") as file:
        file.writelines(pieces)
    new.replace(path)
