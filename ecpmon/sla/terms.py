"""What a tenant's contract says, as the window maths takes it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ecpmon.model.maintenance import Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.maintenance import covered, zone
from ecpmon.sla.periods import LONGEST_WINDOW
from ecpmon.sla.windows import Terms


def terms_of(tenant: Tenant, planned: Iterable[Maintenance], now: datetime, intervals: Intervals) -> Terms:
    """Accounting, time zone, doubt, and maintenance over the longest window and to the end of any period."""
    start = now - LONGEST_WINDOW
    return Terms(
        maintenance=tuple(covered(planned, start, now + LONGEST_WINDOW)),
        accounting=tenant.maintenance_accounting,
        zone=zone(tenant.time_zone),
        doubt=intervals.doubt(tenant),
    )
