"""What every `Outbox` has to pass: the fake of these tests, and the store in SQL.

Subclass `OutboxContract` and provide two fixtures:

    outbox  an empty Outbox
    put     async (tenant_id: str, rule: int, action: Action, created_at: datetime) -> None: store a
            notification, due at `created_at`, of the `rule`th rule of that tenant, in the order of the calls
"""

from __future__ import annotations

import asyncio
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

Put = Callable[[str, int, Action, datetime], Awaitable[None]]

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=60)
HOOK = WebhookAction("https://hooks.example.com/1", headers=(("X-Team", "ops"),))
OTHER_HOOK = WebhookAction("https://hooks.example.com/2")
MAIL = EmailAction(("ops@example.com",))
SENT = DeliveryResult(DeliveryOutcome.DELIVERED, DeliveryReason.ACCEPTED, 200, "ok")
AGAIN = DeliveryResult(DeliveryOutcome.RETRY, DeliveryReason.SERVER_ERROR, 503, "busy")
PARKED = DeliveryResult(DeliveryOutcome.PARK, DeliveryReason.REJECTED, 404, "gone")


async def only(outbox: Outbox, now: datetime) -> Notification:
    """Claim, expecting exactly one."""
    claimed = await outbox.claim(now, 10, LEASE)
    assert len(claimed) == 1
    return claimed[0]


class OutboxContract:
    async def test_empty(self, outbox: Outbox) -> None:
        assert await outbox.claim(T0, 10, LEASE) == []

    async def test_what_is_put_in_comes_out(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        found = await only(outbox, T0)
        assert (found.tenant_id, found.action, found.attempt) == ("tenant-a", HOOK, 0)
        assert found.created_at == T0
        assert found.created_at.utcoffset() == timedelta(0)
        assert len(found.idempotency_key) >= 16

    async def test_not_before_it_is_due(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        assert await outbox.claim(T0 - SECOND, 10, LEASE) == []

    async def test_a_claim_holds_until_the_lease_ends(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        first = await only(outbox, T0)
        assert await outbox.claim(T0 + LEASE - SECOND, 10, LEASE) == []
        assert await only(outbox, T0 + LEASE) == first

    async def test_one_of_a_lane_at_a_time_in_order(self, outbox: Outbox, put: Put) -> None:
        for _ in range(3):
            await put("tenant-a", 1, HOOK, T0)
        seen = []
        for _ in range(3):
            notification = await only(outbox, T0)
            assert await outbox.claim(T0, 10, LEASE) == []
            seen.append(notification.id)
            await outbox.record_sent(notification, T0, SENT)
        assert seen == sorted(set(seen))
        assert await outbox.claim(T0 + LEASE, 10, LEASE) == []

    async def test_lanes_do_not_wait_for_each_other(self, outbox: Outbox, put: Put) -> None:
        lanes = [(1, HOOK), (1, OTHER_HOOK), (1, MAIL), (2, HOOK)]
        for rule, action in lanes:
            await put("tenant-a", rule, action, T0)
        claimed = await outbox.claim(T0, 10, LEASE)
        assert len({notification.lane for notification in claimed}) == len(lanes)

    async def test_the_limit_takes_the_oldest(self, outbox: Outbox, put: Put) -> None:
        for rule in range(1, 5):
            await put("tenant-a", rule, HOOK, T0)
        first = await outbox.claim(T0, 2, LEASE)
        second = await outbox.claim(T0, 10, LEASE)
        assert (len(first), len(second)) == (2, 2)
        assert max(item.id for item in first) < min(item.id for item in second)

    async def test_a_retry_waits_counts_and_blocks_its_lane(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        await put("tenant-a", 1, HOOK, T0)
        first = await only(outbox, T0)
        await outbox.record_retry(first, T0 + 5 * SECOND, AGAIN)
        assert await outbox.claim(T0 + 4 * SECOND, 10, LEASE) == []
        again = await only(outbox, T0 + 5 * SECOND)
        assert (again.id, again.attempt, again.idempotency_key) == (first.id, 1, first.idempotency_key)

    async def test_parking_lets_the_lane_go_on(self, outbox: Outbox, put: Put) -> None:
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
        assert await outbox.claim(T0 + 10 * LEASE, 10, LEASE) == []

    async def test_a_late_success_ends_it_though_another_claimed_it(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        slow = await only(outbox, T0)
        fast = await only(outbox, T0 + LEASE)
        await outbox.record_sent(slow, T0 + LEASE, SENT)
        await outbox.record_retry(fast, T0 + LEASE, AGAIN)
        assert await outbox.claim(T0 + 10 * LEASE, 10, LEASE) == []

    async def test_the_same_try_is_counted_once(self, outbox: Outbox, put: Put) -> None:
        await put("tenant-a", 1, HOOK, T0)
        tried = await only(outbox, T0)
        await outbox.record_retry(tried, T0 + SECOND, AGAIN)
        await outbox.record_retry(tried, T0 + SECOND, AGAIN)
        assert (await only(outbox, T0 + 2 * SECOND)).attempt == 1

    async def test_a_tenant_with_much_to_say_does_not_starve_others(self, outbox: Outbox, put: Put) -> None:
        for rule in range(1, 6):
            await put("tenant-a", rule, HOOK, T0)
        await put("tenant-b", 1, HOOK, T0)
        claimed = await outbox.claim(T0, 2, LEASE)
        assert {notification.tenant_id for notification in claimed} == {"tenant-a", "tenant-b"}

    async def test_workers_at_once_never_get_the_same(self, outbox: Outbox, put: Put) -> None:
        for rule in range(1, 21):
            await put("tenant-a", rule, HOOK, T0)
            await put("tenant-a", rule, HOOK, T0)
        batches = await asyncio.gather(*(outbox.claim(T0, 7, LEASE) for _ in range(6)))
        ids = [notification.id for batch in batches for notification in batch]
        assert len(ids) == len(set(ids))
        # SKIP LOCKED may leave some for the next round; nobody's second of a lane is handed out.
        rest = await outbox.claim(T0, 40, LEASE)
        assert len(ids) + len(rest) == 20
