"""Conditions as users write them: parsed when saved, refused with the column. Pure.

    condition  = and-chain { "or" and-chain }
    and-chain  = item { "and" item }
    item       = "not" item | "(" condition ")" | operand compare operand
    compare    = ">" | ">=" | "<" | "<=" | "==" | "!="
    operand    = number | metric
               | ("avg" | "min" | "max" | "last" | "rate") "(" metric "," duration ")"
               | ("burn_rate" | "budget_remaining") "(" duration ")"
    metric     = name | '"' any name '"'          (quotes for names such as "대기열" or "queue-depth")
    duration   = integer ("s" | "m" | "h" | "d")

At least one side of a comparison reads something. There is no arithmetic, and nothing is ever executed:
this is the whole language (ecosystem.md, Others: evaluator libraries have known escapes).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Final

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
    format_duration,
)
from ecpmon.alerts.tokens import ConditionError, Token, TokenKind, tokenise
from ecpmon.names import CANONICAL_METRICS, SIM_TENANT_READY

__all__ = ["MAX_DEPTH", "SIMULATOR_METRICS", "ConditionError", "known_metrics", "parse"]

MAX_DEPTH: Final = 16
SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
# Names of api.md §8 that the simulator reports beside the canonical ones.
SIMULATOR_METRICS: Final = frozenset({"network_rps", SIM_TENANT_READY})
_AGG_BOUNDS: Final = (timedelta(seconds=1), timedelta(hours=24))
# The longest window the SLA engine looks at; a longer one would be answered from part of its data.
_SLA_BOUNDS: Final = {
    SlaFunction.BURN_RATE: (timedelta(minutes=1), timedelta(days=30)),
    SlaFunction.BUDGET_REMAINING: (timedelta(hours=1), timedelta(days=30)),
}


def known_metrics(own: Iterable[str] = ()) -> frozenset[str]:
    """Names a condition may read: the canonical ones, the simulator's, and the tenant's `own` series."""
    return frozenset(CANONICAL_METRICS) | SIMULATOR_METRICS | frozenset(own)


def parse(text: str, known: Collection[str] | None = None) -> Condition:
    """The tree of `text`. Names outside `known` (default: `known_metrics()`) are refused.

    Short names come out canonical (`cpu` → `cpu_usage`). Raises ConditionError with the column.
    """
    parser = _Parser(tokenise(text), known_metrics() if known is None else known)
    condition = parser.chain(depth=0)
    parser.expect_end()
    return condition


class _Parser:
    """Recursive descent over the tokens; `depth` counts open parentheses and `not`s."""

    def __init__(self, tokens: list[Token], known: Collection[str]) -> None:
        self._tokens = tokens
        self._known = known
        self._next = 0

    def chain(self, depth: int) -> Condition:
        items = [self._and_chain(depth)]
        while self._accept("or"):
            items.append(self._and_chain(depth))
        return items[0] if len(items) == 1 else Or(tuple(items))

    def expect_end(self) -> None:
        token = self._peek()
        if token.kind is not TokenKind.END:
            raise ConditionError(token.position, f"expected 'and', 'or' or the end, found {token}")

    def _and_chain(self, depth: int) -> Condition:
        items = [self._item(depth)]
        while self._accept("and"):
            items.append(self._item(depth))
        return items[0] if len(items) == 1 else And(tuple(items))

    def _item(self, depth: int) -> Condition:
        start = self._peek()
        if depth > MAX_DEPTH:
            raise ConditionError(start.position, f"nested deeper than {MAX_DEPTH} levels")
        if self._accept("not"):
            return Not(self._item(depth + 1))
        if self._accept("("):
            condition = self.chain(depth + 1)
            self._expect(")")
            return condition
        return self._comparison()

    def _comparison(self) -> Comparison:
        start = self._peek()
        left = self._operand()
        token = self._advance()
        if token.kind is not TokenKind.COMPARE:
            raise ConditionError(token.position, f"expected a comparison such as > or <=, found {token}")
        right = self._operand()
        if isinstance(left, Number) and isinstance(right, Number):
            raise ConditionError(start.position, "this compares two numbers and reads no metric")
        return Comparison(left, CompareOp(token.text), right)

    def _operand(self) -> Operand:
        token = self._advance()
        match token.kind:
            case TokenKind.NUMBER:
                return _number(token)
            case TokenKind.NAME if self._accept("("):
                return self._call(token)
            case TokenKind.NAME | TokenKind.QUOTED:
                return Metric(self._name(token))
            case TokenKind.DURATION:
                raise ConditionError(token.position, f"{token} is a duration; a number is compared here")
            case _:
                raise ConditionError(token.position, f"expected a metric or a number, found {token}")

    def _call(self, function: Token) -> Aggregate | SlaTerm:
        """What follows `function (`."""
        name = function.text
        if name in set(SlaFunction):
            window = _duration(self._advance(), *_SLA_BOUNDS[SlaFunction(name)])
            self._expect(")")
            return SlaTerm(SlaFunction(name), window)
        if name not in set(AggFunction):
            functions = [item.value for item in (*AggFunction, *SlaFunction)]
            raise ConditionError(
                function.position, f"there is no function {name!r}{_suggestion(name, functions)}"
            )
        metric = self._advance()
        if metric.kind not in (TokenKind.NAME, TokenKind.QUOTED):
            raise ConditionError(metric.position, f"{name} takes a metric and a duration, found {metric}")
        canonical = self._name(metric)
        self._expect(",")
        window = _duration(self._advance(), *_AGG_BOUNDS)
        self._expect(")")
        return Aggregate(AggFunction(name), canonical, window)

    def _name(self, token: Token) -> str:
        if token.text in self._known:
            return CANONICAL_METRICS.get(token.text, ("", token.text))[1]
        if token.text.lower() in ("nan", "inf", "infinity"):
            raise ConditionError(token.position, f"{token.text!r} is not a finite number")
        suggestion = _suggestion(token.text, self._known)
        raise ConditionError(token.position, f"unknown metric {token.text!r}{suggestion}")

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _advance(self) -> Token:
        token = self._tokens[self._next]
        if token.kind is not TokenKind.END:
            self._next += 1
        return token

    def _accept(self, text: str) -> bool:
        token = self._peek()
        if token.kind not in (TokenKind.KEYWORD, TokenKind.PUNCTUATION) or token.text != text:
            return False
        self._next += 1
        return True

    def _expect(self, text: str) -> None:
        token = self._peek()
        if not self._accept(text):
            raise ConditionError(token.position, f"expected {text!r}, found {token}")


def _number(token: Token) -> Number:
    value = float(token.text)
    if not math.isfinite(value):
        raise ConditionError(token.position, f"{token.text!r} is too large a number")
    return Number(value)


def _duration(token: Token, shortest: timedelta, longest: timedelta) -> timedelta:
    unit = token.text[-1:]
    if token.kind is not TokenKind.DURATION or not token.text[:-1].isdigit() or unit not in SECONDS:
        raise ConditionError(token.position, f"expected a duration such as 30s, 5m, 2h or 1d, found {token}")
    seconds = int(token.text[:-1]) * SECONDS[unit]
    if not shortest.total_seconds() <= seconds <= longest.total_seconds():
        bounds = f"{format_duration(shortest)} to {format_duration(longest)}"
        raise ConditionError(token.position, f"the duration {token.text!r} is outside {bounds}")
    return timedelta(seconds=seconds)


def _suggestion(name: str, candidates: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(candidates), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
