"""Measurements in and out (api.md §3)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web

from ecpmon.api.common import (
    backend_of,
    bad_field,
    now_of,
    parse_time,
    query_float,
    read_json,
    reply,
    tenant_of,
)
from ecpmon.api.context import CALLER, CONTEXT
from ecpmon.api.keys import plot_key
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import EcpError, MonitoringUnavailable, PayloadTooLarge
from ecpmon.model.ingest import Batch, Rejection
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.names import METRIC_TYPES
from ecpmon.ports.orchestrator import SimulatorClient
from ecpmon.ports.samples import Point
from ecpmon.sla.evidence import series_key

routes = Routes()
MAX_POINTS: Final = 11_000
MAX_NAME: Final = 100
FUTURE: Final = timedelta(minutes=5)
INTERVALS: Final = {
    "15s": timedelta(seconds=15),
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
MAX_HOURS: Final = 25 * 31 * 24.0
Rejected = list[dict[str, str]]


@routes.post("/api/v1/tenants/{tenant_id}/monitoring", Permission.INGEST)
async def push(request: web.Request) -> web.Response:
    """Take measurements; the reply is sent after they are committed."""
    tenant, now = await tenant_of(request), now_of(request)
    settings = request.app[CONTEXT].settings
    entries = _entries(await read_json(request), settings.max_batch)
    oldest = now - timedelta(days=settings.raw_retention_days)
    frames: list[Frame] = []
    rejected: Rejected = []
    for entry in entries:
        ts, problem = timestamp_of(entry.get("timestamp"), now, oldest)
        samples = samples_of(entry["metrics"], rejected, problem)
        if samples and ts is not None:
            frames.append(Frame(tenant.tenant_id, Source.PUSH, ts, samples))
    accepted = 0
    if frames:
        result = await backend_of(request).writer.write(Batch(frames=tuple(frames)))
        accepted = result.accepted
        rejected.extend({"metric": r.metric, "reason": r.reason.value} for r in result.rejected)
    newest = max((f.ts for f in frames), default=now)
    return reply({"accepted": accepted, "rejected": rejected, "timestamp": newest}, 202)


def _entries(document: Any, max_batch: int) -> list[dict[str, Any]]:
    """The pushed entries. Raises ValidationFailed, PayloadTooLarge."""
    entries = document if isinstance(document, list) else [document]
    if len(entries) > max_batch:
        raise PayloadTooLarge(f"at most {max_batch} entries at once; send them in parts")
    if not entries:
        raise bad_field("", "the batch is empty")
    for index, entry in enumerate(entries):
        where = f"{index}." if isinstance(document, list) else ""
        if not isinstance(entry, dict):
            raise bad_field(f"{where}", "must be an object with `metrics`")
        if not isinstance(entry.get("metrics"), dict) or not entry["metrics"]:
            raise bad_field(f"{where}metrics", "must be an object of numbers by name, with at least one")
    return entries


def timestamp_of(given: Any, now: datetime, oldest: datetime) -> tuple[datetime | None, Rejection | None]:
    """The instant of an entry, or why it is not taken."""
    if given is None:
        return now, None
    try:
        # RFC 3339 allows `t` and `z`, Python does not.
        ts = parse_time(given.upper())
    except (AttributeError, ValueError, OverflowError):
        return None, Rejection.BAD_TIMESTAMP
    if ts > now + FUTURE:
        return None, Rejection.IN_THE_FUTURE
    return (None, Rejection.TOO_OLD) if ts < oldest else (ts, None)


def samples_of(metrics: dict[str, Any], rejected: Rejected, problem: Rejection | None) -> tuple[Sample, ...]:
    """The samples of an entry; what is refused goes to `rejected`. Of two names of one series the last wins."""
    kept: dict[SeriesKey, float] = {}
    for name, value in metrics.items():
        reason = problem or _name_problem(name) or _value_problem(value)
        if reason is not None:
            rejected.append({"metric": _sayable(name[:MAX_NAME]), "reason": reason.value})
            continue
        kept[series_key(name)] = float(value)
    return tuple(Sample(key, value) for key, value in kept.items())


def _sayable(name: str) -> str:
    """JSON can hold half a surrogate pair, an answer in UTF-8 cannot."""
    return name.encode("utf-8", "replace").decode()


def _name_problem(name: str) -> Rejection | None:
    return None if 0 < len(name) <= MAX_NAME and name.isprintable() else Rejection.BAD_NAME


def _value_problem(value: Any) -> Rejection | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Rejection.NOT_A_NUMBER
    try:
        return None if math.isfinite(value) else Rejection.NOT_A_NUMBER
    except OverflowError:  # a whole number beyond double precision
        return Rejection.NOT_A_NUMBER


@routes.get("/api/v1/tenants/{tenant_id}/monitoring", Permission.READ)
async def read(request: web.Request) -> web.Response:
    """Measurements over time: by type where a type has one metric, else by metric name."""
    tenant, end = await tenant_of(request), now_of(request)
    metric_type = request.query.get("metric_type")
    if metric_type is not None and metric_type not in METRIC_TYPES:
        raise bad_field("metric_type", f"known are {', '.join(METRIC_TYPES)}")
    interval = request.query.get("interval", "5m")
    if interval not in INTERVALS:
        raise bad_field("interval", f"known are {', '.join(INTERVALS)}")
    step = INTERVALS[interval]
    lasting = timedelta(hours=query_float(request, "hours", 24, 0, MAX_HOURS))
    if lasting / step > MAX_POINTS:
        raise bad_field("interval", f"gives more than {MAX_POINTS} points per series; take a longer interval")
    start = end - lasting
    found = await backend_of(request).monitoring.points(tenant, start, end, step, metric_type)
    metrics = {plot_key(kind, name): points for (kind, name), points in found.items()}
    return reply(
        {
            "tenant_id": tenant.tenant_id,
            "time_range": {"start": start, "end": end},
            "metrics": {
                key: [{"timestamp": p.ts, "value": p.value} for p in points]
                for key, points in metrics.items()
            },
            "summary": _summary(metrics.items()),
        }
    )


def _summary(metrics: Iterable[tuple[str, list[Point]]]) -> dict[str, float]:
    summary: dict[str, float] = {}
    for key, points in metrics:
        if points:
            summary[f"avg_{key}"] = sum(p.value for p in points) / len(points)
            summary[f"max_{key}"] = max(p.high for p in points)
    return summary


@routes.get("/api/v1/monitoring/system", Permission.READ)
async def system(request: web.Request) -> web.Response:
    """The cluster as a whole: capacity and use of the simulated one, tenants as far as the caller sees them."""
    backend, caller = backend_of(request), request[CALLER]
    allowed = None if caller.tenants is None else sorted(caller.tenants)
    page = await backend.tenants.page(allowed=allowed, preset=None, status=None, skip=0, limit=1)
    if backend.simulator is None:
        raise MonitoringUnavailable("no cluster is configured here; set ECPMON_SIMULATOR_URL")
    cluster = await _cluster(backend.simulator)
    return reply({**cluster, "total_tenants": page.total, "active_tenants": page.active})


async def _cluster(simulator: SimulatorClient) -> dict[str, Any]:
    """What the simulator says about its cluster. Raises MonitoringUnavailable."""
    try:
        said = await simulator.status()
        return {
            "cluster_status": _cluster_status(said["nodes"]),
            "total_resources": _quantities(said["capacity"]),
            "used_resources": _quantities(said["used"]),
            "utilization": _utilization(said["utilization"]),
        }
    except EcpError as error:  # a refusal as well: asking how it is cannot be our caller's mistake
        raise MonitoringUnavailable(error.message) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise MonitoringUnavailable("the simulator's answer is not what was asked for") from error


def _cluster_status(nodes: list[dict[str, Any]]) -> str:
    ready = sum(1 for n in nodes if n["ready"])
    if nodes and ready == len(nodes):
        return "healthy"
    return "degraded" if ready else "critical"


def _utilization(shares: dict[str, float]) -> dict[str, float]:
    return {name.partition("_")[0]: share for name, share in shares.items()}


def _quantities(amounts: dict[str, int]) -> dict[str, Any]:
    """The simulator's plain numbers (millicores, bytes, GPUs) as Kubernetes quantities."""
    return {
        "cpu": f"{amounts['cpu_millicores']}m",
        "memory": f"{amounts['memory_bytes'] // 2**30}Gi",
        "gpu": amounts["gpu"],
    }
