"""The one transaction by which samples enter: frames, rollup marks, availability, attempts, watermarks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog

from ecpmon.errors import EcpError
from ecpmon.model.ingest import (
    Batch,
    IngestResult,
    Rejection,
    Rejections,
    Screened,
    StateChange,
    screen,
)
from ecpmon.model.leadership import Claim
from ecpmon.model.samples import Block, Entry, Shapes, Source, is_storable
from ecpmon.ports.leading import leading
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.slices import Slices
from ecpmon.storage.apart import each_apart
from ecpmon.storage.bus import BusWriter
from ecpmon.storage.crowding import MOST_CHANGES
from ecpmon.storage.database import Database
from ecpmon.storage.evidence import HeadChange
from ecpmon.storage.faults import NotAsRemembered, wrap_errors
from ecpmon.storage.late import LateEvidence
from ecpmon.storage.marks import OpenMarks
from ecpmon.storage.queries import load
from ecpmon.storage.regimes import EvidenceValue
from ecpmon.storage.rows import COLUMNS, END, HEAD, Placed, Touched, buckets, encoded
from ecpmon.storage.series import Row, SeriesCatalogue, Wanted
from ecpmon.storage.steady import Plan, Steady
from ecpmon.storage.telling import is_change, tell_samples
from ecpmon.storage.timelines import Timelines

_log = structlog.get_logger(__name__)
_Store = Callable[[Any, Sequence[Placed]], Awaitable[tuple[dict[Wanted, Row], frozenset[int]]]]
_Continue = Callable[[Any, dict[int, list[EvidenceValue]]], Awaitable[list[HeadChange]]]


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
        self._marks = OpenMarks()
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
        """All batches in one transaction; one result per batch. `claims`: in whose name some of them are written.

        A tenant whose own rows stand in the way stops no other: its frames are refused, or, where only its timeline
        cannot be continued, stored and taken in later. Raises DatabaseUnavailable (nothing was stored, or the outcome
        is unknown: send it again, which is harmless), NoLongerLeader (for one of the claims; nothing was stored) or
        DatabaseRefused.
        """
        screened = [screen(batch) for batch in batches]
        named = claims or leading.get()
        plan = None if named else self._steady.plan(screened, self._now and self._now())
        if plan is not None and await self._commit_at_once(plan):
            return plan.results
        try:
            return await self._commit(screened, claims, self._store, self._continue)
        except EcpError as error:
            if error.retryable:
                raise
            _log.warning("commit_apart", batches=len(batches), error=error.message)
        return await self._commit(screened, claims, self._store_apart, self._continue_apart)

    async def _commit_at_once(self, plan: Plan) -> bool:
        """In one statement (`storage.steady`). False: nothing was stored, something is not as it was remembered.

        Raises DatabaseUnavailable: nothing was stored, or the outcome is unknown.
        """
        arguments = plan.arguments()
        try:
            async with self._database.writing_at_once() as connection:
                self._marks.begin(connection)
                marks, open_until = self._marks.guessed(buckets(plan.touched))
                marked, starts = [mark[0] for mark in marks], [mark[1] for mark in marks]
                try:
                    with wrap_errors():
                        now = await connection.fetchval(
                            self._sql["store_steadily"],
                            *arguments,
                            marked,
                            starts,
                            open_until,
                            *self._bus.signed,
                        )
                except NotAsRemembered:
                    self._marks.undone()
                    self._steady.forget(plan.names)
                    return False
        except EcpError as error:
            if error.retryable:
                raise
            return False  # the long way finds whose fault it is
        self._marks.told(now)
        self._marks.committed()
        self.at_once += 1
        return True

    async def _commit(
        self, screened: list[Screened], claims: Collection[Claim], store: _Store, continue_: _Continue
    ) -> list[IngestResult]:
        batches = [s.batch for s in screened]
        async with self._database.writing(*claims) as connection:
            self._marks.begin(connection)
            self._steady.begin()
            with wrap_errors():
                tenants = await self._tenants(connection, batches)
                placed = self._placed(batches, tenants)
                rows, refused = await store(connection, placed)
                await self._attempts(connection, batches, tenants)
                evidence = await _evidence(placed, refused)
                now = self._ahead_of(placed)
                if now is not None:
                    await self._defer(connection, _taken_out(evidence, now))
                changes = await self._continued(connection, evidence, continue_)
                touched = {each.tenant for each in placed} - refused
                coming = () if now is None else _seconds_ahead(placed, now)
                await tell_samples(self._bus, connection, touched, changes, coming=coming)
        self._marks.committed()
        self._series.remember(rows)
        self._steady.committed()
        names = {key: name for name, key in tenants.items()}
        state_changes = [c for c in (_state_change(change, names) for change in changes) if c]
        last = _last_batches(batches, tenants) if state_changes else {}
        by_entry = {id(each.entry): each for each in placed}
        return [
            _result(s, by_entry, refused, [c for c in state_changes if last[c.tenant_id] == n])
            for n, s in enumerate(screened)
        ]

    def _placed(self, batches: list[Batch], tenants: dict[str, int]) -> list[Placed]:
        """What is about live tenants, as columns."""
        return [
            Placed(entry, number, self._shapes)
            for batch in batches
            for entry in batch.frames
            if (number := _number(entry, tenants)) is not None
        ]

    def _ahead_of(self, placed: Iterable[Placed]) -> datetime | None:
        """The present, when something is of a later time."""
        if self._now is None:
            return None
        now = self._now()
        return now if max((max(e.entry.instants) for e in placed), default=now) > now else None

    async def _store(
        self, connection: Any, placed: Sequence[Placed]
    ) -> tuple[dict[Wanted, Row], frozenset[int]]:
        rows = await self._series.intern(connection, dict.fromkeys(each.wanted for each in placed))
        for each in placed:
            each.row = rows[each.wanted]
        await self._copy(connection, placed)
        return rows, frozenset()

    async def _store_apart(
        self, connection: Any, placed: Sequence[Placed]
    ) -> tuple[dict[Wanted, Row], frozenset[int]]:
        """The same, and which tenants had to be refused."""
        rows: dict[Wanted, Row] = {}
        self._marks.distrust()
        by_tenant: dict[str, list[Placed]] = defaultdict(list)
        for each in placed:
            by_tenant[each.entry.tenant_id].append(each)

        async def store(own: list[Placed]) -> None:
            found, _ = await self._store(connection, own)
            rows.update(found)

        failed = await each_apart(connection, "ingest", by_tenant, store)
        return rows, frozenset(by_tenant[name][0].tenant for name in failed)

    async def _continued(
        self, connection: Any, evidence: dict[int, list[EvidenceValue]], continue_: _Continue
    ) -> list[HeadChange]:
        """Timelines continued by `evidence`; what lately failed, or costs too much, is left to the job."""
        wary = {key: evidence.pop(key) for key in list(evidence) if self._wary.get(key)}
        for key in wary:
            self._wary[key] -= 1
        await self._defer(connection, wary)
        return await continue_(connection, evidence)

    async def _continue(self, connection: Any, evidence: dict[int, list[EvidenceValue]]) -> list[HeadChange]:
        locked = await self._timelines.lock(connection, evidence, free_only=True)
        now, later = await self._late.divided(connection, evidence, locked)
        await self._defer(connection, later)
        changes = await self._timelines.apply(connection, now, locked)
        self._steady.note(changes, locked)
        return changes

    async def _continue_apart(
        self, connection: Any, evidence: dict[int, list[EvidenceValue]]
    ) -> list[HeadChange]:
        changes: list[HeadChange] = []

        async def apply(own: dict[int, list[EvidenceValue]]) -> None:
            changes.extend(await self._continue(connection, own))

        items = {key: {key: values} for key, values in evidence.items()}
        failed = await each_apart(connection, "ingest", items, apply)
        await self._defer(connection, {key: evidence[key] for key in failed})
        self._wary.update(dict.fromkeys(failed, _WARY_COMMITS))
        return changes

    async def _defer(self, connection: Any, evidence: Mapping[int, list[EvidenceValue]]) -> None:
        marks = sorted({(key, value[0]) for key, values in evidence.items() for value in values})
        if marks:
            await connection.execute(self._sql["mark_evidence"], [m[0] for m in marks], [m[1] for m in marks])

    async def _tenants(self, connection: Any, batches: list[Batch]) -> dict[str, int]:
        names = {f.tenant_id for b in batches for f in b.frames}
        names |= {a.tenant_id for b in batches for a in b.attempts if a.tenant_id}
        if not names:
            return {}
        rows = await connection.fetch(self._sql["live_tenants"], sorted(names))
        if rows:
            self._marks.told(rows[0]["now"])
        return {r["tenant_id"]: r["id"] for r in rows}

    async def _copy(self, connection: Any, placed: Sequence[Placed]) -> None:
        if not any(each.row.taken for each in placed):
            return
        touched: Touched = set()
        await connection.copy_to_table(
            "frames", source=_body(placed, touched), columns=COLUMNS, format="binary"
        )
        if marks := self._marks.missing(buckets(touched)):
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


def _number(entry: Entry, tenants: dict[str, int]) -> int | None:
    """The number of the live tenant that a frame is about. None: it is gone, though its name may be another's now."""
    number = tenants.get(entry.tenant_id)
    return number if entry.tenant in (None, number) else None


