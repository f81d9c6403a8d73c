"""The (simulated) cluster as a whole: what the simulator says of it, in the words of the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecpmon.api.answers.monitoring import Cluster, ClusterQuantities
from ecpmon.errors import EcpError, MonitoringUnavailable
from ecpmon.ports.orchestrator import SimulatorClient

Health = Literal["healthy", "degraded", "critical"]


@dataclass(frozen=True, slots=True)
class Found:
    """`nodes_ready` of so many `nodes`."""

    shown: Cluster
    nodes_ready: int
    nodes: int


async def cluster_of(simulator: SimulatorClient, among: list[str] | None) -> Found:
    """What the simulator says about its cluster. Raises MonitoringUnavailable."""
    try:
        said = await simulator.status(among)
        ready = sum(1 for node in said["nodes"] if node["ready"])
        shown: Cluster = {
            "cluster_status": _status(ready, len(said["nodes"])),
            "total_resources": _quantities(said["capacity"]),
            "used_resources": _quantities(said["used"]),
            "utilization": {name.partition("_")[0]: share for name, share in said["utilization"].items()},
        }
        return Found(shown, ready, len(said["nodes"]))
    except EcpError as error:  # a refusal as well: asking how it is cannot be our caller's mistake
        raise MonitoringUnavailable(error.message) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise MonitoringUnavailable("the simulator's answer is not what was asked for") from error


def _status(ready: int, nodes: int) -> Health:
    if nodes and ready == nodes:
        return "healthy"
    return "degraded" if ready else "critical"


def _quantities(amounts: dict[str, int]) -> ClusterQuantities:
    """The simulator's plain numbers (millicores, bytes, GPUs) as Kubernetes quantities."""
    found: ClusterQuantities = {
        "cpu": f"{amounts['cpu_millicores']}m",
        "memory": f"{amounts['memory_bytes'] // 2**30}Gi",
        "gpu": amounts["gpu"],
    }
    if "storage_bytes" in amounts:  # an older simulator has none
        found["storage"] = _storage(amounts["storage_bytes"])
    return found


def _storage(size: int) -> str:
    """Decimal terabytes with at least one place, as everywhere in the API: `2.0TB`, `0.04TB`."""
    whole, rest = divmod(round(size / 10**9), 1000)
    return f"{whole}.{f'{rest:03d}'.rstrip('0') or '0'}TB"
