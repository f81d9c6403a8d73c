"""What other processes committed is told to sockets, and when some of it was missed they are told how things are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ecpmon.api.hub import Hub
from ecpmon.api.live import Watcher
from ecpmon.api.sessions import Session
from ecpmon.app.socketfeed import SocketFeed
from ecpmon.errors import DatabaseUnavailable
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.bus import BusKind, BusRow
from ecpmon.model.samples import Source
from ecpmon.ports.samples import Latest
from ecpmon.ports.tokens import Caller

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Stores:
    """Every store that the feed reads."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.away = False
        self.asked_for_coming = 0

    async def get(self, name: str) -> Any:
        return SimpleNamespace(key=1, tenant_id=name, evidence_source=Source.PUSH)

    async def latest(self, *_: Any) -> list[tuple[str, Latest]]:
        if self.away:
            raise DatabaseUnavailable("away")
        return [("up", Latest(NOW, "sla", 0.0))]

    async def coming(self, *_: Any) -> list[tuple[str, Latest]]:
        self.asked_for_coming += 1
        return [("up", Latest(NOW + timedelta(seconds=30), "sla", 1.0))]

    async def timeline(self, *_: Any, present: bool) -> list[Span]:
        return list(self.spans)


@pytest.fixture
def stores() -> Stores:
    return Stores()


@pytest.fixture
def clock() -> Any:
    return SimpleNamespace(now=lambda: NOW)


@pytest.fixture
def hub(clock: Any) -> Hub:
    return Hub(now=lambda: clock.now())


@pytest.fixture
def feed(hub: Hub, stores: Any, clock: Any) -> SocketFeed:
    async def check() -> None: ...

    return SocketFeed(
        hub, tenants=stores, monitoring=stores, availability=stores, alerts=stores, external=stores,
        clock=clock, check=check,
    )  # fmt: skip


def watching(hub: Hub) -> Watcher:
    caller = Caller("v", frozenset({"viewer"}), None)
    return hub.watch(Session(caller, "h", "production", 1, "acme", frozenset({"viewer"}))).outbox


def row(*changes: tuple[str, str]) -> BusRow:
    told = [[1, NOW.isoformat(), state, before] for state, before in changes]
    return BusRow(1, "another", BusKind.SAMPLES, (1,), {"changes": told})


async def test_changes_of_another_process_are_told_in_order(hub: Hub, feed: SocketFeed) -> None:
    watcher = watching(hub)
    feed.rows([row(("down", "up")), row(("up", "down"))])
    await feed._round()
    assert watcher.missed == ("down", "up")


async def test_what_another_process_stored_ahead_of_its_time_is_shown_when_that_has_come(
    hub: Hub, feed: SocketFeed, stores: Stores, clock: Any
) -> None:
    watching(hub)
    shown = hub._feeds["acme"]
    feed.rows([row()])
    await feed._round()
    assert (stores.asked_for_coming, shown.values()) == (0, {"up": 0.0})
    feed.rows([BusRow(2, "another", BusKind.SAMPLES, (1,), {"coming": [NOW.timestamp() + 30]})])
    await feed._round()
    for second, value in ((0, 0.0), (29, 0.0), (30, 1.0)):
        clock.now = lambda second=second: NOW + timedelta(seconds=second)
        assert shown.values() == {"up": value}
    assert (stores.asked_for_coming, shown.newest()) == (1, NOW + timedelta(seconds=30))


@pytest.mark.parametrize("state", [SpanState.UP, SpanState.DOWN])
async def test_after_a_gap_in_what_was_heard_every_socket_is_told_the_state_as_it_is(
    hub: Hub, feed: SocketFeed, stores: Stores, state: SpanState
) -> None:
    watcher = watching(hub)
    before, silent = NOW - timedelta(minutes=2), NOW - timedelta(seconds=9)
    stores.spans = [Span(before, silent, state), Span(silent, NOW, SpanState.GAP)]
    feed.restart()
    await feed._round()
    assert watcher.missed == (state.value,)
    feed.rows([row()])
    await feed._round()
    assert watcher.missed == (state.value,), "it is told once"


async def test_while_the_database_is_away_nothing_of_it_is_forgotten(
    hub: Hub, feed: SocketFeed, stores: Stores
) -> None:
    watcher = watching(hub)
    stores.spans, stores.away = [Span(NOW - timedelta(minutes=2), NOW, SpanState.DOWN)], True
    feed.restart()
    with pytest.raises(DatabaseUnavailable):
        await feed._round()
    stores.away = False
    await feed._round()
    assert watcher.missed == ("down",)
