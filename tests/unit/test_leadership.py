"""Whatever is late, lost or frozen: at no time do two processes trust that they lead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.model.leadership import ANSWER, LEASE, RENEWAL, TRUST, Answer, Standing


@dataclass
class Row:
    """The row of `sql/migrations/0024_leadership.sql`, and what its function does."""

    term: int = 0
    holder: UUID | None = None
    expires: float = 0.0
    holders: dict[int, UUID] = field(default_factory=dict)

    def keep(self, me: UUID, now: float) -> Answer:
        if self.holder == me or self.holder is None or self.expires <= now:
            if self.holder != me:
                self.term += 1
                assert self.term not in self.holders
                self.holders[self.term] = me
            self.holder, self.expires = me, now + LEASE
        return Answer(self.term, self.holder == me)

    def release(self, me: UUID) -> None:
        if self.holder == me:
            self.holder = None


@dataclass
class Request:
    process: Process
    asked_at: float
    act: Callable[[float], Answer | None]
    answer: Answer | None = None
    executed: bool = False


@dataclass
class Process:
    """Its clock began somewhere and runs as fast as it likes; frozen is who is not asked to do anything."""

    began: float
    rate: float
    standing: Standing = field(default_factory=Standing)
    holder: UUID = field(default_factory=uuid4)
    newest: Request | None = None

    def clock(self, true: float) -> float:
        return self.began + true * self.rate


class World:
    """One row, several processes, and what is under way between them."""

    def __init__(self, rates: list[float]) -> None:
        self.now = 0.0
        self.rate = rates[0]
        self.row = Row()
        self.processes = [Process(n * 1000.0, rate) for n, rate in enumerate(rates[1:])]
        self.under_way: list[Request] = []

    def elapse(self, seconds: float) -> None:
        self.now += seconds

    def ask(self, number: int) -> None:
        """One request of a process at a time; a new one gives up the one before, which may still be carried out."""
        process = self.processes[number % len(self.processes)]
        me = process.holder
        self._send(process, lambda now: self.row.keep(me, now))

    def release(self, number: int) -> None:
        process = self.processes[number % len(self.processes)]
        me = process.holder
        process.standing, process.holder = Standing(), uuid4()
        self._send(process, lambda _: self.row.release(me))
        process.newest = None

    def _send(self, process: Process, act: Callable[[float], Answer | None]) -> None:
        process.newest = Request(process, process.clock(self.now), act)
        self.under_way.append(process.newest)

    def carry_out(self, number: int) -> None:
        """The newest request of a process reaches the row."""
        self._carry_out(self.processes[number % len(self.processes)].newest)

    def carry_out_late(self, number: int) -> None:
        """Any request does, also one that was given up long ago."""
        self._carry_out(self.under_way[number % len(self.under_way)] if self.under_way else None)

    def _carry_out(self, request: Request | None) -> None:
        if request is not None and not request.executed:
            request.answer, request.executed = request.act(self.now * self.rate), True

    def answer(self, number: int) -> None:
        """A process hears the answer to its newest request, if there is one."""
        process = self.processes[number % len(self.processes)]
        request, process.newest = process.newest, None
        if request is not None and request.answer is not None:
            process.standing = process.standing.heard(request.answer, request.asked_at)

    def reach(self, number: int) -> None:
        """A new request is carried out at once, and its answer is under way."""
        self.ask(number)
        self.carry_out(number)

    def keep(self, number: int) -> None:
        """All of it at once."""
        self.reach(number)
        self.answer(number)

    def do(self, step: str, value: Any) -> None:
        getattr(self, step)(value)

    @property
    def holders(self) -> list[Process]:
        return [p for p in self.processes if p.standing.held(p.clock(self.now))]


NUMBERS = st.integers(0, 1)
STEPS = st.one_of(
    st.tuples(st.just("elapse"), st.sampled_from([RENEWAL, TRUST, LEASE]) | st.floats(0.01, LEASE)),
    st.tuples(st.sampled_from(["keep", "reach", "answer"]), NUMBERS),
    st.tuples(st.sampled_from(["ask", "carry_out"]), NUMBERS),
    st.tuples(st.sampled_from(["release", "carry_out_late"]), NUMBERS),
)
# Of the database and two processes. Clocks that differ by a third: `TRUST` would do with a half.
RATES = st.lists(st.sampled_from([0.86, 1.0, 1.15]), min_size=3, max_size=3)


@settings(max_examples=500)
@given(RATES, st.lists(STEPS, min_size=10, max_size=30))
def test_at_no_time_do_two_trust_that_they_lead(rates: list[float], steps: list[tuple[str, Any]]) -> None:
    world = World(rates)
    for step, value in steps:
        world.do(step, value)
        assert len(world.holders) <= 1
        for holder in world.holders:
            assert world.row.holders[holder.standing.term or 0] == holder.holder


def test_an_answer_that_was_long_under_way_gives_no_trust() -> None:
    """Counted from the answer, both would hold now."""
    world = World([1.0] * 3)
    for step, value in (("ask", 0), ("carry_out", 0), ("elapse", LEASE), ("keep", 1)):
        world.do(step, value)
    [first, second] = world.processes
    assert world.holders == [second]
    world.answer(0)
    assert first.standing.term == 1
    assert world.holders == [second]
    now = first.clock(world.now)
    assert Standing().heard(Answer(1, True), now).held(now)


def test_who_is_frozen_is_replaced_within_ten_seconds_and_knows_it_at_once() -> None:
    world = World([1.0] * 3)
    world.keep(0)
    asked = 0.0
    while world.holders != [world.processes[1]]:
        world.elapse(RENEWAL)
        asked += RENEWAL
        world.keep(1)
    assert LEASE <= asked <= LEASE + RENEWAL
    assert asked + ANSWER < 10
    assert not world.processes[0].standing.held(world.processes[0].clock(world.now))


@pytest.mark.parametrize("lost", [0, 1])
def test_one_lost_answer_costs_no_leadership(lost: int) -> None:
    world = World([1.0] * 3)
    world.keep(0)
    for _ in range(lost):
        world.elapse(RENEWAL)
        world.ask(0)
        world.elapse(ANSWER)
    assert world.holders == [world.processes[0]]
    world.keep(0)
    world.elapse(RENEWAL)
    assert world.holders == [world.processes[0]]


def test_who_was_told_that_another_leads_is_not_presumed_to() -> None:
    standing = Standing().heard(Answer(3, True), 0.0)
    assert standing.presumed
    assert (standing.held(TRUST), standing.presumed) == (False, True)
    standing = standing.heard(Answer(4, False), TRUST)
    assert (standing.known(TRUST), standing.held(TRUST), standing.presumed) == (True, False, False)


def test_the_figures_are_as_the_proof_needs_them() -> None:
    assert RENEWAL + ANSWER < TRUST < LEASE
    assert LEASE + RENEWAL + ANSWER < 10
