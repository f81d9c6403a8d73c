"""Commits in one statement, for what only goes on: what a process remembers is checked by the statement that commits.

Most commits hold nothing but frames of series that have numbers, of tenants that are what they were. All that such a
commit has to read is known before; so it is one round trip instead of nine, and no lock waits for a process of ours.

States of a tenant's open end (`availability_heads`) for a process that stores samples:

    unknown ── a long commit locked its head, and moved nothing but its last observation ──► known
       ▲                                                                                      │
       └── a check failed, or there was no room ◄─────────────────────────────────────────────┘

Formula: a head goes on with what is said from `first` to `last`, all of it the same and no further apart than it holds,
if

    standing = the remembered one, since < first <= last_observed_at + holds, and last < noted (or nothing is noted);

then `last_observed_at` becomes the greater of itself and `last`, and nothing else changes: what is said between `since`
and `last_observed_at` lies within a stretch of the same, without a gap.

Invariants:

1. `standing` is a number of 64 bits that follows from everything in a head but its last observation, and from how
   often the tenant's regimes were changed (0081_locks_by_order.sql). So where it is the same, what was remembered is as
   it was.
2. The statement checks what was remembered, with the head locked, in the order in which all lock: marks, then heads by
   tenant. If anything is not so it fails as a whole (EC002), and says of whom: nothing was stored, that tenant takes a
   long commit, and the others are tried again without it.
3. A mark is left out (`storage.marks`) only if the statement finds, after its frames are stored, that by the database's
   clock the bucket is open.
4. Whose batches are not all pushes of known series, by now, in nobody's name, takes a long commit. So do many frames,
   which COPY stores for less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from ecpmon.model.availability import Observation
from ecpmon.model.ingest import IngestResult, Screened
from ecpmon.model.samples import Entry, Shapes
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.sla.spans import continued
from ecpmon.storage.alike import alike
from ecpmon.storage.evidence import HeadChange, Locked, goes_on
from ecpmon.storage.queues import all_with, tenants_of
from ecpmon.storage.regimes import EvidenceValue, Regime
from ecpmon.storage.rows import Placed, Touched, bucket_of, tick_of
from ecpmon.storage.series import SeriesCatalogue

# Frames and samples of a commit; more of them cost less by COPY.
MOST_FRAMES: Final = 200
MOST_SAMPLES: Final = 4_000
MOST_HEADS: Final = 20_000


class Known(NamedTuple):
    """An open end as a long commit left it: what was `seen` last, of whom (`says`), and which regime is the latest.
    `noted`: from when on a long commit has to note who is heard; None: never."""

    standing: int
    says: str
    noted: datetime | None
    regime: Regime
    seen: Observation


class Said(NamedTuple):
    """What goes on with a head that stands as it `stood`; `first` and `last` in microseconds after 2000."""

    tenant: int
    stood: int
    first: int
    last: int


class Plan:
    """What one statement is to store, of tenants with these `names`. `results`: by batch; None: it is not in it."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.placed: list[Placed] = []
        self.ticks: list[int] = []
        self.touched: Touched = set()
        self.said: list[Said] = []
        self.results: list[IngestResult | None] = []

    def add(self, placed: Placed) -> None:
        self.names[placed.tenant] = placed.entry.tenant_id
        self.placed.append(placed)
        for ts in placed.entry.instants:
            tick = tick_of(ts)
            self.ticks.append(tick)
            self.touched.add((placed.tenant, bucket_of(tick)))

    def arguments(self) -> tuple[list[Any], ...]:
        """Of the statement: frames, tenants, what is said."""
        tenants, begins, ends = list[int](), list[int](), list[int]()
        series, samples = list[int | None](), list[float]()
        for each in self.placed:
            numbers, tenant = each.row.numbers, each.tenant
            for values in each.rows:
                tenants.append(tenant)
                begins.append(len(series) + 1)
                series += numbers
                samples += values
                ends.append(len(series))
        whose, said = sorted(self.names), [*zip(*self.said, strict=True)] or [()] * 4
        names = [self.names[tenant] for tenant in whose]
        return self.ticks, tenants, begins, ends, series, samples, whose, names, *map(list, said)


