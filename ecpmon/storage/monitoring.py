"""Reading samples: plots from the tier that fits, newest values, windows for alert conditions."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import COMPONENT_LABEL, FUTURE, Source
from ecpmon.model.tenants import Tenant
from ecpmon.model.usage import Distribution, GpuUsage, ServiceUsage
from ecpmon.model.windows import Cause
from ecpmon.names import GPU_METRICS, SERVICE_METRICS
from ecpmon.ports.samples import Latest, Plot, Point
from ecpmon.storage.database import Database
from ecpmon.storage.laid import laid_plots
from ecpmon.storage.plots import plots_of
from ecpmon.storage.queries import load
from ecpmon.storage.trailing import MOST_FRAMES, MOST_SERIES, Term, answered, beginnings

_FIVE_MINUTES = timedelta(minutes=5)
_HOUR = timedelta(hours=1)
# A value of bytes per series: the instants in microseconds since 2000, then three numbers each.
_PACKED = """
SELECT metric_type, metric_name,
       string_agg(timestamptz_send(bucket) || float8send(value) || float8send(low) || float8send(high), ''::bytea
                  ORDER BY bucket)
FROM ({}) AS points GROUP BY 1, 2 ORDER BY 1, 2
"""
_POINT = struct.Struct(">qddd")
_ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)
# Mean response times that a job found so long ago are shown.
_KEPT = timedelta(minutes=90)
_MONTH = timedelta(days=30)
# Tenants whose hours of a month are added up in one statement.
_TENANTS = 100
# In which the newest values of all metrics are looked for.
_NEWEST_FRAMES = 2_000
# That are of a time which has not come: one a second, as far ahead as the API takes any.
_COMING_FRAMES = 300
# Steps of windows that are put together on the event loop.
_FEW_ROWS = 500
# In which the newest values of some metrics are looked for.
_LATEST_FRAMES = 5_000
_LATEST_VALUES = 50_000


def tier_for(step: timedelta) -> str:
    """The coarsest tier whose resolution fits `step`: rows read grow with the points returned."""
    return f"{_tier_of(step)}_points"


def _tier_of(step: timedelta) -> str:
    if step >= _HOUR and step % _HOUR == timedelta(0):
        return "rollup_1h"
    return "rollup_5m" if step >= _FIVE_MINUTES else "raw"


def _usage_of(service: str, rows: list[Any], resolution: timedelta) -> ServiceUsage:
    return ServiceUsage(service, resolution, **_measured(rows, SERVICE_METRICS))


def _measured(rows: list[Any], fields: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        fields[r["metric_name"]]: Distribution(r["points"], r["p50"], r["p95"], r["high"]) for r in rows
    }
    found["start"], found["end"] = min(r["first"] for r in rows), max(r["last"] for r in rows)
    found["known"] = _FIVE_MINUTES * min(r["known"] for r in rows)
    return found


@dataclass(frozen=True, slots=True)
class PackedSeries:
    """`ports.PackedPoints`: type, name and points of each series."""

    series: Sequence[tuple[str, str, bytes]]

    def open(self) -> dict[tuple[str, str], list[Point]]:
        return {
            (kind, name): [_point(*p) for p in _POINT.iter_unpack(points)]
            for kind, name, points in self.series
        }


def _point(micros: int, value: float, low: float, high: float) -> Point:
    return Point(_ORIGIN + timedelta(microseconds=micros), value, low, high)


def _newest(rows: Iterable[Any]) -> list[tuple[str, Latest]]:
    return [(name, Latest(ts, kind, value, source)) for name, kind, source, ts, value in rows]


class PgMonitoringStore:
    """`ports.MonitoringStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("monitoring")

    async def packed(
        self,
        tenant: Tenant,
        start: datetime,
        end: datetime,
        step: timedelta,
        metric_type: str | None = None,
        source: str | None = None,
        names: Collection[str] | None = None,
    ) -> PackedSeries:
        chosen = source or await self._main_source(tenant)
        wanted = None if names is None else list(names)
        rows = await self._database.fetch(
            _PACKED.format(self._sql[tier_for(step)]),
            tenant.key, start, end, step, metric_type, str(chosen), wanted,
        )  # fmt: skip
        return PackedSeries([(kind, name, points) for kind, name, points in rows])

    async def plots(
        self, tenant: Tenant, start: datetime, end: datetime, step: timedelta, metric_type: str | None = None
    ) -> list[Plot]:
        tier, made = _tier_of(step), plots_of
        if tier == "rollup_5m":
            if step % _FIVE_MINUTES:
                raise ValueError(f"no plots are made in steps of {step}")
            tier, made = ("rollup_5m", laid_plots) if step == _FIVE_MINUTES else ("rollup_minutes", plots_of)
        sql = self._sql[f"{tier}_plots"]
        rows = await self._database.fetch(sql, tenant.key, start, end, step, metric_type)
        return await made(rows, round(step.total_seconds()))

    async def sources(self, tenant: Tenant) -> set[str]:
        return {r["data_source"] for r in await self._database.fetch(self._sql["sources"], tenant.key)}

    async def _main_source(self, tenant: Tenant) -> str:
        """The evidence source if it has ever said anything, else whichever has."""
        known, preferred = await self.sources(tenant), tenant.evidence_source
        if preferred.value in known or not known:
            return preferred
        return next((s for s in Source if s.value in known), min(known))

    async def latest(self, tenant: Tenant, since: datetime, now: datetime) -> list[tuple[str, Latest]]:
        return _newest(
            await self._database.fetch(self._sql["latest"], tenant.key, since, now, _NEWEST_FRAMES)
        )

    async def coming(self, tenant: Tenant, now: datetime) -> list[tuple[str, Latest]]:
        return _newest(
            await self._database.fetch(
                self._sql["coming"], tenant.key, now, now + FUTURE, _COMING_FRAMES, _LATEST_VALUES
            )
        )

    async def latest_of(
        self, since: Sequence[tuple[Tenant, datetime]], names: Collection[str], now: datetime
    ) -> dict[int, dict[str, Latest]]:
        rows = await self._database.fetch(
            self._sql["latest_of"],
            [t.key for t, _ in since],
            [at for _, at in since],
            [t.evidence_source.value for t, _ in since],
            now,
            list(names),
            min(at for _, at in since),
            _LATEST_FRAMES,
            _LATEST_VALUES,
        )
        found: dict[int, dict[str, Latest]] = {}
        for tenant, name, kind, source, ts, value in rows:
            found.setdefault(tenant, {})[name] = Latest(ts, kind, value, source)
        return found

    async def newest(
        self, since: Sequence[tuple[Tenant, datetime]], names: Collection[str], now: datetime
    ) -> list[tuple[int, str, str, datetime, float]]:
        rows = await self._database.fetch(
            self._sql["newest"],
            [t.key for t, _ in since],
            [at for _, at in since],
            list(names),
            now,
            min((at for _, at in since), default=now),
            _NEWEST_FRAMES,
        )
        return [(tenant, name, source, ts, value) for tenant, name, source, ts, value in rows]

    async def trailing(
        self, tenant: Tenant, terms: Collection[Term], now: datetime
    ) -> dict[Term, float | None]:
        if not terms:
            return {}
        wanted = sorted({name for _, name, _ in terms})
        found = await self._database.fetch(
            self._sql["series_of_metrics"], tenant.key, wanted, tenant.evidence_source.value, MOST_SERIES
        )
        series = {r["id"]: (r["metric_name"], r["is_evidence"]) for r in found}
        starts, rows = beginnings(terms, now), []
        if series:
            rows = await self._database.fetch(
                self._sql["trailing"], tenant.key, starts[0], now, list(series), starts, MOST_FRAMES
            )
        if len(rows) > _FEW_ROWS:
            return await asyncio.to_thread(answered, terms, now, rows, series)
        return answered(terms, now, rows, series)

    async def causes(
        self, tenant: Tenant, outages: Sequence[Interval], raw_since: datetime, error_rate_at: float | None
    ) -> list[Cause]:
        rows = await self._database.fetch(
            self._sql["causes"],
            tenant.key,
            [o.start for o in outages],
            [o.end for o in outages],
            tenant.evidence_source.value,
            error_rate_at,
            raw_since,
            COMPONENT_LABEL,
            min((o.start for o in outages), default=raw_since),
            max((o.end for o in outages), default=raw_since),
        )
        services: dict[int, list[str]] = {}
        for r in rows:
            if r["service"] is not None:
                services.setdefault(r["place"], []).append(r["service"])
        errors = {r["place"] for r in rows if r["errors"]}
        return [
            Cause(tuple(services.get(place, ())), errors=place in errors)
            for place in range(1, len(outages) + 1)
        ]

    async def mean_response_times(
        self, evidence: Mapping[int, str], start: datetime, end: datetime
    ) -> dict[int, float]:
        asked = (list(evidence), start, end, list(evidence.values()))
        return dict(await self._database.fetch(self._sql["mean_response_times"], *asked))

    async def mean_response_times_30d(self, evidence: Mapping[int, str], now: datetime) -> dict[int, float]:
        since = (now - _KEPT, now + _KEPT)
        rows = await self._database.fetch(self._sql["kept_response_times"], list(evidence), *since)
        found: dict[int, float] = dict(rows)
        missing = {key: source for key, source in evidence.items() if key not in found}
        if missing:
            found |= await self.mean_response_times(missing, now - _MONTH, now)
        return found

    async def keep_response_times(self, evidence: Mapping[int, str], now: datetime) -> None:
        """Find those of the last 30 days anew that may have changed by much, for `mean_response_times_30d`."""
        due = await self._database.fetch(self._sql["response_times_due"], list(evidence), now)
        tenants = [row["tenant"] for row in due]
        for first in range(0, len(tenants), _TENANTS):
            part = {key: evidence[key] for key in tenants[first : first + _TENANTS]}
            found = await self.mean_response_times(part, now - _MONTH, now)
            if found:
                values = (list(found), list(found.values()), now)
                await self._database.execute(self._sql["keep_response_times"], *values)

    async def service_usage(
        self, tenant: Tenant, start: datetime, end: datetime, *, raw: bool
    ) -> dict[str, ServiceUsage]:
        sql = self._sql["service_usage_raw" if raw else "service_usage_5m"]
        rows = await self._database.fetch(
            sql, tenant.key, list(SERVICE_METRICS), tenant.evidence_source.value, start, end
        )
        resolution = timedelta(0) if raw else _FIVE_MINUTES
        found: dict[str, list[Any]] = {}
        for r in rows:
            found.setdefault(r["service"], []).append(r)
        return {name: _usage_of(name, own, resolution) for name, own in found.items()}

    async def gpu_usage(
        self, tenant: Tenant, start: datetime, end: datetime, *, raw: bool
    ) -> GpuUsage | None:
        sql = self._sql["gauge_usage_raw" if raw else "gauge_usage_5m"]
        rows = await self._database.fetch(
            sql, tenant.key, list(GPU_METRICS), tenant.evidence_source.value, start, end
        )
        resolution = timedelta(0) if raw else _FIVE_MINUTES
        return GpuUsage(resolution, **_measured(rows, GPU_METRICS)) if rows else None

    async def has_said(self, tenant: Tenant, names: Collection[str]) -> tuple[bool, bool]:
        row = await self._database.fetchrow(self._sql["has_said"], tenant.key, list(names))
        return row["said_some"], row["said_any"]

    async def metric_names(self, tenant: Tenant) -> set[str]:
        return {r["metric_name"] for r in await self._database.fetch(self._sql["metric_names"], tenant.key)}