def _last_batches(batches: Sequence[Batch], tenants: dict[str, int]) -> dict[str, int]:
    """By tenant, the last batch that holds something of it: with that its changes are told once, its values known."""
    return {
        f.tenant_id: n for n, b in enumerate(batches) for f in b.frames if _number(f, tenants) is not None
    }


async def _body(placed: Sequence[Placed], touched: Touched) -> AsyncIterator[bytes]:
    """What COPY takes, a little at a time: the database stores what it has while the rest is made."""
    slices, parts = Slices(), [HEAD]
    for part in encoded(placed, touched):
        parts.append(part)
        if slices.over():
            yield b"".join(parts)
            parts = []
            await slices.give_way()
    yield b"".join((*parts, END))


async def _evidence(placed: Iterable[Placed], refused: frozenset[int]) -> dict[int, list[EvidenceValue]]:
    """Evidence by tenant, of accepted samples only: what was rejected has no vote."""
    found: dict[int, list[EvidenceValue]] = {}
    slices = Slices()
    for each in placed:
        if each.tenant in refused or not each.row.evidence:
            continue
        found.setdefault(each.tenant, []).extend(each.evidence())
        await slices.give_way()
    return found


def _seconds_ahead(placed: Iterable[Placed], now: datetime) -> set[int]:
    """The seconds since 1970 at which samples of a time after `now` will have come."""
    return {math.ceil(at.timestamp()) for each in placed for at in each.entry.instants if at > now}


