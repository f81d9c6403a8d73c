"""Component policies: any service down, or services by weight."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ecpmon.model.availability import Observation, Span, SpanState
from ecpmon.model.samples import SeriesKey
from ecpmon.sla.evidence import series_key
from ecpmon.sla.incidents import incidents
from ecpmon.sla.spans import lay, make_head, timeline
from ecpmon.sla.windows import evaluate, tally

T0 = datetime.fromisoformat("2026-03-01T00:00:00+00:00")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("up", SeriesKey("sla", "up")),
        ("up.callbot", SeriesKey("sla", "up", (("service", "callbot"),))),
        ("cpu", SeriesKey("cpu", "cpu_usage")),
        ("up.", SeriesKey("custom", "up.")),
        ("cpu.callbot", SeriesKey("custom", "cpu.callbot")),
    ],
)
def test_the_series_of_a_name(name: str, key: SeriesKey) -> None:
    assert series_key(name) == key


def _spans() -> list[Span]:
    """Up for 100 s, a quarter down for 40 s, wholly for 20 s, up for 40 s."""
    seen = [
        Observation(at(s), share, timedelta(seconds=60))
        for s, share in ((0, 0), (50, 0), (100, 0.25), (120, 0.25), (140, 1.0), (160, 0))
    ]
    closed, head = make_head(lay(seen, seen[-1].ts), seen[-1])
    return timeline(closed, head, at(200), None)


def test_a_share_is_a_state_of_its_own() -> None:
    assert _spans() == [
        Span(at(0), at(100), SpanState.UP),
        Span(at(100), at(140), SpanState.DOWN, share=0.25),
        Span(at(140), at(160), SpanState.DOWN),
        Span(at(160), at(200), SpanState.UP),
    ]


def test_down_time_counts_by_its_share_and_is_one_incident() -> None:
    assert tally(_spans(), at(0), at(200)).down == 0.25 * 40 + 20
    [incident] = incidents(_spans(), at(0), at(200))
    assert (incident.start, incident.end, incident.down_seconds) == (at(100), at(160), 30.0)
    # To recover it took a minute, however little was down.
    assert evaluate("all", _spans(), at(0), at(200), 0.995).recovery_time_avg == 60
