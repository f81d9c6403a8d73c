"""The series of `/metrics` that carry a tenant's id, written as text one tenant at a time.

There are thousands of tenants and dozens of series each. Written tenant by tenant they can be rendered in slices that
hold nobody up, and only for those whom a reader may see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Final, Self

from prometheus_client.utils import floatToGoString

# The generated Prometheus rules read it.
MAINTENANCE_GAUGE: Final = "ecp_tenant_maintenance"
_USAGE: Final = {
    "cpu_usage": ("ecp_tenant_cpu_usage", "CPU usage of a tenant in percent"),
    "memory_usage": ("ecp_tenant_memory_usage", "Memory usage of a tenant in percent"),
    "gpu_usage": ("ecp_tenant_gpu_usage", "GPU usage of a tenant in percent"),
}
_SLA: Final = {
    "availability": ("ecp_tenant_sla_availability_ratio", "Availability of a tenant over a window, 0 to 1"),
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
USAGE_METRICS: Final = frozenset(_USAGE)
Figures = Mapping[str, float | None]
# tenant -> (objective, window) -> figure -> value; figures without a value are left out
ObjectiveFigures = Mapping[str, Mapping[tuple[str, str], Figures]]
# A tenant's samples of one family: the labels, in braces, and the value.
_Samples = Callable[[str], Iterable[tuple[str, float]]]


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    text: str
    samples: _Samples
    kind: str = "gauge"
    # From a leader's evaluation of everybody.
    of_leader: bool = True
    # Its text is kept until the figures of the tenant change.
    kept: bool = False

    def head(self) -> bytes:
        return f"# HELP {self.name} {self.text}\n# TYPE {self.name} {self.kind}\n".encode()

    def lines(self, tenant_id: str) -> bytes:
        found = self.samples(tenant_id)
        return "".join(f"{self.name}{labels} {_number(v)}\n" for labels, v in found).encode()


class TenantSeries:
    """Latest usage and SLA figures of the tenants that are live, and how often they were asked for."""

    def __init__(self) -> None:
        self._usage: dict[str, dict[str, float]] = {}
        # When each was told, by the machine's monotonic clock.
        self._usage_at: dict[str, float] = {}
        self._sla: dict[str, dict[str, Figures]] = {}
        # tenant -> family -> the lines of `_sla`, as long as its figures are those.
        self._lines: dict[str, dict[str, bytes]] = {}
        self._maintenance: dict[str, bool] = {}
        self._objectives: ObjectiveFigures = {}
        self._requests: dict[str, Counter[tuple[str, int]]] = {}
        self._numbers: dict[str, int] = {}
        self._families = [
            *(
                _Family(*named, partial(self._usage_of, key), of_leader=False)
                for key, named in _USAGE.items()
            ),
            _Family(MAINTENANCE_GAUGE, "1 while maintenance is on", self._maintenance_of),
            *(_Family(*named, partial(self._sla_of, key), kept=True) for key, named in _SLA.items()),
            *(_Family(*named, partial(self._objectives_of, key)) for key, named in _OBJECTIVE.items()),
            _Family(
                "ecp_tenant_requests_total", "API requests of tenants", self._requests_of, "counter", False
            ),
        ]

    def usage(self, tenant_id: str, values: Mapping[str, float]) -> None:
        self._usage.setdefault(tenant_id, {}).update(values)
        self._usage_at[tenant_id] = monotonic()

    @classmethod
    def of(cls, usage: dict[str, dict[str, float]], requests: dict[str, Counter[tuple[str, int]]]) -> Self:
        """What several processes have told; it is kept, not copied."""
        made = cls()
        made._usage = usage
        made._requests = requests
        return made

    def usage_told(self) -> Iterator[tuple[str, list[Any]]]:
        """(tenant, [when, values]) of those there are now."""
        for name in list(self._usage):
            if (values := self._usage.get(name)) is not None:
                yield name, [self._usage_at.get(name, 0.0), dict(values)]

    def requests_told(self) -> Iterator[tuple[str, list[list[Any]]]]:
        """(tenant, [[method, status, count], …]) of those there are now."""
        for name in list(self._requests):
            if (counts := self._requests.get(name)) is not None:
                yield name, [[method, status, count] for (method, status), count in counts.items()]

    def sla(self, tenant_id: str, window: str, values: Figures) -> None:
        windows = self._sla.setdefault(tenant_id, {})
        if windows.get(window) != values:
            windows[window] = values
            self._lines.pop(tenant_id, None)

    def has_sla(self, tenant_id: str) -> bool:
        return tenant_id in self._sla

    def maintenance(self, tenant_id: str, on: bool) -> None:
        self._maintenance[tenant_id] = on

    def unknown(self, tenant_id: str) -> None:
        """Its SLA cannot be told."""
        self._sla.pop(tenant_id, None)
        self._lines.pop(tenant_id, None)

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
        self._usage, self._sla, self._maintenance, self._objectives, self._lines = {}, {}, {}, {}, {}

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
        self._lines = {k: v for k, v in self._lines.items() if k in kept}
        self._maintenance = {k: v for k, v in self._maintenance.items() if k in kept}
        self._objectives = {k: v for k, v in self._objectives.items() if k in kept}
        self._requests = {k: v for k, v in self._requests.items() if k in kept}

    def exposition(
        self, tenants: Collection[str] | None, *, leads: bool = True, shared: bool = True
    ) -> Iterator[bytes]:
        """The text format, in pieces of a few lines; `tenants`: whose series, None: everybody's; `leads`: also those
        that only a leader knows; `shared`: also those of which every process has a part.

        Figures may change and tenants may go between two pieces.
        """
        known = self._usage.keys() | self._sla.keys() | self._maintenance.keys()
        known |= self._objectives.keys() | self._requests.keys()
        shown = sorted(known if tenants is None else known.intersection(tenants))
        for family in self._families if shown else ():
            if not (leads if family.of_leader else shared):
                continue
            yield family.head()
            for tenant_id in shown:
                yield self._kept_lines(family, tenant_id) if family.kept else family.lines(tenant_id)

    def _kept_lines(self, family: _Family, tenant_id: str) -> bytes:
        if tenant_id not in self._sla:
            return b""
        kept = self._lines.setdefault(tenant_id, {})
        lines = kept.get(family.name)
        if lines is None:
            lines = kept[family.name] = family.lines(tenant_id)
        return lines

    def _usage_of(self, key: str, tenant_id: str) -> Iterator[tuple[str, float]]:
        value = self._usage.get(tenant_id, {}).get(key)
        if value is not None:
            yield f'{{tenant_id="{_escaped(tenant_id)}"}}', value

    def _maintenance_of(self, tenant_id: str) -> Iterator[tuple[str, float]]:
        on = self._maintenance.get(tenant_id)
        if on is not None:
            yield f'{{tenant_id="{_escaped(tenant_id)}"}}', float(on)

    def _sla_of(self, key: str, tenant_id: str) -> Iterator[tuple[str, float]]:
        name = _escaped(tenant_id)
        for window, figures in self._sla.get(tenant_id, {}).items():
            value = figures.get(key)
            if value is not None:
                yield f'{{tenant_id="{name}",window="{window}"}}', value

    def _objectives_of(self, key: str, tenant_id: str) -> Iterator[tuple[str, float]]:
        name = _escaped(tenant_id)
        for (objective, window), figures in self._objectives.get(tenant_id, {}).items():
            value = figures.get(key)
            if value is not None:
                yield f'{{objective="{_escaped(objective)}",tenant_id="{name}",window="{window}"}}', value

    def _requests_of(self, tenant_id: str) -> Iterator[tuple[str, float]]:
        name = _escaped(tenant_id)
        for (method, status), count in self._requests.get(tenant_id, {}).items():
            yield f'{{method="{method}",status="{status}",tenant_id="{name}"}}', float(count)


def _escaped(text: str) -> str:
    """As a label's value. Names that people inserted by hand may hold anything."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]
