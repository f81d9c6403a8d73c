"""`ecpmon import`: history that others have stored becomes samples, rollups and SLA history of ours.

Invariants:
- A position is stored after what comes before it was committed: an import that ends in the midst goes on from there,
  and what it sends again changes nothing.
- Each part is gathered over a bounded number of samples, so memory does not grow with the file.
- Evidence is taken in by the commit that stores it, however old: no job does that for what raw retention has ended.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import aiohttp

from ecpmon.collectors.history.files import Csv, Promtool, Reader, prometheus, victoria
from ecpmon.collectors.history.runs import Gathering, Left, Naming, Run, interval_of
from ecpmon.collectors.rules import load_sli_rules
from ecpmon.errors import BadRequest, MonitoringUnavailable
from ecpmon.model.history import Alike, instant
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Block, Shapes, Source
from ecpmon.model.tenants import STALENESS_FACTOR, Tenant
from ecpmon.storage.database import Database
from ecpmon.storage.history import PgHistory
from ecpmon.storage.imports import PgImports
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.late import LateEvidence
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.storage.upkeep import Upkeep
from ecpmon.tasks import end

# Samples that are gathered before they are stored, about 16 bytes each: the more, the fewer hours come in pieces.
GATHERED: Final = 2_000_000
# Samples of a transaction.
TOGETHER: Final = 100_000
_ANY: Final = 2**31
_MOST_SERIES: Final = 10_000
_READ: Final = 1 << 20
# A question to Prometheus is about so much.
STEP: Final = timedelta(hours=1)
_TIMEOUT: Final = 60.0
FORMATS: Final = ("victoria", "promtool", "csv")

# (samples stored, how much of it is read from 0 to 1, what of it was left out)
Tell = Callable[[int, float, Left], None]
# What was read up to a position.
Part = tuple[Sequence[Run], int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How what is imported is taken. `interval`: how far observations are apart; None: as it is found."""

    naming: Naming
    source: Source = Source.PUSH
    interval: timedelta | None = None


async def import_file(database_url: str, path: Path, kind: str, wanted: Wanted, tell: Tell) -> int:
    """Store a file of one of FORMATS; how many samples of it are stored, with those of earlier tries.

    Raises BadRequest with the number of the line that cannot be read, DatabaseUnavailable, OSError.
    """
    size = path.stat().st_size
    source = _digest(kind, wanted, path.name.encode(), str(size).encode(), _beginning(path))
    async with _Importing(database_url, wanted, source, str(path), tell) as importing:
        return await importing.run(lambda position: _parts_of(path, kind, position), 0, size)


async def import_prometheus(
    database_url: str, url: str, selector: str, start: datetime, end: datetime, wanted: Wanted, tell: Tell,
    headers: dict[str, str] | None = None,
) -> int:  # fmt: skip
    """The same of the samples of `selector` in a Prometheus, or what answers like one.

    Raises MonitoringUnavailable when it does not answer; do it again, and it goes on from there.
    """
    source = _digest(url, wanted, selector.encode(), start.isoformat().encode(), end.isoformat().encode())
    first, last = round(start.timestamp() * 1000), round(end.timestamp() * 1000)
    async with _Importing(database_url, wanted, source, f"{url} {selector}", tell) as importing:
        return await importing.run(
            lambda position: _answers(url, selector, position, last, headers or {}), first, last
        )


class _Importing:
    def __init__(self, database_url: str, wanted: Wanted, source: str, name: str, tell: Tell) -> None:
        self._database = Database(database_url, name="ecpmon-import")
        self._wanted, self._source, self._name, self._tell = wanted, source, name, tell
        self._imports, self._tenants = PgImports(self._database), PgTenantStore(self._database)
        rules = load_sli_rules().evidence
        late = LateEvidence(most_following=_ANY, most_read=_ANY, most_written=_ANY, rules=rules)
        self._ingest = IngestStore(self._database, rules, _MOST_SERIES, late=late)
        self._history = PgHistory(self._database, rules, _MOST_SERIES)
        self._shapes = Shapes()
        self._live: dict[str, Tenant] = {}
        self._ready: set[str] = set()
        self._storing: asyncio.Task[None] | None = None
        self._stored, self._share = 0, 0.0

    async def __aenter__(self) -> _Importing:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._storing is not None:
            await end(self._storing)
        await self._database.close()

    async def run(self, parts: Callable[[int], AsyncIterator[Part]], first: int, last: int) -> int:
        now = datetime.now(UTC)
        position, self._stored = await self._imports.begin(self._source, self._name, first, now)
        self._live = {t.tenant_id: t for t in await self._tenants.live()}
        if (alone := self._wanted.naming.tenant) is not None and alone not in self._live:
            raise BadRequest(f"there is no tenant {alone}; make it first: ecpmon tenants create")
        gathering = Gathering(self._wanted.naming, now, self._live.__contains__)
        interval, span = self._wanted.interval, max(1, last - first)
        async for runs, reached in parts(position):
            interval = interval or interval_of(runs)
            for run in runs:
                gathering.add(run)
            position = reached
            if gathering.size >= GATHERED:
                alike = await asyncio.to_thread(gathering.taken)
                await self._stored_before(gathering.left)
                # The database works while the next lines are read.
                self._storing = asyncio.create_task(self._store(alike, position, interval, now))
                self._share = (position - first) / span
        await self._stored_before(gathering.left)
        await self._store(gathering.taken(), position, interval, now)
        upkeep = Upkeep(self._database)
        while await upkeep.roll_up(datetime.now(UTC)):
            pass
        await self._imports.end(self._source, datetime.now(UTC))
        self._tell(self._stored, 1.0, gathering.left)
        return self._stored

    async def _stored_before(self, left: Left) -> None:
        """Wait until what is under way is stored. Raises what that raises."""
        if self._storing is not None:
            await self._storing
            self._storing = None
            self._tell(self._stored, self._share, left)

    async def _store(
        self, alike: Sequence[Alike], position: int, interval: timedelta | None, now: datetime
    ) -> None:
        stored = 0
        for some in _together(alike):
            await self._open_regimes(some, interval or timedelta(minutes=1))
            own, left = await self._history.store(some, self._wanted.source, now)
            stored += own + await self._store_as_frames(left)
            await self._imports.note([(p.tenant_id, instant(p.at[0]), instant(p.at[-1])) for p in some])
        await self._imports.reach(self._source, position, stored)
        self._stored += stored

    async def _store_as_frames(self, parts: Sequence[Alike]) -> int:
        accepted, some = 0, list[Block]()
        for block in (block for part in parts for block in part.blocks(self._wanted.source, self._shapes)):
            some.append(block)
            if sum(each.size for each in some) >= TOGETHER:
                accepted += await self._commit(some)
                some = []
        return accepted + await self._commit(some)

    async def _commit(self, blocks: Sequence[Block]) -> int:
        if not blocks:
            return 0
        [result] = await self._ingest.commit([Batch(tuple(blocks))])
        return result.accepted

    async def _open_regimes(self, parts: Sequence[Alike], interval: timedelta) -> None:
        """Who counts as evidence before anything else did, and for how long each of its observations."""
        for part in parts:
            if part.tenant_id in self._ready:
                continue
            self._ready.add(part.tenant_id)
            tenant, first = self._live[part.tenant_id], instant(part.at[0])
            if first < tenant.created_at:
                age = None if self._wanted.source is Source.PUSH else timedelta()
                await self._tenants.add_regime(
                    tenant, first, self._wanted.source, interval * STALENESS_FACTOR, age
                )


