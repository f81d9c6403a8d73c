"""The syntax tree of conditions: frozen values, their canonical text, and what they read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

KEYWORDS: Final = frozenset({"and", "or", "not"})
PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_:.]*")
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


class AggFunction(StrEnum):
    """Over the samples of `(now - window, now]`. `rate` is the per-second increase of a counter."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    LAST = "last"
    RATE = "rate"


class SlaFunction(StrEnum):
    """`burn_rate`: times the sustainable speed; `budget_remaining`: percent, signed."""

    BURN_RATE = "burn_rate"
    BUDGET_REMAINING = "budget_remaining"


class CompareOp(StrEnum):
    GT = ">"
    GE = ">="
    LT = "<"
    LE = "<="
    EQ = "=="
    NE = "!="


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Metric:
    """The last value of a metric, when it is fresh. `name` is canonical."""

    name: str


@dataclass(frozen=True, slots=True)
class Aggregate:
    function: AggFunction
    name: str
    window: timedelta


@dataclass(frozen=True, slots=True)
class SlaTerm:
    function: SlaFunction
    window: timedelta


Term = Metric | Aggregate | SlaTerm
Operand = Number | Term


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Operand
    op: CompareOp
    right: Operand


@dataclass(frozen=True, slots=True)
class Not:
    item: Condition


@dataclass(frozen=True, slots=True)
class And:
    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    items: tuple[Condition, ...]


Condition = Comparison | Not | And | Or


def format_number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def format_duration(window: timedelta) -> str:
    """Whole seconds in the largest unit that divides them: `90m`, `1h`, `30d`."""
    seconds = round(window.total_seconds())
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"


def format_name(name: str) -> str:
    plain = PLAIN_NAME.fullmatch(name) and name.lower() not in KEYWORDS
    return name if plain else f'"{name}"'


def format_operand(operand: Operand) -> str:
    match operand:
        case Number(value):
            return format_number(value)
        case Metric(name):
            return format_name(name)
        case Aggregate(function, name, window):
            return f"{function}({format_name(name)}, {format_duration(window)})"
        case SlaTerm(function, window):
            return f"{function}({format_duration(window)})"


def to_text(condition: Condition) -> str:
    """The canonical text; parsing it gives an equal tree."""
    match condition:
        case Comparison(left, op, right):
            return f"{format_operand(left)} {op} {format_operand(right)}"
        case Not(item):
            return f"not {_grouped(item, And, Or)}"
        case And(items):
            return " and ".join(_grouped(item, And, Or) for item in items)
        case Or(items):
            return " or ".join(_grouped(item, Or) for item in items)


def _grouped(item: Condition, *loose: type) -> str:
    return f"({to_text(item)})" if isinstance(item, loose) else to_text(item)


@dataclass(frozen=True, slots=True)
class References:
    """What must be looked up to evaluate a condition."""

    metrics: frozenset[Metric] = frozenset()
    aggregates: frozenset[Aggregate] = frozenset()
    sla: frozenset[SlaTerm] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """Every metric read, in whichever way."""
        return frozenset(item.name for item in self.metrics | self.aggregates)

    @property
    def longest_window(self) -> timedelta:
        """How far back samples are read (SLA windows are not samples)."""
        return max((item.window for item in self.aggregates), default=timedelta(0))


def references(condition: Condition) -> References:
    terms = set(_terms(condition))
    return References(
        metrics=frozenset(term for term in terms if isinstance(term, Metric)),
        aggregates=frozenset(term for term in terms if isinstance(term, Aggregate)),
        sla=frozenset(term for term in terms if isinstance(term, SlaTerm)),
    )


def _terms(condition: Condition) -> Iterator[Term]:
    match condition:
        case Comparison(left, _, right):
            yield from (side for side in (left, right) if not isinstance(side, Number))
        case Not(item):
            yield from _terms(item)
        case And(items) | Or(items):
            for item in items:
                yield from _terms(item)
