"""What `ecpmon rules` needs: what was promised to whom, and what Prometheus knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from ecpmon.alerts.promindicators import Counted, Gauge, Known
from ecpmon.alerts.promql import Targets
from ecpmon.alerts.promrules import counted_of, default_counters, default_sli, targets_of
from ecpmon.app.objective_defaults import load_objectives
from ecpmon.collectors.questions import questions_of
from ecpmon.collectors.rules import PrometheusRule, load_sli_rules
from ecpmon.storage.database import Database
from ecpmon.storage.objectives import PgObjectiveStore
from ecpmon.storage.tenants import PgTenantStore


async def stored_targets(database_url: str) -> tuple[Targets, list[Counted]]:
    """The targets of the live tenants, and their objectives. Raises DatabaseUnavailable."""
    database = Database(database_url, name="ecpmon-rules")
    try:
        targets = targets_of(await PgTenantStore(database).live())
        return targets, counted_of(await PgObjectiveStore(database, load_objectives()).of_all())
    finally:
        await database.close()


def default_objectives() -> Sequence[Counted]:
    """What every tenant has."""
    return [Counted(objective) for objective in load_objectives() if objective.alerts]


def gauges_of(rule: PrometheusRule, interval: timedelta) -> dict[str, Gauge]:
    """What is read by tenant, by our names; `interval`: how often, where the rules say nothing else."""
    return {
        q.name: Gauge(q.expression, tuple(text for text, _ in q.times), timedelta(seconds=q.limit))
        for q in questions_of(rule, interval.total_seconds())
        if q.name in rule.metrics
    }


def default_known() -> Known:
    """What `rules/sli.yaml` says of Prometheus."""
    return Known(default_counters(), gauges_of(load_sli_rules().prometheus, default_sli().interval))
