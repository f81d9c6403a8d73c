"""The collectors of one database: what is pulled, how often, and when nobody was awake to do it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import aiohttp
import structlog

from ecpmon.app.heartbeat import Blindness
from ecpmon.app.stores import Surroundings
from ecpmon.collectors.base import Collector
from ecpmon.collectors.rules import SliRules
from ecpmon.collectors.runner import CollectorRunner, LiveTenants, TenantDirectory
from ecpmon.collectors.simulator import SimulatorCollector
from ecpmon.jobs import Job
from ecpmon.model.ingest import Attempt
from ecpmon.model.operating import MonitoringSettings, Stack
from ecpmon.model.samples import Source
from ecpmon.model.tenants import STALENESS_FACTOR
from ecpmon.ports.faults import FaultLog
from ecpmon.ports.profiles import ProfileStore
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.samples import AttemptLog, SampleWriter
from ecpmon.settings import Settings
from ecpmon.storage.regimes import PUSH_AWAKE

# What the settings call it when nothing else is pulled.
_STACKS: Final[dict[Source, Stack]] = {Source.SIMULATOR: "custom", Source.PROMETHEUS: "prometheus"}
_log = structlog.get_logger(__name__)


class Pulling:
    """Into a demo database only what its simulated cluster says, and none of it counts in metrics."""

    def __init__(
        self,
        around: Surroundings,
        blindness: Blindness,
        *,
        writer: SampleWriter,
        ingest: AttemptLog,
        tenants: LiveTenants,
        quarantine: Quarantine,
        faults: FaultLog,
        profiles: ProfileStore,
    ) -> None:
        self._profiles = profiles
        self._telemetry = around.gauges
        self._demo = around.demo
        self._blindness = blindness
        self._stack: Stack | None = "all"
        self._closing: list[Callable[[], None]] = []
        directory, bound = TenantDirectory(tenants), around.settings.pull_buffer_frames
        self.runners = [
            CollectorRunner(
                c,
                writer,
                directory,
                ingest,
                around.clock,
                bound,
                self._attempted,
                quarantine=quarantine,
                faults=faults,
            )
            for c in self._collectors(around.settings, around.session, around.rules)
        ]

    def _collectors(
        self, settings: Settings, session: aiohttp.ClientSession, rules: SliRules
    ) -> list[Collector]:
        found: list[Collector] = []
        if url := settings.simulator_of(demo=self._demo):
            every = timedelta(seconds=settings.simulator_interval)
            found.append(SimulatorCollector(session, url, every, settings.pull_timeout))
        if settings.prometheus_url and not self._demo:
            # Its libraries are large, and nobody else needs them.
            from ecpmon.collectors.prometheus import PrometheusCollector

            prometheus = PrometheusCollector(
                settings.prometheus_url,
                rules.prometheus,
                timedelta(seconds=settings.prometheus_interval),
                settings.pull_timeout,
                timedelta(days=settings.raw_retention_days),
                settings.prometheus_headers,
                profiles=self._profiles,
            )
            self._closing.append(prometheus.close)
            found.append(prometheus)
        return found

    def jobs(self) -> list[Job]:
        pulls = [
            Job(
                f"collect_{r.collector.source.value}",
                r.collector.interval.total_seconds(),
                partial(self._pull, r),
                without_database=True,
            )
            for r in self.runners
        ]
        return [Job("blindness", 3600, self._record_blindness, opens=True), *pulls]

    async def _pull(self, runner: CollectorRunner) -> None:
        if self._stack in ("all", _STACKS[runner.collector.source]):
            await runner.run_once()

    def operate(self, monitoring: MonitoringSettings) -> None:
        """What is pulled from now on, and from where. How often, the jobs are told by somebody else."""
        self._stack = monitoring.monitoringStack
        for runner in self.runners:
            if isinstance(runner.collector, SimulatorCollector):
                runner.collector.custom = monitoring.customApiEndpoint
                if monitoring.dataCollectionInterval is not None:
                    runner.collector.interval = timedelta(seconds=monitoring.dataCollectionInterval)

    def move(self, endpoint: str) -> None:
        """The simulator is elsewhere."""
        for runner in self.runners:
            if isinstance(runner.collector, SimulatorCollector):
                runner.collector.endpoint = endpoint

    def awake(self) -> list[tuple[Source, timedelta]]:
        """Each source, and how long one sign of life says that we were awake for it."""
        pulled = [(r.collector.source, r.collector.interval * STALENESS_FACTOR) for r in self.runners]
        return [(Source.PUSH, PUSH_AWAKE), *pulled]

    def update_gauges(self, now: datetime) -> None:
        if self._telemetry is None:
            return
        for runner in self.runners:
            source = runner.collector.source.value
            self._telemetry.waiting.labels(source).set(runner.waiting_frames)
            if runner.last_success:
                self._telemetry.pull_lag.labels(source).set((now - runner.last_success).total_seconds())

    def close(self) -> None:
        for close in self._closing:
            close()

    async def _record_blindness(self) -> None:
        """At the beginning of a term, before anything is pulled, matters; later calls find that we have been awake."""
        for source, awake in self.awake():
            await self._blindness.record(source, awake)

    def _attempted(self, attempt: Attempt) -> None:
        if self._telemetry is None:
            return
        source = attempt.source.value
        self._telemetry.pulls.labels(source, attempt.outcome.value).inc()
        self._telemetry.pull_seconds.labels(source).observe(attempt.duration_ms / 1000)
