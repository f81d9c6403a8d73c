"""Evaluation of conditions with three answers: true, false, and unknown where data is missing. Pure.

Kleene's logic: `and` is false when one side is false whatever the other is, `or` true when one is true.
So a rule freezes only when its answer really depends on the missing value.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

from ecpmon.alerts.syntax import (
    AggFunction,
    Aggregate,
    And,
    CompareOp,
    Comparison,
    Condition,
    Metric,
    Not,
    Number,
    Operand,
    Or,
    SlaFunction,
    SlaTerm,
    format_operand,
)
from ecpmon.sla.burn import BurnDecision


class Values(Protocol):
    """What a condition reads, at one instant. None: not known (no data, or too old)."""

    def last(self, metric: str) -> float | None:
        """The newest value, when it is not older than its source's staleness."""

    def aggregate(self, function: AggFunction, metric: str, window: timedelta) -> float | None:
        """Over the samples of `(now - window, now]`; `rate` per second, resets of the counter detected."""

    def burn_rate(self, window: timedelta) -> float | None: ...

    def budget_remaining(self, window: timedelta) -> float | None:
        """Percent of the window's budget; negative when overspent."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One comparison with its numbers: `metric op threshold`, where `value` was read. `burn`: what a policy decided."""

    metric: str
    op: CompareOp
    value: float | None
    threshold: float | None
    result: bool | None
    burn: BurnDecision | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`result` None: unknown. `reading`: the first comparison that decided it."""

    result: bool | None
    reading: Reading


_COMPARE: Final[dict[CompareOp, Callable[[float, float], bool]]] = {
    CompareOp.GT: operator.gt,
    CompareOp.GE: operator.ge,
    CompareOp.LT: operator.lt,
    CompareOp.LE: operator.le,
    CompareOp.EQ: operator.eq,
    CompareOp.NE: operator.ne,
}
_MIRRORED: Final = {
    CompareOp.GT: CompareOp.LT,
    CompareOp.GE: CompareOp.LE,
    CompareOp.LT: CompareOp.GT,
    CompareOp.LE: CompareOp.GE,
    CompareOp.EQ: CompareOp.EQ,
    CompareOp.NE: CompareOp.NE,
}


def evaluate(condition: Condition, values: Values) -> Evaluation:
    match condition:
        case Comparison():
            reading = _compare(condition, values)
            return Evaluation(reading.result, reading)
        case Not(item):
            inner = evaluate(item, values)
            return Evaluation(None if inner.result is None else not inner.result, inner.reading)
        case And(items):
            return _kleene([evaluate(item, values) for item in items], decisive=False)
        case Or(items):
            return _kleene([evaluate(item, values) for item in items], decisive=True)


def _kleene(parts: list[Evaluation], *, decisive: bool) -> Evaluation:
    """One decisive part settles it; else an unknown part leaves it open; else the opposite holds."""
    for wanted in (decisive, None):
        for part in parts:
            if part.result is wanted:
                return part
    return parts[0]


def _compare(comparison: Comparison, values: Values) -> Reading:
    left, right, op = comparison.left, comparison.right, comparison.op
    if isinstance(left, Number):  # `80 < cpu_usage` is reported as `cpu_usage > 80`
        left, right, op = right, left, _MIRRORED[op]
    value, threshold = _read(left, values), _read(right, values)
    known = value is not None and threshold is not None
    result = _COMPARE[op](value, threshold) if known else None  # type: ignore[arg-type]
    return Reading(format_operand(left), op, value, threshold, result)


def _read(operand: Operand, values: Values) -> float | None:
    """NaN counts as missing: no comparison with it means anything."""
    match operand:
        case Number(value):
            return value
        case Metric(name):
            found = values.last(name)
        case Aggregate(function, name, window):
            found = values.aggregate(function, name, window)
        case SlaTerm(SlaFunction.BURN_RATE, window):
            found = values.burn_rate(window)
        case SlaTerm(_, window):
            found = values.budget_remaining(window)
    return None if found is None or math.isnan(found) else found
