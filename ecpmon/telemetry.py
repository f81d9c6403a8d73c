"""ecpmon's own Prometheus metrics. Per-tenant series are made from what is live, so a deleted tenant's disappear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ecpmon.loglines import lines_lost

# The generated Prometheus rules read it.
MAINTENANCE_GAUGE: Final = "ecp_tenant_maintenance"
_USAGE: Final = {
    "cpu_usage": ("ecp_tenant_cpu_usage", "CPU usage of a tenant in percent"),
    "memory_usage": ("ecp_tenant_memory_usage", "Memory usage of a tenant in percent"),
    "gpu_usage": ("ecp_tenant_gpu_usage", "GPU usage of a tenant in percent"),
}
_SLA: Final = {
    "availability": ("ecp_tenant_sla_availability_ratio", "Availability of a tenant over a window, 0 to 1"),
    "coverage": ("ecp_tenant_sla_coverage_ratio", "Measured share of a window, 0 to 1"),
    "burn_rate": ("ecp_tenant_sla_burn_rate", "Burn rate of a tenant's error budget over a window"),
    "budget": (
        "ecp_tenant_sla_error_budget_remaining_ratio",
        "Share of the error budget left, negative when overspent",
    ),
}


_OBJECTIVE: Final = {
    "ratio": ("ecp_tenant_objective_ratio", "Good share of an objective over a window, 0 to 1"),
    "coverage": ("ecp_tenant_objective_coverage_ratio", "Observed share of a window, 0 to 1"),
    "burn_rate": ("ecp_tenant_objective_burn_rate", "Burn rate of an objective's budget over a window"),
    "budget": (
        "ecp_tenant_objective_error_budget_remaining_ratio",
        "Share of an objective's budget left, negative when overspent",
    ),
}
# (tenant, objective, window) -> figure -> value; figures without a value are left out
ObjectiveFigures = Mapping[tuple[str, str, str], Mapping[str, float | None]]


class TenantGauges(Collector):
    """Latest usage and SLA figures of the tenants that are live."""

    def __init__(self) -> None:
        self._usage: dict[str, dict[str, float]] = {}
        self._sla: dict[str, dict[str, dict[str, float]]] = {}
        self._maintenance: dict[str, bool] = {}
        self._objectives: ObjectiveFigures = {}

    def usage(self, tenant_id: str, values: Mapping[str, float]) -> None:
        self._usage.setdefault(tenant_id, {}).update({k: v for k, v in values.items() if k in _USAGE})

    def sla(self, tenant_id: str, window: str, values: Mapping[str, float | None]) -> None:
        known = {k: v for k, v in values.items() if v is not None}
        self._sla.setdefault(tenant_id, {})[window] = known

    def maintenance(self, tenant_id: str, on: bool) -> None:
        self._maintenance[tenant_id] = on

    def objectives(self, figures: ObjectiveFigures) -> None:
        """All of them at once: what is not named is gone."""
        self._objectives = figures

    def keep_only(self, tenant_ids: Iterable[str]) -> None:
        """Forget every tenant that is not in `tenant_ids`."""
        live = set(tenant_ids)
        self._usage = {k: v for k, v in self._usage.items() if k in live}
        self._sla = {k: v for k, v in self._sla.items() if k in live}
        self._maintenance = {k: v for k, v in self._maintenance.items() if k in live}

    def collect(self) -> Iterator[Metric]:
        for key, (name, text) in _USAGE.items():
            family = GaugeMetricFamily(name, text, labels=["tenant_id"])
            for tenant_id, values in self._usage.items():
                if key in values:
                    family.add_metric([tenant_id], values[key])
            yield family
        family = GaugeMetricFamily(MAINTENANCE_GAUGE, "1 while maintenance is on", labels=["tenant_id"])
        for tenant_id, on in self._maintenance.items():
            family.add_metric([tenant_id], float(on))
        yield family
        for key, (name, text) in _SLA.items():
            family = GaugeMetricFamily(name, text, labels=["tenant_id", "window"])
            for tenant_id, windows in self._sla.items():
                for window, figures in windows.items():
                    if key in figures:
                        family.add_metric([tenant_id, window], figures[key])
            yield family
        yield from self._objective_families()

    def _objective_families(self) -> Iterator[Metric]:
        for key, (name, text) in _OBJECTIVE.items():
            family = GaugeMetricFamily(name, text, labels=["tenant_id", "objective", "window"])
            for labels, shown in self._objectives.items():
                value = shown.get(key)
                if value is not None:
                    family.add_metric(labels, value)
            yield family


class LogLosses(Collector):
    """Log lines of this process that nobody can read."""

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("ecpmon_log_lines_lost", "Log lines that were lost", labels=["reason"])
        for reason, lines in lines_lost().items():
            family.add_metric([reason], lines)
        yield family


class Telemetry:
    """One per process; `registry` is what `/metrics` shows."""

    def keep_only(self, tenant_ids: Iterable[str]) -> None:
        """Drop every series of tenants that are not in `tenant_ids`."""
        live = set(tenant_ids)
        self.tenants.keep_only(live)
        for metric in self.requests.collect():
            for tenant_id in {s.labels["tenant_id"] for s in metric.samples} - live:
                self.requests.remove_by_labels({"tenant_id": tenant_id})

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.tenants = TenantGauges()
        self.registry.register(self.tenants)
        self.registry.register(LogLosses())
        r = self.registry
        self.requests = Counter(
            "ecp_tenant_requests", "API requests of tenants", ["tenant_id", "method", "status"], registry=r
        )
        self.active_tenants = Gauge("ecp_active_tenants_total", "Live tenants", registry=r)
        self.samples = Counter("ecpmon_ingest_samples", "Samples committed", ["source"], registry=r)
        self.rejected = Counter("ecpmon_ingest_rejected_samples", "Samples refused", ["reason"], registry=r)
        self.refusals = Counter("ecpmon_refusals", "Requests refused by a limit", ["limit"], registry=r)
        self.pulls = Counter("ecpmon_pull_attempts", "Pulls by outcome", ["source", "outcome"], registry=r)
        self.pull_seconds = Histogram(
            "ecpmon_pull_duration_seconds", "Duration of pulls", ["source"], registry=r
        )
        self.pull_lag = Gauge("ecpmon_pull_lag_seconds", "Since the last good pull", ["source"], registry=r)
        self.waiting = Gauge(
            "ecpmon_pull_waiting_frames", "Pulled, not yet committed", ["source"], registry=r
        )
        self.job_seconds = Histogram("ecpmon_job_duration_seconds", "Duration of jobs", ["job"], registry=r)
        self.job_failures = Counter(
            "ecpmon_job_failures", "Jobs that failed or were missed", ["job", "reason"], registry=r
        )
        self.recoveries = Counter(
            "ecpmon_recovery_steps", "Steps of automatic recoveries", ["state", "reason"], registry=r
        )
        self.deliveries = Counter(
            "ecpmon_notification_tries", "Delivery tries", ["type", "reason"], registry=r
        )
        self.outbox_pending = Gauge("ecpmon_outbox_pending", "Notifications not yet delivered", registry=r)
        self.outbox_parked = Gauge("ecpmon_outbox_parked", "Notifications given up", registry=r)
        self.loop_lag = Histogram(
            "ecpmon_loop_lag_seconds",
            "How much too late the event loop wakes a sleeper",
            buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=r,
        )
        self.loop_longest_lag = Gauge(
            "ecpmon_loop_longest_lag_seconds",
            "The longest that something held the event loop in the last minute",
            registry=r,
        )
        self.leader = Gauge("ecpmon_leader", "1 while this process runs the jobs", registry=r)
        self.rollup_backlog = Gauge(
            "ecpmon_rollup_backlog_buckets", "Buckets waiting to be rolled up", registry=r
        )
        self.objective_backlog = Gauge(
            "ecpmon_objective_backlog_marks", "Stretches waiting to be counted again", registry=r
        )
        self.rule_errors = Gauge("ecpmon_alert_evaluation_errors", "Rule evaluations that failed", registry=r)
