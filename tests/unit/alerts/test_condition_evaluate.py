"""Three-valued evaluation: a rule is undecided only when the missing value matters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from itertools import product

import pytest

from ecpmon.alerts.evaluate import Reading, evaluate
from ecpmon.alerts.grammar import parse
from ecpmon.alerts.syntax import AggFunction, CompareOp


class FixedValues:
    """Answers from a dictionary of canonical operand texts."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = values

    def last(self, metric: str) -> float | None:
        return self._values.get(metric)

    def aggregate(self, function: AggFunction, metric: str, window: timedelta) -> float | None:
        return self._values.get(f"{function}({metric}, {window.total_seconds():.0f})")

    def burn_rate(self, window: timedelta) -> float | None:
        return self._values.get(f"burn_rate({window.total_seconds():.0f})")

    def budget_remaining(self, window: timedelta) -> float | None:
        return self._values.get(f"budget_remaining({window.total_seconds():.0f})")


def decide(text: str, **values: float) -> bool | None:
    return evaluate(parse(text), FixedValues(values)).result


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (">", [False, False, True]),
        (">=", [False, True, True]),
        ("<", [True, False, False]),
        ("<=", [True, True, False]),
        ("==", [False, True, False]),
        ("!=", [True, False, True]),
    ],
)
def test_comparisons(op: str, expected: list[bool]) -> None:
    assert [decide(f"cpu {op} 80", cpu_usage=value) for value in (79.0, 80.0, 81.0)] == expected
    mirrored = {">": "<", "<": ">", ">=": "<=", "<=": ">="}.get(op, op)
    assert [decide(f"80 {mirrored} cpu", cpu_usage=value) for value in (79.0, 80.0, 81.0)] == expected


TRUTH = [(True, 1.0), (False, 0.0), (None, None)]


@pytest.mark.parametrize(("left", "right"), list(product(TRUTH, repeat=2)))
def test_kleene_tables(
    left: tuple[bool | None, float | None], right: tuple[bool | None, float | None]
) -> None:
    answers = (left[0], right[0])
    measured = {"cpu_usage": left[1], "gpu_usage": right[1]}
    values = {name: value for name, value in measured.items() if value is not None}
    both = False if False in answers else None if None in answers else True
    either = True if True in answers else None if None in answers else False
    assert decide("cpu == 1 and gpu == 1", **values) is both
    assert decide("cpu == 1 or gpu == 1", **values) is either
    assert decide("not cpu == 1", **values) is (None if left[0] is None else not left[0])


def test_nan_is_missing_and_infinity_is_a_value() -> None:
    assert decide("cpu != 1", cpu_usage=math.nan) is None
    assert decide("cpu > 1", cpu_usage=math.inf) is True


def test_functions_are_looked_up_with_their_window() -> None:
    values = FixedValues({"avg(cpu_usage, 300)": 90, "burn_rate(3600)": 15, "budget_remaining(2592000)": -3})
    assert evaluate(parse("avg(cpu, 5m) > 80"), values).result is True
    assert evaluate(parse("avg(cpu, 6m) > 80"), values).result is None
    assert evaluate(parse("burn_rate(1h) > 14.4 and budget_remaining(30d) < 0"), values).result is True


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("cpu > 80", {"cpu_usage": 91.0}, ("cpu_usage", ">", 91.0, 80.0, True)),
        ("80 < cpu", {"cpu_usage": 91.0}, ("cpu_usage", ">", 91.0, 80.0, True)),
        ("cpu > 80 or up == 0", {"cpu_usage": 1.0, "up": 0.0}, ("up", "==", 0.0, 0.0, True)),
        ("cpu > 80 and up == 0", {"cpu_usage": 91.0, "up": 1.0}, ("up", "==", 1.0, 0.0, False)),
        ("cpu > 80 and up == 0", {"cpu_usage": 91.0}, ("up", "==", None, 0.0, None)),
        ("memory > cpu", {"cpu_usage": 1.0, "memory_usage": 2.0}, ("memory_usage", ">", 2.0, 1.0, True)),
    ],
)
def test_the_deciding_comparison_is_reported(
    text: str, values: dict[str, float], expected: tuple[str, str, float | None, float | None, bool | None]
) -> None:
    metric, op, value, threshold, result = expected
    reading = evaluate(parse(text), FixedValues(values)).reading
    assert reading == Reading(metric, CompareOp(op), value, threshold, result)
