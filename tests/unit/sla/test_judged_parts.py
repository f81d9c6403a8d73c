"""A quarter that several versions judge is the same from spans, totals and running sums: the sum of its months."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.windows import Tally, Verdict, WindowFigures
from ecpmon.sla import ledger, sums, windows
from ecpmon.sla.entries import Book
from ecpmon.sla.ledger import Ledger, question
from ecpmon.sla.parts import Part, Terms, maintenance_of
from ecpmon.sla.periods import midnight

NEWEST = Terms()
MONTHS = [midnight(2026, n, NEWEST.zone) for n in (1, 2, 3, 4)]
# In March; the sums are kept up to here.
NOW = datetime(2026, 3, 20, 9, tzinfo=UTC)
MINUTES = 79 * 24 * 60
EDGES = st.lists(st.integers(0, MINUTES), min_size=2, max_size=12, unique=True).map(sorted)
STATES = st.lists(st.sampled_from(SpanState), min_size=13, max_size=13)
PLANNED = st.lists(st.integers(-3000, 95 * 24 * 60), max_size=6, unique=True).map(sorted)
CONTRACTS = st.lists(
    st.tuples(st.sampled_from([0.5, 0.95, 0.99, 0.999]), st.sampled_from(Accounting), PLANNED),
    min_size=3,
    max_size=3,
)


def ago(minutes: int) -> datetime:
    return NOW - timedelta(minutes=minutes)


def timeline(edges: Sequence[int], states: Sequence[SpanState]) -> list[Span]:
    instants = [*(ago(m) for m in reversed(edges)), NOW]
    return [Span(a, b, state) for (a, b), state in zip(pairwise(instants), states, strict=False) if a < b]


def quarter(contracts: Sequence[tuple[float, Accounting, Sequence[int]]]) -> tuple[Part, ...]:
    parts = []
    for (a, b), (target, accounting, planned) in zip(pairwise(MONTHS), contracts, strict=True):
        off = [ago(m) for m in reversed(planned)]
        taken = [Interval(x, y) for x, y in zip(off[::2], off[1::2], strict=False)]
        parts.append(Part(a, b, target, Terms(taken, accounting)))
    return tuple(parts)


def comparable(w: WindowFigures) -> object:
    numbers = (
        *(getattr(w.tally, each.name) for each in fields(Tally) if each.compare),
        w.availability, w.availability_other_accounting, w.coverage, w.burn_rate, w.budget.total,
        w.budget.consumed, w.target,
    )  # fmt: skip
    exact = (w.window, w.start, w.end, w.status, w.projected_exhaustion is None)
    return exact, [None if n is None else pytest.approx(n, abs=1e-6) for n in numbers]


@given(EDGES, STATES, CONTRACTS)
def test_whatever_it_is_made_from_it_is_the_same(
    edges: list[int], states: list[SpanState], contracts: list[tuple[float, Accounting, list[int]]]
) -> None:
    spans, parts = timeline(edges, states), quarter(contracts)
    terms = Terms(calendar={"quarter": parts})
    slow = windows.evaluate_parts("quarter", spans, parts, NOW)
    found = {i: windows.tally(spans, i.start, i.end) for i in sums.intervals_for(NOW, terms, ["quarter"])}
    [totals] = sums.standing(found, NOW, 0.9, {}, terms, ["quarter"])
    asked = question(NOW, terms, ["30d", "quarter"])
    book = Book(spans, spans[0].start, NOW)
    marks = {at: book.mark(at) for at in asked.instants}
    known = Ledger(marks.__getitem__, asked.maintenance)
    _, fast = ledger.standing(known, NOW, 0.9, {}, ["30d", "quarter"], terms)
    assert comparable(totals) == comparable(slow) == comparable(fast)
    assert (fast.verdict, fast.outages.count, fast.low, fast.high) == (
        slow.verdict, slow.outages.count, pytest.approx(slow.low), pytest.approx(slow.high),
    )  # fmt: skip


@given(EDGES, STATES, CONTRACTS)
def test_its_budget_is_that_of_its_months(
    edges: list[int], states: list[SpanState], contracts: list[tuple[float, Accounting, list[int]]]
) -> None:
    spans, parts = timeline(edges, states), quarter(contracts)
    end = MONTHS[-1]
    if spans[-1].end < end:
        spans.append(Span(spans[-1].end, end, SpanState.UP))
    whole = windows.evaluate_parts("quarter", spans, parts, end)
    months = [windows.evaluate_parts("month", spans, [part], end) for part in parts]
    assert whole.budget.total == pytest.approx(sum(m.budget.total for m in months), abs=1e-6)
    assert whole.budget.consumed == pytest.approx(sum(m.budget.consumed for m in months), abs=1e-6)
    assert whole.tally.eligible == pytest.approx(sum(m.tally.eligible for m in months), abs=1e-6)
    spent, unknown = whole.tally.down, whole.tally.gap
    if (
        abs(spent + unknown - whole.budget.total) > 1e-5 < abs(spent - whole.budget.total)
        and whole.tally.eligible
    ):
        expected = (
            Verdict.MET
            if spent + unknown < whole.budget.total
            else Verdict.BREACHED if spent > whole.budget.total else Verdict.UNDETERMINED
        )  # fmt: skip
        assert whole.verdict is expected


@given(EDGES, STATES, PLANNED, st.sampled_from(Accounting))
def test_months_on_the_same_terms_are_one_window(
    edges: list[int], states: list[SpanState], planned: list[int], accounting: Accounting
) -> None:
    spans = timeline(edges, states)
    [first, *others] = quarter([(0.99, accounting, planned)] * 3)
    parts = [first, *(Part(p.start, p.end, p.target, first.terms) for p in others)]
    together = windows.evaluate_parts("quarter", spans, parts, NOW)
    one = windows.evaluate_parts(
        "quarter", spans, [Part(first.start, others[-1].end, 0.99, first.terms)], NOW
    )
    assert comparable(together) == comparable(one)
    assert (together.target, together.verdict, together.low, together.high) == (
        0.99, one.verdict, one.low, one.high,
    )  # fmt: skip


def test_exactly_the_budgets_of_its_months_is_met() -> None:
    targets = (0.999, 0.9937, 0.95)
    parts = quarter([(target, Accounting.EXCLUDE, []) for target in targets])
    failing = sum((p.end - p.start).total_seconds() * (1 - p.target) for p in parts)
    for more, expected in ((0.0, Verdict.MET), (1e-5, Verdict.BREACHED)):
        down = MONTHS[0] + timedelta(microseconds=round((failing + more) * 1e6))
        spans = [Span(MONTHS[0], down, SpanState.DOWN), Span(down, MONTHS[-1], SpanState.UP)]
        assert windows.evaluate_parts("quarter", spans, parts, MONTHS[-1]).verdict is expected


def test_what_is_taken_out_is_each_months_own() -> None:
    day = timedelta(days=1)
    off = [Interval(MONTHS[1] - day, MONTHS[1] + day)]
    parts = (
        Part(MONTHS[0], MONTHS[1], 0.99, Terms(off)),
        Part(MONTHS[1], MONTHS[3], 0.99, Terms()),
    )
    assert maintenance_of(parts) == [Interval(MONTHS[1] - day, MONTHS[1])]
