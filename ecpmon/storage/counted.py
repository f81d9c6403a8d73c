"""What is counted for an objective: its series, whose readings count when, and the minutes they make."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from ecpmon.model.objectives import BOUND, CREATED, Counters, Objective, created_of
from ecpmon.model.samples import Source
from ecpmon.sla.counters import MINUTE, Found, latency_minutes, request_minutes
from ecpmon.sla.growth import Begun, Reading
from ecpmon.sla.tracks import Track
from ecpmon.storage.regimes import Regime, regime_at

RESPONSE_TIME: Final = "response_time"
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


@dataclass
class Counted:
    """One objective and its series: number -> source, by role."""

    key: int
    tenant: int
    indicator: Mapping[str, Any]
    voices: Voices
    holes_until: datetime | None = None
    part_known: bool | None = None
    # When the total was read first, as far as that was counted.
    first_at: datetime | None = None
    whole: dict[int, Source] = field(default_factory=dict)
    part: dict[int, Source] = field(default_factory=dict)
    # Series that say when counters began, and who is meant by each.
    _begun: dict[_Identity, int] = field(default_factory=dict)
    _meant: dict[int, _Identity] = field(default_factory=dict)
    # Whether there is any series of the metric of what is good or bad that has the labels asked for.
    _named: bool = False

    @property
    def counters(self) -> set[int]:
        """What is counted; of a response time nothing is."""
        return set() if self.selected is None else self.whole.keys() | self.part.keys()

    @property
    def series(self) -> set[int]:
        """Everything that is read."""
        return self.whole.keys() | self.part.keys() | set(self._begun.values())

    @cached_property
    def names(self) -> set[str]:
        """The metrics that are read."""
        if self.selected is None:
            return {RESPONSE_TIME}
        found = {self.selected.whole.metric, self.selected.part.metric}
        return found | {created_of(name) for name in found}

    @cached_property
    def selected(self) -> Counters | None:
        """The counters; None for the share of time in which `response_time` was within the threshold."""
        return Objective.model_validate({"name": "x", "target": 0.5, **self.indicator}).counters

    @property
    def finds_part(self) -> bool:
        """Whether what is good or bad is counted, or only waits for its first event: somebody counts under its name,
        by the labels that are asked for.

        The buckets of a histogram are born together, so that one that is not there is no bucket.
        """
        if self.selected is None or self.part:
            return True
        return self.selected.bound is None and self._named

    def take(self, row: Any) -> None:
        """Whether a series of the tenant is one of ours."""
        if row["data_source"] not in Source.__members__.values():
            return
        source = Source(row["data_source"])
        if self.voices.fixed not in (None, source):
            return
        metric, labels = row["metric_name"], row["labels"]
        if self.selected is None:
            if metric == RESPONSE_TIME and not labels:
                self.whole[row["id"]] = source
            return
        if metric not in self.names or not all(isinstance(text, str) for text in labels.values()):
            return
        if metric.endswith(CREATED):
            self._begun[source, metric, _without_bound(labels)] = row["id"]
        if metric == self.selected.part.metric:
            self._named = self._named or self.selected.part.may_be_beside(labels)
            if self.selected.is_part(labels):
                self._take(self.part, row["id"], source, metric, labels)
        if metric == self.selected.whole.metric and self.selected.whole.matches(labels):
            self._take(self.whole, row["id"], source, metric, labels)

    def _take(
        self, members: dict[int, Source], series: int, source: Source, metric: str, labels: Mapping[str, str]
    ) -> None:
        members[series] = source
        self._meant[series] = (source, created_of(metric), _without_bound(labels))

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
        if self.selected is None:
            flat = [r for t in whole for r in t.readings]
            limit = float(self.indicator["threshold_ms"])
            return Found(latency_minutes(flat, limit, stretch.start, stretch.end)), first
        found = request_minutes(tracks, self.selected.part_is_bad, stretch.start, stretch.end, self.first_at)
        return found, first

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
            begun, meant = self._begun_by(series, readings), self._meant.get(series)
            labels = None if meant is None else self._process_labels(meant[2])
            tracks += [
                Track(found, series in self.whole, series in self.part, begun, older[era], era, meant, labels)
                for era, found in eras.items()
            ]
        return tracks

    def _process_labels(self, labels: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Those that may name a process: what is selected by tells its requests apart."""
        selected = self.selected
        if selected is None:
            return labels
        named = selected.whole.labels.keys() | selected.part.labels.keys()
        return frozenset(pair for pair in labels if pair[0] not in named)

    def _begun_by(self, series: int, readings: Mapping[int, Sequence[tuple[datetime, float]]]) -> Begun:
        """What was said of when a counter began."""
        told = self._begun.get(self._meant[series]) if self._begun else None
        if told is None:
            return ()
        return [(ts, _beginning(v)) for ts, v in readings.get(told, ()) if 0 <= v < _LATEST]


def _without_bound(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Of a bucket, what it has in common with the other buckets, which began together with it."""
    return frozenset((k, v) for k, v in labels.items() if k != BOUND)


def _beginning(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
