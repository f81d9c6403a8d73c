"""What a PromQL expression reads: its selectors, found without evaluating anything. Pure.

`timestamp(x)` is the time of a sample for a plain selector alone; of anything else it is that of the evaluation. So how
old the samples behind an expression are is asked of the selectors in it, one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
      | (?P<number>\.?[0-9][0-9A-Za-z_.]*)
      | (?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
      | (?P<other>=~|!~|!=|==|<=|>=|[-+*/%^=<>(){}\[\],@:])""",
    re.VERBOSE,
)
_GROUPINGS: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS: Final = frozenset({"and", "or", "unless", "bool", "atan2", "offset", "inf", "nan"})
_AGGREGATIONS: Final = frozenset(
    {"sum", "avg", "min", "max", "count", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values", "group"}
)  # fmt: skip
_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Selector:
    """One vector selector. `text` as it stands, without its range; `offset` in seconds."""

    text: str
    offset: float = 0.0

    def age_by(self, labels: Sequence[str]) -> str:
        """When its newest sample was taken, in seconds since 1970 and moved on by the offset, by these labels."""
        moved = f" + {self.offset:g}" if self.offset else ""
        return f"max by ({', '.join(map(named, labels))}) (timestamp({self.text})){moved}"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


@lru_cache(maxsize=4096)
def selectors(expression: str) -> tuple[Selector, ...]:
    """The selectors of an expression, each once; not those that `@` fixes to one instant.

    Raises ValueError for what is no PromQL as far as that can be seen from here: characters that do not belong there,
    brackets that do not match, a selector without the name of a metric.
    """
    tokens = _tokens(expression)
    found: dict[str, Selector] = {}
    at = 0
    while at < len(tokens):
        end = _selector_end(tokens, at)
        if end == at:
            at = _after(tokens, at)
            continue
        text = expression[tokens[at].start : tokens[end - 1].end]
        at, offset, fixed, written = _modifiers(tokens, end)
        if not fixed:
            found.setdefault(text + written, Selector(text + written, offset))
    return tuple(found.values())


def named(label: str) -> str:
    """A label's name as PromQL writes it: others than the classic ones are quoted (Prometheus 3)."""
    return label if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", label) else quoted(label)


def quoted(value: str) -> str:
    """A label's value as PromQL writes it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def one_of(values: Sequence[str]) -> str:
    """A regular expression that matches these values and nothing else."""
    return "|".join(_literal(value) for value in values)


def _literal(value: str) -> str:
    # Of RE2: all else stands for itself. A line break would end a string of PromQL.
    return re.sub(r"[.|*+?()\[\]{}^$\\\n]", lambda found: f"\\x{{{ord(found.group()):x}}}", value)


def _tokens(expression: str) -> list[_Token]:
    found: list[_Token] = []
    open_: list[str] = []
    at = 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"{expression[at : at + 20]!r} is no PromQL")
        kind, text = match.lastgroup or "", match.group()
        if kind != "space":
            found.append(_Token(kind, text, at, match.end()))
        if kind == "other" and text in _CLOSING:
            open_.append(_CLOSING[text])
        elif kind == "other" and text in _CLOSING.values() and (not open_ or open_.pop() != text):
            raise ValueError("its brackets do not match")
        at = match.end()
    if open_:
        raise ValueError("its brackets do not match")
    return found


def _selector_end(tokens: Sequence[_Token], at: int) -> int:
    """Behind the selector that begins at `at`, without range and modifiers; `at` where none does."""
    token, follows = tokens[at], tokens[at + 1].text if at + 1 < len(tokens) else ""
    if token.kind == "other" and token.text == "{":
        if tokens[at + 1].kind != "string" and not any(
            a.text == "__name__" and b.text == "=" for a, b in pairwise(tokens[at : _closed(tokens, at)])
        ):
            raise ValueError("a selector names no metric")
        return _closed(tokens, at)
    if token.kind != "name" or token.text.lower() in _WORDS | _GROUPINGS or follows == "(":
        return at
    if token.text.lower() in _AGGREGATIONS and follows.lower() in ("by", "without"):
        return at
    return _closed(tokens, at + 1) if follows == "{" else at + 1


def _after(tokens: Sequence[_Token], at: int) -> int:
    """Behind what is no selector: with the labels of a grouping, a range behind brackets, an offset or an instant."""
    text = tokens[at].text.lower()
    follows = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if text in _GROUPINGS and follows == "(":
        return _closed(tokens, at + 1)
    if text == "[":
        return _closed(tokens, at)
    if text in ("offset", "@"):
        return _modifiers(tokens, at)[0]
    return at + 1


def _closed(tokens: Sequence[_Token], at: int) -> int:
    """Behind the bracket that closes the one at `at`."""
    depth = 0
    while True:
        depth += (tokens[at].text in _CLOSING) - (tokens[at].text in _CLOSING.values())
        at += 1
        if not depth:
            return at


def _modifiers(tokens: Sequence[_Token], at: int) -> tuple[int, float, bool, str]:
    """Behind range, offset and instant; the offset; whether an instant is named; the offset as it is written."""
    offset, fixed, written = 0.0, False, ""
    while at < len(tokens):
        text = tokens[at].text.lower()
        if text == "[":
            at = _closed(tokens, at)
        elif text == "offset":
            negative = at + 1 < len(tokens) and tokens[at + 1].text == "-"
            at += 2 if negative else 1
            if at >= len(tokens):
                raise ValueError("an offset names no duration")
            offset = seconds(tokens[at].text) * (-1 if negative else 1)
            written = f" offset {'-' if negative else ''}{tokens[at].text}"
            at += 1
        elif text == "@":
            fixed, at = True, at + 2
            if at < len(tokens) and tokens[at].text == "(":
                at = _closed(tokens, at)
        else:
            break
    return at, offset, fixed, written


def seconds(duration: str) -> float:
    """`1h30m` in seconds. Raises ValueError."""
    if not re.fullmatch(r"(?:\d+(?:ms|[smhdwy]))+", duration):
        raise ValueError(f"{duration[:20]!r} is no duration")
    return sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))
