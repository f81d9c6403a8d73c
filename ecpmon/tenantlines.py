"""The families of `/metrics` that carry a tenant's id: what they are called, and the text of one tenant's figures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client.utils import floatToGoString

from ecpmon.slices import few

# The generated Prometheus rules read it.
MAINTENANCE_GAUGE: Final = "ecp_tenant_maintenance"
USAGE: Final = {
    "cpu_usage": ("ecp_tenant_cpu_usage", "CPU usage of a tenant in percent"),
    "memory_usage": ("ecp_tenant_memory_usage", "Memory usage of a tenant in percent"),
    "gpu_usage": ("ecp_tenant_gpu_usage", "GPU usage of a tenant in percent"),
}
SLA: Final = {
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
OBJECTIVE: Final = {
    "ratio": ("ecp_tenant_objective_ratio", "Good share of an objective over a window, 0 to 1"),
    "coverage": ("ecp_tenant_objective_coverage_ratio", "Observed share of a window, 0 to 1"),
    "burn_rate": ("ecp_tenant_objective_burn_rate", "Burn rate of an objective's budget over a window"),
    "budget": (
        "ecp_tenant_objective_error_budget_remaining_ratio",
        "Share of an objective's budget left, negative when overspent",
    ),
}
MAINTENANCE: Final = (MAINTENANCE_GAUGE, "1 while maintenance is on, or outside of the service hours")
STALE: Final = ("ecp_tenant_sla_stale", "1 while nobody knows whether a tenant is up")
# The shipped Prometheus rules read it.
UP_GAUGE: Final = "ecp_tenant_up"
UP: Final = (UP_GAUGE, "1 while a tenant is up, 0 while it is down, its share of that while a part of it is")
REQUESTS: Final = ("ecp_tenant_requests_total", "API requests of tenants")
DEPLOYMENTS: Final = (
    "ecp_tenant_deployment_duration_seconds",
    "Time from asking for a deployment to its completion",
)
USAGE_METRICS: Final = frozenset(USAGE)
# Of the histogram of deployments, in seconds.
DURATION_BOUNDS: Final = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
# Of HTTP.
_CLIENT_ERRORS: Final = 400
_SERVER_ERRORS: Final = 500
# Tenants whose text is one piece of the page.
TENANTS_AT_ONCE: Final = 50
Figures = Mapping[str, float | None]
# Of the figures of a tenant, whose name is ready for a label: (family, what follows its name, value).
_Sample = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class Durations:
    """How many took no longer than each of `DURATION_BOUNDS`, and how many there are; the seconds of all of them."""

    up_to: tuple[int, ...]
    seconds: float


class Group:
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


def of_usage(name: str, values: Iterable[tuple[str, float]]) -> Iterator[_Sample]:
    for key, value in values:
        if key in USAGE:
            yield USAGE[key][0], f'{{tenant_id="{name}"}}', value


def of_maintenance(name: str, on: bool) -> Iterator[_Sample]:
    yield MAINTENANCE_GAUGE, f'{{tenant_id="{name}"}}', float(on)


def of_stale(name: str, silent: bool) -> Iterator[_Sample]:
    yield STALE[0], f'{{tenant_id="{name}"}}', float(silent)


def of_up(name: str, share: float) -> Iterator[_Sample]:
    yield UP_GAUGE, f'{{tenant_id="{name}"}}', share


def of_durations(name: str, found: Mapping[str, Durations]) -> Iterator[_Sample]:
    family = DEPLOYMENTS[0]
    for preset, told in found.items():
        own = f'preset="{_escaped(preset)}",tenant_id="{name}"'
        for bound, count in zip((*map(_number, DURATION_BOUNDS), "+Inf"), told.up_to, strict=True):
            yield family, f'_bucket{{le="{bound}",{own}}}', float(count)
        yield family, f"_sum{{{own}}}", told.seconds
        yield family, f"_count{{{own}}}", float(told.up_to[-1])


def of_sla(name: str, windows: Iterable[tuple[str, Figures]]) -> Iterator[_Sample]:
    for window, figures in windows:
        yield from _of_figures(SLA, f'{{tenant_id="{name}",window="{window}"}}', figures)


def of_objectives(name: str, told: Mapping[tuple[str, str], Figures]) -> Iterator[_Sample]:
    for (objective, window), figures in told.items():
        labels = f'{{objective="{_escaped(objective)}",tenant_id="{name}",window="{window}"}}'
        yield from _of_figures(OBJECTIVE, labels, figures)


def _of_figures(families: Mapping[str, tuple[str, str]], labels: str, figures: Figures) -> Iterator[_Sample]:
    for key, (family, _) in families.items():
        value = figures.get(key)
        if value is not None:
            yield family, labels, value


def of_requests(name: str, counts: Iterable[tuple[tuple[str, int], int]]) -> Iterator[_Sample]:
    for (method, code), count in counts:
        labels = f'{{code="{code}",method="{method}",status="{status_of(code)}",tenant_id="{name}"}}'
        yield REQUESTS[0], labels, float(count)


def status_of(code: int) -> str:
    """The label `status` of an answer with this code: whose fault it is that nothing came of a request."""
    if code < _CLIENT_ERRORS:
        return "success"
    return "client_error" if code < _SERVER_ERRORS else "server_error"


def _escaped(text: str) -> str:
    """As a label's value. Names that people inserted by hand may hold anything."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]
