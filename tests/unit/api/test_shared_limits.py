"""Limits hold in sum, however a tenant spreads what it sends over the processes of a machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.api.buckets import Buckets
from ecpmon.api.sessions import Admissions, Session, SocketLimits
from ecpmon.errors import Overloaded, RateLimited, TooManySockets
from ecpmon.ledger import Ledger
from ecpmon.ports.tokens import Caller

T0 = datetime(2026, 3, 1, tzinfo=UTC)
RATE, BURST, FRONTS = 5.0, 20.0, 3


def buckets(path: Path, own: int) -> Buckets:
    return Buckets("samples", RATE, BURST, Ledger(path, FRONTS, own))


def takes(bucket: Buckets, now: datetime) -> bool:
    try:
        bucket.take("tenant", now)
    except RateLimited:
        return False
    return True


# Which front is asked, how many milliseconds after the one before, and whether the front was started anew meanwhile.
ASKED = st.tuples(st.integers(0, FRONTS - 1), st.integers(0, 200), st.booleans())


@given(st.lists(ASKED, min_size=1, max_size=150))
def test_fronts_together_let_in_no_more_than_one_would(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int, bool]]
) -> None:
    path = tmp_path_factory.mktemp("limits") / "x"
    fronts, alone, now = [buckets(path, n) for n in range(FRONTS)], Buckets("samples", RATE, BURST), T0
    let_in = 0
    for n, milliseconds, anew in asked:
        now += timedelta(milliseconds=milliseconds)
        if anew:
            fronts[n] = buckets(path, n)
        taken = takes(fronts[n], now)
        assert taken == takes(alone, now), "as if there were one"
        let_in += taken
    assert let_in <= BURST + RATE * (now - T0).total_seconds()


def session(number: int, holder: str) -> Session:
    return Session(Caller("kim", frozenset(), None), holder, "production", number, f"t{number}", frozenset())


def test_sockets_of_a_tenant_and_of_a_token_are_counted_over_all_fronts(tmp_path: Path) -> None:
    limits = SocketLimits(per_holder=3, per_tenant=5)
    fronts = [Admissions(limits, ledger=Ledger(tmp_path / "x", 2, n)) for n in range(2)]
    entered = [(fronts[n % 2], session(1, "a token")) for n in range(3)]
    for front, held in entered:
        front.enter(held)
    for front in fronts:
        with pytest.raises(TooManySockets, match="your token has 3"):
            front.enter(session(2, "a token"))
    more = [(fronts[n], session(1, f"token {n}")) for n in range(2)]
    for front, held in more:
        front.enter(held)
    for front in fronts:
        with pytest.raises(TooManySockets, match="the tenant has 5"):
            front.enter(session(1, "another"))
        front.enter(session(2, "another"))
    for front, held in [*entered, *more]:
        front.leave(held)
    for _ in range(3):
        fronts[1].enter(session(1, "a token"))


def test_all_sockets_of_a_machine_are_bounded_together_and_who_is_over_a_bound_of_his_own_is_told_that(
    tmp_path: Path,
) -> None:
    limits, refused = SocketLimits(in_all=4, per_holder=2), list[str]()
    fronts = [Admissions(limits, refused.append, Ledger(tmp_path / "x", 2, n)) for n in range(2)]
    entered = [(fronts[n % 2], session(n, f"token {n // 2}")) for n in range(4)]
    for front, held in entered:
        front.enter(held)
    for front in fronts:
        with pytest.raises(Overloaded, match="too many open sockets"):
            front.enter(session(9, "another"))
        with pytest.raises(TooManySockets, match="your token has 2"):
            front.enter(session(9, "token 0"))
    assert refused == ["all", "token"] * 2
    for front, held in entered:
        front.leave(held)
    for n in range(4):
        fronts[0].enter(session(n, f"token {n}"))


def test_sockets_of_a_front_that_is_gone_are_free_again_when_it_is_back(tmp_path: Path) -> None:
    limits = SocketLimits(per_tenant=1)
    gone, other = (Admissions(limits, ledger=Ledger(tmp_path / "x", 2, n)) for n in range(2))
    gone.enter(session(1, "a"))
    with pytest.raises(TooManySockets):
        other.enter(session(1, "b"))
    Admissions(limits, ledger=Ledger(tmp_path / "x", 2, 0))
    other.enter(session(1, "b"))
