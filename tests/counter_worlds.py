"""Random worlds of request counters, with the truth about them: pods that restart, come and go, scrapes that fail.

Only what some reading tells of is in the truth, as nobody can know of the rest: what a pod counted after it was read
last, and before its objective began. A restart that no counter shows is not made.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ecpmon.model.maintenance import Accounting
from ecpmon.model.objectives import Counts, RatioResult
from ecpmon.sla.counters import MINUTE, Found, minute_of
from ecpmon.sla.growth import Reading
from ecpmon.sla.ratios import Measured, Stretch, evaluate
from ecpmon.sla.tracks import Track

T0 = datetime(2026, 3, 1, 10, tzinfo=UTC)
SLOTS = 50
# One pod's, the labels that tell it apart.
Labels = frozenset[tuple[str, str]]


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@dataclass
class Event:
    when: float
    bad: bool


@dataclass
class Life:
    """From a start of the process to its end; `total`, `part`: where its counters stand when it begins."""

    begins: float
    ends: float
    total: int = 0
    part: int = 0
    events: list[Event] = field(default_factory=list)


@dataclass
class Pod:
    name: str
    lives: list[Life]
    # When it is read, and when what is good or bad is, too.
    scrapes: list[float] = field(default_factory=list)
    parts: list[float] = field(default_factory=list)
    is_old: bool = False


@dataclass
class World:
    kind: str
    every: int
    pods: list[Pod]
    # Error counters are there before their first error; counters say when they began.
    eager: bool
    created: bool

    @property
    def holds(self) -> timedelta:
        return timedelta(seconds=2.5 * self.every)

    @property
    def end(self) -> datetime:
        return at((SLOTS + 1) * self.every + 60).replace(second=0)

    @property
    def first(self) -> float | None:
        return min((pod.scrapes[0] for pod in self.pods if pod.scrapes), default=None)

    @property
    def watched(self) -> datetime | None:
        return None if self.first is None else at(self.first)

    @property
    def part_is_bad(self) -> bool:
        return self.kind != "histogram"

    def events(self) -> Iterator[Event]:
        for pod in self.pods:
            for life in pod.lives:
                yield from life.events

    def tracks(self) -> list[Track]:
        return [track for pod in self.pods for track in self._tracks_of(pod)]

    def _tracks_of(self, pod: Pod) -> Iterator[Track]:
        labels = frozenset({("pod", pod.name)})
        process = labels if self.kind == "histogram" else None
        series = {"total": pod.scrapes, "part": pod.parts}
        for name, instants in series.items():
            points = [
                (when, value) for when in instants if (value := self._value(pod, name, when)) is not None
            ]
            begun = (
                [(at(when), at(self._begun(pod, name, when))) for when, _ in points] if self.created else ()
            )
            found = [Reading(at(when), value, self.holds) for when, value in points]
            whole = name == "total" or self.kind == "codes"
            if found:
                yield Track(found, whole, name == "part", begun, process=process, labels=labels)

    def _begun(self, pod: Pod, name: str, when: float) -> float:
        """Of a series that waits for its first event, when that was."""
        life = life_at(pod, when)
        if name == "part" and self.kind != "histogram" and not self.eager and not life.part:
            return next(e.when for e in life.events if e.bad)
        return life.begins

    def _value(self, pod: Pod, name: str, when: float) -> float | None:
        life = life_at(pod, when)
        seen = [e for e in life.events if e.when <= when]
        bad = life.part + sum(e.bad for e in seen)
        every = life.total + len(seen)
        if name == "total":
            return every - bad if self.kind == "codes" else every
        if self.kind == "histogram":
            return every - bad
        return bad if bad or self.eager else None


def life_at(pod: Pod, when: float) -> Life:
    return next(life for life in pod.lives if life.begins <= when < life.ends)


def _lives(rng: random.Random, begins: float, length: float, every: int) -> list[Life]:
    found, cursor = [], begins
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
        stops = rng.uniform(max(cursor, 0), length)
        found.append(Life(cursor, stops))
        cursor = stops + rng.choice([0.1, 1, every * rng.random() * 4])
    ends = rng.uniform(max(cursor, 0), length) if rng.random() < 0.25 else 1e9
    return [*found, Life(cursor, max(ends, cursor + 0.1))]


def _ranges(rng: random.Random, chances: Sequence[int], every: int) -> list[tuple[float, float]]:
    found = []
    for _ in range(rng.choice(chances)):
        start = rng.randrange(SLOTS) * every - 1
        found.append((start, start + every * rng.choice([1, 2, 3, 6, 15])))
    return found


def _is_in(when: float, ranges: Sequence[tuple[float, float]]) -> bool:
    return any(a <= when < b for a, b in ranges)


def _happen(rng: random.Random, life: Life, length: float, every: int) -> None:
    """Requests come at a pace of its own, with bursts of requests and of errors."""
    pace, wrong = rng.choice([0, 1, 5, 20]), rng.choice([0.0, 0.02, 0.3])
    cursor = max(life.begins, -every)
    while cursor < min(life.ends, length):
        until = min(cursor + every, life.ends)
        burst, failing = rng.random() < 0.05, rng.random() < 0.08
        many = rng.randrange(pace + 1) * (6 if burst else 1)
        share = 0.9 if failing else wrong
        life.events += [Event(rng.uniform(cursor, until), rng.random() < share) for _ in range(many)]
        cursor = until
    life.events.sort(key=lambda e: e.when)


def world(seed: int) -> World:
    rng = random.Random(seed)
    every = rng.choice([15, 30, 60])
    length = SLOTS * every
    kind, shared = (
        rng.choice(["errors", "errors", "histogram", "codes"]),
        rng.choice([None, 0, 0, rng.randrange(every)]),
    )
    made = World(kind, every, [], rng.random() < 0.3, rng.random() < 0.15)
    blind = _ranges(rng, [0, 0, 1, 2], every)
    old, young = rng.choice([1, 1, 2, 3]), rng.choice([0, 0, 1, 2, 4])
    for number in range(old + young):
        begins = -1e6 if number < old else rng.uniform(0, length)
        pod = Pod(f"p{number}", _lives(rng, begins, length, every), is_old=number < old)
        if pod.is_old:
            size = rng.choice([0, 100, 10**4, 10**6, 2**50])
            pod.lives[0].total = rng.randrange(size + 1)
            pod.lives[0].part = rng.randrange(pod.lives[0].total // rng.choice([1, 50]) + 1)
        phase = rng.randrange(every) if shared is None else shared
        holes = [] if number == 0 else _ranges(rng, [0, 0, 1], every)
        own = _ranges(rng, [0, 0, 0, 1], every) if kind == "errors" else []
        for life in pod.lives:
            _happen(rng, life, length, every)
        for slot in range(SLOTS):
            when = slot * every + phase
            if not any(life.begins <= when < life.ends for life in pod.lives) or _is_in(when, blind):
                continue
            if (slot == 0 and pod.is_old) or not (_is_in(when, holes) or rng.random() < 0.02):
                pod.scrapes.append(float(when))
        pod.parts = [w for w in pod.scrapes if not _is_long_away(w, own, pod, made)]
        made.pods.append(pod)
    return _knowable(made)


def _is_long_away(when: float, own: Sequence[tuple[float, float]], pod: Pod, made: World) -> bool:
    """A hole of its own that is longer than a reading holds, and begins when its series had been read."""
    for a, b in own:
        hidden = [w for w in pod.scrapes if a <= w < b]
        if a <= when < b and len(hidden) > 2:
            life = life_at(pod, when)
            before = [w for w in pod.scrapes if w < a and life.begins <= w]
            if before and made._value(pod, "part", before[-1]) is not None:
                return True
    return False


def _knowable(made: World) -> World:
    """Without what no reading tells of, each event as late as the readings around it know it to be at most."""
    read = sorted({when for pod in made.pods for when in pod.scrapes})
    for pod in made.pods:
        for life in pod.lives:
            scrapes = [w for w in pod.scrapes if life.begins <= w < life.ends]
            parts = [w for w in pod.parts if life.begins <= w < life.ends]
            if not scrapes:
                life.events = []
            kept = []
            for event in life.events:
                place = bisect_left(scrapes, event.when)
                told = place < len(scrapes) and (not event.bad or (bool(parts) and parts[-1] >= event.when))
                if not told:
                    continue
                moved = _known_time(made, pod, life, event.when, scrapes[place], read)
                if moved is not None:
                    kept.append(Event(moved, event.bad))
                else:
                    life.total, life.part = life.total + 1, life.part + event.bad
            life.events = sorted(kept, key=lambda e: e.when)
    return made


def _known_time(
    made: World, pod: Pod, life: Life, when: float, told_at: float, read: Sequence[float]
) -> float | None:
    """None: before its pod was read first, when this life of it is older than the objective."""
    place = bisect_left(pod.scrapes, told_at)
    if place:
        before = pod.scrapes[place - 1]
    elif life.begins < read[0] or told_at == read[0]:
        return None
    else:
        before = _unread_since(read, told_at, made.holds.total_seconds())
    # Between readings that hold, an edge is as sharp as they are.
    if told_at - before <= made.holds.total_seconds():
        return told_at
    return max(when, before + 0.001)


def _unread_since(read: Sequence[float], told_at: float, holds: float) -> float:
    """Where the gap began that ended less than a `holds` ago, or else the last reading of all."""
    place = bisect_left(read, told_at)
    for before, after in zip(reversed(read[:place]), reversed(read[1 : place + 1]), strict=True):
        if after <= told_at - holds:
            break
        if after - before > holds:
            return before
    return read[place - 1]


def is_knowable(made: World) -> bool:
    """Whether every restart is shown by some counter of its process, by a fall that is no slight one."""
    if made.created:
        return True
    return all(_shows(made, pod) for pod in made.pods)


def _shows(made: World, pod: Pod) -> bool:
    for before, after in zip(pod.scrapes, pod.scrapes[1:], strict=False):
        if life_at(pod, before) is life_at(pod, after):
            continue
        names = ["total", "part"] if made.kind == "histogram" else ["total"]
        if not any(_falls(made, pod, name, before, after) for name in names):
            return False
    return True


def _falls(made: World, pod: Pod, name: str, before: float, after: float) -> bool:
    stood, shown = made._value(pod, name, before), made._value(pod, name, after)
    return stood is not None and shown is not None and shown < stood * 0.98


# --- windows


@dataclass
class Asked:
    span: Stretch
    accounting: Accounting


def window(made: World, seed: int) -> Asked:
    """Any minutes of the world, maintenance and time outside of the service hours in between."""
    rng = random.Random(seed)
    minutes = (made.end - T0) // MINUTE
    start, end = sorted(rng.sample(range(minutes + 1), 2))
    edges = sorted(rng.sample(range(minutes + 1), 4))
    planned = [tuple(edges[:2])] if rng.random() < 0.6 else []
    outside = [tuple(edges[2:])] if rng.random() < 0.2 else []
    if rng.random() < 0.5:
        planned, outside = outside, planned
    span = Stretch(
        "x",
        T0 + start * MINUTE,
        T0 + end * MINUTE,
        *(_inside(each, start, end) for each in (planned, outside)),
    )
    return Asked(span, rng.choice(list(Accounting)))


def _inside(pieces: Sequence[tuple[int, ...]], start: int, end: int) -> tuple[tuple[datetime, datetime], ...]:
    clipped = [(max(a, start), min(b, end)) for a, b in pieces]
    return tuple((T0 + a * MINUTE, T0 + b * MINUTE) for a, b in clipped if a < b)


def whole(made: World) -> Asked:
    return Asked(Stretch("x", T0, made.end), Accounting.EXCLUDE)


def truth(made: World, asked: Asked) -> tuple[int, int]:
    """(good, all) of what happened in the window, by the rules."""
    good = total = 0
    counting = asked.accounting is Accounting.COUNT_AS_UP
    for event in made.events():
        when, span = at(event.when), asked.span
        if not span.holds(when) or span.is_outside(when):
            continue
        planned = span.is_planned(when)
        if planned and not counting:
            continue
        total += 1
        good += planned or not event.bad
    return good, total


def told(made: World, found: Found, asked: Asked) -> RatioResult:
    """What is said of the window."""
    span, first = asked.span, made.first

    def between(start: datetime, end: datetime) -> Counts:
        return sum((c for m, c in found.minutes.items() if start <= m < end), Counts())

    never = sum((between(a, b) for a, b in span.outside), Counts())
    planned = sum((between(a, b) for a, b in span.maintenance), Counts())
    holes = tuple(h for h in found.holes if span.concerns(h))
    measured = Measured(between(span.start, span.end) - never, planned, holes)
    begun = None if first is None else at(first)
    return evaluate(span, measured, begun, 0.99, accounting=asked.accounting)


def near(tracks: Sequence[Track], start: datetime, end: datetime, holds: timedelta) -> list[Track]:
    """What is read to count `[start, end)` again (`storage.readings`)."""
    early = start - 5 * holds
    loaded = {n: [r for r in t.readings if early <= r.ts < end] for n, t in enumerate(tracks)}
    firsts = [loaded[n][0].ts for n, t in enumerate(tracks) if t.whole and loaded[n]]
    silent = bool(firsts) and min(firsts) > early + holds
    found = []
    for n, track in enumerate(tracks):
        read = loaded[n]
        if (silent and not read) or (read and (read[0].ts > early + holds)):
            read = [*[r for r in track.readings if r.ts < early][-1:], *read]
        if read:
            found.append(
                Track(read, track.whole, track.part, track.begun, process=track.process, labels=track.labels)
            )
    return found


__all__ = [
    "Asked", "World", "at", "is_knowable", "minute_of", "near", "told", "truth", "whole", "window", "world",
]  # fmt: skip
