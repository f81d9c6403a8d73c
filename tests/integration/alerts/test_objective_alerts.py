"""Rules about objectives over the real database: events are those of a replay over the same hours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from ecpmon.alerts.backtest import replay_counted
from ecpmon.alerts.counted_past import CountedHistory
from ecpmon.alerts.desk import RuleDesk
from ecpmon.alerts.objective_rules import ObjectiveRules
from ecpmon.alerts.objectives import ObjectiveAlerts
from ecpmon.alerts.policy import default_policies
from ecpmon.app.objective_defaults import load_objectives
from ecpmon.compute.threads import Threads
from ecpmon.model.alerts import AlertRule, RuleStatus, WebhookAction
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.objectives import Counts, Objective, ObjectiveKind, Selector, StoredObjective
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent
from ecpmon.sla.evidence import Intervals
from ecpmon.storage.alerts import PgAlertStore
from ecpmon.storage.database import Database
from ecpmon.storage.lines import lines_of
from ecpmon.storage.maintenance import PgMaintenanceStore
from ecpmon.storage.objectives import PgObjectiveStore
from ecpmon.storage.quarantine import PgQuarantine
from ecpmon.storage.roster import PgRoster
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.workers import TenantWorkers, Workers
from tests.integration.conftest import T0
from tests.unit.alerts.test_counted import firings, minutes_of

INTERVALS = Intervals(timedelta(seconds=5), timedelta(seconds=15))
MINUTE = timedelta(minutes=1)
HOOK = WebhookAction("https://receiver.example/hook")
POLICIES = default_policies()
MakeTenant = Callable[..., Awaitable[Tenant]]
HOUR = """
INSERT INTO objective_hours (objective, hour, good_before, total_before, observed_before, minutes, total_step,
                             total_off, bad_step, bad_off, observed_step, observed_off)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def objective(name: str = "checkout", **more: Any) -> Objective:
    given: dict[str, Any] = {
        "name": name, "kind": ObjectiveKind.REQUESTS, "target": 0.995,
        "total": Selector(metric="all_total"), "bad": Selector(metric="bad_total"),
    }  # fmt: skip
    return Objective(**{**given, **more})


class Bench:
    """Everything about objectives' alerts over the real stores; counts are written as the job would have counted."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.events: list[AlertEvent] = []
        self.alerts = PgAlertStore(database)
        self.objectives = PgObjectiveStore(database, load_objectives())
        self.maintenance = PgMaintenanceStore(database)
        self.roster = PgRoster(database)
        quarantine = PgQuarantine(database)
        self.desk = RuleDesk(self.alerts, "http://ecpmon.example", self.events.append)
        self.rules = ObjectiveRules(
            self.alerts, self.objectives, PgTenantStore(database), self.desk, quarantine, (HOOK,)
        )
        self.engine = ObjectiveAlerts(
            alerts=self.alerts,
            objectives=self.objectives,
            maintenance=self.maintenance,
            roster=self.roster,
            intervals=INTERVALS,
            policies=POLICIES,
            workers=TenantWorkers(Workers(Threads()), "live"),
            external_url="http://ecpmon.example",
            on_event=self.events.append,
            quarantine=quarantine,
        )

    async def promise(self, tenant: Tenant, *given: Objective, now: datetime = T0) -> None:
        await self.objectives.put(tenant, given, now)
        await self.rules.settle(tenant, now)

    async def stored(self, tenant: Tenant, name: str = "checkout") -> StoredObjective:
        return next(o for o in await self.objectives.of_tenant(tenant) if o.objective.name == name)

    async def count(self, tenant: Tenant, minutes: Sequence[Counts], name: str = "checkout") -> None:
        """As `objective_hours` has them, from T0 on."""
        key, so_far = (await self.stored(tenant, name)).key, Counts()
        for first in range(0, len(minutes), 60):
            hour, sums = [*minutes[first : first + 60], *[Counts()] * 60][:60], [Counts()]
            for minute in hour:
                sums.append(sums[-1] + minute)
            columns = [[getattr(s, n) for s in sums[1:]] for n in ("good", "total", "observed")]
            await self.database.execute(
                HOUR, key, at(first), so_far.good, so_far.total, so_far.observed, *lines_of(*columns),
            )  # fmt: skip
            so_far += sums[-1]
        await self.database.execute("UPDATE objectives SET first_at = $2 WHERE id = $1", key, T0)

    async def evaluate(self, *minutes: int) -> None:
        for minute in minutes:
            await self.engine.evaluate(at(minute) + timedelta(seconds=7))

    def told(self, tenant: Tenant, ending: str) -> list[tuple[float, str]]:
        """(minute, state) of one rule's changes that people hear of."""
        own = [e for e in self.events if e.tenant_id == tenant.tenant_id and e.alert_name.endswith(ending)]
        return [((e.at - T0) / MINUTE, e.to_state) for e in own if "firing" in (e.from_state, e.to_state)
                and e.from_state != e.to_state]  # fmt: skip

    async def rule(self, tenant: Tenant, ending: str) -> AlertRule:
        found = [e.rule for e in await self.alerts.rules(tenant) if e.rule.alert_name.endswith(ending)]
        return found[0]


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database)


