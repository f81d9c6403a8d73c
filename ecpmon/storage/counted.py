"""What is counted for an objective: its series, whose readings count when, and the minutes they make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.model.objectives import Counts
from ecpmon.model.samples import Source
from ecpmon.sla.counters import MINUTE, Reading, latency_minutes, request_minutes
from ecpmon.storage.regimes import Regime, regime_at

RESPONSE_TIME: Final = "response_time"


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
    whole: dict[int, Source] = field(default_factory=dict)
    part: dict[int, Source] = field(default_factory=dict)

    @property
    def series(self) -> set[int]:
        return self.whole.keys() | self.part.keys()

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
        for role, selector in self.metrics().items():
            exact = not latency or not row["labels"]
            if row["metric_name"] == selector["metric"] and exact and _carries(row["labels"], selector):
                (self.whole if role == "whole" else self.part)[row["id"]] = source

    def minutes(
        self, readings: Mapping[int, Sequence[tuple[datetime, float]]], stretch: Stretch
    ) -> tuple[dict[datetime, Counts], datetime | None]:
        """What the minutes of a stretch hold, and the first instant anything of the whole was read."""
        whole, part = self._voiced(self.whole, readings), self._voiced(self.part, readings)
        first = min((r.ts for s in whole for r in s if not r.is_marker), default=None)
        if self.indicator["kind"] == "latency":
            flat = [r for s in whole for r in s]
            limit = float(self.indicator["threshold_ms"])
            return latency_minutes(flat, limit, stretch.start, stretch.end), first
        bad = "bad" in self.indicator
        return request_minutes(whole, part, bad, stretch.start, stretch.end), first

    def _voiced(
        self, members: Mapping[int, Source], readings: Mapping[int, Sequence[tuple[datetime, float]]]
    ) -> list[list[Reading]]:
        """One list per series and era: an increase across a change of source would be counted by both."""
        lists: dict[tuple[int, datetime | None], list[Reading]] = defaultdict(list)
        for series, source in members.items():
            for ts, value in readings.get(series, ()):
                voice = self.voices.of(source, ts)
                if voice is not None:
                    lists[series, voice[0]].append(Reading(ts, value, voice[1]))
        return list(lists.values())


def _carries(labels: Mapping[str, str], selector: Mapping[str, Any]) -> bool:
    return all(labels.get(k) == v for k, v in selector.get("labels", {}).items())
