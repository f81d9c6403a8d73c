"""A socket ends when its token or its tenant does, and only then; one look is one query per database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from socket_world import session

from ecpmon.api.hub import Hub, Outbox
from ecpmon.api.session_check import SECONDS, SessionCheck
from ecpmon.api.sessions import Session
from ecpmon.errors import DatabaseUnavailable
from ecpmon.ports.tokens import Caller, Shown, Standing, TokenRef

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
VIEWER = Standing(frozenset({"viewer"}), holds=True)


@dataclass
class Side:
    """One of the two databases: what its tokens and tenants are, and what was asked of it."""

    name: str
    hub: Hub = field(default_factory=Hub)
    tokens_are: dict[Shown, Standing] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    away: bool = False
    asked: list[Collection[Any]] = field(default_factory=list)

    @property
    def tokens(self) -> Side:
        return self

    @property
    def tenants(self) -> Side:
        return self

    async def standing(self, shown: Collection[Shown], now: datetime) -> Mapping[Shown, Standing]:
        return self._answer(shown, {s: self.tokens_are[s] for s in shown if s in self.tokens_are})

    async def live_among(self, numbers: Collection[int]) -> set[int]:
        found: set[int] = self._answer(numbers, set(numbers) - self.deleted)
        return found

    def _answer(self, asked: Collection[Any], answer: Any) -> Any:
        if self.away:
            raise DatabaseUnavailable("away")
        self.asked.append(asked)
        return answer


@dataclass
class Watched:
    """A process with two databases; `open` opens a socket and gives what it is told."""

    production: Side = field(default_factory=lambda: Side("production"))
    demo: Side = field(default_factory=lambda: Side("demo"))
    now: datetime = NOW
    counted: list[str] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.check = SessionCheck(SimpleNamespace(now=lambda: self.now), self.counted.append)
        sides: Iterable[Any] = (self.production, self.demo)
        for side in sides:
            self.check.add(side)

    def open(self, secret: int | None = 1, *, home: str = "production", **more: Any) -> Outbox:
        """A socket that was opened with a secret that is valid and gives a viewer's rights."""
        token = None if secret is None else TokenRef(home, secret, secret)
        opened: Session = session(caller=Caller("v", frozenset(), None, token=token), **more)
        if opened.shown is not None:
            side = self.production if home == "production" else self.demo
            side.tokens_are[opened.shown] = VIEWER
        hub = (self.production if opened.database == "production" else self.demo).hub
        _, listener = self.stack.enter_context(hub.listen(opened))
        return listener


@pytest.fixture
def watched() -> Any:
    made = Watched()
    with made.stack:
        yield made


def test_it_looks_often_enough_to_be_done_within_ten_seconds() -> None:
    assert SECONDS <= 5


async def test_sockets_whose_token_is_good_stay(watched: Watched) -> None:
    outboxes = [
        watched.open(1), watched.open(2, tenant_id="other"), watched.open(None),
        watched.open(3, database="demo"), watched.open(4, home="demo", database="demo"),
    ]  # fmt: skip
    await watched.check.run_once()
    assert not any(o.closed for o in outboxes)
    assert watched.counted == []


@pytest.mark.parametrize(
    ("becomes", "code", "over"),
    [
        (None, 4401, "token"),
        (Standing(frozenset({"ingest"}), holds=True), 4403, "role"),
        (Standing(frozenset({"viewer"}), holds=False), 4404, "tenant"),
    ],
)
async def test_a_token_that_gives_less_ends_its_sockets_and_no_others(
    watched: Watched, becomes: Standing | None, code: int, over: str
) -> None:
    lost, kept, mine = watched.open(1), watched.open(2), watched.open(1, tenant_id="other")
    del watched.production.tokens_are[(1, 1)]
    if becomes is not None:
        watched.production.tokens_are[(1, 1)] = becomes
    await watched.check.run_once()
    assert (lost.close_code, kept.closed, mine.closed) == (code, False, False)
    await watched.check.run_once()
    assert watched.counted == [over]


async def test_a_tenant_that_was_deleted_elsewhere_ends_its_sockets(watched: Watched) -> None:
    gone, without_token = watched.open(1), watched.open(None)
    other, namesake = watched.open(1, tenant_id="other"), watched.open(1, database="demo")
    watched.production.deleted = {1}
    await watched.check.run_once()
    assert (gone.close_code, without_token.close_code) == (4404, 4404)
    assert (other.closed, namesake.closed) == (False, False)


async def test_a_production_token_in_the_demo_database_obeys_production(watched: Watched) -> None:
    outbox = watched.open(1, database="demo")
    assert list(watched.production.tokens_are) == [(1, None)], (
        "a number of the demo database names nothing here"
    )
    watched.production.tokens_are.clear()
    await watched.check.run_once()
    assert outbox.close_code == 4401


async def test_expiry_needs_no_database_and_an_absent_one_ends_nothing_else(watched: Watched) -> None:
    caller = Caller(
        "v", frozenset(), None, token=TokenRef("production", 9, 9), expires_at=NOW + timedelta(minutes=1)
    )
    _, expiring = watched.stack.enter_context(watched.production.hub.listen(session(caller=caller)))
    lasting, elsewhere = watched.open(1), watched.open(2, home="demo", database="demo")
    watched.production.away = True
    watched.production.tokens_are.clear()
    watched.demo.tokens_are.clear()
    watched.now += timedelta(minutes=1)
    with pytest.raises(DatabaseUnavailable):
        await watched.check.run_once()
    assert (expiring.close_code, lasting.closed, elsewhere.close_code) == (4401, False, 4401)
    watched.production.away = False
    await watched.check.run_once()
    assert lasting.close_code == 4401


async def test_two_thousand_sockets_cost_two_queries_and_none_cost_none(watched: Watched) -> None:
    await watched.check.run_once()
    assert watched.production.asked == []
    for holder in range(20):
        for _ in range(90):
            watched.open(holder, holder=str(holder), number=holder + 1)
    await watched.check.run_once()
    assert [len(a) for a in watched.production.asked] == [20, 20]
    assert watched.demo.asked == []
