"""Notifications over the real database: bounded in number, merged in order, and every change is told to everybody."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecpmon.alerts.message import merged_message, new_event
from ecpmon.model.alerts import (
    AlertRule,
    DeliveryOutcome,
    DeliveryReason,
    DeliveryResult,
    Notification,
    RuleKind,
    RuleState,
    RuleStatus,
    Severity,
    Transition,
    TransitionReason,
    WebhookAction,
)
from ecpmon.model.delivery import FanOut, Grant, Pace
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import Move, RuleWithState
from ecpmon.storage.alert_keeping import AlertKeeping
from ecpmon.storage.alerts import PgAlertStore
from ecpmon.storage.database import Database
from ecpmon.storage.deliveries import PgDeliveries
from ecpmon.storage.notifying import Notifying
from ecpmon.storage.outbox import PgOutbox
from tests.integration.conftest import T0, MakeTenant

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
SENT = DeliveryResult(DeliveryOutcome.DELIVERED, DeliveryReason.ACCEPTED, 200)
BUSY = DeliveryResult(DeliveryOutcome.RETRY, DeliveryReason.SERVER_ERROR, 503)
TIGHT = FanOut(Pace(2, SECOND), Pace(4, SECOND), waiting=3)


@dataclass
class Flapping:
    """Rules of one tenant that fire and resolve as told, and the outbox that tells it."""

    database: Database
    tenant: Tenant
    alerts: PgAlertStore
    notifying: Notifying
    now: datetime = T0
    rules: list[AlertRule] = field(default_factory=list)
    states: dict[str, tuple[RuleState, str]] = field(default_factory=dict)

    async def add_rules(self, count: int, endpoints: int, url: str = "https://hooks.example") -> None:
        actions = tuple(WebhookAction(f"{url}/{n}") for n in range(endpoints))
        made = [
            AlertRule(
                str(uuid.uuid4()), self.tenant.tenant_id, f"rule {len(self.rules) + n}", RuleKind.THRESHOLD,
                "cpu > 1", 0, Severity.WARNING, actions,
            )
            for n in range(count)
        ]  # fmt: skip
        await self.alerts.create_missing(made, self.now)
        self.rules += made

    async def flip(self, rule: AlertRule) -> None:
        """The rule fires, or resolves, now; a moment later than whatever was before."""
        self.now += timedelta(microseconds=1)
        before, _ = self.states.get(rule.rule_id, (RuleState(), ""))
        move = self.move(rule, before)
        assert await self.alerts.advance([move], self.now) != [None]
        self.states[rule.rule_id] = move.after, move.events[0].alert_id

    def move(self, rule: AlertRule, before: RuleState) -> Move:
        """What a rule that is as it was `before` does when it fires, or resolves, now."""
        firing = before.status is RuleStatus.INACTIVE
        status = RuleStatus.FIRING if firing else RuleStatus.INACTIVE
        reason = TransitionReason.FIRED_AT_ONCE if firing else TransitionReason.RESOLVED
        after = RuleState(status, since=self.now, evaluated_at=self.now)
        alert_id = str(uuid.uuid4()) if firing else self.states[rule.rule_id][1]
        started = self.now if firing else before.since
        change = Transition(before.status, status, self.now, 1.0, reason, started)
        event = new_event(rule, change, None, alert_id, "http://ecpmon.example")
        return Move(RuleWithState(rule, before, None, self.now), after, alert_id if firing else None, [event])

    @property
    def outbox(self) -> PgOutbox:
        return PgOutbox(self.database)

    async def claim(self, count: int = 1000) -> list[Notification]:
        """Of this tenant only: the database is shared with other tests."""
        queues = [q for q in await self.outbox.queues(self.now) if q.tenant_key == self.tenant.key]
        grants = [Grant(*q.key, count) for q in queues]
        return [merged_message(n) for n in await self.outbox.claim(grants, self.now, MINUTE)]

    async def send_all(self) -> list[Notification]:
        """Deliver what is due, over and over, until nothing waits any more."""
        sent: list[Notification] = []
        for _ in range(1000):
            for notification in await self.claim():
                await self.outbox.record_sent(notification, self.now, SENT)
                sent.append(notification)
            if not await self.count("status = 'pending'"):
                return sent
            self.now += SECOND
        raise AssertionError("something waits for ever")

    async def count(self, condition: str) -> int:
        sql = f"SELECT count(*) FROM notifications WHERE tenant = $1 AND {condition}"
        return int(await self.database.fetchval(sql, self.tenant.key))

    async def merges(self) -> int:
        sql = "SELECT count(*) FROM notification_merges WHERE tenant = $1"
        return int(await self.database.fetchval(sql, self.tenant.key))


@pytest.fixture
def flapping(database: Database, make_tenant: MakeTenant) -> Callable[..., Any]:
    async def make(limits: FanOut | None = None) -> Flapping:
        notifying = Notifying(limits)
        return Flapping(database, await make_tenant(), PgAlertStore(database, notifying), notifying)

    return make


def told(sent: list[Notification]) -> dict[tuple[str, str], list[str]]:
    """(endpoint, rule) -> what it was told about it, in order."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for notification in sent:
        assert isinstance(notification.action, WebhookAction)
        for alert in notification.payload["alerts"]:
            found[notification.action.url, alert["labels"]["rule_id"]].append(alert["status"])
    return found


