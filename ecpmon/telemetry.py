"""ecpmon's own Prometheus metrics: series of this process in a registry, those of tenants apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from time import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from ecpmon.loglines import lines_lost
from ecpmon.slices import in_slices
from ecpmon.summing import Part, family_of
from ecpmon.tenantseries import TenantSeries

# Series of the registry with one of these labels are a tenant's as well.
_TENANT_LABELS: Final = ("tenant_id", "tenant")


class LogLosses(Collector):
    """Log lines of this process that nobody can read."""

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("ecpmon_log_lines_lost", "Log lines that were lost", labels=["reason"])
        for reason, lines in lines_lost().items():
            family.add_metric([reason], lines)
        yield family


class Telemetry:
    """One per process. `exposition` is what `/metrics` shows."""

    def exposition(self, tenants: Collection[str] | None) -> Iterator[bytes]:
        """The text format in small pieces: the process's series, and those of `tenants` (None: of every one)."""
        for family in self.families():
            if text := rendered(family, tenants):
                yield text
        yield from self.tenants.exposition(tenants, leads=self._leads)

    @property
    def leads(self) -> bool:
        return self._leads

    def families(self) -> Iterator[Metric]:
        """The process's own series; what only a leader knows is a leader's."""
        return (m for m in self.registry.collect() if self._leads or m.name not in self._of_leaders)

    async def part(self) -> Part:
        """What this process tells the others of its machine; what only a leader knows of tenants is asked for apart."""
        part = Part(self._leads)
        async for metric in in_slices(self.families()):
            part.families.append(family_of(metric))
        async for used in in_slices(self.tenants.usage_told()):
            part.usage |= used
        async for counts in in_slices(self.tenants.requests_told()):
            part.requests |= counts
        return part

    def lead(self, term: int) -> None:
        """This process leads from now on, in this term: what is known to leaders is shown."""
        self._leads = True
        self.takeovers.inc()
        self.term.set(term)

    def stop_leading(self) -> None:
        """What only a leader knows is not shown any more, and forgotten."""
        self._leads = False
        self.tenants.clear()
        for family in (self.quarantined, self.pull_lag):
            family.clear()

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now()

    def succeeded(self, job: str, at: float, period: float) -> None:
        """A turn of this job has; in seconds, `at` since 1970."""
        self.job_success.labels(job).set(at)
        self.job_period.labels(job).set(period)

    def show_quarantined(self, tenants_by_job: Mapping[str, int]) -> None:
        """All of them at once: a job that is not named has nobody left in quarantine."""
        self.quarantined.clear()
        for job, tenants in tenants_by_job.items():
            self.quarantined.labels(job).set(tenants)

    def watch_issuer(self, *, away: Callable[[], bool], age: Callable[[], float]) -> Counter:
        """Series of the issuer of signed tokens, where there is one. Counts how it was asked, by `outcome`."""
        r = self.registry
        Gauge(
            "ecpmon_oidc_issuer_away", "1 while the issuer of signed tokens does not answer", registry=r
        ).set_function(lambda: float(away()))
        Gauge(
            "ecpmon_oidc_keys_age_seconds", "Since the issuer of signed tokens told its keys", registry=r
        ).set_function(age)
        return Counter("ecpmon_oidc_fetches", "Questions to the issuer for its keys", ["outcome"], registry=r)

    def __init__(self, now: Callable[[], float] = time) -> None:
        """`now`: seconds since 1970, of the clock that samples are held against."""
        self.registry = CollectorRegistry()
        self.tenants = TenantSeries(now)
        self._now = now
        self.registry.register(LogLosses())
        r = self.registry
        self.sockets = Gauge("ecpmon_sockets", "Open WebSockets", registry=r)
        self.sockets_refused = Counter(
            "ecpmon_sockets_refused", "Sockets not let in, by whose bound", ["bound"], registry=r
        )
        self.sockets_ended = Counter(
            "ecpmon_sockets_ended", "Sockets closed by us, by what was over", ["over"], registry=r
        )
        self.active_tenants = Gauge("ecp_active_tenants_total", "Live tenants", registry=r)
        self.samples = Counter("ecpmon_ingest_samples", "Samples committed", ["source"], registry=r)
        self.rejected = Counter("ecpmon_ingest_rejected_samples", "Samples refused", ["reason"], registry=r)
        self.refusals = Counter("ecpmon_refusals", "Requests refused by a limit", ["limit"], registry=r)
        self.external_alerts = Counter(
            "ecpmon_external_alerts",
            "Alerts from Alertmanager by what became of them",
            ["outcome"],
            registry=r,
        )
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
        self.job_success = Gauge(
            "ecpmon_job_last_success",
            "When the job last succeeded, in seconds since 1970",
            ["job"],
            registry=r,
        )
        self.job_period = Gauge(
            "ecpmon_job_period_seconds", "From one turn of the job to the next", ["job"], registry=r
        )
        self.deadman = Counter(
            "ecpmon_deadman_messages",
            "Messages that say that ecpmon is alive, by outcome",
            ["outcome"],
            registry=r,
        )
        self.recoveries = Counter(
            "ecpmon_recovery_steps", "Steps of automatic recoveries", ["state", "reason"], registry=r
        )
        self.alertmanager_questions = Counter(
            "ecpmon_alertmanager_questions",
            "Questions to Alertmanager about open incidents",
            ["outcome"],
            registry=r,
        )
        self.alertmanager_posts = Counter(
            "ecpmon_alertmanager_sent_alerts",
            "Our alerts posted to Alertmanagers, each time one is, by what became of them",
            ["alertmanager", "outcome"],
            registry=r,
        )
        self.deliveries = Counter(
            "ecpmon_notification_tries", "Delivery tries", ["type", "reason"], registry=r
        )
        self.outbox_pending = Gauge("ecpmon_outbox_pending", "Notifications not yet delivered", registry=r)
        self.outbox_parked = Gauge("ecpmon_outbox_parked", "Notifications given up", registry=r)
        self.compute_waiting = Gauge(
            "ecpmon_compute_waiting", "Computations whose turn has not come", registry=r
        )
        self.compute_running = Gauge("ecpmon_compute_running", "Computations under way", registry=r)
        self.compute_ended = Counter(
            "ecpmon_compute_processes_ended", "Computing processes that are gone, by why", ["why"], registry=r
        )
        self.loop_lag = Histogram(
            "ecpmon_loop_lag_seconds",
            "How much too late the event loop wakes a sleeper",
            buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=r,
        )
        self.loop_longest_lag = Gauge(
            "ecpmon_loop_longest_lag_seconds",
            "The longest that something held the event loop in the last minute",
            registry=r,
        )
        self.merged = Gauge(
            "ecpmon_notifications_merged", "Notifications merged into others since the start", registry=r
        )
        self.bus_listening = Gauge(
            "ecpmon_bus_listening", "1 while this process hears at once what others commit", registry=r
        )
        self.bus_restarts = Counter(
            "ecpmon_bus_restarts", "How often what others had committed was missed", registry=r
        )
        self.leader = Gauge("ecpmon_leader", "1 while this process runs the jobs", registry=r)
        self.term = Gauge("ecpmon_leader_term", "The term in which this process leads", registry=r)
        self.takeovers = Counter(
            "ecpmon_leader_takeovers", "How often this process began to lead", registry=r
        )
        self.rollup_backlog = Gauge(
            "ecpmon_rollup_backlog_buckets", "Buckets waiting to be rolled up", registry=r
        )
        self.objective_backlog = Gauge(
            "ecpmon_objective_backlog_marks", "Stretches waiting to be counted again", registry=r
        )
        self.quarantined = Gauge(
            "ecpmon_quarantined", "Tenants whose own rows make a job fail for them", ["job"], registry=r
        )
        self.crowded = Gauge(
            "ecpmon_timelines_by_minute",
            "Tenants that change so often today that their timeline is kept by the minute",
            registry=r,
        )
        self.disk_size = Gauge(
            "ecpmon_database_disk_size_bytes",
            "Size of the disk of the database; 0: it is on another machine",
            registry=r,
        )
        self.disk_free = Gauge(
            "ecpmon_database_disk_free_bytes",
            "Free on the disk of the database; 0 with a size of 0: it is on another machine",
            registry=r,
        )
        self.last_backup = Gauge(
            "ecpmon_backup_last_good_timestamp_seconds",
            "The instant whose state the newest backup holds that was restored to try it; 0: there is none",
            registry=r,
        )
        self.rule_errors = Gauge("ecpmon_alert_evaluation_errors", "Rule evaluations that failed", registry=r)
        # Shown unless `stop_leading` was the last that was said of it: who has no database has no leader.
        self._leads = True
        of_leaders = (
            self.term, self.active_tenants, self.outbox_pending, self.outbox_parked, self.rollup_backlog,
            self.objective_backlog, self.quarantined, self.crowded, self.pull_lag, self.disk_size, self.disk_free,
            self.last_backup,
        )  # fmt: skip
        self._of_leaders = {family.name for gauge in of_leaders for family in gauge.describe()}


class _Shown(CollectorRegistry):
    """One family as the library's renderer wants it."""

    def __init__(self, family: Metric) -> None:
        super().__init__(auto_describe=False)
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def rendered(family: Metric, tenants: Collection[str] | None) -> bytes:
    """The text of what `tenants` may see of a family (None: all of it)."""
    shown = family if tenants is None else _visible(family, tenants)
    return generate_latest(_Shown(shown)) if shown.samples else b""


def _visible(family: Metric, tenants: Collection[str]) -> Metric:
    """The family without the samples of other tenants."""
    shown = Metric(family.name, family.documentation, family.type, family.unit)
    shown.samples = [
        s for s in family.samples if all(s.labels[k] in tenants for k in _TENANT_LABELS if k in s.labels)
    ]
    return shown
