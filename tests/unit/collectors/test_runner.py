"""What a collector does while the database is away for longer than its buffer lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from ecpmon.collectors.base import Collected
from ecpmon.collectors.runner import CollectorRunner, TenantDirectory
from ecpmon.errors import DatabaseUnavailable, NoLongerLeader
from ecpmon.model.ingest import AttemptOutcome, Batch, IngestResult
from ecpmon.model.leadership import Claim
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.ports.faults import Fault
from ecpmon.ports.leading import as_leader
from tests.quarantine import FakeQuarantine

T0 = datetime(2026, 3, 1, tzinfo=UTC)
STEP = timedelta(seconds=15)


class Store:
    """A database that can be away: watermark and frames as committed."""

    def __init__(self) -> None:
        self.away = False
        self.overtaken = False
        self.marks: dict[Source, datetime] = {Source.PROMETHEUS: T0}
        self.stored: set[datetime] = set()
        self.numbers: set[int | None] = set()
        self.tenants: list[Tenant] = []
        self.part = 15_000
        self.attempts: list[tuple[AttemptOutcome, str | None]] = []

    async def write(self, batch: Batch) -> IngestResult:
        if self.away:
            raise DatabaseUnavailable("away")
        if self.overtaken:
            raise NoLongerLeader("term 1 is over")
        self.attempts += [(a.outcome, a.detail) for a in batch.attempts]
        self.stored |= {f.ts for f in batch.frames}
        self.numbers |= {f.tenant for f in batch.frames}
        for source, mark in batch.watermarks:
            self.marks[source] = max(self.marks[source], mark)
        return IngestResult(len(batch.frames))

    async def watermark(self, source: Source) -> datetime | None:
        if self.away:
            raise DatabaseUnavailable("away")
        return self.marks[source]

    async def last_attempt(self, source: Source, since: datetime, now: datetime) -> datetime | None:
        return None

    async def live(self) -> list[Tenant]:
        return self.tenants


class Past:
    """A source that can be asked about the past: one frame per step since the watermark."""

    source, interval = Source.PROMETHEUS, STEP

    async def collect(
        self, tenants: Sequence[Tenant], watermark: datetime | None, now: datetime
    ) -> Collected:
        assert watermark is not None
        count = (now - watermark) // STEP
        instants = [watermark + STEP * n for n in range(1, count + 1)]
        sample = Sample(SeriesKey("sla", "up"), 1.0)
        return Collected(tuple(Frame("acme", self.source, ts, (sample,)) for ts in instants), now)


class Ticks:
    def __init__(self) -> None:
        self.at = T0

    def now(self) -> datetime:
        return self.at


async def test_what_the_buffer_could_not_hold_is_asked_for_again() -> None:
    store, clock = Store(), Ticks()
    directory = TenantDirectory(store)  # type: ignore[arg-type]
    runner = CollectorRunner(Past(), store, directory, store, clock, 3, quarantine=FakeQuarantine())

    async def turns(count: int) -> None:
        for _ in range(count):
            clock.at += STEP
            await runner.run_once()

    await turns(2)
    store.away = True
    await turns(8)
    assert runner.dropped_frames == 5
    store.away = False
    await turns(1)
    # Nothing claims that the lost ones are there: a restart now would begin before them too.
    assert store.marks[Source.PROMETHEUS] == T0 + 2 * STEP
    await turns(1)
    assert store.stored == {T0 + n * STEP for n in range(1, 13)}
    assert store.marks[Source.PROMETHEUS] == clock.at


async def test_what_a_former_leader_pulled_waits_and_in_its_next_term_it_goes_on_where_others_have_got() -> (
    None
):
    store, clock = Store(), Ticks()
    directory = TenantDirectory(store)  # type: ignore[arg-type]
    runner = CollectorRunner(Past(), store, directory, store, clock, 30, quarantine=FakeQuarantine())

    async def turn(term: int) -> None:
        clock.at += STEP
        with as_leader(Claim("leader", term, UUID(int=1))):
            await runner.run_once()

    await turn(1)
    store.overtaken = True
    await turn(1)
    assert (runner.waiting_frames, runner.dropped_frames) == (1, 0)
    # The other one pulls meanwhile.
    clock.at += 40 * STEP
    store.overtaken, store.marks[Source.PROMETHEUS] = False, clock.at
    await turn(3)
    assert store.stored == {T0 + n * STEP for n in (1, 2, 43)}
    assert store.marks[Source.PROMETHEUS] == clock.at


def acme(number: int) -> Tenant:
    return Tenant(
        key=number, tenant_id="acme", name=None, preset="micro", is_demo=False, status=TenantStatus.RUNNING,
        service_requirements={}, resources=Resources(), sla_target=SlaTarget(), created_at=T0, updated_at=T0,
    )  # fmt: skip


async def test_what_waits_is_of_the_tenant_it_was_pulled_for() -> None:
    store, clock = Store(), Ticks()
    store.tenants = [acme(1)]
    directory = TenantDirectory(store)  # type: ignore[arg-type]
    runner = CollectorRunner(Past(), store, directory, store, clock, 100, quarantine=FakeQuarantine())
    clock.at += STEP
    await runner.run_once()
    store.away = True
    clock.at += STEP
    await runner.run_once()
    store.away, store.tenants = False, [acme(2)]
    clock.at += STEP
    await runner.run_once()
    assert (len(store.stored), store.numbers) == (3, {1, 2})


class Told(Past):
    """Says of `acme` what it is told to say."""

    def __init__(self) -> None:
        self.troubles: dict[tuple[str, str], str] = {}
        self.error: Exception | None = None

    async def collect(
        self, tenants: Sequence[Tenant], watermark: datetime | None, now: datetime
    ) -> Collected:
        if self.error:
            raise self.error
        return replace(await super().collect(tenants, watermark, now), troubles=self.troubles)


async def test_what_is_wrong_with_a_tenants_answer_is_seen_in_its_quarantine_and_heals() -> None:
    store, clock, source, quarantine = Store(), Ticks(), Told(), FakeQuarantine()
    directory = TenantDirectory(store)  # type: ignore[arg-type]
    runner = CollectorRunner(source, store, directory, store, clock, 100, quarantine=quarantine)
    source.troubles = {("acme", "counter x"): "why"}
    for _ in range(3):
        clock.at += STEP
        await runner.run_once()
    [key] = quarantine.rows
    assert key == ("collect_prometheus", "acme", "counter x")
    source.troubles = {}
    clock.at += STEP
    await runner.run_once()
    assert quarantine.rows == {}


async def test_an_answer_that_nobody_foresaw_is_a_failed_pull_and_the_next_one_goes_on() -> None:
    store, clock, source = Store(), Ticks(), Told()
    directory = TenantDirectory(store)  # type: ignore[arg-type]
    runner = CollectorRunner(source, store, directory, store, clock, 100, quarantine=FakeQuarantine())
    clock.at += STEP
    assert await runner.run_once() is AttemptOutcome.OK
    source.error = OverflowError("date value out of range")
    clock.at += STEP
    assert await runner.run_once() is AttemptOutcome.TARGET_FAILED
    source.error = None
    clock.at += STEP
    assert await runner.run_once() is AttemptOutcome.OK


class Partly(Past):
    """Is there, and answers with what it is given."""

    def __init__(self) -> None:
        self.answer: dict[str, object] = {}

    async def collect(
        self, tenants: Sequence[Tenant], watermark: datetime | None, now: datetime
    ) -> Collected:
        return replace(await super().collect(tenants, watermark, now), **self.answer)  # type: ignore[arg-type]


class Faults:
    def __init__(self) -> None:
        self.noted: list[tuple[object, ...]] = []

    async def note(self, *noted: object) -> None:
        self.noted.append(noted)

    async def of_tenant(self, *_: object) -> list[Fault]:
        raise AssertionError("a collector does not read them")


async def test_what_did_not_answer_and_what_was_given_up_is_recorded_and_the_watermark_moves() -> None:
    store, clock, source, faults = Store(), Ticks(), Partly(), Faults()
    directory = TenantDirectory(store)  # type: ignore[arg-type]
    runner = CollectorRunner(
        source, store, directory, store, clock, 100, quarantine=FakeQuarantine(), faults=faults
    )
    source.answer = {"detail": "metric x: no", "given_up": ("given up: metric x",)}
    clock.at += STEP
    assert await runner.run_once() is AttemptOutcome.OK
    source.answer = {"frames": (), "detail": "everything: no", "refused": True}
    clock.at += STEP
    assert await runner.run_once() is AttemptOutcome.TARGET_FAILED
    assert store.attempts == [
        (AttemptOutcome.OK, "metric x: no"),
        (AttemptOutcome.TARGET_FAILED, "given up: metric x"),
        (AttemptOutcome.TARGET_FAILED, "everything: no"),
    ]
    assert store.marks[Source.PROMETHEUS] == clock.at
    assert runner.last_success == clock.at - STEP
    assert faults.noted == []
    troubles = {("acme", "counter x"): "why"}
    source.answer = {"troubles": troubles, "since": clock.at}
    clock.at += STEP
    await runner.run_once()
    assert faults.noted == [(Source.PROMETHEUS, troubles, clock.at - STEP, clock.at)]
