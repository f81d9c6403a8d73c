"""The job that keeps every tenant's rolling SLA: evaluate all windows, store the result, set the gauges.

A tenant is evaluated at once when its state (a gap is one), its row or its maintenance changed, at every turn while it
is down, and else every `AT_REST` seconds: what its figures change by meanwhile is the time that passed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, ParamSpec, TypeVar

from ecpmon.isolation import Isolation
from ecpmon.model.availability import SpanState
from ecpmon.model.maintenance import Interval, Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import WindowFigures
from ecpmon.ports.quarantine import ROLLING_SLA, Quarantine
from ecpmon.ports.roster import Roster, Standing, planned_of
from ecpmon.ports.service import Clock
from ecpmon.ports.sla import AvailabilityStore, MaintenanceStore, WindowSums
from ecpmon.sla import sums
from ecpmon.sla.maintenance import is_within
from ecpmon.sla.parts import Terms
from ecpmon.sla.periods import WINDOW_NAMES
from ecpmon.sla.terms import terms_of
from ecpmon.telemetry import Telemetry
from ecpmon.workers import TenantWorkers

P = ParamSpec("P")
T = TypeVar("T")

AT_REST: Final = timedelta(seconds=30)
# At rest they take turns, so that not all are evaluated at once.
_GROUPS: Final = 6
_INSTANT: Final = timedelta(microseconds=1)
# Tenants whose terms are worked out in one turn of a thread.
_SLICE: Final = 100
_Head = tuple[str, float, float]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a tenant was when it was evaluated, at `at`, and when it is to be evaluated again."""

    standing: Standing
    head: _Head | None
    at: datetime
    due: datetime

    def is_of(self, standing: Standing) -> bool:
        """Whether its rules are all that may have changed: with each state of an alert all of it is read again."""
        before = self.standing
        return (before.tenant is standing.tenant or before.tenant == standing.tenant) and (
            before.planned is standing.planned or before.planned == standing.planned
        )


