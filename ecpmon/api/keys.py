"""Public names of metrics in replies and messages (api.md §3 and §8)."""

from __future__ import annotations

from typing import Final

from ecpmon.names import CANONICAL_METRICS, METRIC_TYPES

_SHORT: Final = {"cpu_usage": "cpu", "memory_usage": "memory", "gpu_usage": "gpu"}


def live_key(metric_type: str, metric_name: str) -> str:
    """Key in WebSocket messages: `cpu`, `memory`, `gpu`, else the metric's name."""
    return _SHORT.get(metric_name, metric_name) if metric_type != "custom" else metric_name


def asked_key(name: str) -> str:
    """The key that a subscriber means: `cpu_usage` is `cpu`."""
    return _SHORT.get(name, name)


def _only_names() -> dict[str, str]:
    """metric_type -> its one canonical name, for the types that have just one."""
    names: dict[str, set[str]] = {}
    for metric_type, name in CANONICAL_METRICS.values():
        names.setdefault(metric_type, set()).add(name)
    names.pop("sla")  # availability comes under it as well
    return {metric_type: min(found) for metric_type, found in names.items() if len(found) == 1}


_ONLY: Final = _only_names()


def plot_key(metric_type: str, metric_name: str) -> str:
    """Key in `GET …/monitoring`: the type when it has one canonical name, else the metric's name.

    A custom metric that is called like a type keeps apart from it: `custom.storage`.
    """
    if _ONLY.get(metric_type) == metric_name:
        return metric_type
    return f"{metric_type}.{metric_name}" if metric_name in METRIC_TYPES else metric_name
