"""GPUs are sized by what works in them; what says less is used for less, and that is told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.korean.templates import translated
from ecpmon.model.usage import Distribution, GpuUsage
from ecpmon.orchestrator.gpu_advice import Evidence, GpuAdvice, advise_gpus, best_points

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
USED_TO = 0.7


def seen(p95: float, high: float | None = None, points: int = 2000) -> Distribution:
    return Distribution(points, p95 / 2, p95, p95 if high is None else high)


def usage(**kinds: Distribution) -> GpuUsage:
    return GpuUsage(timedelta(minutes=5), NOW - timedelta(days=7), NOW, **kinds)


def advice(gpus: int = 6, **kinds: Distribution) -> GpuAdvice:
    """All that is said of it has a Korean sentence."""
    found = advise_gpus(usage(**kinds), gpus, USED_TO, 100)
    assert found is not None
    for text in (*found.reasons, *found.caveats):
        assert re.search("[가-힣]", translated(text)), text
    return found


def test_one_thread_that_makes_a_gpu_look_busy_needs_one_gpu() -> None:
    # Measured on one: utilisation and engine 100, SM 0.75, DRAM 0.
    found = advice(sm=seen(0.75), dram=seen(0), engine=seen(99), sampled=seen(100), memory=seen(5))
    assert (found.evidence, found.recommended, found.caveats) == (Evidence.PROFILING, 1, ())


def test_decoding_is_bound_by_memory_while_few_cores_work() -> None:
    # 77 % of six GPUs' memory cycles at 70 % each is 6.6 GPUs.
    assert advice(sm=seen(10), dram=seen(77), memory=seen(50)).recommended == 7


def test_memory_that_is_taken_is_needed_however_idle_the_gpus_are() -> None:
    found = advice(sm=seen(1), dram=seen(1), memory=seen(10, high=60))
    assert found.recommended == 5  # 60 % of 6, + 15 %
    assert found.reasons[-1] == "memory: at most 60 %, + 15 %"


def test_one_of_the_two_is_not_enough() -> None:
    found = advice(sm=seen(1), engine=seen(35), memory=seen(5))
    assert (found.evidence, found.recommended) == (Evidence.ENGINE, 3)
    assert "one thread makes it 100" in found.caveats[0]


@pytest.mark.parametrize("kind", ["sampled", "other"])
def test_from_a_sample_nothing_follows(kind: str) -> None:
    found = advice(**{kind: seen(5)})
    assert (found.evidence, found.recommended) == (Evidence.SAMPLED, None)
    assert "nothing follows" in found.caveats[0]


def test_unknown_memory_is_said() -> None:
    assert "memory is taken is not known" in advice(sm=seen(10), dram=seen(10)).caveats[0]


@pytest.mark.parametrize("points", [0, 99])
def test_under_the_least_number_of_points_nothing_is_recommended(points: int) -> None:
    found = advice(sm=seen(10, points=points), dram=seen(10, points=points))
    assert (found.evidence, found.recommended, found.reasons) == (
        Evidence.NONE,
        None,
        (f"{points} of 100 points",),
    )


def test_too_few_good_points_leave_the_next_best() -> None:
    assert advice(sm=seen(10, points=99), dram=seen(10), engine=seen(20)).evidence is Evidence.ENGINE


def test_who_has_no_gpus_is_told_nothing() -> None:
    assert advise_gpus(usage(sm=seen(1), dram=seen(1)), 0, USED_TO, 100) is None
    nobody = advise_gpus(None, 3, USED_TO, 100)
    assert nobody is not None
    assert (nobody.recommended, nobody.evidence, best_points(None)) == (None, Evidence.NONE, 0)


PERCENT = st.floats(0, 100)


@given(PERCENT, PERCENT, PERCENT, st.integers(1, 64))
def test_what_is_recommended_carries_the_load_and_one_fewer_would_not(
    sm: float, dram: float, memory: float, gpus: int
) -> None:
    found = advice(gpus, sm=seen(sm), dram=seen(dram), memory=seen(memory))

    def carries(count: int) -> bool:
        load, taken = gpus * max(sm, dram) / 100, gpus * memory / 100 * 1.15
        return load <= count * USED_TO + 1e-5 and taken <= count + 1e-5

    wanted: Any = found.recommended
    assert carries(wanted)
    assert wanted == 1 or not carries(wanted - 1)


@given(PERCENT, PERCENT, st.integers(1, 64))
def test_the_upper_bound_never_recommends_less_than_what_it_bounds(
    part: float, engine: float, gpus: int
) -> None:
    sm = engine * part / 100
    better = advice(gpus, sm=seen(sm), dram=seen(sm), memory=seen(0))
    bound = advice(gpus, engine=seen(engine), memory=seen(0))
    assert better.recommended is not None
    assert bound.recommended is not None
    assert better.recommended <= bound.recommended
