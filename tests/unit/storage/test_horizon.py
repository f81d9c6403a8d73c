"""Whatever the order in which transactions begin, write, commit and are read, each row is handled exactly once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ecpmon.storage.horizon import Horizon, Snapshot


@dataclass
class Transaction:
    xid: int
    rows: list[int] = field(default_factory=list)


class Database:
    """As much of PostgreSQL as the bus needs: numbers, snapshots, and what a snapshot shows."""

    def __init__(self) -> None:
        self.next_xid, self.next_seq = 100, 1
        self.open: list[Transaction] = []
        self.committed: dict[int, int] = {}  # seq -> xid
        self.marks: list[int] = []
        self.floor = 0

    def begin(self) -> None:
        self.open.append(Transaction(self.next_xid))
        self.next_xid += 1

    def write(self, place: int) -> None:
        self.open[place % len(self.open)].rows.append(self.next_seq)
        self.next_seq += 1

    def end(self, place: int, *, commit: bool) -> list[int]:
        transaction = self.open.pop(place % len(self.open))
        if commit:
            self.committed.update(dict.fromkeys(transaction.rows, transaction.xid))
        return transaction.rows if commit else []

    def snapshot(self) -> Snapshot:
        running = frozenset(t.xid for t in self.open)
        return Snapshot(min(running, default=self.next_xid), self.next_xid, running)

    def unseen_by(self, last: Snapshot) -> list[int]:
        return sorted(seq for seq, xid in self.committed.items() if not last.has_seen(xid))

    def mark(self) -> None:
        self.marks.append(self.snapshot().begin)

    def forget(self, place: int) -> None:
        self.floor = max(self.floor, self.marks[place % len(self.marks)])
        self.committed = {seq: xid for seq, xid in self.committed.items() if xid >= self.floor}


class Bus(RuleBasedStateMachine):
    """`due`: rows committed since the reader began or missed something, not handled yet."""

    def __init__(self) -> None:
        super().__init__()
        self.database, self.horizon = Database(), Horizon()
        self.horizon.start(self.database.snapshot())
        self.due: set[int] = set()
        self.handled: set[int] = set()

    @rule()
    def begin(self) -> None:
        self.database.begin()

    @precondition(lambda self: self.database.open)
    @rule(place=st.integers(0, 9))
    def write(self, place: int) -> None:
        self.database.write(place)

    @precondition(lambda self: self.database.open)
    @rule(place=st.integers(0, 9), commit=st.booleans())
    def end(self, place: int, commit: bool) -> None:
        self.due.update(self.database.end(place, commit=commit))

    @rule()
    def mark(self) -> None:
        self.database.mark()

    @precondition(lambda self: self.database.marks)
    @rule(place=st.integers(0, 9))
    def forget(self, place: int) -> None:
        self.database.forget(place)

    @rule()
    def read(self) -> None:
        last, now = self.horizon.last, self.database.snapshot()
        assert last is not None
        rows = set(self.database.unseen_by(last))
        dropped = self.due - self.database.committed.keys()
        whole = self.horizon.move(now, self.database.floor)
        assert not rows & self.handled, "handled twice"
        if whole:
            assert not dropped, "rows were missed, and nobody was told"
            assert rows == self.due
        else:
            assert rows == self.due - dropped
        self.handled |= rows
        self.due.clear()

    @invariant()
    def a_reader_that_has_seen_everything_forgotten_does_not_start_anew(self) -> None:
        last = self.horizon.last
        if last is not None and self.database.floor <= last.begin:
            assert self.due <= self.database.committed.keys()


TestBus = Bus.TestCase


def test_a_lower_number_that_commits_later_is_read_later() -> None:
    database, horizon = Database(), Horizon()
    horizon.start(database.snapshot())
    database.begin()
    database.begin()
    database.write(0)
    database.write(1)
    database.end(1, commit=True)
    assert horizon.last is not None
    assert database.unseen_by(horizon.last) == [2]
    horizon.move(database.snapshot(), 0)
    database.end(0, commit=True)
    assert database.unseen_by(horizon.last) == [1]


@pytest.mark.parametrize("text", ["100:100:", "100:104:100,102"])
def test_a_snapshot_is_written_as_postgresql_writes_it(text: str) -> None:
    assert str(Snapshot.of(text)) == text


def test_a_server_that_was_set_back_makes_a_reader_start_anew() -> None:
    horizon = Horizon()
    horizon.start(Snapshot(500, 500))
    assert not horizon.move(Snapshot(90, 90), 0)
    assert horizon.move(Snapshot(91, 91), 0)
