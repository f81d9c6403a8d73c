"""The one transaction by which samples enter: frames, rollup marks, availability, attempts, watermarks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ecpmon.model.ingest import Batch, IngestResult, Rejection, Rejections, StateChange
from ecpmon.model.samples import Frame, Source
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.storage.database import Database, wrap_errors
from ecpmon.storage.evidence import EvidenceValue, HeadChange, TimelineWriter, evidence_of, evidence_values
from ecpmon.storage.queries import load
from ecpmon.storage.series import Identity, SeriesCatalogue

_BUCKET = 300


def bucket_of(ts: datetime) -> datetime:
    """The start of the 5-minute bucket that holds `ts`."""
    return ts - timedelta(seconds=ts.timestamp() % _BUCKET)


class IngestStore:
    """Commits batches. A returned result means committed."""

    def __init__(self, database: Database, rules: EvidenceRules, max_series_per_tenant: int) -> None:
        self._database = database
        self._series = SeriesCatalogue(max_series_per_tenant)
        self._timelines = TimelineWriter(rules)
        self._sql = load("ingest")

    async def commit(self, batches: list[Batch]) -> list[IngestResult]:
        """All batches in one transaction; one result per batch.

        Raises DatabaseUnavailable (nothing was stored, or the outcome is unknown: send it again, which is
        harmless) or DatabaseRefused.
        """
        frames = [f for b in batches for f in b.frames]
        async with self._database.transaction() as connection:
            with wrap_errors():
                tenants = await self._tenants(connection, frames, batches)
                ids = await self._series.intern(connection, _identities(frames, tenants))
                await self._copy(connection, frames, tenants, ids)
                await self._attempts(connection, batches, tenants)
                changes = await self._timelines.apply(connection, _evidence(frames, tenants, ids))
        self._series.remember(ids)
        names = {key: name for name, key in tenants.items()}
        state_changes = [c for c in (_state_change(change, names) for change in changes) if c]
        return [_result(b, tenants, ids, state_changes) for b in batches]

    async def _tenants(self, connection: Any, frames: list[Frame], batches: list[Batch]) -> dict[str, int]:
        names = {f.tenant_id for f in frames}
        names |= {a.tenant_id for b in batches for a in b.attempts if a.tenant_id}
        if not names:
            return {}
        rows = await connection.fetch(self._sql["live_tenants"], sorted(names))
        return {r["tenant_id"]: r["id"] for r in rows}

    async def _copy(
        self, connection: Any, frames: list[Frame], tenants: dict[str, int], ids: dict[Identity, int]
    ) -> None:
        records = []
        for frame in frames:
            key = tenants.get(frame.tenant_id)
            if key is None:
                continue
            pairs = [(ids.get((key, frame.source, s.key)), s.value) for s in frame.samples]
            kept = [(number, value) for number, value in pairs if number is not None]
            if kept:
                records.append((frame.ts, key, [n for n, _ in kept], [v for _, v in kept]))
        if not records:
            return
        await connection.copy_records_to_table(
            "frames", records=records, columns=["ts", "tenant", "series", "samples"]
        )
        marks = {(r[1], bucket_of(r[0])) for r in records}
        await connection.execute(self._sql["mark_rollups"], [m[0] for m in marks], [m[1] for m in marks])

    async def _attempts(self, connection: Any, batches: list[Batch], tenants: dict[str, int]) -> None:
        attempts = [a for b in batches for a in b.attempts if a.tenant_id is None or a.tenant_id in tenants]
        if attempts:
            await connection.execute(
                self._sql["insert_attempts"],
                [a.ts for a in attempts],
                [a.source.value for a in attempts],
                [tenants[a.tenant_id] if a.tenant_id else None for a in attempts],
                [a.outcome.value for a in attempts],
                [a.duration_ms for a in attempts],
                [a.detail for a in attempts],
            )
        for batch in batches:
            for source, collected in batch.watermarks:
                await connection.execute(self._sql["set_watermark"], source.value, collected)

    async def watermark(self, source: Source) -> datetime | None:
        """How far a collector had got when it last committed."""
        value: datetime | None = await self._database.fetchval(self._sql["watermark"], source.value)
        return value

    async def last_attempt(self, source: Source, since: datetime) -> datetime | None:
        """The newest recorded attempt of a source after `since`."""
        value: datetime | None = await self._database.fetchval(self._sql["last_attempt"], source.value, since)
        return value

    async def take_in_hand_made(self, oldest: datetime) -> int:
        """Apply evidence that people inserted through `monitoring_data`; the number of rows taken in.

        Before `oldest` the frames around it are gone, and with them what the timeline was made of: it stays.
        """
        async with self._database.transaction() as connection:
            with wrap_errors():
                rows = await connection.fetch(self._sql["take_hand_made"])
                evidence: dict[int, list[EvidenceValue]] = defaultdict(list)
                for r in rows:
                    if r["ts"] < oldest:
                        continue
                    raw = await connection.fetch(self._sql["raw_evidence"], r["tenant"], r["ts"], r["ts"])
                    evidence[r["tenant"]].extend(evidence_values(raw))
                await self._timelines.apply(connection, dict(evidence))
        return len(rows)


def _identities(frames: Iterable[Frame], tenants: dict[str, int]) -> Iterable[Identity]:
    for frame in frames:
        key = tenants.get(frame.tenant_id)
        if key is not None:
            for sample in frame.samples:
                yield (key, frame.source, sample.key)


def _evidence(
    frames: Iterable[Frame], tenants: dict[str, int], ids: dict[Identity, int]
) -> dict[int, list[EvidenceValue]]:
    """Evidence by tenant, of accepted samples only: what was rejected has no vote."""
    found: dict[int, list[EvidenceValue]] = defaultdict(list)
    for frame in frames:
        key = tenants.get(frame.tenant_id)
        if key is None:
            continue
        kept = tuple(s for s in frame.samples if (key, frame.source, s.key) in ids)
        if values := evidence_of(replace(frame, samples=kept)):
            found[key].extend(values)
    return dict(found)


def _state_change(change: HeadChange, names: dict[int, str]) -> StateChange | None:
    before = change.before.state if change.before else None
    if before is change.after.state:
        return None
    return StateChange(names[change.tenant], change.after.since, change.after.state, before)


def _result(
    batch: Batch, tenants: dict[str, int], ids: dict[Identity, int], changes: list[StateChange]
) -> IngestResult:
    accepted = 0
    rejected = Rejections()
    mine = {f.tenant_id for f in batch.frames}
    for frame in batch.frames:
        key = tenants.get(frame.tenant_id)
        for sample in frame.samples:
            if key is None:
                reason = Rejection.UNKNOWN_TENANT
            elif (key, frame.source, sample.key) not in ids:
                reason = Rejection.TOO_MANY_SERIES
            else:
                accepted += 1
                continue
            rejected.add(frame.tenant_id, sample.key.metric_name, reason)
    return IngestResult(
        accepted,
        tuple(rejected.named),
        tuple(c for c in changes if c.tenant_id in mine),
        batch.frames,
        rejected.counts,
    )
