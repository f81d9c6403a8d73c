"""What a rule moves to, its event and its messages are one statement, which stores what the long way would."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ecpmon.errors import NoLongerLeader
from ecpmon.model.alerts import RuleState
from ecpmon.model.leadership import Claim
from ecpmon.ports.alerts import Move, RuleWithState
from ecpmon.ports.leading import as_leader
from ecpmon.storage.alerts import PgAlertStore
from ecpmon.storage.database import Database
from ecpmon.storage.faults import NotAsRemembered
from ecpmon.storage.moving import Moving
from ecpmon.storage.notifying import Notifying
from ecpmon.storage.sessions import QueryStats, query_stats
from tests.integration.alerts.test_fan_out import MINUTE, SENT, TIGHT, Flapping
from tests.integration.conftest import T0, MakeTenant

STORED = """
SELECT r.alert_name, n.action->>'url' AS url, n.created_at, n.next_attempt_at, n.status, e.to_state, e.at,
       (SELECT array_agg(m.alert_name ORDER BY m.alert_name) FROM alert_rules m
        WHERE m.rule_id = ANY(n.merged_rules)) AS others
FROM notifications n JOIN alert_events e USING (tenant, event_id) JOIN alert_rules r ON r.rule_id = n.rule_id
WHERE n.tenant = $1 ORDER BY n.notification_id
"""
PACES = "SELECT receiver, busy_until FROM notification_rates WHERE tenant = $1 ORDER BY 1"
EVENTS = (
    "SELECT alert_name, from_state, to_state, at, value FROM alert_events WHERE tenant = $1 ORDER BY event_id"
)


class Refusing(Moving):
    """Finds nothing as it was remembered, so that everything goes the long way."""

    async def _at_once(self, *_: Any) -> Any:
        raise NotAsRemembered("as if it were crowded")


@pytest.fixture
def moving(database: Database, make_tenant: MakeTenant) -> Callable[..., Any]:
    async def make(kind: type[Moving] = Moving) -> tuple[Flapping, Moving]:
        store, notifying = PgAlertStore(database), Notifying(TIGHT)
        store._moving = made = kind(database, notifying)
        return Flapping(database, await make_tenant(), store, notifying), made

    return make


async def everything(world: Flapping) -> list[list[tuple[Any, ...]]]:
    asked = [await world.database.fetch(sql, world.tenant.key) for sql in (STORED, PACES, EVENTS)]
    return [[tuple(row) for row in rows] for rows in asked]


async def test_a_change_that_nobody_has_to_wait_for_is_one_statement(moving: Callable[..., Any]) -> None:
    world, made = await moving()
    await world.add_rules(1, 2)
    await world.flip(world.rules[0])  # the connection learns the statement
    world.now += MINUTE
    stats = QueryStats()
    token = query_stats.set(stats)
    try:
        await world.flip(world.rules[0])
    finally:
        query_stats.reset(token)
    assert await world.count("status = 'pending' AND next_attempt_at = created_at") == 4
    # A statement is noted a moment after it was answered; nobody notes that count.
    assert (stats.queries, made.at_once, made.the_long_way) == (1, 2, 0)


@pytest.mark.parametrize("seed", range(4))
async def test_the_statement_stores_what_the_long_way_stores(moving: Callable[..., Any], seed: int) -> None:
    dice = random.Random(seed)
    (one, made), (long, _) = await moving(), await moving(Refusing)
    for world in (one, long):
        await world.add_rules(3, 2)
    for _ in range(30):
        rule, pause, sent = dice.randrange(3), dice.choice((0, 0.4, 1, 5)), dice.random() < 0.3
        for world in (one, long):
            world.now += timedelta(seconds=pause)
            await world.flip(world.rules[rule])
            for notification in await world.claim() if sent else ():
                await world.outbox.record_sent(notification, world.now, SENT)
    assert await everything(one) == await everything(long)
    # Otherwise nothing was compared.
    assert min(made.at_once, made.the_long_way) > 3


async def test_several_rules_of_which_one_has_moved_meanwhile_are_stored_without_that_one(
    moving: Callable[..., Any],
) -> None:
    world, made = await moving()
    await world.add_rules(2, 1)
    await world.flip(world.rules[0])
    moves = [world.move(rule, RuleState()) for rule in world.rules]
    [missed, stored] = await world.alerts.advance(moves, world.now)
    assert missed is None
    assert [event.to_state for event in stored or ()] == ["firing"]
    assert (made.at_once, made.the_long_way) == (1, 2)
    assert await world.alerts.advance(moves, world.now) == [None, None]


async def test_who_does_not_lead_any_more_moves_nothing(moving: Callable[..., Any]) -> None:
    world, _ = await moving()
    await world.add_rules(1, 1)
    with as_leader(Claim("leader", 10**9, uuid.uuid4())), pytest.raises(NoLongerLeader):
        await world.flip(world.rules[0])
    assert await everything(world) == [[], [], []]


async def test_a_rule_that_goes_on_without_news_needs_no_event(moving: Callable[..., Any]) -> None:
    world, _ = await moving()
    await world.add_rules(1, 1)
    move = world.move(world.rules[0], RuleState())
    quiet = Move(RuleWithState(move.entry.rule, RuleState(), None, T0), move.after, move.alert_id)
    assert await world.alerts.advance([quiet], T0) == [[]]
    assert (await everything(world))[2] == []


async def test_whoever_delivers_is_told_where_messages_wait_once_they_are_committed(
    moving: Callable[..., Any],
) -> None:
    world, made = await moving()
    await world.add_rules(1, 2)
    told: list[tuple[int, str]] = []
    world.notifying.told = told.extend
    await world.flip(world.rules[0])
    assert told == [(world.tenant.key, "https://hooks.example")]
    while not made.the_long_way:
        await world.flip(world.rules[0])
    assert len(told) == made.at_once
