"""The series of `/metrics` that carry a tenant's id, written as text one tenant at a time.

There are thousands of tenants and dozens of series each. Written tenant by tenant they can be rendered in slices that
hold nobody up, only for those whom a reader may see, and anew only for those whose figures have changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from time import time
from typing import Any, Final

from ecpmon.coming import Coming
from ecpmon.slices import few
from ecpmon.tenantlines import (
    DEPLOYMENTS,
    MAINTENANCE,
    OBJECTIVE,
    REQUESTS,
    SLA,
    STALE,
    TENANTS_AT_ONCE,
    UP,
    USAGE,
    Durations,
    Figures,
    Group,
    of_durations,
    of_maintenance,
    of_objectives,
    of_requests,
    of_sla,
    of_stale,
    of_up,
    of_usage,
)

# Values that are ahead of their time: of one tenant at most one a second, as far ahead as the API takes any.
MOST_COMING: Final = 50_000
# tenant -> metric -> when it was measured, its value, and until when that is good; in seconds since 1970
Usage = dict[str, dict[str, tuple[float, float, float]]]
# tenant -> (objective, window) -> figure -> value; figures without a value are left out
ObjectiveFigures = Mapping[str, Mapping[tuple[str, str], Figures]]


class TenantSeries:
    """Latest usage and SLA figures of the tenants that are live, and how often they were asked for."""

    def __init__(self, now: Callable[[], float] = time) -> None:
        """`now`: seconds since 1970."""
        self.now = now
        self._usage: Usage = {}
        self._coming: Coming[str, tuple[Mapping[str, float], float]] = Coming(MOST_COMING)
        self._sla: dict[str, dict[str, Figures]] = {}
        self._maintenance: dict[str, bool] = {}
        self._stale: dict[str, bool] = {}
        self._up: Mapping[str, float] = {}
        self._durations: Mapping[str, Mapping[str, Durations]] = {}
        self._objectives: ObjectiveFigures = {}
        self._requests: dict[str, Counter[tuple[str, int]]] = {}
        self._numbers: dict[str, int] = {}
        self._groups = (
            Group(USAGE.values(), self._usage_of, of_usage, of_leader=False),
            Group([MAINTENANCE], self._maintenance_of, of_maintenance),
            Group([STALE], self._stale_of, of_stale),
            Group([UP], self._up_of, of_up),
            Group(SLA.values(), self._sla_of, of_sla),
            Group(OBJECTIVE.values(), self._objectives_of, of_objectives),
            Group([DEPLOYMENTS], self._durations_of, of_durations, "histogram"),
            Group([REQUESTS], self._requests_of, of_requests, "counter", of_leader=False),
        )

    def usage(self, tenant_id: str, values: Mapping[str, float], at: float, until: float) -> None:
        """Of a frame of the instant `at`, good `until`; both in seconds since 1970. What is older than what is known
        changes nothing, what is good no more is not shown, and what is ahead of its time not before that has come."""
        now = self.now()
        if not values or until < now:
            return
        if at > now:
            self._coming.put(tenant_id, at, (values, until))
        else:
            self._use(tenant_id, values, at, until)

    def _come(self) -> None:
        """What was ahead of its time, and is no more."""
        if self._coming:
            for tenant_id, at, (values, until) in self._coming.due(self.now()):
                self._use(tenant_id, values, at, until)

    def _use(self, tenant_id: str, values: Mapping[str, float], at: float, until: float) -> None:
        known = self._usage.setdefault(tenant_id, {})
        for metric, value in values.items():
            if metric not in known or known[metric][0] <= at:
                known[metric] = (at, value, until)

    def replace_shared(self, usage: Usage, requests: dict[str, Counter[tuple[str, int]]]) -> None:
        """What several processes have told is all that is known; it is kept, not copied."""
        self._usage, self._requests = usage, requests

    def usage_told(self) -> Iterator[dict[str, dict[str, list[float]]]]:
        """tenant -> metric -> [when, value, until] of those that are good now, a few at a time."""
        self._come()
        now = self.now()
        for names in few(list(self._usage), TENANTS_AT_ONCE):
            own = ((name, self._usage[name]) for name in names if name in self._usage)
            told = {name: {m: [*one] for m, one in known.items() if one[2] >= now} for name, known in own}
            yield {name: metrics for name, metrics in told.items() if metrics}

    def requests_told(self) -> Iterator[dict[str, list[list[Any]]]]:
        """tenant -> [[method, status, count], …] of those there are now, a few at a time."""
        for names in few(list(self._requests), TENANTS_AT_ONCE):
            own = ((name, self._requests[name]) for name in names if name in self._requests)
            yield {name: [[*of, count] for of, count in counts.items()] for name, counts in own}

    def sla(self, tenant_id: str, window: str, values: Figures) -> None:
        self._sla.setdefault(tenant_id, {})[window] = values

    def has_sla(self, tenant_id: str) -> bool:
        return tenant_id in self._sla

    def maintenance(self, tenant_id: str, on: bool) -> None:
        self._maintenance[tenant_id] = on

    def stale(self, tenant_id: str, silent: bool) -> None:
        """Whether what was measured of it last holds no more, or nothing ever was."""
        self._stale[tenant_id] = silent

    def up(self, shares: Mapping[str, float]) -> None:
        """What share of each tenant is up, of all of which that is known: who is not named is gone."""
        self._up = shares

    def durations(self, found: Mapping[str, Mapping[str, Durations]]) -> None:
        """tenant -> preset -> how long its deployments took, of all of them: who is not named is gone."""
        self._durations = found

    def unknown(self, tenant_id: str) -> None:
        """Its SLA cannot be told."""
        self._sla.pop(tenant_id, None)
        self._stale.pop(tenant_id, None)

    def objectives(self, figures: ObjectiveFigures) -> None:
        """All of them at once: what is not named is gone."""
        self._objectives = figures

    def request(self, tenant_id: str, method: str, status: int) -> None:
        """One more answer to a request for this tenant."""
        counts = self._requests.get(tenant_id)
        if counts is None:
            counts = self._requests[tenant_id] = Counter()
        counts[method, status] += 1

    def clear(self) -> None:
        """Forget all figures; what was counted here stays."""
        self._usage, self._sla, self._maintenance, self._objectives = {}, {}, {}, {}
        self._stale, self._up, self._durations = {}, {}, {}
        self._coming.clear()
        for group in self._groups:
            group.forget_all_but(())

    def is_live(self, tenant_id: str) -> bool:
        """Whether `keep_only` was last told of a tenant of that name."""
        return tenant_id in self._numbers

    def keep_only(self, live: Mapping[str, int]) -> None:
        """Forget every tenant that is not in `live`, or is there with another number: the name is another's now."""
        known = self._numbers
        kept = {name for name, number in live.items() if known.get(name, number) == number}
        self._numbers = dict(live)
        self._usage = {k: v for k, v in self._usage.items() if k in kept}
        self._sla = {k: v for k, v in self._sla.items() if k in kept}
        self._maintenance = {k: v for k, v in self._maintenance.items() if k in kept}
        self._stale = {k: v for k, v in self._stale.items() if k in kept}
        self._up = {k: v for k, v in self._up.items() if k in kept}
        self._durations = {k: v for k, v in self._durations.items() if k in kept}
        self._objectives = {k: v for k, v in self._objectives.items() if k in kept}
        self._requests = {k: v for k, v in self._requests.items() if k in kept}
        if self._coming:
            self._coming.keep_only(kept)
        for group in self._groups:
            group.forget_all_but(kept)

    def exposition(
        self, tenants: Collection[str] | None, *, leads: bool = True, shared: bool = True
    ) -> Iterator[bytes]:
        """The text format, in pieces of a few tenants each, some of them empty; `tenants`: whose series, None:
        everybody's; `leads`: also those that only a leader knows; `shared`: also those of which every process has a
        part.

        Figures may change and tenants may go between two pieces.
        """
        self._come()
        known = self._usage.keys() | self._sla.keys() | self._maintenance.keys()
        known |= self._objectives.keys() | self._requests.keys() | self._up.keys() | self._durations.keys()
        shown = sorted(known if tenants is None else known.intersection(tenants))
        for group in self._groups if shown else ():
            group.bound(known)
            if leads if group.of_leader else shared:
                yield from group.pieces(shown)

    def _usage_of(self, tenant_id: str) -> tuple[tuple[str, float], ...]:
        known, now = self._usage.get(tenant_id, {}), self.now()
        return tuple((metric, value) for metric, (_, value, until) in known.items() if until >= now)

    def _maintenance_of(self, tenant_id: str) -> bool | None:
        return self._maintenance.get(tenant_id)

    def _stale_of(self, tenant_id: str) -> bool | None:
        return self._stale.get(tenant_id)

    def _up_of(self, tenant_id: str) -> float | None:
        return self._up.get(tenant_id)

    def _durations_of(self, tenant_id: str) -> Mapping[str, Durations] | None:
        return self._durations.get(tenant_id)

    def _sla_of(self, tenant_id: str) -> tuple[tuple[str, Figures], ...]:
        return tuple(self._sla.get(tenant_id, {}).items())

    def _objectives_of(self, tenant_id: str) -> Mapping[tuple[str, str], Figures] | None:
        return self._objectives.get(tenant_id)

    def _requests_of(self, tenant_id: str) -> tuple[tuple[tuple[str, int], int], ...]:
        return tuple(self._requests.get(tenant_id, {}).items())
