"""Samples and frames: what a source said about a tenant at an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class Source(StrEnum):
    """Where samples come from; also the values of `data_source` and of a tenant's `sli_source`."""

    PROMETHEUS = "prometheus"
    SIMULATOR = "simulator"
    PUSH = "push"


COMPONENT_LABEL: Final = "service"


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Identity of a series within one tenant and source. `labels` are sorted pairs."""

    metric_type: str
    metric_name: str
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def component(self) -> str | None:
        """The component a series is about: "" is the tenant as a whole, None anything finer."""
        if not self.labels:
            return ""
        [(name, value), *more] = self.labels
        return value if name == COMPONENT_LABEL and not more else None


@dataclass(frozen=True, slots=True)
class Sample:
    key: SeriesKey
    value: float


@dataclass(frozen=True, slots=True)
class Frame:
    """What one source said about one tenant at one instant. `ts` is an aware UTC time."""

    tenant_id: str
    source: Source
    ts: datetime
    samples: tuple[Sample, ...]
