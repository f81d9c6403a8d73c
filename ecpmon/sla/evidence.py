"""Which observation means down (data-and-sla.md §3). The rule is data: `rules/sli.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from ecpmon.model.samples import Source
from ecpmon.model.tenants import STALENESS_FACTOR, Tenant
from ecpmon.names import ERROR_RATE_METRIC, UP_METRIC


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
        return {
            Source.PUSH: self.push,
            Source.SIMULATOR: self.simulator,
            Source.PROMETHEUS: self.prometheus,
        }[source]


DEFAULT_RULES = EvidenceRules(push=EvidenceRule(0.5), simulator=EvidenceRule(), prometheus=EvidenceRule())


def is_down(values: Mapping[str, float], rule: EvidenceRule) -> bool | None:
    """Whether the values of one instant mean down; None when they say nothing about availability.

    `values` holds the evidence metrics seen at that instant by name (`up`, `error_rate`); any of them that
    says down decides, so that one instant split over several messages gives the same answer.
    """
    votes: list[bool] = []
    if UP_METRIC in values:
        votes.append(values[UP_METRIC] <= 0)
    if rule.error_rate_down_at is not None and ERROR_RATE_METRIC in values:
        votes.append(values[ERROR_RATE_METRIC] >= rule.error_rate_down_at)
    return any(votes) if votes else None


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often each source reports; a value older than the staleness factor times this is not known."""

    simulator: timedelta
    prometheus: timedelta

    def of(self, source: Source, tenant: Tenant) -> timedelta:
        match source:
            case Source.SIMULATOR:
                return self.simulator
            case Source.PROMETHEUS:
                return self.prometheus
            case Source.PUSH:
                return tenant.push_interval

    def holds(self, source: Source, tenant: Tenant) -> timedelta:
        """How long an observation of `source` is good when nothing follows."""
        return self.of(source, tenant) * STALENESS_FACTOR

    def sampling(self, tenant: Tenant) -> float:
        """Seconds between two observations of the tenant's evidence; 0 for pushes, whose instants are exact."""
        source = tenant.evidence_source
        return 0.0 if source is Source.PUSH else self.of(source, tenant).total_seconds()

    def stalest(self, tenant: Tenant) -> timedelta:
        """The longest time any value may be fresh."""
        return max(self.of(source, tenant) for source in Source) * STALENESS_FACTOR