async def test_four_changes_of_many_rules_with_many_actions_are_few_messages_and_nobody_misses_one(
    flapping: Callable[..., Any],
) -> None:
    """Each its own they would be 4 × 30 × 20 = 2,400 messages."""
    world: Flapping = await flapping()
    await world.add_rules(30, 20)
    for _ in range(4):
        world.now += SECOND
        for rule in world.rules:
            await world.flip(rule)
    own, merged = await world.count("true"), await world.merges()
    assert own + merged == 4 * 30 * 20
    assert own <= 60 + 20 + 4
    assert world.notifying.merged == merged
    last = told(await world.send_all())
    assert len(last) == 30 * 20
    assert {states[-1] for states in last.values()} == {"resolved"}
    assert await world.count("true") == own


async def test_light_use_is_one_message_per_change_at_once(flapping: Callable[..., Any]) -> None:
    world: Flapping = await flapping()
    await world.add_rules(3, 2)
    for _ in range(4):
        for rule in world.rules:
            await world.flip(rule)
    assert (await world.merges(), await world.count("next_attempt_at > created_at")) == (0, 0)
    world.now += SECOND
    sent = []
    while claimed := await world.claim():
        for notification in claimed:
            await world.outbox.record_sent(notification, world.now, SENT)
        sent += claimed
    assert set(map(tuple, told(sent).values())) == {("firing", "resolved", "firing", "resolved")}
    assert {n.payload["truncatedAlerts"] for n in sent} == {0}


async def test_what_is_merged_is_listed_with_what_it_went_into(flapping: Callable[..., Any]) -> None:
    world: Flapping = await flapping(TIGHT)
    await world.add_rules(30, 1)
    for rule in world.rules:
        await world.flip(rule)
    [digest, single] = await PgDeliveries(world.database).recent(world.tenant, 100)
    assert [d["merged_count"] for d in (digest, single)] == [28, 0]
    assert len(digest["merged"]) == 20
    names = [r.alert_name for r in world.rules]
    assert [m["alert_name"] for m in digest["merged"]] == names[2:22]
    assert {m["to_state"] for m in digest["merged"]} == {"firing"}
    sent = await world.send_all()
    assert [len(n.payload["alerts"]) for n in sent] == [1, 29]
    assert sent[-1].alert_name == "29 alerts"


async def test_a_message_tells_about_a_hundred_other_rules_and_the_next_about_more(
    flapping: Callable[..., Any],
) -> None:
    world: Flapping = await flapping(TIGHT)
    await world.add_rules(130, 1)
    for rule in world.rules:
        await world.flip(rule)
    assert [len(n.payload["alerts"]) for n in await world.send_all()] == [1, 101, 28]


async def test_a_full_message_takes_in_what_is_about_its_own_rules(flapping: Callable[..., Any]) -> None:
    world: Flapping = await flapping(TIGHT)
    await world.add_rules(110, 1)
    for rule in world.rules + world.rules[:30]:
        await world.flip(rule)
    sent = await world.send_all()
    assert [len(n.payload["alerts"]) for n in sent] == [1, 101, 8]
    last = {a["labels"]["alertname"]: a["status"] for n in sent for a in n.payload["alerts"]}
    assert [last[r.alert_name] for r in world.rules] == ["resolved"] * 30 + ["firing"] * 80


