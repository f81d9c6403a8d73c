"""What collectors have in common: the Protocol, and samples from named numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from ecpmon.model.samples import Frame, Sample, Source
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import series_key


@dataclass(frozen=True, slots=True)
class Collected:
    """What one pull brought. `until`: how far the source has now been read."""

    frames: tuple[Frame, ...]
    until: datetime


class Collector(Protocol):
    """One source that is pulled."""

    @property
    def source(self) -> Source: ...

    @property
    def interval(self) -> timedelta: ...

    async def collect(
        self, tenants: Sequence[Tenant], watermark: datetime | None, now: datetime
    ) -> Collected:
        """Read what the source has to say about `tenants` after `watermark`.

        Raises MonitoringUnavailable when it does not answer, or answers with something that cannot be trusted.
        """
        ...


def samples_of(values: Mapping[str, Any]) -> tuple[Sample, ...]:
    """Named numbers as samples; what is not a finite number is left out."""
    return tuple(
        Sample(series_key(name), float(value))
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    )
