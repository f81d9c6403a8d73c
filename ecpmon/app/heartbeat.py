"""Since when nobody was awake for a source, and that pushes can come."""

from __future__ import annotations

from datetime import timedelta

import structlog

from ecpmon.collectors.runner import Heartbeat, record_blindness
from ecpmon.jobs import Job
from ecpmon.model.samples import Source
from ecpmon.ports.samples import SampleWriter
from ecpmon.ports.service import Clock
from ecpmon.storage.ingest import IngestStore
from ecpmon.storage.regimes import PUSH_AWAKE

_log = structlog.get_logger(__name__)


class Blindness:
    """Records when nobody can have seen anything of a source."""

    def __init__(self, ingest: IngestStore, writer: SampleWriter, clock: Clock) -> None:
        self._ingest = ingest
        self._writer = writer
        self._clock = clock

    async def record(self, source: Source, awake: timedelta) -> None:
        """`awake`: how long one sign of life says that somebody was awake for the source."""
        attempt = await record_blindness(self._ingest, self._writer, source, self._clock.now(), awake)
        if attempt:
            _log.info("was_blind", source=source.value, seconds=attempt.duration_ms / 1000)


class PushHeartbeat:
    """Of a process that takes pushes: they can come."""

    def __init__(self, blindness: Blindness, writer: SampleWriter, clock: Clock) -> None:
        self._blindness = blindness
        self._heartbeat = Heartbeat(writer, clock)
        self._beaten = False

    def job(self) -> Job:
        return Job("heartbeat", 10, self.beat, everywhere=True)

    async def beat(self) -> None:
        """The first time we say as well since when they could not, for then nobody else may have."""
        if not self._beaten:
            await self._blindness.record(Source.PUSH, PUSH_AWAKE)
            self._beaten = True
        await self._heartbeat.run_once()