async def test_of_too_many_alerts_those_are_told_that_a_receiver_would_else_be_wrong_about(
    flapping: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecpmon.storage.outbox._MERGED_ALERTS", 4)
    world: Flapping = await flapping(TIGHT)
    await world.add_rules(2, 1)
    known, unknown = world.rules
    await world.flip(known)
    [first] = await world.claim()
    await world.outbox.record_sent(first, world.now, SENT)
    await world.flip(unknown)  # leaves alone as well, but nobody takes it yet
    for _ in range(10):
        await world.flip(known)
    for _ in range(10):
        await world.flip(unknown)
    [sent] = await world.send_all()
    alerts = [(a["labels"]["alertname"], a["status"]) for a in sent.payload["alerts"]]
    # That the one they know of is over; the last of both rules; and the newest of the rest.
    assert alerts == [
        (known.alert_name, "resolved"), (known.alert_name, "firing"), (unknown.alert_name, "resolved"),
        (unknown.alert_name, "firing"),
    ]  # fmt: skip
    assert sent.payload["truncatedAlerts"] == 6 + 6 - 4
    assert sent.payload["alerts"][0]["startsAt"] == first.payload["alerts"][0]["startsAt"]


async def test_the_same_alert_twice_in_a_message_is_its_last_state(flapping: Callable[..., Any]) -> None:
    world: Flapping = await flapping(TIGHT)
    await world.add_rules(1, 1)
    for _ in range(9):
        await world.flip(world.rules[0])
    first, digest = await world.send_all()
    assert first.payload["status"] == "firing"
    assert [a["status"] for a in digest.payload["alerts"]] == ["resolved"] * 4 + ["firing"]
    assert digest.alert_name == world.rules[0].alert_name


async def test_what_somebody_was_given_never_changes_again(flapping: Callable[..., Any]) -> None:
    """A try whose answer was lost is made again with the same body under the same id, or receivers could drop it."""
    world: Flapping = await flapping(FanOut(Pace(1, SECOND), Pace(9, SECOND), waiting=1))
    await world.add_rules(2, 1)
    one, other = world.rules
    await world.flip(one)
    [held] = await world.claim()
    await world.flip(one)  # the claimed one is closed: this waits behind it
    await world.flip(other)
    world.now += MINUTE
    # The lease of the first ran out; the second message waits for it, as it is about the same rule.
    [again] = await world.claim()
    assert (again.id, again.idempotency_key, again.payload) == (held.id, held.idempotency_key, held.payload)
    await world.outbox.record_retry(again, world.now, BUSY)
    await world.flip(other)
    [third] = await world.claim()
    assert third.payload == held.payload
    await world.outbox.record_sent(third, world.now, SENT)
    assert [[a["status"] for a in n.payload["alerts"]] for n in await world.send_all()] == [
        ["resolved", "resolved"]
    ]


async def test_a_change_waits_for_the_merged_message_that_tells_what_was_before(
    flapping: Callable[..., Any],
) -> None:
    world: Flapping = await flapping(FanOut(Pace(1, SECOND), Pace(9, SECOND), waiting=1))
    await world.add_rules(3, 1)
    carrier, merged, apart = world.rules
    await world.flip(carrier)
    await world.flip(merged)
    [both] = await world.claim()
    assert [a["labels"]["alertname"] for a in both.payload["alerts"]] == ["rule 0", "rule 1"]
    await world.outbox.record_retry(both, world.now + MINUTE, BUSY)
    world.now += 2 * SECOND
    await world.flip(merged)
    assert await world.claim() == []
    world.now += 2 * SECOND
    await world.flip(apart)
    world.now += SECOND
    # It was merged into what waits behind, which may not overtake either.
    assert await world.claim() == []
    world.now += MINUTE
    assert [len(n.payload["alerts"]) for n in await world.send_all()] == [2, 2]


async def test_a_message_that_is_just_being_claimed_takes_nothing_more_in(
    flapping: Callable[..., Any],
) -> None:
    """The claim holds its row: a change that comes meanwhile neither waits for it nor is lost."""
    world: Flapping = await flapping(FanOut(Pace(1, SECOND), Pace(9, SECOND), waiting=1))
    await world.add_rules(2, 1)
    await world.flip(world.rules[0])
    async with world.database.transaction() as connection:
        await connection.execute("SELECT FROM notifications WHERE tenant = $1 FOR UPDATE", world.tenant.key)
        await world.flip(world.rules[1])
    assert (await world.count("true"), await world.merges()) == (2, 0)


async def test_tenants_do_not_slow_each_other_down(flapping: Callable[..., Any]) -> None:
    noisy, quiet = await flapping(TIGHT), await flapping(TIGHT)
    for world in (noisy, quiet):
        await world.add_rules(1, 1)
    for _ in range(50):
        await noisy.flip(noisy.rules[0])
    await quiet.flip(quiet.rules[0])
    assert len(await quiet.claim()) == 1
    assert (await quiet.merges(), await quiet.count("true")) == (0, 1)


async def test_an_alert_is_kept_while_a_message_it_was_merged_into_waits(
    flapping: Callable[..., Any],
) -> None:
    world: Flapping = await flapping(FanOut(Pace(1, SECOND), Pace(9, SECOND), waiting=1))
    world.now = T0 - timedelta(days=4000)
    await world.add_rules(2, 1)
    other = world.rules[1]
    await world.flip(world.rules[0])
    await world.flip(other)
    await world.flip(other)
    keeping = AlertKeeping(world.database)
    limit = world.now + timedelta(days=1)
    assert (await world.count("true"), await world.merges()) == (1, 2)
    assert await keeping.forget_events(limit) == 0
    await world.send_all()
    assert await keeping.forget_events(limit) == 2  # the other rule stands


async def test_the_paces_of_receivers_that_are_quiet_are_forgotten(flapping: Callable[..., Any]) -> None:
    world: Flapping = await flapping()
    world.now = T0 - timedelta(days=4000)
    await world.add_rules(1, 3)
    await world.flip(world.rules[0])
    [first, *_] = await world.claim()
    await world.outbox.record_receiver(first, world.now, well=False)
    for table in ("notification_rates", "receiver_troubles"):
        assert await world.database.fetchval(
            f"SELECT count(*) FROM {table} WHERE tenant = $1", world.tenant.key
        )
    await AlertKeeping(world.database).forget_queues(world.now + timedelta(days=1))
    for table in ("notification_rates", "receiver_troubles"):
        left = f"SELECT count(*) FROM {table} WHERE tenant = $1"
        assert await world.database.fetchval(left, world.tenant.key) == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.integers(1, 4)),
        st.tuples(st.just("send"), st.integers(1, 4)),
        st.tuples(st.just("fail"), st.integers(1, 4)),
        st.tuples(st.just("park"), st.integers(1, 2)),
        st.tuples(st.just("crash"), st.integers(1, 4)),
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
async def test_whatever_happens_everybody_is_told_everything_in_order(
    flapping: Callable[..., Any], steps: list[tuple[str, int]]
) -> None:
    """Of every rule each endpoint hears its changes in order, the last one last, whatever is sent, fails or crashes."""
    world: Flapping = await flapping(TIGHT)
    await world.add_rules(4, 2)
    ended: list[Notification] = []
    seen: dict[int, Any] = {}
    for step, number in steps:
        if step == "flip":
            await world.flip(world.rules[number])
            continue
        world.now += SECOND * number if step == "wait" else timedelta(0)
        claimed = await world.claim(number) if step != "wait" else []
        lanes = Counter((n.action, a["labels"]["rule_id"]) for n in claimed for a in n.payload["alerts"])
        assert len({n.id for n in claimed}) == len(claimed)
        assert all(len({n.id for n in claimed if about(n, lane)}) == 1 for lane in lanes)
        for notification in claimed:
            assert seen.setdefault(notification.id, notification.payload) == notification.payload
            if step == "send":
                await world.outbox.record_sent(notification, world.now, SENT)
            elif step == "fail":
                await world.outbox.record_retry(notification, world.now + 2 * SECOND, BUSY)
            elif step == "park":
                await world.outbox.record_parked(notification, world.now, BUSY)
            if step in ("send", "park"):
                ended.append(notification)
    world.now += 2 * MINUTE  # leases of what crashed
    ended += await world.send_all()
    flips = Counter(number for step, number in steps if step == "flip")
    heard = alerts_told(ended)
    for number, rule in enumerate(world.rules):
        for endpoint in range(2):
            own = heard[f"https://hooks.example/{endpoint}", rule.rule_id]
            starts = [start for start, _ in own]
            assert starts == sorted(starts)
            assert all(
                states in (["firing"], ["resolved"], ["firing", "resolved"]) for states in grouped(own)
            )
            assert len(set(starts)) == (flips[number] + 1) // 2
            assert not own or own[-1][1] == ("firing" if flips[number] % 2 else "resolved")


def about(notification: Notification, lane: tuple[Any, str]) -> bool:
    rules = {a["labels"]["rule_id"] for a in notification.payload["alerts"]}
    return notification.action == lane[0] and lane[1] in rules


def alerts_told(ended: list[Notification]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(endpoint, rule) -> (start of the alert, status) in the order of telling."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for notification in ended:
        assert isinstance(notification.action, WebhookAction)
        for alert in notification.payload["alerts"]:
            key = notification.action.url, alert["labels"]["rule_id"]
            found[key].append((alert["startsAt"], alert["status"]))
    return found


def grouped(own: list[tuple[str, str]]) -> list[list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for start, status in own:
        groups[start].append(status)
    return list(groups.values())
