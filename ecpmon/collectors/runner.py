"""Runs a collector: every attempt recorded, nothing lost while the database is away."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import Protocol

import structlog

from ecpmon.collectors.base import Collected, Collector
from ecpmon.errors import DatabaseUnavailable, EcpError, MonitoringUnavailable, NoLongerLeader
from ecpmon.isolation import Isolation, reason_of
from ecpmon.model.ingest import Attempt, AttemptOutcome, Batch
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.ports.faults import FaultLog
from ecpmon.ports.leading import leading
from ecpmon.ports.quarantine import Quarantine
from ecpmon.ports.samples import AttemptLog, SampleWriter
from ecpmon.ports.service import Clock

_log = structlog.get_logger(__name__)


class LiveTenants(Protocol):
    async def live(self) -> Sequence[Tenant]: ...


class TenantDirectory:
    """The live tenants, remembered while the database is away."""

    def __init__(self, tenants: LiveTenants) -> None:
        self._tenants = tenants
        self._known: Sequence[Tenant] = ()

    async def live(self) -> Sequence[Tenant]:
        try:
            self._known = await self._tenants.live()
        except DatabaseUnavailable:
            _log.debug("tenants_from_memory", tenants=len(self._known))
        return self._known


class CollectorRunner:
    """One pull at a time. Batches wait in memory, at most `max_frames` frames, while they cannot be committed: the
    database is away, or another process has taken over meanwhile.

    Past that bound the oldest are given up and counted in `dropped_frames`. The stored watermark then stays before
    them, so that a source that can be asked about the past is asked again; another's time becomes a gap.
    """

    def __init__(
        self,
        collector: Collector,
        writer: SampleWriter,
        directory: TenantDirectory,
        log: AttemptLog,
        clock: Clock,
        max_frames: int,
        on_attempt: Callable[[Attempt], None] = lambda _: None,
        *,
        quarantine: Quarantine,
        faults: FaultLog | None = None,
    ) -> None:
        self._faults = faults
        self._isolation = Isolation(quarantine, f"collect_{collector.source.value}")
        self.collector = collector
        self._writer = writer
        self._directory = directory
        self._attempts = log
        self._clock = clock
        self._max_frames = max_frames
        self._on_attempt = on_attempt
        self._waiting: deque[Batch] = deque()
        self._watermark: datetime | None = None
        self._watermark_known = False
        # In whose name the watermark was learnt: in another term somebody else may have got further.
        self._claim = leading.get()
        self._ask_again = False
        self.dropped_frames = 0
        self.last_success: datetime | None = None

    @property
    def waiting_frames(self) -> int:
        return sum(len(b.frames) for b in self._waiting)

    async def run_once(self) -> AttemptOutcome:
        """Pull, then commit everything that waits. Never raises for a source or database that is away."""
        await self._learn_watermark()
        tenants = await self._directory.live()
        now = self._clock.now()
        began = perf_counter()
        collected: Collected | None = None
        try:
            collected = await self.collector.collect(tenants, self._watermark, now)
        except Exception as error:  # noqa: BLE001 - an answer that nobody foresaw is a failed pull as well
            attempt = self._attempt(now, AttemptOutcome.TARGET_FAILED, began, reason_of(error))
            known = isinstance(error, MonitoringUnavailable)
            _log.warning(
                "pull_failed", source=self.collector.source.value, error=reason_of(error),
                exc_info=None if known else error,
            )  # fmt: skip
        else:
            outcome = AttemptOutcome.TARGET_FAILED if collected.refused else AttemptOutcome.OK
            attempt = self._attempt(now, outcome, began, collected.detail)
            if collected.detail:
                _log.warning("pulled_in_part", source=self.collector.source.value, detail=collected.detail)
            if not collected.refused:
                self.last_success = now
        self._on_attempt(attempt)
        self._queue(attempt, collected and _numbered(collected, tenants))
        await self._drain()
        self._keep_bound()
        if collected and not self._waiting:
            await self._tell(collected, now)
        return attempt.outcome

    async def _tell(self, collected: Collected, now: datetime) -> None:
        try:
            await self._isolation.settle_parts(collected.troubles, None, now)
            if self._faults is not None and collected.troubles:
                since = collected.since or collected.until
                await self._faults.note(self.collector.source, collected.troubles, since, collected.until)
        except EcpError as error:  # the next pull finds the same
            _log.info("troubles_untold", source=self.collector.source.value, error=error.message)

    def _attempt(
        self, now: datetime, outcome: AttemptOutcome, began: float, detail: str | None = None
    ) -> Attempt:
        return Attempt(now, self.collector.source, outcome, (perf_counter() - began) * 1000, detail)

    async def _learn_watermark(self) -> None:
        if self._watermark_known and self._claim == leading.get():
            return
        try:
            self._watermark = await self._attempts.watermark(self.collector.source)
            self._watermark_known, self._claim = True, leading.get()
        except DatabaseUnavailable:
            _log.info("watermark_unknown", source=self.collector.source.value)

    def _queue(self, attempt: Attempt, collected: Collected | None) -> None:
        if collected is None:
            self._waiting.append(Batch(attempts=(attempt,)))
        else:
            marks = () if self._ask_again else ((self.collector.source, collected.until),)
            lost = tuple(
                replace(attempt, outcome=AttemptOutcome.TARGET_FAILED, detail=why)
                for why in collected.given_up
            )
            for each in lost:
                _log.error("stretch_given_up", source=self.collector.source.value, detail=each.detail)
            self._waiting.append(Batch(collected.frames, (attempt, *lost), marks))
            self._watermark = collected.until

    def _keep_bound(self) -> None:
        # After the attempt to write: a long past that was asked for again may be larger than the buffer.
        while self.waiting_frames > self._max_frames or len(self._waiting) > self._max_frames:
            self._give_up(self._waiting.popleft())

    def _give_up(self, lost: Batch) -> None:
        self.dropped_frames += len(lost.frames)
        _log.error("pulled_frames_given_up", source=self.collector.source.value, frames=len(lost.frames))
        if lost.frames and not self._ask_again:
            self._ask_again = True
            self._waiting = deque(replace(batch, watermarks=()) for batch in self._waiting)

    async def _drain(self) -> None:
        while self._waiting:
            batch = self._waiting[0]
            try:
                await self._writer.write(batch)
            except (DatabaseUnavailable, NoLongerLeader) as error:
                _log.warning(
                    "pulled_frames_wait",
                    source=self.collector.source.value,
                    waiting=len(self._waiting),
                    error=error.message,
                )
                return
            except Exception:  # noqa: BLE001 - what is refused for good must not hold up everything behind it
                _log.exception(
                    "pulled_frames_refused", source=self.collector.source.value, frames=len(batch.frames)
                )
                self.dropped_frames += len(batch.frames)
            if self._waiting and self._waiting[0] is batch:
                self._waiting.popleft()
        if self._ask_again:
            # The next run begins at the stored watermark; what is sent twice changes nothing.
            self._ask_again = self._watermark_known = False


class Heartbeat:
    """Says that the push endpoint can take samples, so that silence and blindness can be told apart."""

    def __init__(self, writer: SampleWriter, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    async def run_once(self) -> bool:
        attempt = Attempt(self._clock.now(), Source.PUSH, AttemptOutcome.OK, 0.0)
        try:
            await self._writer.write(Batch(attempts=(attempt,)))
        except DatabaseUnavailable:
            return False
        return True


async def record_blindness(
    log: AttemptLog, writer: SampleWriter, source: Source, now: datetime, awake: timedelta
) -> Attempt | None:
    """At start: since when nobody was collecting, as one `collector_down` attempt lasting until `now`.

    None when there was no attempt within the last 30 days or it is recent enough to have been awake all along.
    """
    last = await log.last_attempt(source, now - timedelta(days=30), now)
    if last is None or now - last <= awake:
        return None
    seconds = (now - last).total_seconds()
    attempt = Attempt(last + awake, source, AttemptOutcome.COLLECTOR_DOWN, seconds * 1000, "restarted")
    await writer.write(Batch(attempts=(attempt,)))
    return attempt


def _numbered(collected: Collected, tenants: Sequence[Tenant]) -> Collected:
    """Frames may wait long: each carries the number of the tenant it was pulled for."""
    numbers = {t.tenant_id: t.key for t in tenants}
    frames = tuple(
        f if f.tenant is not None else replace(f, tenant=numbers.get(f.tenant_id)) for f in collected.frames
    )
    return replace(collected, frames=frames)
