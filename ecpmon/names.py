"""Names that must agree everywhere: metric names, jobs, channels, leases."""

from __future__ import annotations

from typing import Final

# Pushed metric name -> (metric_type, canonical metric_name); api.md §3. Anything else is `custom`.
CANONICAL_METRICS: Final[dict[str, tuple[str, str]]] = {
    "cpu_usage": ("cpu", "cpu_usage"),
    "cpu": ("cpu", "cpu_usage"),
    "memory_usage": ("memory", "memory_usage"),
    "memory": ("memory", "memory_usage"),
    "gpu_usage": ("gpu", "gpu_usage"),
    "gpu": ("gpu", "gpu_usage"),
    "network_in": ("network", "network_in"),
    "network_out": ("network", "network_out"),
    "storage_used": ("storage", "storage_used"),
    "request_count": ("request", "request_count"),
    "response_time": ("response", "response_time"),
    "error_rate": ("error", "error_rate"),
    "up": ("sla", "up"),
}
METRIC_TYPES: Final = (
    "cpu", "memory", "gpu", "network", "storage", "request", "response", "error", "sla", "custom",
)  # fmt: skip

UP_METRIC: Final = "up"
ERROR_RATE_METRIC: Final = "error_rate"
# Beside a metric of evidence, whatever the value: what it said holds no more, as it is there no more (`up_over`), or
# though it should be (`up_silent`). The database knows them as well (0077_ends.sql).
OVER: Final = "_over"
SILENT: Final = "_silent"
# Metric -> whose end it is, and whether for good.
ENDS: Final[dict[str, tuple[str, bool]]] = {
    metric + how: (metric, how == OVER) for metric in (UP_METRIC, ERROR_RATE_METRIC) for how in (OVER, SILENT)
}
# All that the availability of a tenant follows from.
EVIDENCE_METRICS: Final = frozenset({UP_METRIC, ERROR_RATE_METRIC, *ENDS})
# A pushed `up.callbot` is the `up` of the component callbot.
COMPONENT_SEPARATOR: Final = "."

# Names of the simulator's Prometheus series that our rules and collectors read.
SIM_SERVICE_READY: Final = "ecp_sim_service_ready"
SIM_TENANT_READY: Final = "ecp_sim_tenant_ready"

# What one service of a tenant uses (sent as `service_sessions.callbot`) -> field of `ServiceUsage`. Custom, so that
# nobody's sums over metric_type 'cpu' (percent of the tenant) meet millicores.
SERVICE_METRICS: Final[dict[str, str]] = {
    "service_cpu_millicores": "cpu",
    "service_memory_mib": "memory",
    "service_sessions": "sessions",
    "service_replicas": "replicas",
}
# What tells of a tenant's GPUs, and the field of `model.usage.GpuUsage` that it is.
GPU_METRICS: Final[dict[str, str]] = {
    "gpu_sm_active": "sm",
    "gpu_dram_active": "dram",
    "gpu_engine_active": "engine",
    "gpu_util_sampled": "sampled",
    "gpu_usage": "other",
    "gpu_memory_usage": "memory",
}