def _taken_out(evidence: dict[int, list[EvidenceValue]], now: datetime) -> dict[int, list[EvidenceValue]]:
    """What is of a time after `now`, which is in `evidence` no more."""
    ahead = {key: [value for value in values if value[0] > now] for key, values in evidence.items()}
    for key in [key for key, values in ahead.items() if values]:
        evidence[key] = [value for value in evidence[key] if value[0] <= now]
        if not evidence[key]:
            del evidence[key]
    return ahead


def _result(
    screened: Screened, placed: Mapping[int, Placed], refused: frozenset[int], changes: list[StateChange]
) -> IngestResult:
    """What became of a batch: what was taken is counted, what was not is named. `placed` by the entry's `id`."""
    accepted, rejected = 0, screened.rejected
    kept: list[Entry] = []
    for entry in screened.batch.frames:
        own = placed.get(id(entry))
        row = None
        if own is not None:
            kept.append(entry)
            row = None if own.tenant in refused else own.row
            if row is not None and row.places is None:
                accepted += entry.size
                continue
        rejected = rejected or Rejections()
        accepted += row.taken * len(entry.instants) if row else 0
        _reject(rejected, entry, row, Rejection.QUARANTINED if own else Rejection.UNKNOWN_TENANT)
    return IngestResult(
        accepted,
        tuple(rejected.named) if rejected else (),
        tuple(changes),
        tuple(kept),
        rejected.counts if rejected else {},
    )


def _state_change(change: HeadChange, names: dict[int, str]) -> StateChange | None:
    if not is_change(change):
        return None
    before = change.before.state if change.before else None
    return StateChange(names[change.tenant], change.after.since, change.after.state, before)


def _reject(rejected: Rejections, entry: Entry, row: Row | None, reason: Rejection) -> None:
    """Name the samples that have no number; without a row all of them, for `reason`."""
    if isinstance(entry, Block):
        keys, times = entry.shape.keys, len(entry.instants)
    else:
        keys, times = tuple(sample.key for sample in entry.samples), 1
    for place, key in enumerate(keys):
        if row is None:
            rejected.add(entry.tenant_id, key.metric_name, reason, times)
        elif row.numbers[place] is None:
            why = Rejection.TOO_MANY_SERIES if is_storable(key) else Rejection.BAD_NAME
            rejected.add(entry.tenant_id, key.metric_name, why, times)
