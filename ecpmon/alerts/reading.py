"""What the rules of a tenant read, fetched in as few questions as they need, whatever happened in their windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from ecpmon.alerts.judgement import (
    SLA_LOOKBACK,
    Facts,
    Record,
    saved_condition,
    told_until,
    unobserved,
    windows_read,
)
from ecpmon.alerts.syntax import AggFunction, references
from ecpmon.model.alerts import RuleKind
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import RuleWithState
from ecpmon.ports.samples import MonitoringStore
from ecpmon.ports.sla import MaintenanceStore, WindowSums
from ecpmon.sla import hours
from ecpmon.sla.burn import BurnPolicy
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.ledger import Ledger, Question, question
from ecpmon.sla.parts import Terms
from ecpmon.sla.terms import MOST, effort_of, off_between
from ecpmon.workers import TenantWorkers

# So little planned maintenance is expanded where we are: a thread would cost more.
FEW: Final = 50
FEW_WINDOWS: Final = 20
FEW_RULES: Final = 20


class FactsReader:
    """Reads for one tenant at a time; cost grows with its rules and its maintenance, not with its history."""

    def __init__(
        self,
        monitoring: MonitoringStore,
        window_sums: WindowSums,
        maintenance: MaintenanceStore,
        intervals: Intervals,
        policies: Mapping[str, BurnPolicy],
        workers: TenantWorkers,
    ) -> None:
        self._monitoring = monitoring
        self._window_sums = window_sums
        self._maintenance = maintenance
        self._intervals = intervals
        self._policies = policies
        self._workers = workers

    async def read(
        self, tenant: Tenant, entries: Sequence[RuleWithState], now: datetime
    ) -> tuple[Facts, bool]:
        """Everything that `judge` asks about these rules, and whether judging them takes long."""
        rules = [entry.rule for entry in entries]
        wanted = [references(saved_condition(r)) for r in rules if r.kind is RuleKind.THRESHOLD]
        since, names = now - self._intervals.stalest(tenant), {m.name for w in wanted for m in w.metrics}
        found = await self._monitoring.latest_of([(tenant, since)], names, now) if names else {}
        latest = found.get(tenant.key, {})
        terms = {(t.function.value, t.name, t.window) for w in wanted for t in w.aggregates}
        said = await self._monitoring.trailing(tenant, terms, now) if terms else {}
        aggregates = {(AggFunction(f), name, window): value for (f, name, window), value in said.items()}
        record, planned = await self._record(tenant, entries, now)
        facts = Facts(tenant, now, record, latest, self._intervals, aggregates)
        return facts, planned > FEW_WINDOWS or len(entries) > FEW_RULES

    async def _record(
        self, tenant: Tenant, entries: Sequence[RuleWithState], now: datetime
    ) -> tuple[Record, int]:
        """Availability without what is taken out, as nobody is woken for it; and how often something is."""
        lengths = windows_read([entry.rule for entry in entries], self._policies)
        if not lengths:
            return unobserved(now), 0
        reach = now - max(SLA_LOOKBACK, *lengths)
        told = {at for entry in entries if (at := told_until(entry.state, now)) is not None and at > reach}
        starts = {reach, now - SLA_LOOKBACK, *(now - length for length in lengths), *told}
        asked = await self._question(tenant, await self._maintenance.of_tenant(tenant), starts, lengths, now)
        marks = await self._window_sums.marks(tenant, asked.instants, now, present=True)
        return Ledger(marks.__getitem__, asked.maintenance, asked.outside), len(asked.maintenance)

    async def _question(
        self,
        tenant: Tenant,
        planned: Sequence[Maintenance],
        starts: set[datetime],
        lengths: set[timedelta],
        now: datetime,
    ) -> Question:
        def made() -> Question:
            off = off_between(tenant, planned, min(starts), now, MOST)
            # Windows of policies are as long in service hours, those of conditions as the clock says.
            served = {hours.since(off.outside, now, length, SLA_LOOKBACK) for length in lengths}
            return question(now, Terms(off.maintenance, outside=off.outside), (), starts | served)

        return made() if effort_of(tenant, planned) <= FEW else await self._workers.run(tenant.key, made)
