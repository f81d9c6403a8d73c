"""What lists show of a window is what its figures say."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.windows import SlaStatus, Tally
from ecpmon.sla.briefs import Brief, brief
from ecpmon.sla.parts import Terms
from ecpmon.sla.windows import figures

NOW = datetime(2026, 3, 10, tzinfo=UTC)
SECONDS = st.floats(0, 1e7).map(lambda x: round(x, 6))


@given(
    parts=st.tuples(SECONDS, SECONDS, SECONDS, SECONDS),
    target=st.sampled_from([0.9, 0.995, 0.9999]),
    previous=st.sampled_from([None, *SlaStatus]),
    accounting=st.sampled_from(list(Accounting)),
    ahead=st.sampled_from([None, 0, 1, 20]),
)
def test_a_brief_is_part_of_the_figures(
    parts: tuple[float, float, float, float],
    target: float,
    previous: SlaStatus | None,
    accounting: Accounting,
    ahead: int | None,
) -> None:
    up, down, gap, maintenance = parts
    seconds = Tally(up + down + gap, down, gap, maintenance)
    planned = Interval(NOW + timedelta(days=1), NOW + timedelta(days=2))
    terms = Terms((planned,), accounting)
    period_end = None if ahead is None else NOW + timedelta(days=ahead)
    whole = figures("30d", seconds, NOW - timedelta(days=30), NOW, target, previous, terms, period_end)
    part = brief(seconds, NOW, target, previous, terms, period_end)
    for field in fields(Brief):
        assert getattr(part, field.name) == getattr(whole, field.name), field.name
