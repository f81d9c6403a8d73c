"""Selectors as PromQL writes them: `requests_total{code=~"5.."}`, and `{"any name", "label"="x"}`. Pure.

Only what a `Selector` can say: one metric, and one matcher for each label; everything else is refused with its
position.
"""

from __future__ import annotations

import json
import re
from typing import Final

from pydantic import ValidationError

from ecpmon.model.objectives import Match, Selector

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_STRING: Final = re.compile(r'"(?:[^"\\\n]|\\["\\ntr])*"')
_OPERATOR: Final = re.compile(r"=~|!~|!=|=")
# Each but equality, as a `Match` calls it.
_KINDS: Final = {"!=": "ne", "=~": "re", "!~": "nre"}
_SPACE: Final = re.compile(r"\s*")
MAX_QUERY: Final = 8_000


class SelectorError(ValueError):
    """What is wrong with a query, and where (counted from 1)."""


def write(selector: Selector) -> str:
    """The selector as PromQL; names that PromQL cannot say plainly are quoted."""
    pairs = [f"{_label(k)}{_matcher(v)}" for k, v in sorted(selector.labels.items())]
    if _NAME.fullmatch(selector.metric):
        return selector.metric + ("{" + ",".join(pairs) + "}" if pairs else "")
    return "{" + ",".join([_quoted(selector.metric), *pairs]) + "}"


def _matcher(wanted: str | Match) -> str:
    if isinstance(wanted, str):
        return f"={_quoted(wanted)}"
    if wanted.ne is not None:
        return f"!={_quoted(wanted.ne)}"
    return f"=~{_quoted(wanted.re)}" if wanted.re is not None else f"!~{_quoted(wanted.nre or '')}"


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
    labels: dict[str, str | Match] = {}
    if reader.takes("{"):
        metric = _matchers(reader, metric, labels)
    if reader.take(_SPACE) is None or reader.at != len(query):
        raise reader.error("only a metric and its labels are supported; found more")
    if not metric:
        raise reader.error("names no metric")
    try:
        return Selector(metric=metric, labels=labels)
    except ValidationError as error:
        raise SelectorError(_told(error)) from error


def _match(reader: _Reader, kind: str, value: str) -> Match:
    try:
        return Match.model_validate({kind: value})
    except ValidationError as error:
        raise reader.error(_told(error)) from error


def _told(error: ValidationError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ")


def _matchers(reader: _Reader, metric: str | None, labels: dict[str, str | Match]) -> str | None:
    """What stands between the braces; the metric, which may be there too."""
    while not reader.takes("}"):
        quoted = reader.string()
        name = quoted if quoted is not None else reader.take(_LABEL)
        if name is None:
            raise reader.error("expected a label or }")
        operator = reader.take(_OPERATOR)
        if operator is not None:
            value = reader.string()
            if value is None:
                raise reader.error('expected a text in "')
            if name in labels or name == "__name__":
                raise reader.error(f"{name[:40]} cannot be said here, or is said twice")
            labels[name] = value if operator == "=" else _match(reader, _KINDS[operator], value)
        elif quoted is not None and metric is None:
            metric = quoted
        else:
            raise reader.error("expected =, !=, =~ or !~")
        if not reader.takes(","):
            if not reader.takes("}"):
                raise reader.error("expected , or }")
            break
    return metric
