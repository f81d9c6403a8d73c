"""Who has seen alerts that stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent, NewEvent, RuleWithState


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Of one alert, which it ends with."""

    said_by: str
    at: datetime
    note: str | None = None


class AcknowledgementStore(Protocol):
    async def of_standing_alerts(self, tenant: Tenant) -> Mapping[str, Acknowledgement]:
        """By alert_id those of alerts that stand."""
        ...

    async def keep_seen(
        self, tenant: Tenant, entry: RuleWithState, said: Acknowledgement, event: NewEvent
    ) -> AlertEvent | None:
        """Store it with its event. None: somebody has acknowledged the alert, or the rule is in another by now; then
        nothing is stored."""
        ...

    async def forget_seen(
        self, tenant: Tenant, entry: RuleWithState, event: NewEvent, now: datetime
    ) -> AlertEvent | None:
        """It is not acknowledged any more. None as for `keep_seen`: it was not."""
        ...
