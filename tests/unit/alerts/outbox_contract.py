"""What every `Outbox` has to pass: the fake of these tests, and the store in SQL.

Subclass `OutboxContract` and provide two fixtures:

    outbox  an empty Outbox
    put     async (tenant_id: str, rule: int, action: Action, created_at: datetime) -> None: store a
            notification, due at `created_at`, of the `rule`th rule of that tenant, in the order of the calls
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.alerts.outbox import Outbox
from ecpmon.model.alerts import (
    Action,
    DeliveryOutcome,
    DeliveryReason,
    DeliveryResult,
    EmailAction,
    Notification,
    WebhookAction,
)
from ecpmon.model.delivery import Grant

Put = Callable[[str, int, Action, datetime], Awaitable[None]]

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=60)
HOOK = WebhookAction("https://hooks.example.com/1", headers=(("X-Team", "ops"),))
OTHER_HOOK = WebhookAction("https://hooks.example.com/2")
ELSEWHERE = WebhookAction("https://Elsewhere.example:8443/x?y=/z")
MAIL = EmailAction(("ops@example.com",))
SENT = DeliveryResult(DeliveryOutcome.DELIVERED, DeliveryReason.ACCEPTED, 200, "ok")
AGAIN = DeliveryResult(DeliveryOutcome.RETRY, DeliveryReason.SERVER_ERROR, 503, "busy")
PARKED = DeliveryResult(DeliveryOutcome.PARK, DeliveryReason.REJECTED, 404, "gone")


async def take(outbox: Outbox, now: datetime, count: int = 10) -> list[Notification]:
    """Claim so many of each queue there is."""
    queues = await outbox.queues(now)
    return await outbox.claim([Grant(*q.key, count) for q in queues], now, LEASE)


async def only(outbox: Outbox, now: datetime) -> Notification:
    """Claim, expecting exactly one."""
    claimed = await take(outbox, now)
    assert len(claimed) == 1
    return claimed[0]


class OutboxContract:
    async def test_empty(self, outbox: Outbox) -> None:
        assert await take(outbox, T0) == []

    async def test_what_is_put_in_comes_out(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        found = await only(outbox, T0)
        assert (found.tenant_id, found.action, found.attempt) == ("tenant-a", HOOK, 0)
        assert found.created_at == T0
        assert found.created_at.utcoffset() == timedelta(0)
        assert len(found.idempotency_key) >= 16

    async def test_not_before_it_is_due(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        assert await take(outbox, T0 - SECOND) == []

    async def test_a_claim_holds_until_the_lease_ends(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        first = await only(outbox, T0)
        assert await take(outbox, T0 + LEASE - SECOND) == []
        assert await only(outbox, T0 + LEASE) == first

    async def test_one_of_a_rule_and_endpoint_at_a_time_in_order(self, outbox: Outbox, put: Put) -> None:
        for _ in range(3):
            await put("tenant-a", 1, HOOK, T0)
        seen = []
        for _ in range(3):
            notification = await only(outbox, T0)
            assert await take(outbox, T0) == []
            seen.append(notification.id)
            await outbox.record_sent(notification, T0, SENT)
        assert seen == sorted(set(seen))
        assert await take(outbox, T0 + LEASE) == []

    async def test_rules_and_endpoints_do_not_wait_for_each_other(self, outbox: Outbox, put: Put) -> None:
        wanted = [(1, HOOK), (1, OTHER_HOOK), (1, MAIL), (2, HOOK)]
        for rule, action in wanted:
            await put("tenant-a", rule, action, T0)
        claimed = await take(outbox, T0)
        assert len({(n.rule_id, n.action) for n in claimed}) == len(wanted)

    async def test_a_queue_is_what_a_tenant_has_for_one_receiver(self, outbox: Outbox, put: Put) -> None:
        for tenant in ("tenant-a", "tenant-b"):
            for action in (HOOK, OTHER_HOOK, MAIL, ELSEWHERE):
                await put(tenant, 1, action, T0)
                await put(tenant, 2, action, T0 + SECOND)
        queues = await outbox.queues(T0)
        receivers = {"https://hooks.example.com", "https://elsewhere.example:8443", "mailto:ops@example.com"}
        assert {q.receiver for q in queues} == receivers
        assert len({q.key for q in queues}) == len(queues) == 2 * len(receivers)
        assert {(q.failures, q.failed_at, q.asked_until) for q in queues} == {(0, None, None)}
        claimed = await take(outbox, T0)
        assert {n.queue for n in claimed} == {q.key for q in queues}
        assert {(n.tenant_id, n.action) for n in claimed} >= {("tenant-a", MAIL), ("tenant-b", ELSEWHERE)}
        assert await outbox.queues(T0) == []
        assert len(await outbox.queues(T0 + SECOND)) == 2 * len(receivers)

    async def test_a_grant_takes_the_oldest_of_its_queue(self, outbox: Outbox, put: Put) -> None:
        for rule in range(1, 5):
            await put("tenant-a", rule, HOOK, T0)
            await put("tenant-b", rule, HOOK, T0)
        first = await take(outbox, T0, 2)
        second = await take(outbox, T0)
        assert Counter(n.tenant_id for n in first) == Counter(n.tenant_id for n in second)
        for tenant in ("tenant-a", "tenant-b"):
            own = [[n.id for n in batch if n.tenant_id == tenant] for batch in (first, second)]
            assert [len(batch) for batch in own] == [2, 2]
            assert max(own[0]) < min(own[1])

    async def test_only_granted_queues_are_touched(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        await put("tenant-a", 1, MAIL, T0)
        [hook] = [q for q in await outbox.queues(T0) if q.receiver.startswith("https")]
        [claimed] = await outbox.claim([Grant(*hook.key, 10)], T0, LEASE)
        assert claimed.action == HOOK
        assert await outbox.claim([], T0, LEASE) == []
        assert [q.receiver for q in await outbox.queues(T0)] == ["mailto:ops@example.com"]

    async def test_troubles_of_a_receiver_are_counted_until_it_is_well(
        self, outbox: Outbox, put: Put
    ) -> None:
        for rule in (1, 2):
            await put("tenant-a", rule, HOOK, T0)
        await put("tenant-b", 1, HOOK, T0)
        first = (await take(outbox, T0, 1))[0]
        assert first.receiver_failures == 0
        await outbox.record_receiver(first, T0, well=False)
        await outbox.record_receiver(first, T0 + SECOND, well=False, asked_until=T0 + LEASE)
        [queue] = [q for q in await outbox.queues(T0) if q.key == first.queue]
        assert (queue.failures, queue.failed_at, queue.asked_until) == (2, T0 + SECOND, T0 + LEASE)
        assert (await only(outbox, T0)).receiver_failures == 2
        await put("tenant-a", 3, HOOK, T0)
        await put("tenant-b", 3, HOOK, T0)
        assert sorted(q.failures for q in await outbox.queues(T0)) == [0, 2]
        await outbox.record_receiver(first, T0, well=True)
        await outbox.record_receiver(first, T0, well=True)
        assert [q.failures for q in await outbox.queues(T0)] == [0, 0]

    async def test_a_retry_waits_counts_and_blocks_its_rule(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        await put("tenant-a", 1, HOOK, T0)
        first = await only(outbox, T0)
        await outbox.record_retry(first, T0 + 5 * SECOND, AGAIN)
        assert await take(outbox, T0 + 4 * SECOND) == []
        again = await only(outbox, T0 + 5 * SECOND)
        assert (again.id, again.attempt, again.idempotency_key) == (first.id, 1, first.idempotency_key)

    async def test_parking_lets_the_rule_go_on(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        await put("tenant-a", 1, HOOK, T0)
        first = await only(outbox, T0)
        await outbox.record_parked(first, T0, PARKED)
        assert (await only(outbox, T0)).id > first.id

    @pytest.mark.parametrize("final", ["sent", "parked"])
    async def test_what_is_final_stays_so(self, outbox: Outbox, put: Put, final: str) -> None:
        """A worker whose lease ran out records late."""
        await put("tenant-a", 1, HOOK, T0)
        slow = await only(outbox, T0)
        fast = await only(outbox, T0 + LEASE)
        if final == "sent":
            await outbox.record_sent(fast, T0 + LEASE, SENT)
        else:
            await outbox.record_parked(fast, T0 + LEASE, PARKED)
        await outbox.record_retry(slow, T0 + LEASE, AGAIN)
        await outbox.record_sent(slow, T0 + LEASE, SENT)
        assert await take(outbox, T0 + 10 * LEASE) == []

    async def test_a_late_success_ends_it_though_another_claimed_it(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        slow = await only(outbox, T0)
        fast = await only(outbox, T0 + LEASE)
        await outbox.record_sent(slow, T0 + LEASE, SENT)
        await outbox.record_retry(fast, T0 + LEASE, AGAIN)
        assert await take(outbox, T0 + 10 * LEASE) == []

    async def test_a_former_holder_does_not_free_or_end_what_another_has_claimed(
        self, outbox: Outbox, put: Put
    ) -> None:
        await put("tenant-a", 1, HOOK, T0)
        slow = await only(outbox, T0)
        fast = await only(outbox, T0 + LEASE)
        await outbox.record_retry(slow, T0 + LEASE, AGAIN)
        await outbox.record_parked(slow, T0 + LEASE, PARKED)
        assert await take(outbox, T0 + LEASE + SECOND) == []
        await outbox.record_retry(fast, T0 + LEASE + SECOND, AGAIN)
        assert (await only(outbox, T0 + LEASE + SECOND)).attempt == 1

    async def test_the_same_try_is_counted_once(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        tried = await only(outbox, T0)
        await outbox.record_retry(tried, T0 + SECOND, AGAIN)
        await outbox.record_retry(tried, T0 + SECOND, AGAIN)
        assert (await only(outbox, T0 + 2 * SECOND)).attempt == 1

    async def test_workers_at_once_never_get_the_same(self, outbox: Outbox, put: Put) -> None:
        for rule in range(1, 21):
            await put("tenant-a", rule, HOOK, T0)
            await put("tenant-a", rule, HOOK, T0)
        batches = await asyncio.gather(*(take(outbox, T0, 7) for _ in range(6)))
        ids = [notification.id for batch in batches for notification in batch]
        assert len(ids) == len(set(ids))
        # SKIP LOCKED may leave some for the next round; nobody's second of a rule is handed out.
        rest = await take(outbox, T0, 40)
        assert len(ids) + len(rest) == 20

    async def test_who_is_told_to_take_of_well_receivers_only_takes_nothing_of_one_in_trouble(
        self, outbox: Outbox, put: Put
    ) -> None:
        await put("acme", 1, HOOK, T0)
        [queue] = await outbox.queues(T0)
        grants = [Grant(*queue.key, 1)]
        [first] = await outbox.claim(grants, T0, LEASE, well=True)
        await outbox.record_retry(first, T0 + SECOND, AGAIN)
        await outbox.record_receiver(first, T0, well=False)
        later = T0 + 2 * SECOND
        assert await outbox.claim(grants, later, LEASE, well=True) == []
        assert [n.id for n in await outbox.claim(grants, later, LEASE)] == [first.id]
