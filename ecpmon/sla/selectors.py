"""Selectors as PromQL writes them: `requests_total{code="503"}`, and `{"any name", "label"="x"}`. Pure.

Only what a `Selector` can say: one metric and equality; everything else is refused with its position.
"""

from __future__ import annotations

import json
import re
from typing import Final

from pydantic import ValidationError

from ecpmon.model.objectives import Selector

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_STRING: Final = re.compile(r'"(?:[^"\\\n]|\\["\\ntr])*"')
_SPACE: Final = re.compile(r"\s*")
MAX_QUERY: Final = 8_000


class SelectorError(ValueError):
    """What is wrong with a query, and where (counted from 1)."""


def write(selector: Selector) -> str:
    """The selector as PromQL; names that PromQL cannot say plainly are quoted."""
    pairs = [f"{_label(k)}={_quoted(v)}" for k, v in sorted(selector.labels.items())]
    if _NAME.fullmatch(selector.metric):
        return selector.metric + ("{" + ",".join(pairs) + "}" if pairs else "")
    return "{" + ",".join([_quoted(selector.metric), *pairs]) + "}"


def _label(name: str) -> str:
    return name if _LABEL.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def error(self, message: str) -> SelectorError:
        return SelectorError(f"{message}, at character {self.at + 1}")

    def take(self, pattern: re.Pattern[str]) -> str | None:
        _skip = _SPACE.match(self.text, self.at)
        start = _skip.end() if _skip else self.at
        match = pattern.match(self.text, start)
        if match is None:
            return None
        self.at = match.end()
        return match.group()

    def takes(self, sign: str) -> bool:
        return self.take(re.compile(re.escape(sign))) is not None

    def string(self) -> str | None:
        """A quoted string; JSON has the same escapes."""
        raw = self.take(_STRING)
        return None if raw is None else str(json.loads(raw, strict=False))


def read(query: str) -> Selector:
    """The selector that `query` says. Raises SelectorError."""
    if len(query) > MAX_QUERY:
        raise SelectorError(f"is longer than {MAX_QUERY} characters")
    reader = _Reader(query)
    metric = reader.take(_NAME)
    labels: dict[str, str] = {}
    if reader.takes("{"):
        metric = _matchers(reader, metric, labels)
    if reader.take(_SPACE) is None or reader.at != len(query):
        raise reader.error("only a metric and equal labels are supported; found more")
    if not metric:
        raise reader.error("names no metric")
    try:
        return Selector(metric=metric, labels=labels)
    except ValidationError as error:
        raise SelectorError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def _matchers(reader: _Reader, metric: str | None, labels: dict[str, str]) -> str | None:
    """What stands between the braces; the metric, which may be there too."""
    while not reader.takes("}"):
        quoted = reader.string()
        name = quoted if quoted is not None else reader.take(_LABEL)
        if name is None:
            raise reader.error("expected a label or }")
        if reader.takes("="):
            value = reader.string()
            if value is None:
                raise reader.error('only label="value" is supported')
            if name in labels or name == "__name__":
                raise reader.error(f"{name[:40]} cannot be said here, or is said twice")
            labels[name] = value
        elif quoted is not None and metric is None:
            metric = quoted
        else:
            raise reader.error('only label="value" is supported')
        if not reader.takes(","):
            if not reader.takes("}"):
                raise reader.error("expected , or }")
            break
    return metric