async def test_an_outage_pages_at_its_minute_and_tells_which_windows_burn(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await bench.promise(tenant, objective())
    await bench.count(tenant, minutes_of("365: 0/100, 10: 100/100, 100: 0/100"))
    await bench.evaluate(*range(360, 440))
    assert bench.told(tenant, "checkout_burn_rate_page") == [(370, "firing"), (431, "inactive")]
    assert bench.told(tenant, "ticket") == []
    rows = await bench.database.fetch(
        "SELECT e.objective, e.body FROM notifications n JOIN alert_events e USING (tenant, event_id)"
        " WHERE n.tenant = $1 ORDER BY n.notification_id",
        tenant.key,
    )
    assert [(r["objective"], r["body"]["status"]) for r in rows] == [
        ("checkout", "firing"),
        ("checkout", "resolved"),
    ]
    (alert,) = rows[0]["body"]["alerts"]
    assert alert["labels"]["objective"] == "checkout"
    assert alert["startsAt"] == "2026-03-01T06:10:00Z"
    notes = alert["annotations"]
    assert (notes["long_window"], notes["short_window"]) == ("1h", "5m")
    # Five of sixty minutes, and all of the last five, over 0.5 %.
    assert (notes["burn_rate_long"], notes["burn_rate_short"], notes["threshold"]) == (
        "16.6667",
        "200",
        "14.4",
    )


async def test_events_are_those_of_a_replay_over_the_same_hours(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    """Three tenants at once: a repeated outage, maintenance over one, and a week's promise with a gap."""
    scripts = {
        "twice": "70: 0/50, 12: 40/50, 70: 0/50, 6: 50/50, 90: 1/50, 60: 0/50",
        "planned": "70: 0/50, 30: 50/50, 60: 0/50, 9: -, 60: 2/50, 30: 50/50, 40: 0/50",
        "weekly": "80: 0/50, 20: 3/50, 10: -, 40: 4/50, 80: 0/50, 30: -, 40: 0/50",
    }
    tenants = {name: await make_tenant() for name in scripts}
    off = Maintenance(str(uuid4()), at(65), 20 * MINUTE, "upgrade", "a test", T0)
    await bench.maintenance.add(tenants["planned"], off, 1)
    for name, tenant in tenants.items():
        await bench.promise(tenant, objective(windows=("7d",) if name == "weekly" else ("30d",)))
        await bench.count(tenant, minutes_of(scripts[name]))
    await bench.evaluate(*range(308))
    for name, tenant in tenants.items():
        stored = await bench.stored(tenant)
        hours = await bench.objectives.hours(tenant, stored.key, at(-3000), at(400))
        past = CountedHistory(
            stored.promised(tenant.key),
            hours,
            [(at(65), at(85))] if name == "planned" else (),
            ZoneInfo("UTC"),
            INTERVALS.of(tenant.evidence_source, tenant),
        )
        for entry in await bench.alerts.rules(tenant):
            replayed = firings(replay_counted(entry.rule, past, T0, at(307), MINUTE, POLICIES))
            flat = [(m, s) for f, r in replayed for m, s in ((f, "firing"), (r, "inactive")) if m is not None]
            assert bench.told(tenant, entry.rule.alert_name) == flat, (name, entry.rule.alert_name)
    assert [s for _, s in bench.told(tenants["twice"], "page")] == ["firing", "inactive"] * 2
    assert bench.told(tenants["weekly"], "page")
    assert bench.told(tenants["planned"], "no_data")


async def test_rules_come_with_the_objective_and_go_with_it(bench: Bench, make_tenant: MakeTenant) -> None:
    tenant, other = await make_tenant(), await make_tenant()
    await bench.objectives.install_defaults(T0, [tenant, other])
    await bench.rules.settle_all(T0)
    assert await bench.alerts.rules(tenant) == [], "what every tenant has, but nothing counted, has no rules"
    await bench.database.execute(
        "UPDATE objectives SET first_at = $2 WHERE tenant = $1 AND name = 'requests'", tenant.key, T0
    )
    await bench.promise(other, objective())
    await bench.rules.settle_all(T0)
    assert {e.rule.objective for e in await bench.alerts.rules(tenant)} == {"requests"}
    names = {e.rule.alert_name for e in await bench.alerts.rules(other)}
    assert names == {
        f"slo_checkout_{ending}"
        for ending in ("burn_rate_page", "burn_rate_ticket", "budget_low", "budget_exhausted", "no_data")
    }
    await bench.promise(other, objective(alerts=False))
    assert await bench.alerts.rules(other) == []
    assert await bench.alerts.tenants_with_other_objectives(5) == []


async def test_an_alert_ends_with_its_objective_and_says_why(bench: Bench, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant()
    await bench.promise(tenant, objective())
    await bench.count(tenant, minutes_of("365: 0/100, 10: 100/100"))
    await bench.evaluate(369, 370)
    await bench.objectives.delete(tenant, "checkout", at(372))
    await bench.evaluate(373)
    assert bench.told(tenant, "page") == [(370, "firing")], "nobody evaluates it any more"
    await bench.rules.settle_all(at(374))
    assert bench.told(tenant, "page") == [(370, "firing"), (374, "inactive")]
    last = bench.events[-1]
    assert (last.reason, last.objective) == ("objective_removed", "checkout")
    assert "its objective was removed" in last.message
    assert await bench.alerts.rules(tenant) == []


async def test_what_is_counted_differently_from_now_on_begins_anew_with_the_same_actions(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await bench.promise(tenant, objective())
    await bench.count(tenant, minutes_of("365: 0/100, 10: 100/100"))
    await bench.evaluate(370)
    rule = await bench.rule(tenant, "page")
    elsewhere = replace(rule, actions=(WebhookAction("https://elsewhere.example/hook"),))
    await bench.desk.replace(tenant, elsewhere, at(371))
    await bench.evaluate(372)
    await bench.promise(tenant, objective(bad=Selector(metric="worse_total")), now=at(373))
    again = await bench.rule(tenant, "page")
    assert (again.rule_id, again.actions) == (rule.rule_id, elsewhere.actions)
    assert again.objective_key == (await bench.stored(tenant)).key != rule.objective_key
    assert bench.events[-1].reason == "rule_replaced"
    states = {e.rule.alert_name: e.state.status for e in await bench.alerts.rules(tenant)}
    assert set(states.values()) == {RuleStatus.INACTIVE}


async def test_a_rule_never_reads_anothers_objective(bench: Bench, make_tenant: MakeTenant) -> None:
    mine, other = await make_tenant(), await make_tenant()
    for tenant in (mine, other):
        await bench.promise(tenant, objective())
    await bench.count(other, minutes_of("365: 0/100, 10: 100/100"))
    await bench.database.execute(
        "UPDATE alert_rules SET objective_key = $2 WHERE tenant = $1",
        mine.key,
        (await bench.stored(other)).key,
    )
    await bench.evaluate(370)
    assert bench.told(mine, "page") == []
    assert bench.told(other, "page") == [(370, "firing")]


async def test_one_tenants_unreadable_promise_stops_no_other(bench: Bench, make_tenant: MakeTenant) -> None:
    broken, fine = await make_tenant(), await make_tenant()
    for tenant in (broken, fine):
        await bench.promise(tenant, objective())
        await bench.count(tenant, minutes_of("365: 0/100, 10: 100/100"))
    await bench.database.execute(
        "UPDATE objectives SET definition = jsonb_set(definition, '{windows}', '[\"11d\"]') WHERE tenant = $1",
        broken.key,
    )
    await bench.evaluate(370)
    assert bench.told(fine, "page") == [(370, "firing")]
    assert bench.told(broken, "page") == []


async def test_the_question_about_all_objectives_is_answered_as_the_one_about_single_edges(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await bench.promise(tenant, objective())
    await bench.count(tenant, minutes_of("100: 3/100, 130: -, 70: 1/9"))
    key = (await bench.stored(tenant)).key
    instants = [at(m) for m in (-60, 0, 1, 59, 60, 61, 170, 230, 299, 300, 400)]
    found = await bench.objectives.promised([key], instants)
    assert found[key][1] == {
        e: c for (_, e), c in (await bench.objectives.sums({(key, i) for i in instants})).items()
    }
    hours = await bench.objectives.hours(tenant, key, at(-60), at(400))
    past = CountedHistory(found[key][0], hours, (), ZoneInfo("UTC"), MINUTE)
    assert {i: past.before(i) for i in instants} == found[key][1]
