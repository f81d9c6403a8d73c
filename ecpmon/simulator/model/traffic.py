"""Cumulative request and error counters of a service."""

from __future__ import annotations

from typing import Final

from ecpmon.simulator.model.objects import Deployment, Traffic
from ecpmon.simulator.model.times import MINUTE, Micros
from ecpmon.simulator.model.workload import (
    MAX_LOAD,
    REQUESTS_PER_SESSION,
    Rhythm,
    error_share,
    load,
    load_seconds,
    rhythm,
    utilisation,
)

# Within a cell the share of errors is the one at its middle. Cells lie on a fixed grid, so that the
# counters do not depend on when they are read; requests themselves are integrated exactly.
CELL: Final[Micros] = 15 * MINUTE


def traffic_at(seed: int, deployment: Deployment, at: Micros) -> Traffic:
    """The counters at `at`, not before `deployment.traffic.counted_to`; never decreasing."""
    before = deployment.traffic
    if at <= before.counted_to or not deployment.counted:
        return Traffic(max(at, before.counted_to), before.requests, before.errors)
    shape = rhythm(seed, deployment.tenant_id, deployment.spec.name)
    scale = deployment.spec.sessions * REQUESTS_PER_SESSION
    offered = max(0.0, scale * (load_seconds(shape, at) - load_seconds(shape, before.counted_to)))
    errors = _errors(deployment, shape, scale, offered, at)
    return Traffic(at, before.requests + offered, before.errors + min(errors, offered))


def _errors(deployment: Deployment, shape: Rhythm, scale: float, offered: float, at: Micros) -> float:
    """Errors between `counted_to` and `at`; one product while the share cannot change with the load."""
    condition, capacity = deployment.condition, deployment.pod_sessions
    peak = utilisation(deployment.spec.sessions * MAX_LOAD, capacity, condition.up)
    if condition.up == 0 or peak <= 0.9:
        return offered * error_share(peak, condition)
    total = 0.0
    start = deployment.traffic.counted_to
    while start < at:
        cell = start // CELL * CELL
        end = min(cell + CELL, at)
        open_sessions = deployment.spec.sessions * load(shape, cell + CELL // 2)
        requests = scale * (load_seconds(shape, end) - load_seconds(shape, start))
        total += requests * error_share(utilisation(open_sessions, capacity, condition.up), condition)
        start = end
    return total
