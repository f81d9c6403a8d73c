"""The series of `/metrics` that carry a tenant's id, written as text one tenant at a time.

There are thousands of tenants and dozens of series each. Written tenant by tenant they can be rendered in slices that
hold nobody up, only for those whom a reader may see, and anew only for those whose figures have changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from time import time
from typing import Any, Final

from prometheus_client.utils import floatToGoString

from ecpmon.coming import Coming
from ecpmon.slices import few

# The generated Prometheus rules read it.
MAINTENANCE_GAUGE: Final = "ecp_tenant_maintenance"
_USAGE: Final = {
    "cpu_usage": ("ecp_tenant_cpu_usage", "CPU usage of a tenant in percent"),
    "memory_usage": ("ecp_tenant_memory_usage", "Memory usage of a tenant in percent"),
    "gpu_usage": ("ecp_tenant_gpu_usage", "GPU usage of a tenant in percent"),
}
_SLA: Final = {
    "availability": ("ecp_tenant_sla_availability_ratio", "Availability of a tenant over a window, 0 to 1"),
    "low": ("ecp_tenant_sla_availability_low_ratio", "The same if all that nobody measured was down"),
    "high": ("ecp_tenant_sla_availability_high_ratio", "The same if all that nobody measured was up"),
    "coverage": ("ecp_tenant_sla_coverage_ratio", "Measured share of a window, 0 to 1"),
    "burn_rate": ("ecp_tenant_sla_burn_rate", "Burn rate of a tenant's error budget over a window"),
    "budget": (
        "ecp_tenant_sla_error_budget_remaining_ratio",
        "Share of the error budget left, negative when overspent",
    ),
}
_OBJECTIVE: Final = {
    "ratio": ("ecp_tenant_objective_ratio", "Good share of an objective over a window, 0 to 1"),
    "coverage": ("ecp_tenant_objective_coverage_ratio", "Observed share of a window, 0 to 1"),
    "burn_rate": ("ecp_tenant_objective_burn_rate", "Burn rate of an objective's budget over a window"),
    "budget": (
        "ecp_tenant_objective_error_budget_remaining_ratio",
        "Share of an objective's budget left, negative when overspent",
    ),
}
_MAINTENANCE: Final = (MAINTENANCE_GAUGE, "1 while maintenance is on")
_STALE: Final = ("ecp_tenant_sla_stale", "1 while nobody knows whether a tenant is up")
_REQUESTS: Final = ("ecp_tenant_requests_total", "API requests of tenants")
USAGE_METRICS: Final = frozenset(_USAGE)
# Values that are ahead of their time: of one tenant at most one a second, as far ahead as the API takes any.
MOST_COMING: Final = 50_000
# Tenants whose text is one piece of the page.
TENANTS_AT_ONCE: Final = 50
Figures = Mapping[str, float | None]
# tenant -> metric -> when it was measured, in seconds since 1970, and its value
Usage = dict[str, dict[str, tuple[float, float]]]
# tenant -> (objective, window) -> figure -> value; figures without a value are left out
ObjectiveFigures = Mapping[str, Mapping[tuple[str, str], Figures]]
# Of the figures of a tenant, whose name is ready for a label: (family, labels in braces, value).
_Sample = tuple[str, str, float]


class _Group:
    """Families of the same figures. The text of a tenant is kept until its figures are others: to compare them costs
    a twentieth of writing them."""

    def __init__(
        self,
        families: Collection[tuple[str, str]],
        figures: Callable[[str], Any],
        samples: Callable[[str, Any], Iterable[_Sample]],
        kind: str = "gauge",
        *,
        of_leader: bool = True,
    ) -> None:
        """`families`: name, text; `figures` of a tenant: a value that is never changed, None when there are none;
        `of_leader`: from a leader's evaluation of everybody."""
        self._heads = {
            name: f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode() for name, text in families
        }
        self._figures = figures
        self._samples = samples
        self.of_leader = of_leader
        # tenant -> its figures, and their lines in each of the families
        self._kept: dict[str, tuple[Any, tuple[bytes, ...]]] = {}

    def pieces(self, tenants: Collection[str]) -> Iterator[bytes]:
        """Family by family; empty pieces while texts are made."""
        texts: list[tuple[bytes, ...]] = []
        for tenant_id in tenants:
            figures, kept = self._figures(tenant_id), self._kept.get(tenant_id)
            if kept is None or kept[0] != figures:
                kept = self._kept[tenant_id] = figures, self._written(tenant_id, figures)
                yield b""
            texts.append(kept[1])
            if not len(texts) % TENANTS_AT_ONCE:
                yield b""
        for number, head in enumerate(self._heads.values()):
            yield head
            for some in few(texts, TENANTS_AT_ONCE):
                yield b"".join([text[number] for text in some])

    def _written(self, tenant_id: str, figures: Any) -> tuple[bytes, ...]:
        lines: dict[str, list[str]] = {name: [] for name in self._heads}
        known = () if figures is None else self._samples(_escaped(tenant_id), figures)
        for family, labels, value in known:
            lines[family].append(f"{family}{labels} {_number(value)}\n")
        return tuple("".join(own).encode() for own in lines.values())

    def forget_all_but(self, tenants: Collection[str]) -> None:
        self._kept = {k: v for k, v in self._kept.items() if k in tenants}

    def bound(self, tenants: Collection[str]) -> None:
        """What is kept is of no more than so many."""
        if len(self._kept) > len(tenants):
            self.forget_all_but(tenants)