def _together(alike: Sequence[Alike]) -> Iterator[list[Alike]]:
    """Hours of one tenant after the other, in the order of time, as many as one transaction takes."""
    some, size = list[Alike](), 0
    for _, own in groupby(alike, key=attrgetter("tenant_id")):
        for part in sorted((hour for each in own for hour in each.hours()), key=attrgetter("hour")):
            if size >= TOGETHER and (part.tenant_id, part.hour) != (some[-1].tenant_id, some[-1].hour):
                yield some
                some, size = [], 0
            some.append(part)
            size += part.size
    if some:
        yield some


async def _parts_of(path: Path, kind: str, position: int) -> AsyncIterator[Part]:
    """About a megabyte of lines at a time, read and taken apart in a thread."""
    with path.open("rb") as file:
        head = file.readline() if kind == "csv" else b""
        reader = _reader(kind, head)
        if position > file.tell():
            file.seek(position)
        while lines := await asyncio.to_thread(file.readlines, _READ):
            begins = file.tell() - sum(map(len, lines))
            runs = await asyncio.to_thread(_runs, reader, lines, begins)
            yield runs, file.tell()


def _reader(kind: str, head: bytes) -> Reader:
    if kind == "csv":
        return Csv(head)
    return victoria if kind == "victoria" else Promtool()


def _runs(reader: Reader, lines: Sequence[bytes], begins: int) -> list[Run]:
    """What lines tell, those of one sample each put together by series."""
    found: list[Run] = []
    long: dict[int, tuple[list[int], list[float]]] = {}
    for line in lines:
        try:
            told = reader(line)
        except BadRequest as error:
            raise type(error)(f"{error.message} (at byte {begins})") from error
        begins += len(line)
        for run in (told,) if isinstance(told, Run) else told or ():
            if len(run.at) != 1:
                found.append(run)
                continue
            columns = long.get(id(run.labels))
            if columns is None:
                columns = long[id(run.labels)] = [], []
                found.append(Run(run.labels, *columns))
            columns[0].append(run.at[0])
            columns[1].append(run.values[0])
    return found


async def _answers(
    url: str, selector: str, position: int, last: int, headers: dict[str, str]
) -> AsyncIterator[Part]:
    """What was said in each hour after `position` up to `last`."""
    step = round(STEP.total_seconds() * 1000)
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        while position < last:
            until = min(position + step, last)
            asked = {"query": f"{selector}[{until - position}ms]", "time": f"{until / 1000:.3f}"}
            try:
                async with session.post(f"{url.rstrip('/')}/api/v1/query", data=asked) as response:
                    answer: Any = await response.json(content_type=None)
                    if response.status != 200:
                        raise MonitoringUnavailable(f"{url} answered {response.status}: {_why(answer)}")
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise MonitoringUnavailable(f"{url} does not answer; do it again to go on") from error
            yield list(prometheus(answer)), until
            position = until


def _why(answer: Any) -> str:
    return str(answer.get("error", answer) if isinstance(answer, dict) else answer)[:300]


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(65_536)


def _digest(kind: str, wanted: Wanted, *parts: bytes) -> str:
    naming = wanted.naming
    told = (kind, naming.tenant, naming.tenant_label, sorted(naming.dropped), sorted(naming.renamed.items()),
            wanted.source.value)  # fmt: skip
    return hashlib.sha256(b"\0".join((repr(told).encode(), *parts))).hexdigest()
