"""The one transaction by which samples enter: frames, rollup marks, availability, attempts, watermarks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog

from ecpmon.errors import EcpError
from ecpmon.model.ingest import (
    Batch,
    IngestResult,
    Screened,
    cost_of,
    screen,
)
from ecpmon.model.leadership import Claim
from ecpmon.model.samples import Shapes, Source
from ecpmon.ports.leading import leading
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.storage.apart import each_apart
from ecpmon.storage.bus import BusWriter
from ecpmon.storage.crowding import MOST_CHANGES
from ecpmon.storage.database import Database
from ecpmon.storage.evidence import HeadChange
from ecpmon.storage.faults import NotAsRemembered, wrap_errors
from ecpmon.storage.lanes import Lane
from ecpmon.storage.late import LateEvidence
from ecpmon.storage.marks import OpenMarks
from ecpmon.storage.outcomes import number_of, results_of
from ecpmon.storage.queries import load
from ecpmon.storage.regimes import EvidenceValue
from ecpmon.storage.rows import COLUMNS, Placed, Touched, buckets
from ecpmon.storage.series import Row, SeriesCatalogue, Wanted
from ecpmon.storage.steady import Known, Plan, Steady
from ecpmon.storage.streaming import body_of, evidence_of, seconds_ahead, taken_out
from ecpmon.storage.telling import tell_samples
from ecpmon.storage.timelines import Timelines

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Under:
    """A long commit: its connection, the marks of its lane, and the open ends that it has found."""

    connection: Any
    marks: OpenMarks
    found: dict[int, Known] = field(default_factory=dict)


_Store = Callable[[_Under, Sequence[Placed]], Awaitable[tuple[dict[Wanted, Row], frozenset[int]]]]
_Continue = Callable[[_Under, dict[int, list[EvidenceValue]]], Awaitable[list[HeadChange]]]

# What one sender may add to a commit that others wait for: samples as `cost_of` counts them, and names of series.
LIGHT_SAMPLES: Final = 600
LIGHT_NAMES: Final = 60
# Of a statement, each without whoever was not as remembered the time before.
_MOST_TRIES: Final = 4
# Commits for which a tenant whose timeline could not be continued is left to the job that takes in hand-made rows.
_WARY_COMMITS: Final = 100


class IngestStore:
    """Commits batches. A returned result means committed."""

    def __init__(
        self,
        database: Database,
        rules: EvidenceRules,
        max_series_per_tenant: int,
        most_changes: int = MOST_CHANGES,
        bus: BusWriter | None = None,
        late: LateEvidence | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """`most_changes` as for `Timelines`; `bus` tells the other processes; `late` what is left to the job.

        `now`: what is of a later time is stored, and left to the job until that has come; None: all of it has.
        """
        self._database = database
        self._series = SeriesCatalogue(max_series_per_tenant)
        self._shapes = Shapes()
        self._marks = {lane: OpenMarks() for lane in Lane}
        self._timelines = Timelines(rules, most_changes)
        self._late = late or LateEvidence(rules=rules)
        self._wary: dict[int, int] = {}
        self._bus = bus or BusWriter()
        self._now = now
        self._sql = load("ingest")
        self._steady = Steady(rules, self._series, self._shapes)
        # Commits that were one statement.
        self.at_once = 0

    async def commit(self, batches: list[Batch], claims: Collection[Claim] = ()) -> list[IngestResult]:
        """All batches in one transaction; one result per batch. For who commits nothing at the same time.

        Raises as `commit_long`.
        """
        steady = self._steady.plan(_screened(batches), self._now and self._now())
        if claims or leading.get() or None in steady.results:
            return await self.commit_long(batches, claims)
        results: list[IngestResult] = []
        for batch, result in zip(batches, await self.commit_steadily(batches), strict=True):
            if isinstance(result, EcpError):
                raise result
            results += [result] if result else await self.commit_long([batch])
        return results

    async def commit_steadily(self, batches: Sequence[Batch]) -> Sequence[IngestResult | EcpError | None]:
        """What only goes on, in one statement (`storage.steady`); one result per batch, of each tenant for all or none.

        None: it takes a long commit; nothing of it was stored. DatabaseUnavailable: nor was this, or the outcome is
        unknown.
        """
        screened, apart = _screened(batches), set[str]()
        for _ in range(_MOST_TRIES):
            plan = self._steady.plan(screened, self._now and self._now(), apart)
            if not plan.placed:
                return plan.results
            try:
                await self._commit_at_once(plan)
            except NotAsRemembered as error:
                self._steady.forget(error.culprits)
                apart.update(plan.names[tenant] for tenant in error.culprits)
            except EcpError as error:
                if error.retryable:
                    return [result and error for result in plan.results]
                break  # the long way finds whose fault it is
            else:
                return plan.results
        return [None] * len(batches)

    async def _commit_at_once(self, plan: Plan) -> None:
        """Raises NotAsRemembered: nothing was stored."""
        arguments, marks = plan.arguments(), self._marks[Lane.STEADY]
        failed: NotAsRemembered | None = None
        async with self._database.writing_at_once(Lane.STEADY) as connection:
            marks.begin(connection)
            missing, open_until = marks.guessed(buckets(plan.touched))
            marked, starts = [mark[0] for mark in missing], [mark[1] for mark in missing]
            try:
                with wrap_errors():
                    now = await connection.fetchval(
                        self._sql["store_steadily"], *arguments, marked, starts, open_until, *self._bus.signed
                    )
            except NotAsRemembered as error:
                failed = error
                marks.undone()
                if not error.culprits:
                    marks.distrust()
            else:
                marks.told(now)
                marks.committed()
                self.at_once += 1
        # Not within: what raises there is given up together with its connection.
        if failed is not None:
            raise failed

    def is_heavy(self, batches: Sequence[Batch]) -> bool:
        """Whether a long commit of these takes so much longer than others that these are not to wait for it."""
        size = names = 0
        for entry in (entry for batch in batches for entry in batch.frames):
            size += cost_of(entry)
            if entry.tenant is not None and size <= LIGHT_SAMPLES:
                placed = Placed(entry, entry.tenant, self._shapes)
                names += self._series.unknown(placed.wanted, LIGHT_NAMES)
            if size > LIGHT_SAMPLES or names > LIGHT_NAMES:
                return True
        return False

    async def commit_long(
        self, batches: list[Batch], claims: Collection[Claim] = (), lane: Lane = Lane.LIGHT
    ) -> list[IngestResult]:
        """All batches in one transaction; one result per batch. `claims`: in whose name some of them are written.

        A tenant whose own rows stand in the way stops no other: its frames are refused, or, where only its timeline
        cannot be continued, stored and taken in later. Raises DatabaseUnavailable (nothing was stored, or the outcome
        is unknown: send it again, which is harmless), NoLongerLeader (for one of the claims; nothing was stored) or
        DatabaseRefused.
        """
        screened = _screened(batches)
        try:
            return await self._commit(screened, claims, lane, self._store, self._continue)
        except EcpError as error:
            if error.retryable:
                raise
            _log.warning("commit_apart", batches=len(batches), error=error.message)
        return await self._commit(screened, claims, lane, self._store_apart, self._continue_apart)

    async def _commit(
        self,
        screened: list[Screened],
        claims: Collection[Claim],
        lane: Lane,
        store: _Store,
        continue_: _Continue,
    ) -> list[IngestResult]:
        batches = [s.batch for s in screened]
        async with self._database.writing(*claims, lane=lane) as connection:
            under = _Under(connection, self._marks[lane])
            under.marks.begin(connection)
            with wrap_errors():
                tenants = await self._tenants(under, batches)
                placed = self._placed(batches, tenants)
                rows, refused = await store(under, placed)
                await self._attempts(connection, batches, tenants)
                evidence = await evidence_of(placed, refused)
                now = self._ahead_of(placed)
                if now is not None:
                    await self._defer(connection, taken_out(evidence, now))
                changes = await self._continued(under, evidence, continue_)
                touched = {each.tenant for each in placed} - refused
                coming = () if now is None else seconds_ahead(placed, now)
                await tell_samples(self._bus, connection, touched, changes, coming=coming)
        under.marks.committed()
        self._series.remember(rows)
        self._steady.remember(under.found)
        return results_of(screened, placed, refused, changes, tenants)

    def _placed(self, batches: list[Batch], tenants: dict[str, int]) -> list[Placed]:
        """What is about live tenants, as columns."""
        return [
            Placed(entry, number, self._shapes)
            for batch in batches
            for entry in batch.frames
            if (number := number_of(entry, tenants)) is not None
        ]

    def _ahead_of(self, placed: Iterable[Placed]) -> datetime | None:
        """The present, when something is of a later time."""
        if self._now is None:
            return None
        now = self._now()
        return now if max((max(e.entry.instants) for e in placed), default=now) > now else None

    async def _store(
        self, under: _Under, placed: Sequence[Placed]
    ) -> tuple[dict[Wanted, Row], frozenset[int]]:
        rows = await self._series.intern(under.connection, dict.fromkeys(each.wanted for each in placed))
        for each in placed:
            each.row = rows[each.wanted]
        await self._copy(under, placed)
        return rows, frozenset()

    async def _store_apart(
        self, under: _Under, placed: Sequence[Placed]
    ) -> tuple[dict[Wanted, Row], frozenset[int]]:
        """The same, and which tenants had to be refused."""
        rows: dict[Wanted, Row] = {}
        under.marks.distrust()
        by_tenant: dict[str, list[Placed]] = defaultdict(list)
        for each in placed:
            by_tenant[each.entry.tenant_id].append(each)

        async def store(own: list[Placed]) -> None:
            found, _ = await self._store(under, own)
            rows.update(found)

        failed = await each_apart(under.connection, "ingest", by_tenant, store)
        return rows, frozenset(by_tenant[name][0].tenant for name in failed)

    async def _continued(
        self, under: _Under, evidence: dict[int, list[EvidenceValue]], continue_: _Continue
    ) -> list[HeadChange]:
        """Timelines continued by `evidence`; what lately failed, or costs too much, is left to the job."""
        wary = {key: evidence.pop(key) for key in list(evidence) if self._wary.get(key)}
        for key in wary:
            self._wary[key] -= 1
        await self._defer(under.connection, wary)
        return await continue_(under, evidence)

    async def _continue(self, under: _Under, evidence: dict[int, list[EvidenceValue]]) -> list[HeadChange]:
        connection = under.connection
        locked = await self._timelines.lock(connection, evidence, free_only=True)
        now, later = await self._late.divided(connection, evidence, locked)
        await self._defer(connection, later)
        changes = await self._timelines.apply(connection, now, locked)
        under.found.update(self._steady.found(changes, locked))
        return changes

    async def _continue_apart(
        self, under: _Under, evidence: dict[int, list[EvidenceValue]]
    ) -> list[HeadChange]:
        changes: list[HeadChange] = []

        async def apply(own: dict[int, list[EvidenceValue]]) -> None:
            changes.extend(await self._continue(under, own))

        items = {key: {key: values} for key, values in evidence.items()}
        failed = await each_apart(under.connection, "ingest", items, apply)
        await self._defer(under.connection, {key: evidence[key] for key in failed})
        self._wary.update(dict.fromkeys(failed, _WARY_COMMITS))
        return changes

    async def _defer(self, connection: Any, evidence: Mapping[int, list[EvidenceValue]]) -> None:
        marks = sorted({(key, value[0]) for key, values in evidence.items() for value in values})
        if marks:
            await connection.execute(self._sql["mark_evidence"], [m[0] for m in marks], [m[1] for m in marks])

    async def _tenants(self, under: _Under, batches: list[Batch]) -> dict[str, int]:
        names = {f.tenant_id for b in batches for f in b.frames}
        names |= {a.tenant_id for b in batches for a in b.attempts if a.tenant_id}
        if not names:
            return {}
        rows = await under.connection.fetch(self._sql["live_tenants"], sorted(names))
        if rows:
            under.marks.told(rows[0]["now"])
        return {r["tenant_id"]: r["id"] for r in rows}

    async def _copy(self, under: _Under, placed: Sequence[Placed]) -> None:
        if not any(each.row.taken for each in placed):
            return
        connection, touched = under.connection, Touched()
        await connection.copy_to_table(
            "frames", source=body_of(placed, touched), columns=COLUMNS, format="binary"
        )
        if marks := under.marks.missing(buckets(touched)):
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

    async def last_attempt(self, source: Source, since: datetime, now: datetime) -> datetime | None:
        """The newest recorded attempt of a source after `since`."""
        sql = self._sql["last_attempt"]
        value: datetime | None = await self._database.fetchval(sql, source.value, since, now)
        return value


def _screened(batches: Iterable[Batch]) -> list[Screened]:
    return [screen(batch) for batch in batches]
