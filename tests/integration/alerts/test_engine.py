"""Rules over the real database: event time moves, states and notifications follow, once each."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from ecpmon.alerts.backtest import replay
from ecpmon.alerts.defaults import default_rules
from ecpmon.alerts.desk import RuleDesk
from ecpmon.alerts.engine import AlertEngine
from ecpmon.alerts.evaluate import Evaluation, Reading
from ecpmon.alerts.past import History
from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.reading import FactsReader
from ecpmon.alerts.screen import Screen
from ecpmon.alerts.syntax import CompareOp
from ecpmon.compute.threads import Threads
from ecpmon.errors import Conflict, EcpError, NotFound
from ecpmon.model.alerts import (
    Action,
    AlertRule,
    DeliveryOutcome,
    DeliveryReason,
    DeliveryResult,
    FlapPolicy,
    RuleKind,
    RuleState,
    Severity,
    WebhookAction,
)
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent
from ecpmon.sla.evidence import Intervals
from ecpmon.storage.alerts import PgAlertStore
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.deliveries import PgDeliveries
from ecpmon.storage.fast_windows import PgFastWindows
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.maintenance import PgMaintenanceStore
from ecpmon.storage.monitoring import PgMonitoringStore
from ecpmon.storage.outbox import PgOutbox
from ecpmon.storage.quarantine import PgQuarantine
from ecpmon.storage.roster import PgRoster
from ecpmon.storage.tenants import PgTenantStore
from ecpmon.workers import TenantWorkers, Workers
from tests.integration.conftest import T0
from tests.unit.alerts.outbox_contract import take

UP, CPU = SeriesKey("sla", "up"), SeriesKey("cpu", "cpu_usage")
INTERVALS = Intervals(timedelta(seconds=5), timedelta(seconds=15))
HOOK = WebhookAction("https://receiver.example/hook")
DELIVERED = DeliveryResult(DeliveryOutcome.DELIVERED, DeliveryReason.ACCEPTED, 200)
MakeTenant = Callable[..., Awaitable[Tenant]]


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


class Bench:
    """An engine over the real stores, and what it said. `at_ticks`: every evaluation is one of all tenants."""

    def __init__(
        self,
        database: Database,
        ingest: IngestStore,
        *,
        at_ticks: bool = False,
        flap: FlapPolicy | None = None,
    ) -> None:
        self.at_ticks = at_ticks
        self.events: list[AlertEvent] = []
        self.database = database
        self.ingest = ingest
        self.alerts = PgAlertStore(database)
        workers, policies = TenantWorkers(Workers(Threads()), "live"), default_policies()
        monitoring, window_sums = PgMonitoringStore(database), PgFastWindows(database)
        reader = FactsReader(
            monitoring, window_sums, PgMaintenanceStore(database), INTERVALS, policies, workers
        )
        self.roster = PgRoster(database)
        self.engine = AlertEngine(
            alerts=self.alerts,
            tenants=PgTenantStore(database),
            reader=reader,
            policies=policies,
            workers=workers,
            external_url="http://ecpmon.example",
            on_event=self.events.append,
            quarantine=PgQuarantine(database),
            screen=Screen(self.roster, window_sums, monitoring, INTERVALS, policies, flap)
            if at_ticks
            else None,
            flap=flap,
        )
        self.desk = RuleDesk(self.alerts, "http://ecpmon.example", self.events.append)

    async def install_defaults(self, tenant: Tenant, actions: Sequence[Action], now: datetime) -> None:
        await self.alerts.create_missing(default_rules(tenant.tenant_id, actions), now)

    async def rule(self, tenant: Tenant, condition: str, **more: Any) -> AlertRule:
        rule = AlertRule(
            str(uuid.uuid4()), tenant.tenant_id, more.pop("name", "r"), RuleKind.THRESHOLD, condition,
            more.pop("wait", 0), Severity.WARNING, (HOOK,),
        )  # fmt: skip
        await self.alerts.create(rule, T0)
        return rule

    async def observe(self, tenant: Tenant, seconds: float, up: int, cpu: float = 10) -> None:
        samples = (Sample(UP, up), Sample(CPU, cpu))
        await self.ingest.commit([Batch((Frame(tenant.tenant_id, Source.SIMULATOR, at(seconds), samples),))])

    async def evaluate(self, tenant: Tenant, seconds: float) -> list[str]:
        before = len(self.events)
        if self.at_ticks:
            await self.engine.evaluate_all(at(seconds))
        else:
            await self.engine.evaluate_tenants([tenant.tenant_id], at(seconds), sla=True)
        own = [e for e in self.events[before:] if e.tenant_id == tenant.tenant_id]
        return [f"{e.alert_name}:{e.from_state}>{e.to_state}" for e in own]

    async def notifications(self, tenant: Tenant) -> list[str]:
        rows = await self.database.fetch(
            "SELECT e.body FROM notifications n JOIN alert_events e USING (tenant, event_id)"
            " WHERE n.tenant = $1 ORDER BY n.notification_id",
            tenant.key,
        )
        return [r["body"]["status"] for r in rows]


@pytest.fixture(params=[False, True], ids=["by itself", "at ticks"])
def bench(request: pytest.FixtureRequest, database: Database, ingest: IngestStore) -> Bench:
    return Bench(database, ingest, at_ticks=request.param)


async def test_a_rule_without_for_fires_at_once_and_resolves_once(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await bench.rule(tenant, "cpu > 80")
    await bench.observe(tenant, 0, 1, 90)
    assert await bench.evaluate(tenant, 1) == ["r:inactive>firing"]
    assert await bench.evaluate(tenant, 2) == []
    await bench.observe(tenant, 5, 1, 20)
    assert await bench.evaluate(tenant, 6) == ["r:firing>inactive"]
    assert await bench.notifications(tenant) == ["firing", "resolved"]


async def test_for_is_kept_across_restarts_of_the_engine(bench: Bench, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant()
    await bench.rule(tenant, "cpu_usage > 80", wait=20)
    fired: list[str] = []
    for seconds in range(0, 30, 5):
        await bench.observe(tenant, seconds, 1, 95)
        fresh = Bench(bench.database, bench.ingest)  # every evaluation by another process
        fired += [f"{seconds}:{e}" for e in await fresh.evaluate(tenant, seconds)]
    assert fired == ["0:r:inactive>pending", "20:r:pending>firing"]


async def test_missing_data_freezes_and_does_not_resolve(bench: Bench, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant()
    rule = await bench.rule(tenant, "cpu_usage > 80")
    await bench.observe(tenant, 0, 1, 90)
    await bench.evaluate(tenant, 1)
    await bench.evaluate(tenant, 300)
    entry = await bench.alerts.get(tenant, rule.rule_id)
    assert (entry.state.status.value, entry.state.frozen) == ("firing", True)
    assert await bench.notifications(tenant) == ["firing"]


async def test_two_engines_at_once_tell_it_once(bench: Bench, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant()
    rule = await bench.rule(tenant, "cpu_usage > 80")
    await bench.observe(tenant, 0, 1, 90)
    stale = await bench.alerts.get(tenant, rule.rule_id)
    await bench.evaluate(tenant, 1)
    # The other engine read the rule before; its write must not go through.
    reading = Reading("cpu_usage", CompareOp.GT, 90.0, 80.0, True)
    assert await bench.engine._advance(stale, Evaluation(True, reading), at(1)) == (0, True)
    assert await bench.notifications(tenant) == ["firing"]


async def test_nobody_is_paged_for_what_lies_outside_of_the_service_hours(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    """Down before six in the morning, and after: the page comes when that has cost as much as always."""
    day = T0.replace(hour=0, minute=0, second=0, microsecond=0)
    begins = int((day + timedelta(days=1, hours=6) - T0).total_seconds())
    daily = {name: ["06:00-24:00"] for name in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    tenant = await make_tenant(holds=timedelta(minutes=10), hours={"weekly": daily, "holidays": []})
    await bench.install_defaults(tenant, (HOOK,), T0)
    page, minute = "sla_burn_rate_page:inactive>firing", 60
    for seconds in range(begins - 600 * minute, begins + 4 * minute, 4 * minute):
        await bench.observe(tenant, seconds, 0 if seconds >= begins - 120 * minute else 1)
    for seconds in range(begins - 120 * minute, begins, 30 * minute):
        assert page not in await bench.evaluate(tenant, seconds)
    assert page not in await bench.evaluate(tenant, begins + 4 * minute)
    await bench.observe(tenant, begins + 4 * minute, 0)
    assert page in await bench.evaluate(tenant, begins + 5 * minute)


async def test_the_burn_rate_page_needs_both_windows_and_a_full_long_one(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(holds=timedelta(seconds=150))
    await bench.install_defaults(tenant, (HOOK,), T0)
    await bench.install_defaults(tenant, (HOOK,), T0)  # twice changes nothing
    assert len(await bench.alerts.rules(tenant)) == 5
    minute, hour = 60, 3600
    # Down within the first hour of history: burning, but no firing before a full long window.
    for seconds in range(0, hour, minute):
        await bench.observe(tenant, seconds, 0 if 600 <= seconds < 1200 else 1)
        assert "sla_burn_rate_page:inactive>firing" not in await bench.evaluate(tenant, seconds)
    for seconds in range(hour, 7 * hour, minute):
        await bench.observe(tenant, seconds, 1)
    assert await bench.evaluate(tenant, 7 * hour - 1) == []
    # 14.4 × 0.5 % of an hour are 4.32 minutes: an outage pages within five.
    told: list[tuple[int, str]] = []
    for seconds in range(7 * hour, 7 * hour + 10 * minute, minute):
        await bench.observe(tenant, seconds, 0)
        told += [(seconds - 7 * hour, e) for e in await bench.evaluate(tenant, seconds + 1)]
    assert [e for e in told if "page" in e[1]] == [(300, "sla_burn_rate_page:inactive>firing")]
    # It resolves on the long window: an hour after the outage, not when the short one is calm.
    resolved = None
    for seconds in range(7 * hour + 10 * minute, 9 * hour, minute):
        await bench.observe(tenant, seconds, 1)
        if "sla_burn_rate_page:firing>inactive" in await bench.evaluate(tenant, seconds + 1):
            resolved = seconds - 7 * hour - 10 * minute
            break
    assert resolved is not None
    assert 50 * minute <= resolved <= 60 * minute


async def test_flapping_fires_as_the_replay_says_also_when_every_evaluation_is_another_process(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant(holds=timedelta(seconds=150))
    await bench.install_defaults(tenant, (), T0)
    told: list[tuple[str, int]] = []
    # Two or three bursts an hour: each new one would lift the hour over its factor again.
    for minute in range(300):
        down = minute >= 120 and (minute - 120) % 22 < 2
        await bench.observe(tenant, 60 * minute, 0 if down else 1)
        fresh = Bench(bench.database, bench.ingest, at_ticks=bench.at_ticks)
        told += [(e, minute) for e in await fresh.evaluate(tenant, 60 * minute) if "page" in e]
    fired = [m for e, m in told if e == "sla_burn_rate_page:inactive>firing"]
    resolved = [m for e, m in told if e == "sla_burn_rate_page:firing>inactive"]
    [page] = [r.rule for r in await bench.alerts.rules(tenant) if r.rule.policy == "page"]
    spans = await PgAvailabilityStore(bench.database).timeline(tenant, T0, at(300 * 60))
    found = replay(
        page, History(tenant, INTERVALS, spans), T0, at(299 * 60), timedelta(minutes=1), default_policies()
    )
    assert [at(m * 60) for m in fired] == [f.fired_at for f in found.firings]
    assert [at(m * 60) for m in resolved] == [f.resolved_at for f in found.firings if f.resolved_at]
    # Every 22 min without the suppression; with it, when 4.32 min have failed anew.
    assert len(fired) >= 2
    assert all(b - a >= 40 for a, b in pairwise(fired))


async def test_no_data_is_told_after_five_minutes_and_over_with_the_next_observation(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await bench.install_defaults(tenant, (HOOK,), T0)
    await bench.observe(tenant, 0, 1)
    told = [(s, e) for s in range(10, 400, 10) for e in await bench.evaluate(tenant, s)]
    assert told == [(20, "sla_no_data:inactive>pending"), (320, "sla_no_data:pending>firing")]
    await bench.observe(tenant, 405, 1)
    assert await bench.evaluate(tenant, 406) == ["sla_no_data:firing>inactive"]


async def test_deleting_a_firing_rule_tells_that_it_is_over(bench: Bench, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant()
    rule = await bench.rule(tenant, "cpu_usage > 80")
    await bench.observe(tenant, 0, 1, 90)
    await bench.evaluate(tenant, 1)
    stale = await bench.alerts.get(tenant, rule.rule_id)
    await bench.desk.delete(tenant, rule.rule_id, at(7))
    ended = bench.events[-1]
    assert (ended.to_state, ended.reason, ended.at) == ("inactive", "rule_deleted", at(7))
    assert ended.message == f"r is resolved for {tenant.tenant_id}: its rule was deleted (cpu_usage > 80)"
    assert await bench.notifications(tenant) == ["firing", "resolved"]
    # The worker finds both, in order, though their rule is gone.
    outbox, sent = PgOutbox(bench.database), list[Any]()
    for _ in range(2):
        mine = [n for n in await take(outbox, at(8), 100) if n.rule_id == rule.rule_id]
        sent += mine
        for notification in mine:
            await outbox.record_sent(notification, at(8), DELIVERED)
    assert [(n.alert_name, n.payload["status"]) for n in sent] == [("r", "firing"), ("r", "resolved")]
    # The engine had read the rule before it was deleted.
    reading = Reading("cpu_usage", CompareOp.GT, 10.0, 80.0, False)
    assert await bench.engine._advance(stale, Evaluation(False, reading), at(8)) == (0, True)
    assert await bench.notifications(tenant) == ["firing", "resolved"]


async def test_a_pending_rule_goes_silently_and_an_inactive_one_without_a_trace(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    pending = await bench.rule(tenant, "cpu_usage > 80", name="pending", wait=60)
    inactive = await bench.rule(tenant, "cpu_usage > 99", name="inactive")
    await bench.observe(tenant, 0, 1, 90)
    await bench.evaluate(tenant, 1)
    for rule in (pending, inactive):
        await bench.desk.delete(tenant, rule.rule_id, at(2))
    told = await bench.alerts.recent_events(tenant, 10)
    assert [(e.alert_name, e.from_state, e.to_state) for e in told] == [
        ("pending", "pending", "inactive"), ("pending", "inactive", "pending"),
    ]  # fmt: skip
    assert await bench.notifications(tenant) == []


async def test_a_rule_is_not_deleted_when_its_end_cannot_be_told(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    rule = await bench.rule(tenant, "cpu_usage > 80")
    await bench.observe(tenant, 0, 1, 90)
    await bench.evaluate(tenant, 1)
    # What breaks the outbox breaks the deletion: nothing of it is stored.
    broken = f"tenant <> {tenant.key} OR created_at < '{at(2).isoformat()}'"
    await bench.database.execute(f"ALTER TABLE notifications ADD CONSTRAINT broken CHECK ({broken})")
    try:
        with pytest.raises(EcpError):
            await bench.desk.delete(tenant, rule.rule_id, at(2))
    finally:
        await bench.database.execute("ALTER TABLE notifications DROP CONSTRAINT broken")
    assert (await bench.alerts.get(tenant, rule.rule_id)).state.status.value == "firing"
    assert [e.to_state for e in await bench.alerts.recent_events(tenant, 10)] == ["firing"]
    assert len(bench.events) == 1


async def test_a_replaced_rule_ends_its_alert_and_keeps_its_history(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    rule = await bench.rule(tenant, "cpu_usage > 80")
    before = await bench.alerts.get(tenant, rule.rule_id)
    await bench.observe(tenant, 0, 1, 90)
    await bench.evaluate(tenant, 1)
    other = WebhookAction("https://other.example/hook")
    changed = replace(rule, alert_name="hotter", condition="cpu_usage > 85", actions=(other,))
    shown = await bench.desk.replace(tenant, changed, at(2))
    assert shown == await bench.alerts.get(tenant, rule.rule_id)
    # An evaluation of the old condition, begun before, cannot be stored for the new one.
    reading = Reading("cpu_usage", CompareOp.GT, 90.0, 80.0, True)
    assert await bench.engine._advance(before, Evaluation(True, reading), at(3)) == (0, True)
    assert await bench.evaluate(tenant, 4) == ["hotter:inactive>firing"]
    told = await bench.alerts.recent_events(tenant, 10)
    assert {e.rule_id for e in told} == {rule.rule_id}
    assert [(e.alert_name, e.to_state, e.reason) for e in reversed(told)] == [
        ("r", "firing", "fired_at_once"), ("r", "inactive", "rule_replaced"), ("hotter", "firing", "fired_at_once"),
    ]  # fmt: skip
    sent = await PgDeliveries(bench.database).recent(tenant, 10)
    assert [d["action"]["url"] for d in reversed(sent)] == [HOOK.url, HOOK.url, other.url]
    assert await bench.notifications(tenant) == ["firing", "resolved", "firing"]


async def test_a_rule_belongs_to_its_tenant(bench: Bench, make_tenant: MakeTenant) -> None:
    mine, other = await make_tenant(), await make_tenant()
    rule = await bench.rule(mine, "cpu_usage > 80")
    with pytest.raises(Conflict):
        await bench.rule(mine, "cpu_usage > 90")
    for wrong in (rule.rule_id, "not-a-uuid"):
        with pytest.raises(NotFound):
            await bench.alerts.get(other, wrong)
        with pytest.raises(NotFound):
            await bench.desk.delete(other, wrong, T0)
    # Not even with what its own tenant has read.
    entry = await bench.alerts.get(mine, rule.rule_id)
    assert await bench.alerts.delete(other, entry, [], T0) is None
    assert await bench.alerts.replace(other, entry, rule, RuleState(), [], T0) is None
    await bench.desk.delete(mine, rule.rule_id, T0)
    assert await bench.alerts.rules(mine) == []


async def test_a_target_no_outage_could_burn_fast_does_not_stop_the_other_rules(
    bench: Bench, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    await bench.database.execute(
        'UPDATE tenants SET sla_target = \'{"availability": "50%"}\' WHERE id = $1', tenant.key
    )
    await bench.install_defaults(tenant, (), T0)
    await bench.rule(tenant, "cpu_usage > 80")
    await bench.observe(tenant, 0, 0, 99)
    assert await bench.evaluate(tenant, 1) == ["r:inactive>firing"]
    assert bench.engine.errors == 0
