"""What an exclusion needs to count by itself: a term of the contract, or what the settings say. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ecpmon.model.maintenance import Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.sla.contracts import judged


@dataclass(frozen=True, slots=True)
class Rules:
    """Whether somebody else has to approve it, and how long before it begins it has to be entered (None: any time)."""

    needs_approval: bool = False
    notice: timedelta | None = None

    def over(self, planned: Maintenance) -> Maintenance:
        """The window as it is entered under these rules, which it keeps."""
        return replace(planned, needs_approval=self.needs_approval, notice=self.notice)


def rules_at(tenant: Tenant, at: datetime, usual: Rules) -> Rules:
    """Those of the contract that judges the month of `at`; `usual` where it says nothing of them."""
    (month,) = judged("month", at, tenant.contract_versions)
    own = month.version.exclusion_rules
    if own is None:
        return usual
    return Rules(own["needs_approval"], timedelta(hours=own["notice_hours"]) or None)
