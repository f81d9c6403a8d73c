"""Totals alone give the figures that the spans give."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.windows import SlaStatus, Tally, WindowFigures
from ecpmon.sla import sums, windows
from ecpmon.sla.parts import Terms

NOW = datetime.fromisoformat("2026-03-30T09:00:00+00:00")

# Hours before now, across a change to summer time, and the states between them.
EDGES = st.lists(st.integers(0, 95 * 24 * 60), min_size=2, max_size=12, unique=True).map(sorted)
STATES = st.lists(st.sampled_from(SpanState), min_size=12, max_size=12)


def ago(minutes: int) -> datetime:
    return NOW - timedelta(minutes=minutes)


@given(
    EDGES,
    STATES,
    st.lists(st.integers(-3000, 95 * 24 * 60), max_size=6, unique=True).map(sorted),
    st.sampled_from(Accounting),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Seoul"]),
    st.sampled_from(SlaStatus),
)
def test_equals_the_evaluation_of_the_spans(
    edges: list[int],
    states: list[SpanState],
    planned: list[int],
    rule: Accounting,
    zone: str,
    before: SlaStatus,
) -> None:
    instants = [ago(m) for m in reversed(edges)]
    spans = [Span(a, b, state) for (a, b), state in zip(pairwise(instants), states, strict=False)]
    if spans[-1].end < NOW:
        spans.append(Span(spans[-1].end, NOW, SpanState.UP))
    planned_at = [ago(m) for m in reversed(planned)]
    maintenance = [Interval(a, b) for a, b in zip(planned_at[::2], planned_at[1::2], strict=False)]
    terms = Terms(maintenance, rule, ZoneInfo(zone))
    previous = {"30d": before}
    found = {i: windows.tally(spans, i.start, i.end) for i in sums.intervals_for(NOW, terms)}
    fast = sums.standing(found, NOW, 0.995, previous, terms)
    slow = windows.standing(spans, NOW, 0.995, previous, terms=terms)
    assert [_comparable(f) for f in fast] == [_comparable(s) for s in slow]


def _comparable(w: WindowFigures) -> object:
    numbers = (
        *(getattr(w.tally, name) for name in Tally.__slots__),
        w.availability,
        w.availability_other_accounting,
        w.coverage,
        w.burn_rate,
        w.budget.total,
        w.budget.consumed,
    )
    exact = (w.window, w.start, w.end, w.status, w.projected_exhaustion is None)
    return exact, [None if n is None else pytest.approx(n, abs=1e-6) for n in numbers]


def test_a_tenant_without_an_observation_has_no_data() -> None:
    [hour] = sums.standing({}, NOW, 0.995, {}, Terms(), ["1h"])
    assert (hour.status, hour.availability, hour.budget.total) == (SlaStatus.NO_DATA, None, 0.0)
