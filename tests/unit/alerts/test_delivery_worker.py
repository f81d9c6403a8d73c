"""The worker: at least once, in order, bounded, and surviving whatever its store and notifiers do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from alert_samples import FIRED, HIGH, HOOK, MAIL, RESOLVED, RULE, T0, URL, notification
from fake_outbox import FakeOutbox
from outbox_contract import take

from ecpmon.alerts.backoff import Backoff
from ecpmon.alerts.fairness import Slots
from ecpmon.alerts.message import transition_body
from ecpmon.alerts.worker import INTERNAL, DeliveryWorker, WorkerLimits
from ecpmon.model.alerts import (
    DeliveryOutcome,
    DeliveryReason,
    DeliveryResult,
    MergedBodies,
    Notification,
    WebhookAction,
)
from ecpmon.model.delivery import DeliveryQueue
from tests.waiting import PATIENCE

SENT = DeliveryResult(DeliveryOutcome.DELIVERED, DeliveryReason.ACCEPTED, 200)
REJECTED = DeliveryReason.REJECTED
BUSY = DeliveryResult(DeliveryOutcome.RETRY, DeliveryReason.SERVER_ERROR, 503, error="busy")
NEVER = WorkerLimits(poll=timedelta(hours=1))  # only wake() makes it look


class Clock:
    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> datetime:
        return self.now


class ScriptedNotifier:
    """Gives the scripted results in turn, then success; waits at `gate` when there is one."""

    def __init__(self, *script: DeliveryResult | Exception) -> None:
        self.script = list(script)
        self.delivered: list[Notification] = []
        self.started = asyncio.Semaphore(0)
        self.gate: asyncio.Event | None = None
        self.flying = 0
        self.most_flying = 0

    async def deliver(self, notification: Notification, now: datetime) -> DeliveryResult:
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        self.started.release()
        try:
            if self.gate is not None:
                await self.gate.wait()
            self.delivered.append(notification)
            step = self.script.pop(0) if self.script else SENT
            if isinstance(step, Exception):
                raise step
            return step
        finally:
            self.flying -= 1


@pytest.fixture
def outbox() -> FakeOutbox:
    return FakeOutbox()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_worker(
    outbox: FakeOutbox,
    clock: Clock,
    notifier: ScriptedNotifier,
    limits: WorkerLimits | None = None,
    on_result: Callable[[Notification, DeliveryResult], None] | None = None,
) -> DeliveryWorker:
    return DeliveryWorker(
        outbox,
        {"webhook": notifier},
        clock,
        limits=limits,
        backoff=Backoff(),
        random=lambda: 0.5,
        on_result=on_result,
    )


@asynccontextmanager
async def running(worker: DeliveryWorker) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it holds; a condition that never holds fails instead of hanging."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


async def test_sent_is_recorded_after_sending(outbox: FakeOutbox, clock: Clock) -> None:
    outbox.add(notification(1))
    seen: list[str] = []
    notifier = ScriptedNotifier()
    worker = make_worker(outbox, clock, notifier, on_result=lambda *_: seen.extend(outbox.statuses()))
    assert await worker.run_once() == 1
    assert (seen, outbox.statuses()) == (["pending"], ["sent"])
    assert worker.counters.results == {("webhook", DeliveryReason.ACCEPTED): 1}
    assert await worker.run_once() == 0


async def test_a_failure_is_tried_again_later_and_keeps_its_rule_in_order(
    outbox: FakeOutbox, clock: Clock
) -> None:
    outbox.add(notification(1))
    outbox.add(notification(2))
    notifier = ScriptedNotifier(BUSY)
    worker = make_worker(outbox, clock, notifier)
    assert await worker.run_once() == 1
    assert await worker.run_once() == 0
    clock.now += timedelta(seconds=2.5)
    assert await worker.run_once() == 1
    assert await worker.run_once() == 1
    assert [item.id for item in notifier.delivered] == [1, 1, 2]
    assert [item.attempt for item in notifier.delivered] == [0, 1, 0]


async def test_the_receivers_retry_after_is_honoured(outbox: FakeOutbox, clock: Clock) -> None:
    outbox.add(notification(1))
    worker = make_worker(outbox, clock, ScriptedNotifier(replace(BUSY, retry_after=timedelta(minutes=3))))
    await worker.run_once()
    assert outbox.entries[1].due == T0 + timedelta(minutes=3)


async def test_after_a_day_it_is_parked_with_the_last_reason(outbox: FakeOutbox, clock: Clock) -> None:
    outbox.add(notification(1, attempt=9))
    clock.now += timedelta(hours=24)
    await make_worker(outbox, clock, ScriptedNotifier(BUSY)).run_once()
    result = outbox.entries[1].result
    assert outbox.statuses() == ["parked"]
    assert result is not None
    assert (result.outcome, result.reason) == (DeliveryOutcome.PARK, DeliveryReason.GAVE_UP)
    assert (result.error, result.status_code) == ("server_error: busy", 503)


async def test_an_action_without_notifier_is_parked(outbox: FakeOutbox, clock: Clock) -> None:
    outbox.add(notification(1, MAIL))
    await make_worker(outbox, clock, ScriptedNotifier()).run_once()
    result = outbox.entries[1].result
    assert result is not None
    assert result.reason is DeliveryReason.NO_NOTIFIER


async def test_a_bug_in_a_notifier_is_a_retry(outbox: FakeOutbox, clock: Clock) -> None:
    outbox.add(notification(1))
    await make_worker(outbox, clock, ScriptedNotifier(RuntimeError("oops"))).run_once()
    result = outbox.entries[1].result
    assert outbox.statuses() == ["pending"]
    assert result is not None
    assert (result.reason, result.error, result.detail) == (
        DeliveryReason.INTERNAL,
        INTERNAL,
        "RuntimeError: oops",
    )


@pytest.mark.parametrize("call", ["record_sent", "record_retry", "record_parked"])
async def test_what_cannot_be_recorded_is_delivered_again_never_lost(
    outbox: FakeOutbox, clock: Clock, call: str
) -> None:
    outcome = {
        "record_sent": SENT,
        "record_retry": BUSY,
        "record_parked": replace(BUSY, outcome=DeliveryOutcome.PARK),
    }[call]
    outbox.add(notification(1))
    outbox.failing = {call}
    notifier = ScriptedNotifier(outcome)
    worker = make_worker(outbox, clock, notifier)
    await worker.run_once()
    assert worker.counters.record_errors == 1
    outbox.failing.clear()
    assert await worker.run_once() == 0  # the lease still runs
    clock.now += timedelta(seconds=60)
    assert await worker.run_once() == 1
    assert outbox.statuses() == ["sent"]
    assert len({item.idempotency_key for item in notifier.delivered}) == 1


async def test_a_failing_callback_does_not_lose_a_delivery(outbox: FakeOutbox, clock: Clock) -> None:
    def broken(*_: object) -> None:
        raise ValueError("metrics are broken")

    outbox.add(notification(1))
    worker = make_worker(outbox, clock, ScriptedNotifier(), on_result=broken)
    await worker.run_once()
    assert worker.counters.record_errors == 1
    assert outbox.statuses() == ["pending"]


async def test_wake_makes_it_look_at_once(outbox: FakeOutbox, clock: Clock) -> None:
    worker = make_worker(outbox, clock, ScriptedNotifier(), NEVER)
    async with running(worker):
        await until(lambda: outbox.claims == 1)
        outbox.add(notification(1))
        worker.wake()
        await until(lambda: outbox.statuses() == ["sent"])


async def test_without_wake_it_polls(outbox: FakeOutbox, clock: Clock) -> None:
    worker = make_worker(outbox, clock, ScriptedNotifier(), WorkerLimits(poll=timedelta(milliseconds=1)))
    async with running(worker):
        await until(lambda: outbox.claims >= 1)
        outbox.add(notification(1))
        await until(lambda: outbox.statuses() == ["sent"])


async def test_a_rule_is_worked_off_without_waiting_for_the_poll(outbox: FakeOutbox, clock: Clock) -> None:
    for number in range(1, 6):
        outbox.add(notification(number))
    notifier = ScriptedNotifier()
    async with running(make_worker(outbox, clock, notifier, NEVER)):
        await until(lambda: outbox.statuses() == ["sent"] * 5)
    assert [item.id for item in notifier.delivered] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("slots", "most"),
    [
        (Slots(total=4), 4), (Slots(per_tenant=3), 3), (Slots(per_receiver=2), 2), (Slots(shared=1, per_tenant=20), 2),
        (Slots(), 4),
    ],
)  # fmt: skip
async def test_concurrency_is_bounded_and_used(
    outbox: FakeOutbox, clock: Clock, slots: Slots, most: int
) -> None:
    for number in range(1, 21):
        outbox.add(notification(number, rule_id=str(number)))
    notifier = ScriptedNotifier()
    notifier.gate = asyncio.Event()
    async with running(make_worker(outbox, clock, notifier, replace(NEVER, slots=slots))):
        for _ in range(most):
            await notifier.started.acquire()
        notifier.gate.set()
        await until(lambda: outbox.statuses() == ["sent"] * 20)
    assert notifier.most_flying == most


async def test_a_tenant_whose_receivers_hang_leaves_every_other_its_slot(
    outbox: FakeOutbox, clock: Clock
) -> None:
    hanging, fast = ScriptedNotifier(), ScriptedNotifier()
    hanging.gate = asyncio.Event()
    for number in range(1, 1001):
        hook = WebhookAction(f"https://{number % 50}.example/")
        outbox.add(notification(number, hook, tenant_key=1, rule_id=str(number)))
    worker = DeliveryWorker(outbox, {"webhook": hanging, "email": fast}, clock, limits=NEVER)
    async with running(worker):
        await until(lambda: hanging.flying == Slots().per_tenant)
        for number in range(1001, 1011):
            outbox.add(notification(number, MAIL, tenant_key=number, rule_id=str(number)))
        worker.wake()
        await until(lambda: outbox.statuses()[1000:] == ["sent"] * 10)
        assert (hanging.flying, hanging.delivered) == (8, [])
        hanging.gate.set()
        await until(lambda: outbox.statuses() == ["sent"] * 1010)
    assert hanging.most_flying == Slots().per_tenant


async def test_a_receiver_that_fails_three_times_is_left_alone_and_then_asked_once(
    outbox: FakeOutbox, clock: Clock
) -> None:
    for number in range(1, 51):
        outbox.add(notification(number, rule_id=str(number)))
    notifier = ScriptedNotifier(*[BUSY] * 40)
    worker = make_worker(outbox, clock, notifier)
    assert await worker.run_once() == 4
    assert await worker.run_once() == 0
    [trouble] = outbox.troubles.values()
    assert (trouble.failures, trouble.failed_at) == (4, T0)
    tried = []
    for _ in range(5):
        clock.now += timedelta(seconds=60)
        tried += [await worker.run_once(), await worker.run_once()]
    assert tried == [1, 0] * 5


async def test_a_receiver_that_answers_again_is_served_at_once(outbox: FakeOutbox, clock: Clock) -> None:
    for number in range(1, 51):
        outbox.add(notification(number, rule_id=str(number)))
    notifier = ScriptedNotifier(*[BUSY] * 4, replace(BUSY, outcome=DeliveryOutcome.PARK, reason=REJECTED))
    worker = make_worker(outbox, clock, notifier)
    assert [await worker.run_once() for _ in range(2)] == [4, 0]
    clock.now += timedelta(seconds=60)
    # What is rejected is answered all the same.
    assert [await worker.run_once() for _ in range(2)] == [1, 4]
    assert outbox.troubles == {}


async def test_a_receiver_is_left_alone_as_long_as_it_asks(outbox: FakeOutbox, clock: Clock) -> None:
    for number in (1, 2):
        outbox.add(notification(number, rule_id=str(number)))
    asked = replace(BUSY, reason=DeliveryReason.THROTTLED, retry_after=timedelta(minutes=3))
    worker = make_worker(outbox, clock, ScriptedNotifier(asked), WorkerLimits(slots=Slots(per_tenant=1)))
    assert await worker.run_once() == 1
    clock.now += timedelta(minutes=3) - timedelta(microseconds=1)
    assert await worker.run_once() == 0
    clock.now += timedelta(microseconds=1)
    assert await worker.run_once() == 1


async def test_what_waited_behind_a_dead_receiver_for_a_day_needs_one_try(
    outbox: FakeOutbox, clock: Clock
) -> None:
    for number in range(1, 6):
        outbox.add(notification(number, rule_id=str(number)))
    worker = make_worker(outbox, clock, ScriptedNotifier(*[BUSY] * 40))
    assert await worker.run_once() == 4
    clock.now += timedelta(hours=25)
    assert await worker.run_once() == 1
    assert outbox.statuses().count("parked") == 1


async def test_a_merged_notification_is_one_message_of_all_its_alerts(
    outbox: FakeOutbox, clock: Clock
) -> None:
    bodies = [
        transition_body(replace(RULE, rule_id=str(n), alert_name=f"r{n}"), change, HIGH, URL)
        for n, change in ((1, FIRED), (2, RESOLVED), (3, FIRED))
    ]
    outbox.add(notification(1, merged=MergedBodies(tuple(bodies), 7)))
    notifier = ScriptedNotifier()
    await make_worker(outbox, clock, notifier).run_once()
    [sent] = notifier.delivered
    assert [a["labels"]["alertname"] for a in sent.payload["alerts"]] == ["r1", "r2", "r3"]
    assert [a["status"] for a in sent.payload["alerts"]] == ["firing", "resolved", "firing"]
    assert (sent.payload["status"], sent.payload["truncatedAlerts"]) == ("firing", 7)
    assert sent.payload["groupLabels"] == {"tenant_id": RULE.tenant_id}
    assert sent.payload["commonLabels"] == {"tenant_id": RULE.tenant_id, "severity": RULE.severity.value}
    assert (sent.alert_name, sent.idempotency_key) == ("10 alerts", f"{1:032x}")


async def test_what_is_merged_of_one_rule_keeps_its_name(outbox: FakeOutbox, clock: Clock) -> None:
    bodies = tuple(transition_body(RULE, change, HIGH, URL) for change in (FIRED, RESOLVED))
    outbox.add(notification(1, merged=MergedBodies(bodies)))
    notifier = ScriptedNotifier()
    await make_worker(outbox, clock, notifier).run_once()
    [sent] = notifier.delivered
    assert (sent.alert_name, sent.payload["groupKey"]) == (RULE.alert_name, bodies[0]["groupKey"])


async def test_a_slow_receiver_does_not_hold_up_others(outbox: FakeOutbox, clock: Clock) -> None:
    slow, fast = ScriptedNotifier(), ScriptedNotifier()
    slow.gate = asyncio.Event()
    outbox.add(notification(1, HOOK))
    outbox.add(notification(2, MAIL))
    worker = DeliveryWorker(outbox, {"webhook": slow, "email": fast}, clock, limits=NEVER)
    async with running(worker):
        await until(lambda: outbox.statuses() == ["pending", "sent"])
        slow.gate.set()
        await until(lambda: outbox.statuses() == ["sent", "sent"])


async def test_the_store_coming_back_needs_no_restart(outbox: FakeOutbox, clock: Clock) -> None:
    outbox.failing = {"claim"}
    outbox.add(notification(1))
    worker = make_worker(outbox, clock, ScriptedNotifier(), WorkerLimits(poll=timedelta(milliseconds=1)))
    async with running(worker):
        await until(lambda: worker.counters.claim_errors >= 2)
        outbox.failing.clear()
        await until(lambda: outbox.statuses() == ["sent"])


async def test_shutdown_finishes_what_is_in_flight_and_claims_no_more(
    outbox: FakeOutbox, clock: Clock
) -> None:
    outbox.add(notification(1))
    outbox.add(notification(2))
    notifier = ScriptedNotifier()
    notifier.gate = asyncio.Event()
    async with running(make_worker(outbox, clock, notifier, NEVER)) as task:
        await notifier.started.acquire()
        task.cancel()
        await until(lambda: task.cancelling() > 0)
        notifier.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert outbox.statuses() == ["sent", "pending"]


async def test_shutdown_does_not_wait_beyond_its_grace_and_loses_nothing(
    outbox: FakeOutbox, clock: Clock
) -> None:
    outbox.add(notification(1))
    notifier = ScriptedNotifier()
    notifier.gate = asyncio.Event()
    async with running(make_worker(outbox, clock, notifier, replace(NEVER, grace=timedelta(0)))) as task:
        await notifier.started.acquire()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (outbox.statuses(), notifier.flying) == (["pending"], 0)
    assert len(await take(outbox, T0 + timedelta(seconds=60))) == 1


async def test_what_was_claimed_before_a_long_standstill_is_left_to_who_claims_it_next(
    outbox: FakeOutbox, clock: Clock
) -> None:
    outbox.add(notification(1))
    notifier, passed = ScriptedNotifier(), iter([0.0, 31.0])
    limits = WorkerLimits(lease=timedelta(seconds=60))
    frozen = DeliveryWorker(outbox, {"webhook": notifier}, clock, limits=limits, steady=lambda: next(passed))
    assert await frozen.run_once() == 1
    assert (notifier.delivered, frozen.counters.lapsed, outbox.statuses()) == ([], 1, ["pending"])
    clock.now += timedelta(seconds=60)
    assert await make_worker(outbox, clock, notifier).run_once() == 1
    assert (len(notifier.delivered), outbox.statuses()) == (1, ["sent"])


async def test_what_it_is_told_of_is_sent_before_all_queues_are_looked_at(
    outbox: FakeOutbox, clock: Clock
) -> None:
    notifier = ScriptedNotifier()
    notifier.gate = asyncio.Event()
    worker = make_worker(outbox, clock, notifier, limits=NEVER)
    async with running(worker):
        await until(lambda: outbox.claims == 1)
        outbox.add(told := notification(1))
        worker.told([told.queue])
        await until(lambda: notifier.flying == 1)
        assert outbox.claims == 1
        # Its tenant has something under way: that is dealt out with all others.
        outbox.add(notification(2, rule_id="another rule"))
        worker.told([told.queue])
        await until(lambda: notifier.flying == 2)
        assert outbox.claims > 1
        notifier.gate.set()
        await until(lambda: outbox.statuses() == ["sent", "sent"])


async def test_a_receiver_in_trouble_is_left_alone_whatever_it_is_told(
    outbox: FakeOutbox, clock: Clock
) -> None:
    outbox.add(first := notification(1))
    outbox.troubles[first.queue] = DeliveryQueue(*first.queue, 5, clock.now)
    notifier = ScriptedNotifier()
    worker = make_worker(outbox, clock, notifier, limits=NEVER)
    async with running(worker):
        await until(lambda: outbox.claims == 1)
        worker.told([first.queue])
        await until(lambda: outbox.claims > 1)
        assert (notifier.flying, outbox.statuses()) == (0, ["pending"])


async def test_what_could_not_be_claimed_at_once_is_looked_for(outbox: FakeOutbox, clock: Clock) -> None:
    notifier = ScriptedNotifier()
    worker = make_worker(outbox, clock, notifier, limits=WorkerLimits(poll=timedelta(milliseconds=5)))
    async with running(worker):
        await until(lambda: outbox.claims == 1)
        outbox.failing.add("claim")
        outbox.add(told := notification(1))
        worker.told([told.queue])
        await until(lambda: worker.counters.claim_errors > 0)
        outbox.failing.clear()
        await until(lambda: outbox.statuses() == ["sent"])
