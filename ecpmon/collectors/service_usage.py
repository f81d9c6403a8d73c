"""What each service of a tenant uses, for right-sizing (pure). Bounded in number, and taken less often than the rest.

Four series per service every 5 s would make a tenant of eight services store two and a half times as much; percentiles
over hours and days need no more than four points a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.model.samples import is_number
from ecpmon.names import COMPONENT_SEPARATOR

USAGE_EVERY: Final = timedelta(seconds=15)
# As many as the simulator takes for one tenant.
MAX_SERVICES: Final = 50


def is_usage_due(ts: datetime, interval: timedelta) -> bool:
    """Whether `ts` is the first of its slot of `USAGE_EVERY`, when every `interval` is asked."""
    return ts.timestamp() % USAGE_EVERY.total_seconds() < interval.total_seconds()


def service_values(services: Any) -> dict[str, float]:
    """What each service uses, for right-sizing, by the names of its series; bounded in number.

    A service without a ready pod tells only that: what no pod used is no measurement.
    """
    found: dict[str, float] = {}
    for entry in services[:MAX_SERVICES] if isinstance(services, list) else ():
        name = entry.get("service") if isinstance(entry, Mapping) else None
        if not isinstance(name, str):
            continue
        values = {"service_sessions": entry.get("sessions"), "service_replicas": entry.get("ready")}
        if entry.get("ready"):
            values["service_cpu_millicores"] = entry.get("pod_cpu_millicores")
            values["service_memory_mib"] = entry.get("pod_memory_mib")
        named = {f"{metric}{COMPONENT_SEPARATOR}{name}": v for metric, v in values.items()}
        found |= {series: v for series, v in named.items() if is_number(v)}
    return found
