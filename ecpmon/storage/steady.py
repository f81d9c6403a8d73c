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

1. `standing` rises with every change of a head but that of its last observation, and with every change of the tenant's
   regimes (triggers of 0074_steady_heads.sql). So what was remembered with it is as it was.
2. The statement checks what was remembered, with the head locked, in the order in which all lock: marks, then heads by
   tenant. If anything is not so it fails as a whole (EC002): nothing was stored, and a long commit takes the same
   batches.
3. A mark is left out (`storage.marks`) only if the statement finds, after its frames are stored, that by the database's
   clock the bucket is open.
4. What is no push of known series, by now, in nobody's name, takes a long commit. So do many frames, which COPY stores
   for less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from ecpmon.model.availability import Observation
from ecpmon.model.ingest import IngestResult, Screened
from ecpmon.model.samples import Entry, Shapes
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.sla.spans import continued
from ecpmon.storage.alike import alike
from ecpmon.storage.evidence import HeadChange, Locked, goes_on
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
    """What one statement is to store, of tenants with these `names`."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.placed: list[Placed] = []
        self.ticks: list[int] = []
        self.touched: Touched = set()
        self.said: list[Said] = []
        self.results: list[IngestResult] = []
        self.samples = 0

    def add(self, placed: Placed) -> bool:
        """Whether there is room for it, and its name is that of its number."""
        entry, tenant = placed.entry, placed.tenant
        self.samples += entry.size
        if self.names.setdefault(tenant, entry.tenant_id) != entry.tenant_id:
            return False
        self.placed.append(placed)
        for ts in entry.instants:
            tick = tick_of(ts)
            self.ticks.append(tick)
            self.touched.add((tenant, bucket_of(tick)))
        return len(self.ticks) <= MOST_FRAMES and self.samples <= MOST_SAMPLES

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
        self._found: dict[int, Known] = {}

    def plan(self, screened: Sequence[Screened], now: datetime | None) -> Plan | None:
        """None: a long commit is needed. `now`: nothing is of a later time."""
        plan = Plan()
        evidence: dict[int, list[EvidenceValue]] = {}
        for each in screened:
            batch = each.batch
            if each.rejected or batch.attempts or batch.watermarks:
                return None
            accepted = 0
            for entry in batch.frames:
                placed = self._placed(entry, now)
                if placed is None or not plan.add(placed):
                    return None
                if placed.row.evidence:
                    evidence.setdefault(placed.tenant, []).extend(placed.evidence())
                accepted += entry.size
            plan.results.append(IngestResult(accepted, frames=batch.frames))
        return plan if plan.placed and self._all_go_on(evidence, plan.said) else None

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

    def _all_go_on(self, evidence: dict[int, list[EvidenceValue]], said: list[Said]) -> bool:
        for tenant in sorted(evidence):
            known = self._known.get(tenant)
            going = None if known is None else self._going_on(tenant, known, evidence[tenant])
            if going is None:
                return False
            said.append(going)
        return True

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

    def begin(self) -> None:
        """A long commit begins: what one has found that failed is nothing."""
        self._found.clear()

    def note(self, changes: Iterable[HeadChange], locked: Locked) -> None:
        """What a long commit has found under its locks, and not changed."""
        for change in changes:
            row = locked.heads[change.tenant]
            says, noted = row["says"], row["noted"]
            noting = noted is not None and change.after.last >= noted
            if goes_on(change) and says is not None and not noting:
                regime, seen = locked.regimes[change.tenant][-1], change.after.observation
                self._found[change.tenant] = Known(row["standing"], says, noted, regime, seen)

    def committed(self) -> None:
        """What it has found is so."""
        self._known.update(self._found)
        self._found.clear()
        while len(self._known) > MOST_HEADS:
            del self._known[next(iter(self._known))]

    def forget(self, tenants: Collection[int]) -> None:
        for tenant in tenants:
            self._known.pop(tenant, None)
