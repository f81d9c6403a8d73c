"""When many tenants change at once, their changes are stored together, and nobody's trouble is another's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ecpmon.alerts.defaults import default_rules
from ecpmon.alerts.engine import _TOGETHER
from ecpmon.model.tenants import Tenant
from ecpmon.storage.database import Database
from ecpmon.storage.ingest import IngestStore
from tests.integration.alerts.test_engine import Bench, MakeTenant, at
from tests.integration.conftest import T0

MANY = _TOGETHER + 5
SPOIL = """
CREATE OR REPLACE FUNCTION spoil_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.tenant = %d THEN RAISE EXCEPTION 'not this one'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER spoil BEFORE INSERT ON alert_events FOR EACH ROW EXECUTE FUNCTION spoil_events();
"""


async def silent(bench: Bench, make_tenant: MakeTenant, count: int) -> list[Tenant]:
    """Tenants that were observed once, with the rule that tells when they are not any more."""
    tenants = [await make_tenant(holds=timedelta(seconds=150)) for _ in range(count)]
    for tenant in tenants:
        await bench.alerts.create_missing(default_rules(tenant.tenant_id), T0)
        await bench.observe(tenant, 0, 1)
    return tenants


async def pending(bench: Bench, tenants: list[Tenant]) -> list[str]:
    states = {
        e.rule.tenant_id: e.state.status.value
        for e in await bench.alerts.all_rules([t.tenant_id for t in tenants])
        if e.rule.alert_name == "sla_no_data"
    }
    return [states[t.tenant_id] for t in tenants]


async def test_changes_of_many_are_stored_in_a_few_transactions_and_told_once(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    bench = Bench(database, ingest, at_ticks=True)
    tenants = await silent(bench, make_tenant, MANY)
    stored, advance = list[int](), bench.alerts.advance

    async def counted(moves: Any, *args: Any) -> Any:
        stored.append(len(moves))
        return await advance(moves, *args)

    bench.alerts.advance = counted  # type: ignore[method-assign]
    await bench.engine.evaluate_all(at(200))
    assert set(await pending(bench, tenants)) == {"pending"}
    assert len(stored) <= 4
    mine = {t.tenant_id for t in tenants}
    told = [e.tenant_id for e in bench.events if e.alert_name == "sla_no_data" and e.tenant_id in mine]
    assert sorted(told) == sorted(mine)
    bench.events.clear()
    await bench.engine.evaluate_all(at(205))
    assert not [e for e in bench.events if e.tenant_id in mine]
    # The same by what the bus tells: of these only.
    for tenant in tenants:
        await bench.observe(tenant, 210, 1)
    await bench.engine.evaluate_tenants([t.tenant_id for t in tenants], at(211), sla=True)
    assert set(await pending(bench, tenants)) == {"inactive"}


async def test_whose_change_cannot_be_stored_holds_up_nobody_elses(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    bench = Bench(database, ingest, at_ticks=True)
    tenants = await silent(bench, make_tenant, 6)
    await database.execute(SPOIL % tenants[2].key)
    try:
        await bench.engine.evaluate_all(at(200))
        assert await pending(bench, tenants) == ["pending" if n != 2 else "inactive" for n in range(6)]
        held = await bench.engine._quarantine.held("alerts")
        assert {name for name, _ in held} == {tenants[2].tenant_id}
    finally:
        await database.execute("DROP TRIGGER spoil ON alert_events; DROP FUNCTION spoil_events()")
    await bench.engine.evaluate_all(at(4000))
    assert (await pending(bench, tenants))[2] != "inactive"
    assert not await bench.engine._quarantine.held("alerts")


async def test_a_rule_moved_meanwhile_is_read_again_at_once(
    database: Database, ingest: IngestStore, make_tenant: MakeTenant
) -> None:
    bench = Bench(database, ingest, at_ticks=True)
    tenant = await make_tenant(holds=timedelta(seconds=150))
    await bench.rule(tenant, "cpu_usage > 80")
    await bench.observe(tenant, 0, 1, cpu=90)
    assert await bench.evaluate(tenant, 1) == ["r:inactive>firing"]
    await bench.engine.evaluate_all(at(2))
    # Somebody else stores that it goes on: nobody is told of that.
    await database.execute(
        "UPDATE alert_states s SET evaluated_at = $2 FROM alert_rules r WHERE r.rule_id = s.rule_id AND r.tenant = $1",
        tenant.key,
        at(3),
    )
    await bench.observe(tenant, 4, 1, cpu=10)
    assert await bench.engine.evaluate_tenants([tenant.tenant_id], at(5), sla=False) == 1
    assert (await bench.alerts.rules(tenant))[0].state.status.value == "inactive"
