"""Which observation means down (data-and-sla.md §3). The rule is data: `rules/sli.yaml`.

How several of them become the state of a tenant: `ecpmon.sla.voices`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ecpmon.model.samples import COMPONENT_LABEL, SeriesKey, Source
from ecpmon.model.tenants import PUSH_INTERVAL, STALENESS_FACTOR, PushMode, Tenant
from ecpmon.names import (
    CANONICAL_METRICS,
    COMPONENT_SEPARATOR,
    ENDS,
    ERROR_RATE_METRIC,
    EVIDENCE_METRICS,
    SERVICE_METRICS,
    UP_METRIC,
)

# Prometheus is asked about instants that lie so far back: one this fresh may still wait for its scrape to be stored.
SETTLING: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """Evidence metrics of a source. `error_rate_down_at` is a fraction; None: the error rate does not vote."""

    error_rate_down_at: float | None = None


@dataclass(frozen=True, slots=True)
class EvidenceRules:
    """One rule per source."""

    push: EvidenceRule
    simulator: EvidenceRule
    prometheus: EvidenceRule

    def of(self, source: Source) -> EvidenceRule:
        match source:
            case Source.PUSH:
                return self.push
            case Source.SIMULATOR:
                return self.simulator
            case Source.PROMETHEUS:
                return self.prometheus


DEFAULT_RULES = EvidenceRules(push=EvidenceRule(0.5), simulator=EvidenceRule(), prometheus=EvidenceRule())


def series_key(name: str) -> SeriesKey:
    """The canonical series of a metric name: `cpu` and `cpu_usage` are one, `up.callbot` is a component's `up`.

    Unknown names are `custom`; `service_sessions.callbot` is what right-sizing reads of that service.
    """
    metric, separator, component = name.partition(COMPONENT_SEPARATOR)
    if separator and component and (metric in EVIDENCE_METRICS or metric in SERVICE_METRICS):
        plain = CANONICAL_METRICS.get(metric, ("custom", metric))
        return SeriesKey(*plain, ((COMPONENT_LABEL, component),))
    return SeriesKey(*CANONICAL_METRICS.get(name, ("custom", name)))


def vote_of(name: str, value: float, rule: EvidenceRule) -> bool | None:
    """Whether one value says that what it is about is down; None when it has no vote."""
    if name == UP_METRIC:
        return value <= 0
    if name == ERROR_RATE_METRIC and rule.error_rate_down_at is not None:
        return value >= rule.error_rate_down_at
    return None


def end_of(name: str, rule: EvidenceRule) -> tuple[str, bool] | None:
    """Of which metric this one tells the end, and whether for good; None: of none that has a vote."""
    ended = ENDS.get(name)
    if ended is None or (ended[0] == ERROR_RATE_METRIC and rule.error_rate_down_at is None):
        return None
    return ended


@dataclass(slots=True)
class Intervals:
    """How often each source reports; a value older than the staleness factor times this is not known.

    What people write under a `data_source` of their own (`source` is any text) is taken to come as often as pushes.
    One for all of a process: administrators change it while it runs.
    """

    simulator: timedelta
    prometheus: timedelta

    # The present is not all known yet: an observation is `shown` for longer than it `holds`, by as much as the next one
    # may be heard of late. Figures of the past go by `holds`. The database says the same (`behind` in shared.sql).

    def of(self, source: str, tenant: Tenant | None) -> timedelta:
        """`tenant` None: what most have."""
        match source:
            case Source.SIMULATOR:
                return self.simulator
            case Source.PROMETHEUS:
                return self.prometheus
        return tenant.push_interval if tenant else PUSH_INTERVAL

    def holds(self, source: str, tenant: Tenant | None) -> timedelta:
        """How long an observation of `source` is good when nothing follows."""
        return self.of(source, tenant) * STALENESS_FACTOR

    def late(self, source: str) -> timedelta:
        """How long after its instant, at most, what was observed is heard of, while nothing is wrong.

        What is pulled from Prometheus is asked for as of a multiple of the interval that lies `SETTLING` back, and the
        next time an interval later: what was scraped just after such an instant waits for both. A simulator tells what
        is when it is asked, and a push comes by itself.
        """
        return SETTLING + 2 * self.prometheus if source == Source.PROMETHEUS else timedelta()

    def shown(self, source: str, tenant: Tenant | None) -> timedelta:
        """How long after its instant an observation of `source` is shown as the present when nothing follows."""
        return self.holds(source, tenant) + self.late(source)

    def age(self, source: Source, tenant: Tenant) -> timedelta | None:
        """How old what is observed may be; None: changes are told as they happen, at their instants."""
        match source:
            case Source.SIMULATOR | Source.PROMETHEUS:
                return timedelta()  # what is stored carries the instant of the sample itself
            case Source.PUSH:
                return timedelta() if tenant.push_mode is PushMode.SAMPLES else None

    def evidence(self, tenant: Tenant) -> tuple[timedelta, timedelta | None]:
        """How long an observation of what the tenant is judged by is good without another, and how old it may be."""
        source = tenant.evidence_source
        return self.holds(source, tenant), self.age(source, tenant)

    def stalest(self, tenant: Tenant) -> timedelta:
        """The longest time any value may be shown as the present."""
        return max(self.shown(source, tenant) for source in Source)
