"""What pods and nodes use now, as metrics.k8s.io reports it."""

from __future__ import annotations

from ecpmon.simulator.model.keys import ObjectKey
from ecpmon.simulator.model.pods import Pod, PodPhase
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.view import NETWORK_IN, NETWORK_OUT
from ecpmon.simulator.model.workload import observe, rhythm

_IDLE_PERCENT = 5.0
_RESTING_PERCENT = 38.0
_UNSTATED_MILLICORES = 10.0  # of a container without requests
_UNSTATED_BYTES = 32 * 1024**2


def pod_usage(state: ClusterState, pod_key: ObjectKey) -> tuple[float, int] | None:
    """(millicores, bytes) that a running pod uses; None for a pod that does not run."""
    pod = state.pods.get(f"{pod_key.namespace}/{pod_key.name}")
    return None if pod is None else _usage(state, pod)


def pod_network(state: ClusterState, pod: Pod) -> tuple[float, float]:
    """Bytes per second that the pod receives and sends: its share of what its service's users ask and are told."""
    deployment = state.deployments.get(pod.deployment)
    if deployment is None or not pod.serving or not deployment.condition.up:
        return 0.0, 0.0
    shape = rhythm(state.seed, deployment.tenant_id, deployment.spec.name)
    reading = observe(deployment.spec, deployment.pod_sessions, deployment.condition, shape, state.now)
    share = reading.rps / deployment.condition.up
    return share * NETWORK_IN, share * (1.0 - reading.errors) * NETWORK_OUT


def node_usage(state: ClusterState, name: str) -> tuple[float, int] | None:
    """(millicores, bytes) that a node's pods use together; None for a node that is dead or unknown."""
    node = state.nodes.get(name)
    if node is None or not node.ready:
        return None
    found = [_usage(state, pod) for pod in state.pods.values() if pod.node == name]
    used = [usage for usage in found if usage is not None]
    return sum(cpu for cpu, _ in used), sum(memory for _, memory in used)


def _usage(state: ClusterState, pod: Pod) -> tuple[float, int] | None:
    if pod.phase is not PodPhase.RUNNING or pod.started_at is None:
        return None
    if pod.node is None or not state.nodes[pod.node].ready:
        return None
    cpu, memory = _IDLE_PERCENT, _RESTING_PERCENT
    deployment = state.deployments.get(pod.deployment)
    if deployment is not None and pod.serving:
        shape = rhythm(state.seed, deployment.tenant_id, deployment.spec.name)
        reading = observe(deployment.spec, deployment.pod_sessions, deployment.condition, shape, state.now)
        cpu, memory = reading.cpu, reading.memory
    # What its service needs of it does not change with what it is given.
    wanted = deployment.spec.resources if deployment is not None and pod.manifest else pod.resources
    return (
        (wanted.cpu_millicores or _UNSTATED_MILLICORES) * cpu / 100,
        round((wanted.memory_bytes or _UNSTATED_BYTES) * memory / 100),
    )
