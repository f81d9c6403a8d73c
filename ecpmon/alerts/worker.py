"""Delivers what is in the outbox: at least once, in order per alert, fairly, a bounded number at a time.

"Sent" is recorded after sending. Whatever goes wrong in between (the database, a crash, a shutdown that
takes too long) lets the lease run out, and the notification is delivered again under the same
idempotency key.

States of a notification, as the worker sees it:

    committed ── told by its process (`told`): its tenant has nothing under way, and its receiver
        │         is in no trouble ──────────────────────────────► claimed, in one question ─► sent ─► recorded
        │                                                             ▲
        └── a look at all queues: after `wake`, a landing, `poll`, or a `told` that was not taken so
"""

from __future__ import annotations

import asyncio
import random as _random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from ecpmon.alerts.backoff import Backoff
from ecpmon.alerts.fairness import Slots, Turns
from ecpmon.alerts.message import merged_message
from ecpmon.alerts.notifiers import Notifier
from ecpmon.alerts.outbox import Outbox
from ecpmon.errors import TemporaryError
from ecpmon.model.alerts import (
    DeliveryOutcome,
    DeliveryReason,
    DeliveryResult,
    Notification,
)
from ecpmon.model.delivery import Grant, QueueKey
from ecpmon.ports.service import steady

_TROUBLE: Final = frozenset(
    {
        DeliveryReason.SERVER_ERROR,
        DeliveryReason.THROTTLED,
        DeliveryReason.NETWORK,
        DeliveryReason.TIMEOUT,
        DeliveryReason.UNRESOLVED,
        DeliveryReason.TEMPORARY_SMTP,
    }
)
# Of asking again for what queues had less to take than they were granted.
_PASSES: Final = 4
INTERNAL: Final = "a fault of ecpmon's own; its log says more"
_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """`lease` must exceed the slowest notifier's time limit twice over, or a slow delivery is made twice: what has not
    been begun in the first half of it, because this process stood still, is left to whoever claims it next.

    `grace`: how long a shutdown waits for deliveries in flight; keep it under the process's own.
    """

    slots: Slots = field(default_factory=Slots)
    poll: timedelta = timedelta(seconds=1)
    lease: timedelta = timedelta(seconds=60)
    grace: timedelta = timedelta(seconds=15)


@dataclass(slots=True)
class WorkerCounters:
    """Since the start; the metrics read them. `results` counts by (action type, reason)."""

    claimed: int = 0
    lapsed: int = 0
    claim_errors: int = 0
    record_errors: int = 0
    results: Counter[tuple[str, DeliveryReason]] = field(default_factory=Counter)


