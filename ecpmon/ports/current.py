"""What the job of the rolling SLA found last of each tenant, for whoever shows many of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from ecpmon.model.availability import SpanState
from ecpmon.model.windows import SlaStatus
from ecpmon.ports.roster import Standing

WINDOWS: Final = ("1h", "24h", "7d", "30d", "month")


@dataclass(frozen=True, slots=True)
class Shown:
    """A window as lists show it. Fractions 0 to 1; `left` of the error budget, negative when it is overspent; `low` and
    `high`: the bounds of the availability."""

    status: SlaStatus
    availability: float | None
    coverage: float | None
    burn_rate: float | None
    left: float | None
    low: float | None = None
    high: float | None = None


@dataclass(slots=True, eq=False)
class Figures:
    """Of one tenant, at `as_of`: its WINDOWS by name, the seconds left of the budget of 30 days.

    The same object as long as nothing new was found; `made` is what whoever shows it has made of it.
    """

    as_of: datetime
    windows: Mapping[str, Shown]
    remaining: float
    made: object = None


class CurrentFigures(Protocol):
    async def of(
        self, standings: Mapping[str, Standing], now: datetime
    ) -> Mapping[str, tuple[Figures, SpanState | None]]:
        """By tenant_id: what was found last, as far as it holds, and the state at `now`, None before any observation.

        Absent where it does not hold: it is too old, or the tenant has changed since. Reads nothing of other tenants.
        """
        ...
