"""What is dated ahead is stored, and is in the timeline when its time has come, whatever came in between."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecpmon.model.availability import Observation, Span, SpanState
from ecpmon.model.ingest import Batch
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.sla.spans import lay, make_head, timeline
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.hand_made import HandMade
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.monitoring import PgMonitoringStore
from tests.acceptance.world import ManualClock
from tests.integration.conftest import T0, MakeTenant

UP, CPU = SeriesKey("sla", "up"), SeriesKey("cpu", "cpu_usage")
HOLDS = timedelta(seconds=12.5)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def frame(tenant: Tenant, seconds: float, up: float, cpu: float = 1.0) -> Frame:
    return Frame(tenant.tenant_id, Source.SIMULATOR, at(seconds), (Sample(UP, up), Sample(CPU, cpu)))


async def take_in(database: Database, now: datetime) -> None:
    while await HandMade(database, DEFAULT_RULES).take_in(at(-3600), now):
        pass


def expected(seen: dict[int, bool], now: datetime) -> list[Span]:
    """What those say whose time has come."""
    known = [Observation(at(s), float(down), HOLDS) for s, down in sorted(seen.items()) if at(s) <= now]
    if not known:
        return []
    closed, head = make_head(lay(known, known[-1].ts), known[-1])
    return timeline(closed, head, now, None)


# Each: seconds since the one before, how far ahead it is dated, whether it is down, whether the job had a turn before.
STEPS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(-60, 60), st.booleans(), st.booleans()), min_size=1, max_size=15
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_at_any_instant_the_timeline_is_what_those_say_whose_time_has_come(
    database: Database, make_tenant: MakeTenant, steps: list[tuple[int, int, bool, bool]]
) -> None:
    tenant, clock, told = await make_tenant(), ManualClock(at(100)), dict[int, bool]()
    store = IngestStore(database, DEFAULT_RULES, 100, now=clock.now)
    reader, windows = PgAvailabilityStore(database), PgFastWindows(database)
    second = 100
    for passed, ahead, down, turn in steps:
        second += passed
        clock.set(at(second))
        if turn:
            await take_in(database, clock.now())
        told[second + ahead] = down
        await store.commit([Batch((frame(tenant, second + ahead, not down),))])
        head = await database.fetchrow("SELECT * FROM availability_heads WHERE tenant = $1", tenant.key)
        assert head["last_observed_at"] is None or head["last_observed_at"] <= clock.now()
    for later in (0, 7, 70):
        clock.set(at(second + later))
        await take_in(database, clock.now())
        now = clock.now()
        found = await reader.timeline(tenant, at(-86_400), now)
        assert [Span(s.start, s.end, s.state, share=s.share) for s in found] == expected(told, now)
        whole = Interval(at(-86_400), now)
        tallies = (await windows.tallies({tenant.tenant_id: [whole]}, now)).get(tenant.tenant_id)
        down_time = sum(s.seconds for s in found if s.state is SpanState.DOWN)
        assert (tallies[whole].down if tallies else 0.0) == down_time


async def test_the_newest_values_are_those_whose_time_has_come(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    store = IngestStore(database, DEFAULT_RULES, 100, now=lambda: at(0))
    await store.commit(
        [Batch((frame(tenant, 0, 1, 10.0), frame(tenant, 90, 0, 90.0), frame(tenant, 30, 1, 30.0)))]
    )
    reader = PgMonitoringStore(database)
    for now, cpu, left in (
        (0, 10.0, [30.0, 90.0]),
        (29, 10.0, [30.0, 90.0]),
        (30, 30.0, [90.0]),
        (90, 90.0, []),
    ):
        newest = dict(await reader.latest(tenant, at(-300), at(now)))
        assert (newest["cpu_usage"].value, newest["cpu_usage"].ts <= at(now)) == (cpu, True)
        several = await reader.latest_of([(tenant, at(-300))], {"cpu_usage"}, at(now))
        assert several[tenant.key]["cpu_usage"].value == cpu
        coming = await reader.coming(tenant, at(now))
        assert [value.value for name, value in coming if name == "cpu_usage"] == left


async def test_what_was_corrected_before_its_time_counts_as_corrected(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant, clock = await make_tenant(), ManualClock(at(0))
    store = IngestStore(database, DEFAULT_RULES, 100, now=clock.now)
    await store.commit([Batch((frame(tenant, 0, 1), frame(tenant, 10, 0)))])
    await store.commit([Batch((frame(tenant, 10, 1),))])
    clock.advance(12)
    await take_in(database, clock.now())
    found = await PgAvailabilityStore(database).timeline(tenant, at(-60), clock.now())
    assert [(s.start, s.end, s.state) for s in found] == [(at(0), at(12), SpanState.UP)]


async def test_what_is_taken_back_before_its_time_never_counts(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant, clock = await make_tenant(), ManualClock(at(0))
    store = IngestStore(database, DEFAULT_RULES, 100, now=clock.now)
    await store.commit([Batch((frame(tenant, 0, 1), frame(tenant, 10, 0)))])
    await database.execute("DELETE FROM frames WHERE tenant = $1 AND ts = $2", tenant.key, at(10))
    clock.advance(12)
    await take_in(database, clock.now())
    found = await PgAvailabilityStore(database).timeline(tenant, at(-60), clock.now())
    assert [(s.start, s.end, s.state) for s in found] == [(at(0), at(12), SpanState.UP)]