class Steady:
    """What is remembered, and the plans that are made with it."""

    def __init__(self, rules: EvidenceRules, series: SeriesCatalogue, shapes: Shapes) -> None:
        self._rules = rules
        self._series = series
        self._shapes = shapes
        self._known: dict[int, Known] = {}

    def plan(self, screened: Sequence[Screened], now: datetime | None, apart: Collection[str] = ()) -> Plan:
        """Of each tenant all or nothing. `now`: nothing is of a later time; `apart`: without these tenants."""
        whose = [tenants_of(each.batch) for each in screened]
        out = all_with({*apart, *_too_much(screened, whose)}, whose)
        kept = [
            None if out.intersection(names) else self._plain(each, now)
            for each, names in zip(screened, whose, strict=True)
        ]
        out = all_with(
            out.union(*(names for names, own in zip(whose, kept, strict=True) if own is None)), whose
        )
        said = self._said(
            [
                placed
                for own, names in zip(kept, whose, strict=True)
                if own and out.isdisjoint(names)
                for placed in own
            ],
            out,
        )
        out = all_with(out, whose)
        plan = Plan()
        for each, names, own in zip(screened, whose, kept, strict=True):
            if own is None or not out.isdisjoint(names):
                plan.results.append(None)
                continue
            for placed in own:
                plan.add(placed)
            accepted = sum(entry.size for entry in each.batch.frames)
            plan.results.append(IngestResult(accepted, frames=each.batch.frames))
        plan.said = [one for one in said if one.tenant in plan.names]
        return plan

    def _plain(self, screened: Screened, now: datetime | None) -> list[Placed] | None:
        """The frames of a batch; None: it holds something else, or not of known series."""
        batch, found = screened.batch, list[Placed]()
        if screened.rejected or batch.attempts or batch.watermarks or not batch.frames:
            return None
        for entry in batch.frames:
            placed = self._placed(entry, now)
            if placed is None:
                return None
            found.append(placed)
        return found

    def _placed(self, entry: Entry, now: datetime | None) -> Placed | None:
        tenant = entry.tenant
        if tenant is None or (now is not None and max(entry.instants) > now):
            return None
        placed = Placed(entry, tenant, self._shapes)
        row = self._series.row(placed.wanted)
        if row is None:
            return None
        placed.row = row
        return placed

    def _said(self, placed: Iterable[Placed], out: set[str]) -> list[Said]:
        """By tenant. Who says something else than before, or is two of one name, is `out`."""
        evidence: dict[int, list[EvidenceValue]] = {}
        names: dict[int, str] = {}
        for each in placed:
            name = each.entry.tenant_id
            if names.setdefault(each.tenant, name) != name:
                out.update((name, names[each.tenant]))
            if each.row.evidence:
                evidence.setdefault(each.tenant, []).extend(each.evidence())
        said: list[Said] = []
        for tenant in sorted(evidence):
            known = self._known.get(tenant)
            going = None if known is None else self._going_on(tenant, known, evidence[tenant])
            if going is None:
                out.add(names[tenant])
            else:
                said.append(going)
        return said

    def _going_on(self, tenant: int, known: Known, values: Sequence[EvidenceValue]) -> Said | None:
        """None: as far as is known here, it does not."""
        alone = alike(values, [known.regime], self._rules)
        if alone is None or not alone.says == alone.begins == alone.ends == known.says:
            return None
        first, last, seen = alone.runs[0].ts, alone.runs[-1], known.seen
        if first < known.regime.valid_from or (last.holds, last.age) != (seen.holds, seen.age):
            return None
        if known.noted is not None and last.ts >= known.noted:
            return None
        if any((run.share, run.unknown) != (seen.share, seen.unknown) for run in alone.runs):
            return None
        if len(alone.runs) > 1 and continued(None, alone.runs) is None:
            return None
        return Said(tenant, known.standing, tick_of(first), tick_of(last.ts))

    def found(self, changes: Iterable[HeadChange], locked: Locked) -> dict[int, Known]:
        """What a long commit has found under its locks, and not changed. For `remember`, once it is committed."""
        found: dict[int, Known] = {}
        for change in changes:
            row = locked.heads[change.tenant]
            says, noted = row["says"], row["noted"]
            noting = noted is not None and change.after.last >= noted
            if goes_on(change) and says is not None and not noting:
                regime, seen = locked.regimes[change.tenant][-1], change.after.observation
                found[change.tenant] = Known(row["standing"], says, noted, regime, seen)
        return found

    def remember(self, found: Mapping[int, Known]) -> None:
        self._known.update(found)
        while len(self._known) > MOST_HEADS:
            del self._known[next(iter(self._known))]

    def forget(self, tenants: Collection[int]) -> None:
        for tenant in tenants:
            self._known.pop(tenant, None)


def _too_much(screened: Sequence[Screened], whose: Sequence[Collection[str]]) -> set[str]:
    """The tenants of what has no room in one statement: COPY stores much for less."""
    frames, samples, over = 0, 0, set[str]()
    for each, names in zip(screened, whose, strict=True):
        entries = each.batch.frames
        more, size = sum([len(entry.instants) for entry in entries]), sum([entry.size for entry in entries])
        if frames + more > MOST_FRAMES or samples + size > MOST_SAMPLES:
            over.update(names)
        else:
            frames, samples = frames + more, samples + size
    return over