class DeliveryWorker:
    """One per process is enough; several, on several replicas, are safe: the outbox claims atomically.

    `notifiers` by action type (`webhook`, `email`). `clock` gives aware UTC times, `steady` seconds that never step
    back. `on_result` is called after each try, before it is recorded.
    """

    def __init__(
        self,
        outbox: Outbox,
        notifiers: Mapping[str, Notifier],
        clock: Callable[[], datetime],
        *,
        limits: WorkerLimits | None = None,
        backoff: Backoff | None = None,
        random: Callable[[], float] = _random.random,
        steady: Callable[[], float] = steady,
        on_result: Callable[[Notification, DeliveryResult], None] | None = None,
    ) -> None:
        self._outbox = outbox
        self._notifiers = notifiers
        self._clock = clock
        self._limits = limits or WorkerLimits()
        self._backoff = backoff or Backoff()
        self._random = random
        self._steady = steady
        self._on_result = on_result
        self._wake = asyncio.Event()
        # What was told of, and whether all queues are to be looked at.
        self._told: dict[QueueKey, None] = {}
        self._look = True
        self._flying: set[asyncio.Task[None]] = set()
        self._in_flight: Counter[QueueKey] = Counter()
        self._turns = Turns(self._limits.slots)
        self.counters = WorkerCounters()

    def wake(self) -> None:
        """Something was put into the outbox: look now instead of at the next poll."""
        self._look = True
        self._wake.set()

    def told(self, queues: Collection[QueueKey]) -> None:
        """Something was just committed in these, and is due: who has nothing under way need not look at all queues."""
        self._told.update(dict.fromkeys(queues))
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled; then claim no more, and give what is in flight `grace` to end."""
        try:
            while True:
                self._wake.clear()
                await self._launch()
                await self._sleep()
        finally:
            await self._land()

    async def run_once(self) -> int:
        """Claim what may be under way at a time, deliver that, and return how many there were."""
        self._look = True
        launched = await self._launch()
        await self._land()
        return launched

    async def _launch(self) -> int:
        launched, dry = 0, set[QueueKey]()
        try:
            launched += await self._launch_told()
            look, self._look = self._look, False
            for _ in range(_PASSES if look else 0):
                grants, all_of_them = await self._grants(dry)
                if not grants:
                    break
                now, ours_until = self._clock(), self._steady() + self._limits.lease.total_seconds() / 2
                claimed = await self._outbox.claim(grants, now, self._limits.lease)
                launched += len(claimed)
                self._start(claimed, ours_until)
                got = Counter(n.queue for n in claimed)
                emptied = {g.key for g in grants if got[g.key] < g.count}
                if not emptied or (all_of_them and len(emptied) == len(grants)):
                    break  # as much as may be under way, or all there was
                # Their slots are for others.
                dry |= emptied
        except Exception as error:  # noqa: BLE001 - the loop outlives any failure of the store
            self.counters.claim_errors += 1
            self._look = True
            _log.warning("outbox_claim_failed", error=str(error), error_type=type(error).__name__)
        self.counters.claimed += launched
        return launched

    async def _launch_told(self) -> int:
        """What was just committed, in one question. What does not come so is left to the look at all queues."""
        told, self._told = self._told, {}
        grants = self._turns.first(told, self._in_flight)
        if len(grants) < len(told):
            self._look = True
        if not grants:
            return 0
        now, ours_until = self._clock(), self._steady() + self._limits.lease.total_seconds() / 2
        claimed = await self._outbox.claim(grants, now, self._limits.lease, well=True)
        self._look |= len(claimed) < len(grants)
        self._start(claimed, ours_until)
        return len(claimed)

    async def _grants(self, dry: set[QueueKey]) -> tuple[list[Grant], bool]:
        """And whether there is one for each queue in which something is due."""
        now = self._clock()
        queues = [q for q in await self._outbox.queues(now) if q.key not in dry]
        grants = self._turns.choose(queues, self._in_flight, now)
        return grants, len(grants) == len(queues)

    def _start(self, claimed: Sequence[Notification], ours_until: float) -> None:
        for notification in claimed:
            self._in_flight[notification.queue] += 1
            task = asyncio.create_task(self._handle(merged_message(notification), ours_until))
            self._flying.add(task)
            task.add_done_callback(partial(self._landed, notification.queue))

    def _landed(self, queue: QueueKey, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._in_flight -= Counter([queue])
        self.wake()  # its queue may have a next one, and there is room again

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self._limits.poll.total_seconds()):
                await self._wake.wait()
        except TimeoutError:
            self._look = True

    async def _land(self) -> None:
        """Wait for what is in flight; what is too slow is cancelled, and its lease will run out."""
        if not self._flying:
            return
        _, late = await asyncio.wait(self._flying, timeout=self._limits.grace.total_seconds())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _handle(self, notification: Notification, ours_until: float) -> None:
        log = _log.bind(
            tenant_id=notification.tenant_id,
            rule_id=notification.rule_id,
            notification_id=notification.id,
            action=notification.action.type,
            attempt=notification.attempt,
        )
        if self._steady() >= ours_until:
            self.counters.lapsed += 1
            log.warning("claim_lapsed")
            return
        result = await self._try(notification, log)
        self.counters.results[notification.action.type, result.reason] += 1
        try:
            if self._on_result is not None:
                self._on_result(notification, result)
            await self._record(notification, result, log)
            await self._record_receiver(notification, result)
        except TemporaryError as error:  # the claim runs out, and it is delivered again
            self.counters.record_errors += 1
            log.warning("delivery_not_recorded", outcome=result.outcome.value, error=error.message)
        except Exception:
            self.counters.record_errors += 1
            log.exception("delivery_not_recorded", outcome=result.outcome.value, reason=result.reason.value)

    async def _try(self, notification: Notification, log: structlog.stdlib.BoundLogger) -> DeliveryResult:
        notifier = self._notifiers.get(notification.action.type)
        if notifier is None:
            error = f"no notifier for {notification.action.type} is configured"
            return DeliveryResult(DeliveryOutcome.PARK, DeliveryReason.NO_NOTIFIER, error=error)
        try:
            return await notifier.deliver(notification, self._clock())
        except Exception as error:
            log.exception("notifier_failed")
            text = f"{type(error).__name__}: {error}"[:500]
            return DeliveryResult(DeliveryOutcome.RETRY, DeliveryReason.INTERNAL, error=INTERNAL, detail=text)

    async def _record(
        self, notification: Notification, result: DeliveryResult, log: structlog.stdlib.BoundLogger
    ) -> None:
        now = self._clock()
        if result.outcome is DeliveryOutcome.DELIVERED:
            await self._outbox.record_sent(notification, now, result)
            log.info("notification_sent", status_code=result.status_code)
            return
        again = self._next_attempt(notification, result, now)
        log.warning(
            "notification_failed",
            reason=result.reason.value,
            status_code=result.status_code,
            error=result.error,
            detail=result.detail,
            next_attempt_at=again.isoformat() if again else None,
        )
        if again is not None:
            await self._outbox.record_retry(notification, again, result)
            return
        if result.outcome is DeliveryOutcome.RETRY:
            last = f"{result.reason}: {result.error}" if result.error else result.reason.value
            result = replace(result, outcome=DeliveryOutcome.PARK, reason=DeliveryReason.GAVE_UP, error=last)
        await self._outbox.record_parked(notification, now, result)

    async def _record_receiver(self, notification: Notification, result: DeliveryResult) -> None:
        """A receiver that answers is well, whatever it says of the message; one that fails is in trouble."""
        now = self._clock()
        if result.reason in _TROUBLE:
            asked = now + result.retry_after if result.retry_after else None
            await self._outbox.record_receiver(notification, now, well=False, asked_until=asked)
        elif result.status_code is not None and notification.receiver_failures:
            await self._outbox.record_receiver(notification, now, well=True)

    def _next_attempt(
        self, notification: Notification, result: DeliveryResult, now: datetime
    ) -> datetime | None:
        if result.outcome is DeliveryOutcome.PARK:
            return None
        return self._backoff.next_attempt(
            attempt=notification.attempt,
            created_at=notification.created_at,
            now=now,
            random=self._random,
            retry_after=result.retry_after,
            receiver_failures=notification.receiver_failures,
        )
