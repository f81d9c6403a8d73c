"""What is left out of evidence that says nothing new changes no timeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ecpmon.model.samples import Source
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.sla.spans import continued, lay, make_head
from ecpmon.storage.regimes import EvidenceValue, Regime, merged_observations, runs_of

T0 = datetime(2026, 3, 1, tzinfo=UTC)
PUSHED = Regime(T0 - timedelta(days=1), Source.PUSH, timedelta(seconds=5))
REGIMES = [
    [PUSHED],
    [PUSHED, Regime(T0 + timedelta(seconds=20), Source.SIMULATOR, timedelta(seconds=3))],
    [PUSHED, Regime(T0 + timedelta(seconds=20), Source.PUSH, timedelta(seconds=3))],
    [Regime(PUSHED.valid_from, Source.PUSH, PUSHED.holds, {"a": 1.0, "b": 2.0})],
]
VALUES = st.lists(
    st.tuples(
        st.integers(0, 40).map(lambda n: T0 + timedelta(seconds=n)),
        st.sampled_from([Source.PUSH, Source.PUSH, Source.PUSH, Source.SIMULATOR]),
        st.sampled_from(["up", "error_rate"]),
        st.sampled_from(["", "a", "b"]),
        st.sampled_from([0.0, 0.01, 1.0, 1.0]),
    ),
    max_size=60,
)


@given(VALUES, st.sampled_from(REGIMES))
def test_runs_lay_the_same_timeline_as_every_observation(
    values: list[EvidenceValue], regimes: list[Regime]
) -> None:
    whole, runs = merged_observations(values, regimes, DEFAULT_RULES), runs_of(values, regimes, DEFAULT_RULES)
    assert bool(whole) == bool(runs)
    if not whole:
        return
    end = T0 + timedelta(seconds=60)
    assert lay(runs, end) == lay(whole, end)
    assert (runs[0].ts, runs[-1]) == (whole[0].ts, whole[-1])
    heads = [None, make_head([], whole[0])[1]]
    for head in heads:
        assert continued(head, runs) == continued(head, whole)


def test_a_long_time_of_one_state_is_two_observations() -> None:
    day = [(T0 + timedelta(seconds=n), Source.PUSH, "up", "", 1.0) for n in range(5_000)]
    runs = runs_of(day, [PUSHED], DEFAULT_RULES)
    assert [(seen.ts, seen.holds) for seen in runs] == [
        (T0, timedelta(seconds=4_999)),
        (T0 + timedelta(seconds=4_999), timedelta(seconds=5)),
    ]
