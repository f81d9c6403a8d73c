"""The collectors of one database: what is pulled, how often, and when nobody was awake to do it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import aiohttp
import structlog

from ecpmon.collectors.base import Collector
from ecpmon.collectors.prometheus import PrometheusCollector
from ecpmon.collectors.rules import SliRules
from ecpmon.collectors.runner import CollectorRunner, Heartbeat, TenantDirectory, record_blindness
from ecpmon.collectors.simulator import SimulatorCollector
from ecpmon.jobs import Job
from ecpmon.model.ingest import Attempt
from ecpmon.model.samples import Source
from ecpmon.model.tenants import STALENESS_FACTOR
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.service import Clock
from ecpmon.ports.tenants import TenantStore
from ecpmon.settings import Settings
from ecpmon.storage.evidence import PUSH_AWAKE
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.writer import GroupWriter
from ecpmon.telemetry import Telemetry

_log = structlog.get_logger(__name__)


class Pulling:
    """`rules` None: nothing is pulled, a demo backend only takes pushes."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        telemetry: Telemetry,
        session: aiohttp.ClientSession,
        rules: SliRules | None,
        *,
        writer: GroupWriter,
        ingest: IngestStore,
        tenants: TenantStore,
        quarantine: Quarantine,
    ) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._writer = writer
        self._ingest = ingest
        self.heartbeat = Heartbeat(writer, clock)
        self._beaten = False
        self._closing: list[Callable[[], None]] = []
        directory, bound = TenantDirectory(tenants), settings.pull_buffer_frames
        self.runners = [
            CollectorRunner(
                c, writer, directory, ingest, clock, bound, self._attempted, quarantine=quarantine
            )
            for c in (self._collectors(settings, session, rules) if rules else ())
        ]

    def _collectors(
        self, settings: Settings, session: aiohttp.ClientSession, rules: SliRules
    ) -> list[Collector]:
        found: list[Collector] = []
        if settings.simulator_url:
            every = timedelta(seconds=settings.simulator_interval)
            found.append(SimulatorCollector(session, settings.simulator_url, every, settings.pull_timeout))
        if settings.prometheus_url:
            prometheus = PrometheusCollector(
                settings.prometheus_url,
                rules.prometheus,
                timedelta(seconds=settings.prometheus_interval),
                settings.pull_timeout,
                timedelta(days=settings.raw_retention_days),
                settings.prometheus_headers,
            )
            self._closing.append(prometheus.close)
            found.append(prometheus)
        return found

    def jobs(self, *, takes_pushes: bool = True) -> list[Job]:
        """`takes_pushes`: whether this process says that pushes could have come."""
        pulls = [
            Job(
                f"collect_{r.collector.source.value}",
                r.collector.interval.total_seconds(),
                r.run_once,
                without_database=True,
            )
            for r in self.runners
        ]
        heartbeat = Job("heartbeat", 10, self._beat, everywhere=True)
        blindness = Job("blindness", 3600, self._record_blindness, opens=True)
        return [blindness, *([heartbeat] if takes_pushes else []), *pulls]

    def awake(self) -> list[tuple[Source, timedelta]]:
        """Each source, and how long one sign of life says that we were awake for it."""
        pulled = [(r.collector.source, r.collector.interval * STALENESS_FACTOR) for r in self.runners]
        return [(Source.PUSH, PUSH_AWAKE), *pulled]

    def update_gauges(self, now: datetime) -> None:
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
            await self._record_blindness_of(source, awake)

    async def _record_blindness_of(self, source: Source, awake: timedelta) -> None:
        attempt = await record_blindness(self._ingest, self._writer, source, self._clock.now(), awake)
        if attempt:
            _log.info("was_blind", source=source.value, seconds=attempt.duration_ms / 1000)

    async def _beat(self) -> None:
        """Pushes can come. The first time we say as well since when they could not, for then nobody else may have."""
        if not self._beaten:
            await self._record_blindness_of(Source.PUSH, PUSH_AWAKE)
            self._beaten = True
        await self.heartbeat.run_once()

    def _attempted(self, attempt: Attempt) -> None:
        source = attempt.source.value
        self._telemetry.pulls.labels(source, attempt.outcome.value).inc()
        self._telemetry.pull_seconds.labels(source).observe(attempt.duration_ms / 1000)