class RollingSla:
    """Reads totals only, so a run costs the same whatever happened in the windows. `telemetry` None: no gauges."""

    def __init__(
        self,
        roster: Roster,
        window_sums: WindowSums,
        availability: AvailabilityStore,
        maintenance: MaintenanceStore,
        clock: Clock,
        telemetry: Telemetry | None,
        quarantine: Quarantine,
        workers: TenantWorkers,
        shown: Collection[str] = WINDOW_NAMES,
    ) -> None:
        """`shown`: the windows that become gauges, at least one."""
        self._shown = frozenset(shown)
        self._workers = workers
        self._isolation = Isolation(quarantine, ROLLING_SLA)
        self._roster = roster
        self._seen: dict[str, _Seen] = {}
        self._sums = window_sums
        self._availability = availability
        self._maintenance = maintenance
        self._clock = clock
        self._telemetry = telemetry

    async def run_once(self) -> None:
        now = self._clock.now()
        standings = await self._roster.standings()
        tenants = {name: s.tenant for name, s in standings.items() if s.tenant is not None}
        heads = await self._sums.heads(now)
        due = [n for n, t in tenants.items() if self._is_due(standings[n], t, heads.get(t.key), now)]

        async def work(names: list[str]) -> dict[str, tuple[Terms, list[WindowFigures]]]:
            planned = {
                name: await planned_of(standings[name], tenants[name], self._maintenance) for name in names
            }
            terms: dict[str, Terms] = {}
            results: dict[str, list[WindowFigures]] = {}
            for part in _parts(names):
                own = {name: tenants[name] for name in part}
                terms |= await self._apart(_terms, own, planned, now)
                results |= await self._evaluate(own, terms, now)
            await self._availability.store_current(results, now)
            return {n: (terms[n], results[n]) for n in names}

        found = await self._isolation.together(due, work, now)
        self._note(due, found, standings, heads, now)
        if self._telemetry is not None:
            self._telemetry.active_tenants.set(len(tenants))
            self._telemetry.tenants.keep_only({name: t.key for name, t in tenants.items()})
            self._telemetry.tenants.up(_up_shares(tenants, heads))
            _show(self._telemetry, due, found, now, self._shown)
            for name in found:
                head = heads.get(tenants[name].key)
                self._telemetry.tenants.stale(name, head is None or head[0] == SpanState.GAP)

    def _is_due(self, standing: Standing, tenant: Tenant, head: _Head | None, now: datetime) -> bool:
        seen = self._seen.get(tenant.tenant_id)
        if seen is None or not seen.is_of(standing) or seen.head != head:
            return True
        if seen.standing is not standing:
            self._seen[tenant.tenant_id] = replace(seen, standing=standing)
        if self._telemetry is not None and not self._telemetry.tenants.has_sla(tenant.tenant_id):
            return True  # another process led meanwhile, and our gauges went with that
        return (head is not None and head[0] == "down") or not seen.at <= now < seen.due

    def _note(
        self,
        due: Sequence[str],
        found: Mapping[str, tuple[Terms, Sequence[WindowFigures]]],
        standings: Mapping[str, Standing],
        heads: Mapping[int, _Head],
        now: datetime,
    ) -> None:
        self._seen = {name: seen for name, seen in self._seen.items() if name in standings}
        for name in due:
            standing = standings[name]
            if name not in found or standing.tenant is None:
                self._seen.pop(name, None)
                continue
            key, fresh = standing.tenant.key, name not in self._seen
            rest = AT_REST * (1 - (key % _GROUPS) / _GROUPS) if fresh else AT_REST
            edges = (at for i in found[name][0].maintenance for at in (i.start, i.end) if at > now)
            again = min(now + rest, next(edges, now + rest))
            self._seen[name] = _Seen(standing, heads.get(key), now, again)

    async def _evaluate(
        self, tenants: Mapping[str, Tenant], terms: Mapping[str, Terms], now: datetime
    ) -> dict[str, list[WindowFigures]]:
        """Of a few tenants."""

        def asked() -> dict[str, set[Interval]]:
            return {name: sums.intervals_for(now, terms[name]) for name in tenants}

        found = await self._sums.tallies(await self._apart(asked), now)
        statuses = await self._availability.remembered(tenants.values())

        def standing() -> dict[str, list[WindowFigures]]:
            return {
                name: sums.standing(
                    found.get(name, {}), now, tenant.sla_target.fraction, statuses.get(name, {}), terms[name]
                )
                for name, tenant in tenants.items()
            }

        return await self._apart(standing)

    async def _apart(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._workers.run_for(ROLLING_SLA, function, *args, **kwargs)


def _parts(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[first : first + _SLICE] for first in range(0, len(names), _SLICE)]


def _terms(
    tenants: Mapping[str, Tenant],
    planned: Mapping[str, Sequence[Maintenance]],
    now: datetime,
) -> dict[str, Terms]:
    return {name: terms_of(t, planned.get(name, ()), now) for name, t in tenants.items()}


def _up_shares(tenants: Mapping[str, Tenant], heads: Mapping[int, _Head]) -> dict[str, float]:
    """Of each tenant of which that is known."""
    found = {name: heads[t.key] for name, t in tenants.items() if t.key in heads}
    return {
        name: 1.0 - share if state == SpanState.DOWN else 1.0
        for name, (state, _, share) in found.items()
        if state != SpanState.GAP
    }


def _show(
    telemetry: Telemetry,
    asked: Sequence[str],
    found: Mapping[str, tuple[Terms, Sequence[WindowFigures]]],
    now: datetime,
    shown: Collection[str],
) -> None:
    """What was found becomes gauges; of who is quarantined nothing is known."""
    gauges = telemetry.tenants
    for name in set(asked) - found.keys():
        gauges.unknown(name)
    for name, (contract, windows) in found.items():
        gauges.maintenance(name, is_within(now, now + _INSTANT, contract.maintenance))
        for w in (w for w in windows if w.window in shown):
            figures = {"availability": w.availability, "low": w.low, "high": w.high, "coverage": w.coverage}
            spent = {"burn_rate": w.burn_rate, "budget": w.budget.remaining_fraction}
            gauges.sla(name, w.window, figures | spent)
