"""What is shown as the present allows for what the collector cannot have heard of yet; figures of the past do not.

The clock is the test's; seconds are counted from its begin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from ecpmon.alerts.judgement import Facts, unobserved
from ecpmon.collectors.promclient import PART, Range
from ecpmon.collectors.prometheus import PrometheusCollector
from ecpmon.collectors.rules import PrometheusRule
from ecpmon.model.availability import SpanState
from ecpmon.model.ingest import Batch
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.ports.samples import Latest
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.ledger import Ledger, question
from ecpmon.sla.parts import Terms
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.tenants import PgTenantStore
from tests.integration.conftest import T0

MakeTenant = Callable[..., Awaitable[Tenant]]
UP, DOWN, GAP = SpanState.UP, SpanState.DOWN, SpanState.GAP
STEP = 15
INTERVALS = Intervals(timedelta(seconds=5), timedelta(seconds=STEP))
HOLDS, SHOWN = 37.5, 69.5
RULE = PrometheusRule(availability="ready")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


class Store:
    """Prometheus, which scrapes each tenant every 15 s from its phase on."""

    def __init__(self, phases: dict[str, int]) -> None:
        self.remarks: list[str] = []
        self.phases = phases

    def ask(self, parts: Sequence[str], when: Range) -> list[list[Any]]:
        count = round((when.end - when.start) / when.step) + 1
        instants = [when.start + n * when.step for n in range(count)]
        return [
            [self._series(name, place, part, instants) for name in self.phases]
            for place, part in enumerate(parts)
        ]

    def _series(self, name: str, place: int, part: str, instants: Sequence[float]) -> dict[str, Any]:
        phase = self.phases[name]
        taken = [(instant - phase) // STEP * STEP + phase for instant in instants]
        values = [str(each) if "timestamp" in part else "1" for each in taken]
        return {
            "metric": {"tenant_id": name, PART: str(place)},
            "values": [list(pair) for pair in zip(instants, values, strict=True)],
        }


@dataclass
class Looking:
    """Every way in which the present of a tenant is shown."""

    database: Database
    tenant: Tenant

    async def state(self, seconds: float) -> SpanState | None:
        """What all of them say together."""
        now, key, name = at(seconds), self.tenant.key, self.tenant.tenant_id
        sums = PgFastWindows(self.database)
        said = {
            "states": (await sums.states([name], now))[name],
            "heads": SpanState((await sums.heads(now))[key][0]),
            "ledger": (await self.ledger(seconds, present=True)).state(now),
        }
        total = (await sums.totals([key], [at(0)], now))[key]
        said["totals"] = total.state if total.expires > now else GAP
        said["outlines"] = UP if (await sums.outlines(now))[key].expires > now.timestamp() else GAP
        store = PgAvailabilityStore(self.database)
        spans = await store.timeline(self.tenant, at(-3600), now, present=True)
        said["timeline"] = spans[-1].state
        troubles = (await store.troubles(self.tenant, at(-3600), now, 5, present=True)).troubles(at(0), 5)
        said["troubles"] = troubles[-1].state if troubles and troubles[-1].end >= now else UP
        assert len({*said.values()}) == 1, said
        return said["states"]

    async def ledger(self, seconds: float, *, present: bool) -> Ledger:
        asked = question(at(seconds), Terms(), (), (at(0),))
        marks = await PgFastWindows(self.database).marks(
            self.tenant, asked.instants, at(seconds), present=present
        )
        return Ledger(marks.__getitem__)

    async def gap(self, seconds: float) -> float:
        """Seconds that the window from the begin to the present is without, by all that tell it."""
        now, name = at(seconds), self.tenant.tenant_id
        sums, window = PgFastWindows(self.database), Interval(at(0), at(seconds))
        tally = (await sums.tallies({name: [window]}, now))[name][window]
        total = (await sums.totals([self.tenant.key], [at(0)], now))[self.tenant.key].tally(0)
        ledger = (await self.ledger(seconds, present=True)).tally(at(0), now)
        assert tally.gap == total.gap == ledger.gap
        assert tally.down == total.down == ledger.down
        return tally.gap

    async def gap_of_the_past(self, seconds: float) -> float:
        """The same as of an instant that is over."""
        spans = await PgAvailabilityStore(self.database).timeline(self.tenant, at(0), at(seconds))
        gap = (await self.ledger(seconds, present=False)).tally(at(0), at(seconds)).gap
        assert gap == sum(s.seconds for s in spans if s.state is GAP)
        return gap


def sample(tenant: Tenant, seconds: float, source: Source, up: int = 1) -> Batch:
    key = SeriesKey("sla", "up")
    return Batch((Frame(tenant.tenant_id, source, at(seconds), (Sample(key, up),)),))


async def test_a_healthy_tenant_is_shown_up_without_a_gap_whatever_the_phases_of_scrape_and_pull(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenants = [
        await make_tenant(source=Source.PROMETHEUS, holds=timedelta(seconds=HOLDS)) for _ in range(0, STEP, 2)
    ]
    phases = {tenant.tenant_id: 2 * number for number, tenant in enumerate(tenants)}
    sums, oldest, every = PgFastWindows(database), 0.0, timedelta(seconds=STEP)
    collector = PrometheusCollector("", RULE, every, 1.0, timedelta(days=7), client=Store(phases))
    for pull in range(0, STEP, 2):  # all phases: tests/unit/collectors/test_phases.py
        begin = pull * 600
        watermark = at(begin - 3 * STEP)
        for turn in range(3):
            found = await collector.collect(tenants, watermark, at(begin + pull + turn * STEP))
            watermark = found.until
            await ingest.commit([Batch(found.frames)])
            if turn == 0:
                continue
            # The last instant before the next pull.
            now = at(begin + pull + (turn + 1) * STEP - 0.001)
            window = Interval(at(begin), now)
            told = await sums.tallies({name: [window] for name in phases}, now)
            assert {name: tally[window].gap for name, tally in told.items()} == dict.fromkeys(phases, 0.0)
            assert set((await sums.states(phases, now)).values()) == {UP}
            heads = await sums.heads(now)
            assert {heads[t.key][0] for t in tenants} == {"up"}
            oldest = max(oldest, *((now - frame.ts).total_seconds() for frame in found.frames))
    collector.close()
    assert oldest > HOLDS + 5


async def test_silence_is_shown_after_69_5_seconds_and_then_as_a_gap_from_37_5_on(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(source=Source.PROMETHEUS, holds=timedelta(seconds=HOLDS))
    looking = Looking(database, tenant)
    await ingest.commit([sample(tenant, 0, Source.PROMETHEUS)])
    for seconds, state, gap in (
        (37, UP, 0), (38, UP, 0), (69.4, UP, 0), (69.6, GAP, 32.1), (90_000, GAP, 89_962.5),
    ):  # fmt: skip
        assert (await looking.state(seconds), await looking.gap(seconds)) == (state, gap)
    # As of an instant of the past nothing is still to come.
    assert await looking.gap_of_the_past(37) == 0
    assert await looking.gap_of_the_past(47.5) == 10
    # Who comes back has the gap that there was, however it was shown meanwhile.
    await ingest.commit([sample(tenant, 50, Source.PROMETHEUS)])
    assert (await looking.state(51), await looking.gap(51)) == (UP, 12.5)


async def test_an_outage_is_shown_with_the_sample_that_tells_it_and_goes_on_between_two_pulls(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(source=Source.PROMETHEUS, holds=timedelta(seconds=HOLDS))
    looking, sums = Looking(database, tenant), PgFastWindows(database)
    await ingest.commit([sample(tenant, 0, Source.PROMETHEUS), sample(tenant, 15, Source.PROMETHEUS, 0)])
    assert (await sums.states([tenant.tenant_id], at(15.1)))[tenant.tenant_id] is DOWN
    assert (await sums.states([tenant.tenant_id], at(60)))[tenant.tenant_id] is DOWN
    assert await looking.gap(60) == 0
    assert (await looking.ledger(60, present=True)).tally(at(0), at(60)).down == 45
    assert (await looking.ledger(60, present=False)).tally(at(0), at(60)).down == HOLDS


@pytest.mark.parametrize(
    ("source", "holds"), [(Source.SIMULATOR, 12.5), (Source.PUSH, 150)], ids=["simulator", "pushes"]
)
async def test_who_is_heard_of_at_once_is_shown_as_silent_at_once(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, source: Source, holds: float
) -> None:
    tenant = await make_tenant(source=source, holds=timedelta(seconds=holds))
    looking = Looking(database, tenant)
    await ingest.commit([sample(tenant, 0, source)])
    assert (await looking.state(holds - 0.1), await looking.gap(holds - 0.1)) == (UP, 0)
    assert (await looking.state(holds + 0.1), await looking.gap(holds + 1)) == (GAP, 1)


async def test_a_changed_interval_is_allowed_for_from_the_change_on(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(source=Source.PROMETHEUS, holds=timedelta(seconds=HOLDS))
    looking = Looking(database, tenant)
    await ingest.commit([sample(tenant, 0, Source.PROMETHEUS)])
    # From now on pulled every 60 s: the next sample comes so much later, and what was seen held as long as it did.
    await PgTenantStore(database).keep_interval(Source.PROMETHEUS, timedelta(seconds=150), timedelta(), at(1))
    late = HOLDS + 122
    assert (await looking.state(late - 0.1), await looking.gap(late - 0.1)) == (UP, 0)
    assert (await looking.state(late + 0.1), await looking.gap(late + 0.5)) == (GAP, 122.5)
    await ingest.commit([sample(tenant, 60, Source.PROMETHEUS)])
    later = 60 + 150 + 122
    assert (await looking.state(later - 0.1), await looking.gap(later - 0.1)) == (UP, 60 - HOLDS)
    # And every 5 s.
    await PgTenantStore(database).keep_interval(
        Source.PROMETHEUS, timedelta(seconds=12.5), timedelta(), at(61)
    )
    assert await looking.state(60 + 150 + 11.9) is UP
    assert await looking.state(60 + 150 + 12.1) is GAP


async def test_the_database_and_the_process_allow_for_the_same(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    for seconds in (5, 15, 60, 300):
        intervals = Intervals(timedelta(seconds=5), timedelta(seconds=seconds))
        tenant = await make_tenant(source=Source.PROMETHEUS, holds=intervals.holds(Source.PROMETHEUS, None))
        await ingest.commit([sample(tenant, 0, Source.PROMETHEUS)])
        shown, looking = intervals.shown(Source.PROMETHEUS, tenant).total_seconds(), Looking(database, tenant)
        assert await looking.state(shown - 0.001) is UP
        assert await looking.state(shown + 0.001) is GAP


def test_a_rule_reads_the_newest_value_for_as_long_as_the_next_may_not_have_been_heard_of() -> None:
    tenant: Any = None
    found = Latest(T0, "system", 7.0, Source.PROMETHEUS)
    for seconds, value in ((47, 7.0), (SHOWN, 7.0), (SHOWN + 0.1, None)):
        facts = Facts(tenant, at(seconds), unobserved(at(seconds)), {"cpu_usage": found}, INTERVALS)
        assert facts.last("cpu_usage") == value