class TenantSeries:
    """Latest usage and SLA figures of the tenants that are live, and how often they were asked for."""

    def __init__(self, now: Callable[[], float] = time) -> None:
        """`now`: seconds since 1970."""
        self._now = now
        self._usage: Usage = {}
        self._coming: Coming[str, Mapping[str, float]] = Coming(MOST_COMING)
        self._sla: dict[str, dict[str, Figures]] = {}
        self._maintenance: dict[str, bool] = {}
        self._stale: dict[str, bool] = {}
        self._objectives: ObjectiveFigures = {}
        self._requests: dict[str, Counter[tuple[str, int]]] = {}
        self._numbers: dict[str, int] = {}
        self._groups = (
            _Group(_USAGE.values(), self._usage_of, _of_usage, of_leader=False),
            _Group([_MAINTENANCE], self._maintenance_of, _of_maintenance),
            _Group([_STALE], self._stale_of, _of_stale),
            _Group(_SLA.values(), self._sla_of, _of_sla),
            _Group(_OBJECTIVE.values(), self._objectives_of, _of_objectives),
            _Group([_REQUESTS], self._requests_of, _of_requests, "counter", of_leader=False),
        )

    def usage(self, tenant_id: str, values: Mapping[str, float], at: float) -> None:
        """Of a frame of the instant `at`, in seconds since 1970: what is older than what is known changes nothing, and
        what is ahead of its time does not before that has come."""
        if not values:
            return
        if at > self._now():
            self._coming.put(tenant_id, at, values)
        else:
            self._use(tenant_id, values, at)

    def _come(self) -> None:
        """What was ahead of its time, and is no more."""
        if self._coming:
            for tenant_id, at, values in self._coming.due(self._now()):
                self._use(tenant_id, values, at)

    def _use(self, tenant_id: str, values: Mapping[str, float], at: float) -> None:
        known = self._usage.setdefault(tenant_id, {})
        for metric, value in values.items():
            if metric not in known or known[metric][0] <= at:
                known[metric] = (at, value)

    def replace_shared(self, usage: Usage, requests: dict[str, Counter[tuple[str, int]]]) -> None:
        """What several processes have told is all that is known; it is kept, not copied."""
        self._usage, self._requests = usage, requests

    def usage_told(self) -> Iterator[dict[str, dict[str, list[float]]]]:
        """tenant -> metric -> [when, value] of those there are now, a few at a time."""
        self._come()
        for names in few(list(self._usage), TENANTS_AT_ONCE):
            own = ((name, self._usage[name]) for name in names if name in self._usage)
            yield {name: {metric: [*told] for metric, told in metrics.items()} for name, metrics in own}

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
        self._stale = {}
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
        known |= self._objectives.keys() | self._requests.keys()
        shown = sorted(known if tenants is None else known.intersection(tenants))
        for group in self._groups if shown else ():
            group.bound(known)
            if leads if group.of_leader else shared:
                yield from group.pieces(shown)

    def _usage_of(self, tenant_id: str) -> tuple[tuple[str, float], ...]:
        return tuple((metric, value) for metric, (_, value) in self._usage.get(tenant_id, {}).items())

    def _maintenance_of(self, tenant_id: str) -> bool | None:
        return self._maintenance.get(tenant_id)

    def _stale_of(self, tenant_id: str) -> bool | None:
        return self._stale.get(tenant_id)

    def _sla_of(self, tenant_id: str) -> tuple[tuple[str, Figures], ...]:
        return tuple(self._sla.get(tenant_id, {}).items())

    def _objectives_of(self, tenant_id: str) -> Mapping[tuple[str, str], Figures] | None:
        return self._objectives.get(tenant_id)

    def _requests_of(self, tenant_id: str) -> tuple[tuple[tuple[str, int], int], ...]:
        return tuple(self._requests.get(tenant_id, {}).items())


def _of_usage(name: str, values: Iterable[tuple[str, float]]) -> Iterator[_Sample]:
    for key, value in values:
        if key in _USAGE:
            yield _USAGE[key][0], f'{{tenant_id="{name}"}}', value


def _of_maintenance(name: str, on: bool) -> Iterator[_Sample]:
    yield MAINTENANCE_GAUGE, f'{{tenant_id="{name}"}}', float(on)


def _of_stale(name: str, silent: bool) -> Iterator[_Sample]:
    yield _STALE[0], f'{{tenant_id="{name}"}}', float(silent)


def _of_sla(name: str, windows: Iterable[tuple[str, Figures]]) -> Iterator[_Sample]:
    for window, figures in windows:
        yield from _of_figures(_SLA, f'{{tenant_id="{name}",window="{window}"}}', figures)


def _of_objectives(name: str, told: Mapping[tuple[str, str], Figures]) -> Iterator[_Sample]:
    for (objective, window), figures in told.items():
        labels = f'{{objective="{_escaped(objective)}",tenant_id="{name}",window="{window}"}}'
        yield from _of_figures(_OBJECTIVE, labels, figures)


def _of_figures(families: Mapping[str, tuple[str, str]], labels: str, figures: Figures) -> Iterator[_Sample]:
    for key, (family, _) in families.items():
        value = figures.get(key)
        if value is not None:
            yield family, labels, value


def _of_requests(name: str, counts: Iterable[tuple[tuple[str, int], int]]) -> Iterator[_Sample]:
    for (method, status), count in counts:
        yield _REQUESTS[0], f'{{method="{method}",status="{status}",tenant_id="{name}"}}', float(count)


def _escaped(text: str) -> str:
    """As a label's value. Names that people inserted by hand may hold anything."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]
