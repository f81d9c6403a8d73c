"""Native histograms read as classic ones: counted at bounds that are bounds, refused at others, never interpolated."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.collectors.natives import POWERS, Bucket, Native, classic, natives_of, nearest, schema_of, written
from ecpmon.collectors.questions import Question, answer_to
from ecpmon.collectors.rules import CounterRule, PrometheusRule
from ecpmon.model.samples import SeriesKey
from ecpmon.ports.faults import counter_subject

OBSERVED = st.lists(st.floats(0.0011, 100), min_size=1, max_size=40)


def exponential(values: list[float], schema: int) -> Native:
    """As a client of Prometheus keeps them: the bucket k ends at 2 ** (k / 2 ** schema)."""
    counts: dict[int, int] = {}
    for value in values:
        place = math.ceil(math.log2(value) * 2.0**schema)
        while _end(place - 1, schema) >= value:
            place -= 1
        while _end(place, schema) < value:
            place += 1
        counts[place] = counts.get(place, 0) + 1
    return Native(
        len(values),
        tuple(Bucket(_end(k - 1, schema), _end(k, schema), n) for k, n in sorted(counts.items())),
    )


def _end(place: int, schema: int) -> float:
    return 2.0 ** (place / 2.0**schema)


def custom(values: list[float], bounds: list[float]) -> Native:
    """Buckets of its own (NHCB): the first has no beginning, the last no end, empty ones are not told."""
    ends = [-math.inf, *bounds, math.inf]
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    return Native(len(values), tuple(Bucket(ends[i], ends[i + 1], n) for i, n in enumerate(counts) if n))


@given(OBSERVED, st.integers(0, 8))
def test_powers_of_two_are_counted_exactly_in_every_schema(values: list[float], schema: int) -> None:
    told, why = classic([(1.0, exponential(values, schema))], ())
    assert why is None
    assert told.pop(None) == [(1.0, len(values))]
    assert told == {written(b): [(1.0, sum(v <= b for v in values))] for b in POWERS}


@given(OBSERVED, st.integers(1, 8), st.integers(-40, 40))
def test_bounds_of_the_schema_are_counted_and_others_refused_with_the_two_beside_them(
    values: list[float], schema: int, place: int
) -> None:
    native = exponential(values, schema)
    assert schema_of([native]) == schema
    bound = _end(place, schema)
    assert nearest(bound, [native]) == ()
    between = math.sqrt(bound * bound * 2.0 ** (1 / 2.0**schema))
    low, high = nearest(between, [native])
    assert low < between < high
    assert high / low == pytest.approx(2.0 ** (1 / 2.0**schema))
    told, why = classic([(1.0, native)], (bound, between))
    assert set(told) == {None, written(bound)}
    assert told[written(bound)] == [(1.0, sum(v <= bound for v in values))]
    assert why is not None
    assert "is no bound" in why
    assert written(low) in why
    assert written(high) in why


@given(OBSERVED, st.integers(-4, 0))
def test_of_octaves_nothing_is_told_of_what_lies_inside_one_that_holds_something(
    values: list[float], schema: int
) -> None:
    native = exponential(values, schema)
    told, why = classic([(1.0, native)], ())
    assert why is None
    assert told.pop(None) == [(1.0, len(values))]
    for bound, counts in told.items():
        assert counts == [(1.0, sum(v <= float(str(bound)) for v in values))]


BOUNDS = [0.005, 0.05, 0.1, 0.25, 1.0]


@given(OBSERVED, st.sampled_from(BOUNDS))
def test_custom_buckets_are_counted_at_their_bounds(values: list[float], bound: float) -> None:
    told, why = classic([(1.0, custom(values, BOUNDS))], (bound,))
    assert why is None
    assert told[written(bound)] == [(1.0, sum(v <= bound for v in values))]


def test_a_bound_inside_a_custom_bucket_is_refused_with_its_ends() -> None:
    native = custom([0.07, 0.15, 0.4], BOUNDS)
    told, why = classic([(1.0, native)], (0.2, 0.25))
    assert set(told) == {None, "0.25"}
    assert why == "0.2 is no bound of the native histogram; the nearest are 0.1 and 0.25"


def test_custom_buckets_have_to_be_named() -> None:
    told, why = classic([(1.0, custom([0.07, 0.4], BOUNDS))], ())
    assert set(told) == {None}
    assert why == (
        "a native histogram with buckets of its own: name its `bounds`; known are 0.05 and 0.1 and 0.25 and 1"
    )


def test_a_histogram_that_becomes_coarser_goes_on() -> None:
    values = [0.1, 0.2, 0.3, 0.9, 3.0]
    natives = [(1.0, exponential(values, 5)), (2.0, exponential([*values, 0.22], 1))]
    told, why = classic(natives, ())
    assert why is None
    assert told["0.25"] == [(1.0, 2), (2.0, 3)]


def test_around_zero_below_it_and_without_end() -> None:
    buckets = (Bucket(-2, -1, 3), Bucket(-0.001, 0.001, 2), Bucket(0.5, 1, 4), Bucket(2.0**1023, math.inf, 1))
    native = Native(10, buckets)
    assert [native.within(b) for b in (0.001, 0.5, 0.75, 1.0, 64.0)] == [5, 5, None, 9, 9]


def test_what_is_no_histogram_is_refused() -> None:
    for wrong in ([[1, {}]], [[1, {"count": "x"}]], [[1, {"count": "1", "buckets": [[0, "1"]]}]], [[1]], 7):
        with pytest.raises(ValueError, match="histogram"):
            natives_of({"histograms": wrong})


def series(at: float, native: Native, **labels: str) -> dict[str, Any]:
    """As the API tells it."""
    buckets = [[0, repr(b.lower), repr(b.upper), repr(b.count)] for b in native.buckets]
    told = {"count": repr(native.count), "sum": "1", "buckets": buckets}
    return {"metric": labels, "histograms": [[at, told]]}


def question(counter: bool = True, bounds: tuple[float, ...] = ()) -> Question:
    return Question(
        "counter waits", "waits", ("tenant_id",), "waits", 15, counter=counter, labels=("pod",), bounds=bounds
    )


def test_a_counter_that_is_one_becomes_its_count_and_its_buckets() -> None:
    at = 1_700_000_000.0
    native = exponential([0.1, 0.3, 0.7], 3)
    answer = answer_to(
        question(bounds=(0.25, 0.2)),
        [series(at, native, tenant_id="acme", pod="a")],
        [{("acme", "a"): {at: at - 1}}],
    )
    found = {(key.metric_name, key.labels): points for (_, key), points in answer.readings.items()}
    assert found == {
        ("waits_count", (("pod", "a"),)): {at: (3.0, at - 1)},
        ("waits_bucket", (("le", "0.25"), ("pod", "a"))): {at: (1.0, at - 1)},
    }
    [why] = answer.troubles.values()
    assert why.startswith("0.2 is no bound of the native histogram; the nearest are 0.19277")


def test_what_is_no_counter_cannot_be_one() -> None:
    at = 1_700_000_000.0
    plain = Question("metric waits", "waits", ("tenant_id",), "waits", 15)
    answer = answer_to(plain, [series(at, exponential([1.0], 3), tenant_id="acme")], [{("acme",): {at: at}}])
    assert answer.troubles == {("acme", "metric waits"): "a native histogram is no number"}
    assert not answer.readings["acme", SeriesKey("custom", "waits")]


def test_a_rule_names_bounds() -> None:
    rule = CounterRule(expression="waits", labels=("pod",), bounds=(0.25,))
    given_ = PrometheusRule(availability="min by (tenant_id) (up)", counters={"waits": rule})
    from ecpmon.collectors.questions import questions_of

    [found] = [q for q in questions_of(given_, 15) if q.subject == counter_subject("waits")]
    assert found.bounds == (0.25,)
    with pytest.raises(ValueError, match="greater than 0"):
        CounterRule(expression="waits", labels=("pod",), bounds=(0,))
