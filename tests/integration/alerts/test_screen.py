"""Who is called calm at a tick would have stayed as it is.

Of two tenants of one history one is evaluated by itself each time.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from ecpmon.alerts.screen import Survey
from ecpmon.model.alerts import RuleStatus
from ecpmon.model.ingest import Batch
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.samples import Frame, Sample, Source
from ecpmon.model.tenants import Tenant
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.maintenance import PgMaintenanceStore
from ecpmon.storage.roster import PgRoster
from tests.integration.alerts.test_engine import CPU, UP, Bench, at
from tests.integration.conftest import T0

MakeTenant = Callable[..., Awaitable[Tenant]]
STOCK: dict[str, tuple[str, int]] = {}
NEWEST = {
    "hot": ("cpu_usage > 80", 0),
    "burning": ("burn_rate(1h) > 3 and not cpu_usage < 20", 0),
    "odd window": ("budget_remaining(7h) < 50", 0),
}
ALL = {**NEWEST, "hot for long": ("cpu_usage > 80", 120), "mean": ("avg(cpu_usage, 5m) > 70", 60)}


async def prepare(bench: Bench, make_tenant: MakeTenant, conditions: dict[str, tuple[str, int]]) -> Tenant:
    tenant = await make_tenant(holds=timedelta(seconds=150))
    await bench.install_defaults(tenant, (), T0)
    for name, (condition, wait) in conditions.items():
        await bench.rule(tenant, condition, name=name, wait=wait)
    return tenant


def counting(bench: Bench, tenant: Tenant) -> list[bool]:
    """Whether the tenant was called calm, tick by tick."""
    screen, found = bench.engine._screen, list[bool]()
    assert screen is not None
    survey = screen.survey

    async def counted(*args: Any) -> Survey:
        answer = await survey(*args)
        found.append(tenant.tenant_id in answer.calm)
        return answer

    screen.survey = counted  # type: ignore[method-assign]
    return found


@pytest.mark.parametrize(
    ("seed", "conditions", "least_calm"),
    [(0, STOCK, 0.3), (1, STOCK, 0.3), (2, NEWEST, 0.3), (3, NEWEST, 0.3), (4, ALL, 0.0)],
)
async def test_evaluations_at_ticks_tell_what_those_of_one_tenant_tell(
    database: Database,
    ingest: IngestStore,
    make_tenant: MakeTenant,
    seed: int,
    conditions: dict[str, tuple[str, int]],
    least_calm: float,
) -> None:
    alone, ticks = Bench(database, ingest), Bench(database, ingest, at_ticks=True)
    mine = await prepare(alone, make_tenant, conditions)
    other = await prepare(alone, make_tenant, conditions)
    calm = counting(ticks, other)
    dice, now, down, cpu = random.Random(seed), 0.0, False, 10.0
    first, second = list[tuple[str, str, str, float]](), list[tuple[str, str, str, float]]()
    for tick in range(140):
        silent = 80 < tick < 92
        now += dice.choice([5, 20, 60, 60, 120, 140] if tick > 40 else [145])
        down = dice.random() < (0.7 if down else 0.06)
        cpu = dice.uniform(0, 100) if dice.random() < 0.3 else cpu
        if dice.random() < 0.95 and not silent:
            samples = (Sample(UP, 0.0 if down else 1.0), Sample(CPU, cpu))
            both = tuple(Frame(t.tenant_id, Source.SIMULATOR, at(now), samples) for t in (mine, other))
            await ingest.commit([Batch(both)])
        if tick == 120:
            await plan(database, now, mine, other)
        # At an observation's own instant, and after it.
        now += dice.choice([0, 0.4, 0.4, 3])
        await alone.engine.evaluate_tenants([mine.tenant_id], at(now), sla=True)
        await ticks.engine.evaluate_all(at(now))
        first += [(e.alert_name, e.to_state, e.reason, now) for e in alone.events]
        second += [
            (e.alert_name, e.to_state, e.reason, now) for e in ticks.events if e.tenant_id == other.tenant_id
        ]
        alone.events.clear()
        ticks.events.clear()
        assert first == second
    assert {name for name, *_ in first} >= {"sla_no_data", *conditions} - {"odd window", "burning"}
    assert sum(calm) >= least_calm * len(calm)
    states = [{r.rule.alert_name: r.state for r in await alone.alerts.rules(t)} for t in (mine, other)]
    shown = [{name: (s.status, s.frozen, s.since) for name, s in own.items()} for own in states]
    assert shown[0] == shown[1]


async def plan(database: Database, now: float, *tenants: Tenant) -> None:
    for tenant in tenants:
        planned = Maintenance(
            str(uuid.uuid4()), at(now + 60), timedelta(minutes=10), "a test", "a test", at(now)
        )
        await PgMaintenanceStore(database).add(tenant, planned, 1)


@pytest.mark.parametrize(
    ("moves", "expected"), [(0.0, {1, 601}), (0.02, {1, 601}), (0.1, {1, *range(61, 721, 60)})]
)
async def test_a_firing_rule_that_goes_on_is_stored_once_a_minute_if_its_value_is_another(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant, moves: float, expected: set[int]
) -> None:
    bench = Bench(database, ingest, at_ticks=True)
    tenant = await make_tenant(holds=timedelta(seconds=150))
    await bench.rule(tenant, "cpu_usage > 80")
    stored = []
    for seconds in range(0, 720, 10):
        await bench.observe(tenant, seconds, 1, cpu=90 + (seconds % 120 < 60) * 90 * moves)
        await bench.evaluate(tenant, seconds + 1)
        [entry] = await bench.alerts.rules(tenant)
        assert entry.state.status is RuleStatus.FIRING
        assert entry.state.value == pytest.approx(90, rel=max(moves, 0.01) * 1.01)
        stored.append(entry.state.evaluated_at)
    assert set(stored) == {at(seconds) for seconds in expected}


async def test_of_a_silence_its_length_is_stored_as_it_grows(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    """To a twentieth, or to a minute: whoever rests is not looked at for less."""
    bench = Bench(database, ingest, at_ticks=True)
    tenant = await make_tenant(holds=timedelta(seconds=150))
    await bench.install_defaults(tenant, (), T0)
    await bench.observe(tenant, 0, 1)
    stored = dict[str, datetime | None]()
    for seconds in range(0, 9_000, 60):
        await bench.evaluate(tenant, seconds + 1)
        rules = {entry.rule.alert_name: entry.state for entry in await bench.alerts.rules(tenant)}
        silent = rules["sla_no_data"]
        if silent.status is RuleStatus.FIRING:
            assert silent.value == pytest.approx(seconds + 1 - 150, abs=130, rel=0.06)
            stored[str(silent.evaluated_at)] = silent.evaluated_at
    # For 20 minutes once in one or two, then ever less often.
    assert 20 <= len(stored) < 60


async def test_who_was_told_of_before_it_fell_silent_is_not_evaluated_by_itself(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    """What was told before changes nothing of a window that says nothing."""
    bench, told = Bench(database, ingest, at_ticks=True), list[str]()
    tenant = await make_tenant(holds=timedelta(seconds=150))
    await bench.install_defaults(tenant, (), T0)
    calm = counting(bench, tenant)
    for minute in range(0, 150, 2):
        await bench.observe(tenant, minute * 60, 0 if 70 <= minute < 78 else 1)
        if minute >= 70:
            told += await bench.evaluate(tenant, minute * 60 + 1)
    assert "sla_burn_rate_page:firing>inactive" in told
    for minute in range(150, 240, 5):
        told += await bench.evaluate(tenant, minute * 60)
    assert told.count("sla_burn_rate_page:inactive>firing") == 1
    assert calm[-3:] == [True, True, True]


async def test_a_rule_that_somebody_else_changed_is_read_again(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    bench, elsewhere = Bench(database, ingest, at_ticks=True), Bench(database, ingest)
    tenant = await make_tenant(holds=timedelta(seconds=150))
    await bench.observe(tenant, 0, 1, cpu=90)
    assert await bench.evaluate(tenant, 1) == []
    await elsewhere.rule(tenant, "cpu_usage > 80")
    assert await bench.evaluate(tenant, 2) == ["r:inactive>firing"]
    await bench.observe(tenant, 3, 1, cpu=10)
    assert await elsewhere.evaluate(tenant, 4) == ["r:firing>inactive"]
    await bench.observe(tenant, 5, 1, cpu=90)
    assert await bench.evaluate(tenant, 6) == ["r:inactive>firing"]


async def test_what_was_written_while_others_committed_is_read_when_it_is_committed(
    database: Database, make_tenant: MakeTenant
) -> None:
    late, early = await make_tenant(), await make_tenant()
    roster = PgRoster(database)
    await roster.standings()
    rename = "UPDATE tenants SET name = $2 WHERE id = $1"
    async with database.transaction() as connection:
        await connection.execute(rename, late.key, "written first")
        await database.execute(rename, early.key, "committed first")
        found = await roster.standings()
        assert [found[t.tenant_id].tenant.name for t in (late, early)] == ["A tenant", "committed first"]
    found = await roster.standings()
    assert [found[t.tenant_id].tenant.name for t in (late, early)] == ["written first", "committed first"]


async def test_nothing_is_read_again_when_nothing_changed(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    roster = PgRoster(database)
    before = (await roster.standings())[tenant.tenant_id]
    await make_tenant()
    assert (await roster.standings())[tenant.tenant_id] is before


async def test_a_deleted_tenant_leaves_the_roster_and_its_successor_enters(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(tenant_id="again")
    roster = PgRoster(database)
    assert "again" in await roster.standings()
    await database.execute("UPDATE tenants SET deleted_at = now() WHERE id = $1", tenant.key)
    assert "again" not in await roster.standings()
    heir = await make_tenant(tenant_id="again")
    assert (await roster.standings())["again"].tenant.key == heir.key
