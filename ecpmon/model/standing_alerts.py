"""Alerts as they stand, for whoever keeps a list of them (Alertmanager): all that fire, and what ended lately.

All instants are aware UTC datetimes, all values are frozen. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

# That something ended is told for so long after it: long enough for whoever restarts meanwhile.
ENDED: Final = timedelta(minutes=5)


class Identity(NamedTuple):
    """What makes an alert the same one: its labels there."""

    tenant_id: str
    rule_id: str
    alert_name: str
    severity: str
    objective: str | None

    @property
    def labels(self) -> dict[str, str]:
        """As in webhooks (`alerts.message.rule_labels`)."""
        return {
            "alertname": self.alert_name,
            "rule_id": self.rule_id,
            "severity": self.severity,
            "tenant_id": self.tenant_id,
            **({"objective": self.objective} if self.objective else {}),
        }


@dataclass(frozen=True, slots=True)
class ToldAlert:
    """An alert as it stands. `ends_at` None: it fires. `value`: what was measured last, in the unit of its metric."""

    identity: Identity
    starts_at: datetime
    ends_at: datetime | None
    condition: str | None = None
    value: float | None = None

    def changed_since(self, other: ToldAlert) -> bool:
        """Whether it began or ended since. What is measured of it may wait."""
        return (self.starts_at, self.ends_at) != (other.starts_at, other.ends_at)
