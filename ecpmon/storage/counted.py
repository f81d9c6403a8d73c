"""What is counted for an objective: its series, whose readings count when, and the minutes they make."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ecpmon.model.samples import Source
from ecpmon.sla.births import Track
from ecpmon.sla.counters import MINUTE, Found, latency_minutes, request_minutes
from ecpmon.sla.growth import Begun, Reading
from ecpmon.storage.regimes import Regime, regime_at

RESPONSE_TIME: Final = "response_time"
# Endings of a counter's name, and of that of what says when it began.
_ENDINGS: Final = ("_total", "_bucket", "_count", "_sum")
_CREATED: Final = "_created"
# Of a bucket's labels, the one that tells it from the other buckets, which began together with it.
_BOUND: Final = "le"
# Instants that a counter may name as its beginning: until 2200.
_LATEST: Final = 7.26e9
# One series of a source: source, metric, labels.
_Identity = tuple[Source, str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """`[start, end)` of one tenant, whole minutes; `number` as the queries count them."""

    number: int
    tenant: int
    start: datetime
    end: datetime

    @property
    def minutes(self) -> Iterator[datetime]:
        at = self.start
        while at < self.end:
            yield at
            at += MINUTE


@dataclass(frozen=True, slots=True)
class Voices:
    """Which source counts for an objective, and how long its readings hold."""

    regimes: Sequence[Regime]
    # A source that the objective names, instead of the tenant's evidence.
    fixed: Source | None
    holds: timedelta

    def of(self, source: Source, ts: datetime) -> tuple[datetime | None, timedelta] | None:
        """(era, holds) of a reading; None when its source does not count then. Eras are not compared."""
        if self.fixed is not None:
            return (None, self.holds) if source is self.fixed else None
        regime = regime_at(self.regimes, ts)
        if regime.source is not source:
            return None
        era = regime.valid_from
        for earlier in reversed([r for r in self.regimes if r.valid_from < regime.valid_from]):
            if earlier.source is not source:
                break
            era = earlier.valid_from
        return era, regime.holds

    @property
    def reach(self) -> timedelta:
        """The longest that any reading may hold."""
        return self.holds if self.fixed is not None else max(r.holds for r in self.regimes)


@dataclass(slots=True)
class Counted:
    """One objective and its series: number -> source, by role."""

    key: int
    tenant: int
    indicator: Mapping[str, Any]
    voices: Voices
    holes_until: datetime | None = None
    whole: dict[int, Source] = field(default_factory=dict)
    part: dict[int, Source] = field(default_factory=dict)
    # Series that say when counters began, and who is meant by each.
    _begun: dict[_Identity, int] = field(default_factory=dict)
    _meant: dict[int, _Identity] = field(default_factory=dict)

    @property
    def counters(self) -> set[int]:
        """What is counted; of a response time nothing is."""
        return set() if self.indicator["kind"] == "latency" else self.whole.keys() | self.part.keys()

    @property
    def series(self) -> set[int]:
        """Everything that is read."""
        return self.whole.keys() | self.part.keys() | set(self._begun.values())

    @property
    def names(self) -> set[str]:
        """The metrics that are read."""
        found = {s["metric"] for s in self.metrics().values()}
        return found if self.indicator["kind"] == "latency" else found | {created_of(name) for name in found}

    def metrics(self) -> dict[str, Mapping[str, Any]]:
        """role -> selector"""
        if self.indicator["kind"] == "latency":
            return {"whole": {"metric": RESPONSE_TIME, "labels": {}}}
        part = self.indicator.get("bad") or self.indicator["good"]
        return {"whole": self.indicator["total"], "part": part}

    def take(self, row: Any) -> None:
        """Whether a series of the tenant is one of ours."""
        if row["data_source"] not in Source.__members__.values():
            return
        source = Source(row["data_source"])
        if self.voices.fixed not in (None, source):
            return
        latency = self.indicator["kind"] == "latency"
        if row["metric_name"].endswith(_CREATED) and row["metric_name"] in self.names:
            self._begun[source, row["metric_name"], _without_bound(row["labels"])] = row["id"]
        for role, selector in self.metrics().items():
            exact = not latency or not row["labels"]
            if row["metric_name"] == selector["metric"] and exact and _carries(row["labels"], selector):
                (self.whole if role == "whole" else self.part)[row["id"]] = source
                created = (source, created_of(row["metric_name"]), _without_bound(row["labels"]))
                self._meant[row["id"]] = created

    def minutes(
        self,
        readings: Mapping[int, Sequence[tuple[datetime, float]]],
        stretch: Stretch,
        old: Collection[int] = (),
    ) -> tuple[Found, datetime | None]:
        """What a stretch holds, and the first instant anything of the whole was read.

        `old`: series that were there before all of these readings.
        """
        tracks = self._tracks(readings, old)
        whole = [t for t in tracks if t.whole]
        first = min((r.ts for t in whole for r in t.readings if not r.is_marker), default=None)
        if self.indicator["kind"] == "latency":
            flat = [r for t in whole for r in t.readings]
            limit = float(self.indicator["threshold_ms"])
            return Found(latency_minutes(flat, limit, stretch.start, stretch.end)), first
        bad = "bad" in self.indicator
        return request_minutes(tracks, bad, stretch.start, stretch.end), first

    def _tracks(
        self, readings: Mapping[int, Sequence[tuple[datetime, float]]], old: Collection[int]
    ) -> list[Track]:
        """One per series and era: an increase across a change of source would be counted by both.

        What was read of a series while its source did not count shows that it was there.
        """
        tracks: list[Track] = []
        for series, source in (self.whole | self.part).items():
            eras: dict[datetime | None, list[Reading]] = {}
            older: dict[datetime | None, bool] = {}
            known = series in old
            for ts, value in readings.get(series, ()):
                voice = self.voices.of(source, ts)
                if voice is not None:
                    older.setdefault(voice[0], known or bool(eras))
                    eras.setdefault(voice[0], []).append(Reading(ts, value, voice[1]))
                known = known or voice is None
            begun = self._begun_by(series, readings)
            tracks += [
                Track(found, series in self.whole, series in self.part, begun, older[era], era)
                for era, found in eras.items()
            ]
        return tracks

    def _begun_by(self, series: int, readings: Mapping[int, Sequence[tuple[datetime, float]]]) -> Begun:
        """What was said of when a counter began."""
        told = self._begun.get(self._meant[series])
        if told is None:
            return ()
        return [(ts, _beginning(v)) for ts, v in readings.get(told, ()) if 0 <= v < _LATEST]


def created_of(metric: str) -> str:
    """The metric that says when a counter began, as OpenMetrics names it: `x_created` of `x_total`."""
    for ending in _ENDINGS:
        if metric.endswith(ending):
            return metric.removesuffix(ending) + _CREATED
    return metric + _CREATED


def _without_bound(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((k, str(v)) for k, v in labels.items() if k != _BOUND)


def _beginning(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _carries(labels: Mapping[str, str], selector: Mapping[str, Any]) -> bool:
    return all(labels.get(k) == v for k, v in selector.get("labels", {}).items())
