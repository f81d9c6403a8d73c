"""`--history 30d`: lets the simulator tell the past of its tenants and stores it like any other evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
import orjson

from ecpmon.collectors.rules import load_sli_rules
from ecpmon.collectors.simulator import frame_of, parse_time
from ecpmon.errors import SimulatorUnavailable
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Source
from ecpmon.model.tenants import STALENESS_FACTOR, Tenant
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.storage.upkeep import Upkeep
from ecpmon.wire import rfc3339

INTERVAL: Final = timedelta(seconds=60)
_CHUNK: Final = 4_000


async def import_history(
    database_url: str,
    simulator_url: str,
    duration: timedelta,
    tell: Callable[[str, int], None],
    tenant_ids: Collection[str] | None = None,
    end: datetime | None = None,
) -> int:
    """Store `duration` of the simulated past of the tenants deployed there, up to `end` (None: now); the number of
    observations.

    `tell(tenant_id, observations)` reports progress. Raises SimulatorUnavailable, DatabaseUnavailable. Doing it
    twice up to the same instant changes nothing.
    """
    database = Database(database_url, name="ecpmon-history")
    try:
        tenants = {
            t.tenant_id: t
            for t in await PgTenantStore(database).live()
            if t.deployed_to == "simulator" and (tenant_ids is None or t.tenant_id in tenant_ids)
        }
        importer = _Importer(database, tenants, tell)
        async for line in _lines(simulator_url, duration, sorted(tenants), end):
            await importer.take(line)
        await importer.finish()
        return importer.total
    finally:
        await database.close()


class _Importer:
    def __init__(
        self, database: Database, tenants: dict[str, Tenant], tell: Callable[[str, int], None]
    ) -> None:
        self._tenants = tenants
        self._tell = tell
        self._store = PgTenantStore(database)
        self._ingest = IngestStore(database, load_sli_rules().evidence, 10_000)
        self._upkeep = Upkeep(database)
        self._chunk: list[Frame] = []
        self._counts: dict[str, int] = defaultdict(int)
        self.total = 0

    async def take(self, line: bytes) -> None:
        entry: dict[str, Any] = orjson.loads(line)
        tenant = self._tenants.get(entry["tenant_id"])
        if tenant is None:
            return
        if tenant.tenant_id not in self._counts:
            await self._open_regime(tenant, parse_time(entry["timestamp"]))
        self._counts[tenant.tenant_id] += 1
        self._chunk.append(frame_of(entry, tenant.tenant_id))
        if len(self._chunk) >= _CHUNK:
            await self._flush()

    async def _open_regime(self, tenant: Tenant, start: datetime) -> None:
        """The past was observed once a minute, so its observations hold longer than live ones."""
        await self._store.add_regime(
            tenant, start, Source.SIMULATOR, INTERVAL * STALENESS_FACTOR, timedelta()
        )

    async def _flush(self) -> None:
        frames, self._chunk = self._chunk, []
        await self._ingest.commit([Batch(tuple(frames))])
        self.total += len(frames)
        self._tell(frames[-1].tenant_id, self.total)

    async def finish(self) -> None:
        if self._chunk:
            await self._flush()
        while await self._upkeep.roll_up(datetime.now(UTC)):
            self._tell("rollups", self.total)


async def _lines(
    simulator_url: str, duration: timedelta, tenants: list[str], end: datetime | None
) -> AsyncIterator[bytes]:
    body = {
        "duration_seconds": int(duration.total_seconds()),
        "interval_seconds": int(INTERVAL.total_seconds()),
        "tenants": tenants,
        **({} if end is None else {"end": rfc3339(end)}),
    }
    timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{simulator_url}/api/v1/history", json=body) as response,
        ):
            if response.status != 200:
                raise SimulatorUnavailable(f"the simulator refused to tell its past: {await response.text()}")
            async for line in response.content:
                if line.strip():
                    yield line
    except (aiohttp.ClientError, TimeoutError) as error:
        raise SimulatorUnavailable("the simulator stopped telling its past; start again") from error
