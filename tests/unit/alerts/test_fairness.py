"""Dealing out slots: nobody beyond their share, nobody left out, whatever the others' receivers do."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ecpmon.alerts.backoff import Breaker
from ecpmon.alerts.fairness import Slots, Turns
from ecpmon.model.delivery import DeliveryQueue, QueueKey

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SLOTS = Slots(total=12, shared=6, per_tenant=4, per_receiver=2, mail=3)
LONG_AGO = NOW - timedelta(days=1)

receivers = st.sampled_from(["https://a", "https://b", "https://c", "mailto:x@y", "mailto:z@y"])
keys = st.tuples(st.integers(1, 20), receivers)


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[DeliveryQueue], Counter[QueueKey]]:
    """Queues, some in trouble, and what is under way within the limits."""
    failures = st.sampled_from([0, 0, 1, 5])
    waiting = [
        DeliveryQueue(*key, draw(failures), LONG_AGO)
        for key in draw(st.lists(keys, unique=True, max_size=40))
    ]
    under_way: Counter[QueueKey] = Counter()
    for key in draw(st.lists(keys, max_size=12)):
        tenant = sum(n for k, n in under_way.items() if k[0] == key[0])
        if under_way[key] < SLOTS.per_receiver and tenant < SLOTS.per_tenant:
            under_way[key] += 1
    return waiting, under_way


@given(situations())
def test_no_limit_is_exceeded_and_no_slot_is_left_that_somebody_could_have(
    situation: tuple[list[DeliveryQueue], Counter[QueueKey]],
) -> None:
    queues, flying = situation
    given_out = Counter({g.key: g.count for g in Turns(SLOTS).choose(queues, flying, NOW)})
    after = flying + given_out
    failures = {q.key: q.failures for q in queues}
    tenants = Counter[int]()
    for (tenant, _), number in after.items():
        tenants[tenant] += number
    for tenant, receiver in given_out:
        assert after[tenant, receiver] <= (1 if failures[tenant, receiver] else SLOTS.per_receiver)
        assert tenants[tenant] <= SLOTS.per_tenant
    mail = sum(n for (_, receiver), n in after.items() if receiver.startswith("mailto:"))
    assert not any(r.startswith("mailto:") for _, r in given_out) or mail <= SLOTS.mail
    assert sum(after.values()) <= max(SLOTS.total, sum(flying.values()))
    # A tenant with something to send by web to a receiver that is well gets a slot as long as there is one.
    for queue in queues:
        if not queue.failures and not tenants[queue.tenant_key] and queue.receiver.startswith("https"):
            assert sum(after.values()) >= SLOTS.total


@given(st.integers(1, 5), st.integers(1, 40))
def test_slow_tenants_leave_the_kept_half_to_others(slow: int, fast: int) -> None:
    turns = Turns(SLOTS)
    queues = [DeliveryQueue(n, f"https://{m}") for n in range(slow) for m in range(30)]
    hanging = Counter({g.key: g.count for g in turns.choose(queues, Counter(), NOW)})
    assert sum(hanging.values()) <= slow + SLOTS.shared
    newcomers = [DeliveryQueue(1000 + n, "https://a") for n in range(fast)]
    grants = turns.choose(queues + newcomers, hanging, NOW)
    free = SLOTS.total - sum(hanging.values())
    assert sum(g.tenant_key >= 1000 for g in grants) == min(fast, free)


@given(st.lists(st.tuples(keys, st.booleans()), unique_by=lambda item: item[0], min_size=1, max_size=40))
def test_everybody_is_served_in_turn(waiting: list[tuple[QueueKey, bool]]) -> None:
    """All always have more, and a slot is free again at once: nobody waits for more than a round of everybody."""
    turns, slots = Turns(one := Slots(total=1)), one.total
    queues = [DeliveryQueue(*key, int(troubled), LONG_AGO) for key, troubled in waiting]
    served: list[QueueKey] = []
    tenants = {q.tenant_key for q in queues}
    longest = max(Counter(q.tenant_key for q in queues).values())
    for _ in range(len(tenants) * longest):
        [grant] = turns.choose(queues, Counter(), NOW)
        assert grant.count == slots
        served.append(grant.key)
    assert {key[0] for key in served[: len(tenants)]} == tenants
    assert set(served) == {q.key for q in queues}


def test_a_tenant_with_much_to_say_does_not_starve_others() -> None:
    queues = [DeliveryQueue(1, f"https://{n}") for n in range(1000)] + [DeliveryQueue(2, "https://a")]
    grants = Turns(Slots(total=4, shared=4)).choose(queues, Counter(), NOW)
    assert [(g.tenant_key, g.count) for g in grants] == [(1, 1), (2, 2), (1, 1)]


def test_a_mail_server_that_hangs_does_not_hold_up_webhooks() -> None:
    turns = Turns(SLOTS)
    mail = [DeliveryQueue(n, "mailto:ops@example.com") for n in range(50)]
    hanging = Counter({g.key: g.count for g in turns.choose(mail, Counter(), NOW)})
    assert sum(hanging.values()) == SLOTS.mail
    hooks = [DeliveryQueue(n, "https://a") for n in range(50, 100)]
    grants = turns.choose(mail + hooks, hanging, NOW)
    assert sum(g.count for g in grants) == SLOTS.total - SLOTS.mail


@given(st.integers(0, 60), st.integers(0, 200))
def test_rests_double_up_to_a_minute_and_begin_with_the_third_failure(failures: int, asked: int) -> None:
    until = NOW + timedelta(seconds=asked)
    queue = DeliveryQueue(1, "https://a", failures, NOW if failures else None, until if asked else None)
    rest = {3: 5, 4: 10, 5: 20, 6: 40}.get(failures, 0 if failures < 3 else 60)
    ends = Breaker().rests_until(queue)
    assert max(ends or NOW, NOW) == NOW + timedelta(seconds=max(rest, asked))
    # One microsecond before it nothing is granted, at its end one thing.
    if ends and ends > NOW:
        assert Turns().choose([queue], Counter(), ends - timedelta(microseconds=1)) == []
    assert [g.count for g in Turns().choose([queue], Counter(), ends or NOW)] == [1 if failures else 4]


@given(st.lists(keys, unique=True, max_size=20), situations())
def test_first_slots_are_of_tenants_with_nothing_under_way_and_within_the_half_kept_for_them(
    told: list[QueueKey], situation: tuple[list[DeliveryQueue], Counter[QueueKey]]
) -> None:
    _, flying = situation
    granted = Turns(SLOTS).first(told, flying)
    assert {g.count for g in granted} <= {1}
    tenants = [g.tenant_key for g in granted]
    assert len(set(tenants)) == len(tenants)
    assert not {*tenants} & {tenant for tenant, _ in flying}
    assert not granted or flying.total() + len(granted) <= SLOTS.total - SLOTS.shared
    if not flying and len({tenant for tenant, _ in told}) <= SLOTS.mail:
        assert {*tenants} == {tenant for tenant, _ in told}
