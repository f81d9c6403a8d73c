"""Files with history, line by line. Pure.

`victoria`: what VictoriaMetrics' `/api/v1/export` gives, a JSON object a line. `promtool`: what `promtool tsdb dump`
(milliseconds) and `promtool tsdb dump-openmetrics` (seconds) print. `csv`: columns `timestamp`, `metric_name` (or
`metric`) and `metric_value` (or `value`), the rest are labels; or `timestamp` and a column for each metric.
"""

from __future__ import annotations

import csv as csv_reader
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from ecpmon.collectors.history.runs import NAME, Run
from ecpmon.errors import BadRequest

_LABEL: Final = re.compile(r'\s*([a-zA-Z_:][\w:.]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
_SERIES: Final = re.compile(
    r"([a-zA-Z_:][\w:]*)?(\{(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*\})?[ \t]+(\S+)[ \t]+(\S+)"
)
# As Go quotes a text (`tsdb dump`), which holds what OpenMetrics escapes.
_ESCAPED: Final = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))")
_UNESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
# A number with a point is of seconds, as OpenMetrics has it; so is what would be before 1971 in milliseconds.
_SECONDS_BELOW: Final = 31_536_000_000
_NAMES, _VALUES, _TIMES = (
    ("metric_name", "metric", "__name__"),
    ("metric_value", "value"),
    ("timestamp", "time", "ts"),
)

# Reads a line; what it tells, or None. Raises BadRequest for what it cannot read.
Reader = Callable[[bytes], Run | Sequence[Run] | None]


class UnreadableLine(BadRequest):
    code = "UNREADABLE_LINE"


def victoria(line: bytes) -> Run | None:
    """A line of VictoriaMetrics' export."""
    if not line.strip():
        return None
    try:
        entry = orjson.loads(line)
        labels, values, at = entry["metric"], entry["values"], entry["timestamps"]
        if None in values:  # NaN and infinities
            values = [float("nan") if value is None else value for value in values]
        run = Run(labels, at, values)
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableLine(f"no line of an export of VictoriaMetrics: {_start(line)}") from error
    if not (
        isinstance(labels, dict) and len(at) == len(values) and _numbers(at, int) and _numbers(values, float)
    ):
        raise UnreadableLine(f"no line of an export of VictoriaMetrics: {_start(line)}")
    return run


class Promtool:
    """Lines of a dump; lines of the same series share their labels."""

    def __init__(self) -> None:
        # By what stands before value and time.
        self._known: dict[bytes, dict[str, str]] = {}

    def __call__(self, line: bytes) -> Run | None:
        parts = line.rsplit(None, 2)
        labels = self._known.get(parts[0]) if len(parts) == 3 else None
        try:
            if labels is not None:
                return Run(labels, (_instant(parts[2].decode()),), (float(parts[1]),))
            return self._new(line, parts[0] if parts else b"")
        except ValueError as error:
            raise UnreadableLine(f"no line of a dump of promtool: {_start(line)}") from error

    def _new(self, line: bytes, head: bytes) -> Run | None:
        """Raises ValueError."""
        text = line.decode("utf-8", "replace").strip()
        if not text or text.startswith("#"):
            return None
        found = _SERIES.match(text)
        if found is None:
            raise ValueError(text)
        labels = _labels(found[1] or "", (found[2] or "")[1:-1])
        run = Run(labels, (_instant(found[4]),), (float(found[3]),))
        if found.end() == len(text) and text[: found.start(3)].rstrip() == head.decode("utf-8", "replace"):
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[head] = labels
        return run


def _labels(name: str, inner: str) -> dict[str, str]:
    found, place = {NAME: name} if name else {}, 0
    while place < len(inner):
        pair = _LABEL.match(inner, place)
        if pair is None:
            if inner[place:].strip():
                raise ValueError(inner)
            break
        found[pair[1]] = _ESCAPED.sub(_meant, pair[2])
        place = pair.end()
    return found


def _meant(escaped: re.Match[str]) -> str:
    """Raises ValueError: no character has that number."""
    number = escaped[1] or escaped[2] or escaped[3]
    return chr(int(number, 16)) if number else _UNESCAPED.get(escaped[4], escaped[4])


class Csv:
    """Lines below the head, which is the first; lines of the same series share their labels."""

    def __init__(self, head: bytes) -> None:
        """Raises BadRequest for a head without the columns that are needed."""
        self._head = [name.strip() for name in _fields(head)]
        places = {name: place for place, name in enumerate(self._head)}
        time, self._name, self._value = (_first(places, names) for names in (_TIMES, _NAMES, _VALUES))
        if time is None or (self._name is None) is not (self._value is None):
            raise UnreadableLine(
                "the head of the CSV needs timestamp, and either metric_name and metric_value or a column per metric"
            )
        self._time = time
        self._columns = [(place, {NAME: name}) for place, name in enumerate(self._head) if place != time]
        self._known: dict[tuple[str, ...], dict[str, str]] = {}

    def __call__(self, line: bytes) -> Run | list[Run] | None:
        if not line.strip():
            return None
        fields = _fields(line)
        try:
            if len(fields) != len(self._head):
                raise ValueError
            at = (_instant(fields[self._time]),)
            if self._name is not None and self._value is not None:
                value = (float(fields[self._value]),)
                fields[self._time] = fields[self._value] = ""
                return Run(self._labels(tuple(fields)), at, value)
            return [
                Run(labels, at, (float(fields[place]),)) for place, labels in self._columns if fields[place]
            ]
        except ValueError as error:
            raise UnreadableLine(f"no row of this CSV: {_start(line)}") from error

    def _labels(self, fields: tuple[str, ...]) -> dict[str, str]:
        labels = self._known.get(fields)
        if labels is None:
            # Time and value are empty by now.
            labels = {
                name: text
                for place, (name, text) in enumerate(zip(self._head, fields, strict=True))
                if place != self._name and text
            }
            labels[NAME] = fields[self._name or 0]
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[fields] = labels
        return labels


def prometheus(answer: Any) -> Iterator[Run]:
    """The answer of Prometheus to an instant query of a range. Raises BadRequest for any other."""
    try:
        for series in answer["data"]["result"]:
            pairs = series["values"]
            yield Run(
                series["metric"], [round(float(at) * 1000) for at, _ in pairs], [float(v) for _, v in pairs]
            )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableLine("the answer is none of Prometheus' to a query of a range") from error


def _numbers(values: Any, kind: type) -> bool:
    return isinstance(values, list) and {int, kind}.issuperset(set(map(type, values)))


def _instant(text: str) -> int:
    """Milliseconds since 1970, of a number or of RFC 3339. Raises ValueError."""
    if len(text) == 13 and text.isascii() and text.isdigit():
        return int(text)
    try:
        number = float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    if number != number or abs(number) > 1e15:
        raise ValueError(text)
    return round(number * 1000) if "." in text or abs(number) < _SECONDS_BELOW else int(number)


def _fields(line: bytes) -> list[str]:
    text = line.decode("utf-8-sig", "replace").rstrip("\r\n")
    # Without quotes a row is what stands between its commas, which takes a third of the time.
    return next(csv_reader.reader([text])) if '"' in text else text.split(",")


def _first(places: dict[str, int], names: Sequence[str]) -> int | None:
    return next((places[name] for name in names if name in places), None)


def _start(line: bytes) -> str:
    return repr(line[:80].decode("utf-8", "replace"))
