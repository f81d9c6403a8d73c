"""What the processes of one machine tell one another, over sockets in a folder that only they can enter (ADR 0010).

Never on a port: nobody is asked who he is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from ecpmon.tenantseries import TenantSeries, Usage

_log = structlog.get_logger(__name__)
ANSWER_SECONDS: Final = 5.0
_TOLD: Final = "/machine/told"
# How many bytes of an answer to that are the part; the rest is text of a leader.
_PART_BYTES: Final = "X-Part-Bytes"
# What an answer that is none, or of another version of us, raises.
_TROUBLE: Final = (
    aiohttp.ClientError, OSError, TimeoutError, EOFError, ValueError, TypeError, AttributeError, KeyError
)  # fmt: skip


def machine_api(context: ApiContext, machine: MachineMetrics) -> web.Application:
    """What a process answers on its socket: whether it is alive, whether it is ready, and its metrics."""

    async def health(_: web.Request) -> web.Response:
        return _reply({"status": "ok"})

    async def ready(_: web.Request) -> web.Response:
        told = await context.production.health.ready()
        ok = told["ok"] and (context.demo is None or (await context.demo.health.ready())["ok"])
        return _reply(told, 200 if ok else 503)

    async def told(request: web.Request) -> web.StreamResponse:
        asked = orjson.loads(await request.read())
        tenants = None if asked is None else frozenset(asked)
        own = await machine.own_part()
        part = await joined(own.lines())
        series = await joined(machine.own_series(tenants)) if own.leads else ()
        return await _send(request, part, series)

    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    app.router.add_post(_TOLD, told)
    return app


def _reply(document: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")


async def _send(request: web.Request, part: Sequence[bytes], series: Sequence[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={_PART_BYTES: str(sum(map(len, part)))})
    with contextlib.suppress(
        ConnectionError
    ):  # who asked waits for so long only, and is told by its own deadline
        await response.prepare(request)
        for piece in chain(part, series):
            await response.write(piece)
    return response


@dataclass(frozen=True, slots=True)
class _Told:
    """What a process answered; `series`: the text of what only a leader knows of tenants, in pieces."""

    part: Part
    series: Sequence[bytes] = ()


class MachineMetrics:
    """The metrics of all processes of a machine. What each told last is kept in the folder for when it is gone."""

    def __init__(self, telemetry: Telemetry, run_dir: Path) -> None:
        self._telemetry = telemetry
        self._run_dir = run_dir
        # What all of them told last of tenants: it knows which text of whom is still right.
        self._shared = TenantSeries(telemetry.tenants.now)

    async def exposition(self, tenants: Collection[str] | None) -> Iterator[bytes]:
        """As `Telemetry.exposition`, of all of them; one at a time."""
        own, told = await asyncio.gather(self.own_part(), self._others(tenants))
        parts = [own, *(one.part for one in told)]
        await self._share(parts)
        of_leader: Iterable[bytes] = self.own_series(tenants) if own.leads else ()
        for one in told:
            of_leader = one.series if one.part.leads else of_leader
        return self._pieces(parts, of_leader, tenants)

    def own_series(self, tenants: Collection[str] | None) -> Iterator[bytes]:
        """The text of what only a leader, such as this process, knows of tenants."""
        return self._telemetry.tenants.exposition(tenants, leads=True, shared=False)

    async def own_part(self) -> Part:
        """What this process tells, which is on record from now on."""
        told = await self._telemetry.part()
        path = self._run_dir / f"{os.getpid()}.last"
        lines = await joined(told.lines())
        with contextlib.suppress(OSError):  # a full disk: the sum falls when we are gone
            await asyncio.to_thread(_write, path, lines)
        return told

    async def _others(self, tenants: Collection[str] | None) -> list[_Told]:
        """What the other processes tell; of those that do not answer, what they had counted when they last did."""
        alive = {int(path.stem) for path in self._run_dir.glob("*.sock")} - {os.getpid()}
        asked = orjson.dumps(None if tenants is None else sorted(tenants))
        answers = await asyncio.gather(*(self._ask(pid, asked) for pid in alive))
        told = {pid: answer for pid, answer in zip(alive, answers, strict=True) if answer is not None}
        found = list(told.values())
        for path in self._run_dir.glob("*.last"):
            if int(path.stem) not in {os.getpid(), *told}:
                with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
                    found.append(_Told((await _taken(_lines_of(path))).counted()))
        return found

    async def _ask(self, pid: int, asked: bytes) -> _Told | None:
        connector = aiohttp.UnixConnector(str(socket_of(self._run_dir, pid)))
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.post(f"http://process{_TOLD}", data=asked) as answer,
            ):
                return await _heard(answer, pid)
        except _TROUBLE as error:
            _log.warning("process_does_not_answer", pid=pid, error=str(error))
            return None

    async def _share(self, parts: list[Part]) -> None:
        """What all of them tell of tenants, for itself or added up."""
        usage: Usage = {}
        requests: dict[str, Counter[tuple[str, int]]] = {}
        async for _ in in_slices(chain(newest_usage(parts, usage), summed_requests(parts, requests))):
            pass
        self._shared.replace_shared(usage, requests)

    def _pieces(
        self, parts: list[Part], of_leader: Iterable[bytes], tenants: Collection[str] | None
    ) -> Iterator[bytes]:
        for metric in summed(parts):
            if text := rendered(metric, tenants):
                yield text
        yield from self._shared.exposition(tenants, leads=False)
        yield from of_leader


async def _heard(answer: aiohttp.ClientResponse, pid: int) -> _Told:
    """Raises what `Part.take` does. Of a text that breaks off nothing is shown: its last line may be half a one."""
    raw = await answer.content.readexactly(int(answer.headers[_PART_BYTES]))
    part = await _taken(raw.splitlines())
    try:
        return _Told(part, [piece async for piece in answer.content.iter_any()])
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        _log.warning("leader_breaks_off", pid=pid, error=str(error))
        return _Told(part)


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
