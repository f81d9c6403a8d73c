"""What is below a pod: its log, its eviction, and the metrics that it would serve itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest

from ecpmon.kube.metadata import matches
from ecpmon.simulator.kube.catalogue import CATALOGUE
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.query import flag, number
from ecpmon.simulator.kube.status import ApiError, Document, bad_request
from ecpmon.simulator.kube.writing import delete, existing
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import SECOND, Micros, to_micros

_METRICS_PATH = "metrics"


def log_lines(state: ClusterState, target: Target, query: Mapping[str, str]) -> list[str]:
    """The lines of a container's log. ApiError 400 for a container that does not exist or has not run."""
    pod = existing(state, target)
    _check_container(pod, query.get("container", ""))
    previous = flag(query, "previous")
    if not any(_has_run(status, previous=previous) for status in _statuses(pod)):
        raise _no_log(pod, previous=previous)
    since, tail = _since(state, query), number(query, "tailLines")
    lines = cluster.pod_log(state, target.key, since=since, tail=tail, previous=previous)
    return lines if flag(query, "timestamps") else [untimed(line) for line in lines]


def untimed(line: str) -> str:
    """A line without the time that the node wrote in front of it."""
    return line.partition(" ")[2]


def _check_container(pod: Document, wanted: str) -> None:
    names = [container["name"] for container in pod["spec"]["containers"]]
    name = pod["metadata"]["name"]
    if wanted and wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {name}")
    if not wanted and len(names) > 1:
        message = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
        raise bad_request(message)


def _statuses(pod: Document) -> list[Document]:
    found: list[Document] = (pod.get("status") or {}).get("containerStatuses") or []
    return found


def _has_run(status: Document, *, previous: bool) -> bool:
    """A container that crashed is still asked for its last run's words."""
    if previous:
        return bool(status.get("restartCount"))
    state = status.get("state") or {}
    return bool(state.get("running") or state.get("terminated") or status.get("lastState"))


def _no_log(pod: Document, *, previous: bool) -> ApiError:
    name, container = pod["metadata"]["name"], pod["spec"]["containers"][0]["name"]
    if previous:
        return bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
    statuses = _statuses(pod)
    waiting = ((statuses[0].get("state") or {}).get("waiting") or {}) if statuses else {}
    reason = waiting.get("reason") or "ContainerCreating"
    return bad_request(f'container "{container}" in pod "{name}" is waiting to start: {reason}')


def _since(state: ClusterState, query: Mapping[str, str]) -> Micros | None:
    seconds = number(query, "sinceSeconds")
    if seconds is not None:
        return state.now - seconds * SECOND
    text = query.get("sinceTime")
    if not text:
        return None
    try:
        return to_micros(datetime.fromisoformat(text.replace(" ", "+")))
    except ValueError:
        raise bad_request(f"sinceTime: {text!r} is not an RFC 3339 time") from None


def evict(state: ClusterState, target: Target, body: Document) -> tuple[ClusterState, Document]:
    """Delete the pod unless a PodDisruptionBudget needs it: then ApiError 429, as the real server says it.

    A pod that is not ready is let go as the budget's `unhealthyPodEvictionPolicy` says; one that has not begun or is
    over is nobody's loss.
    """
    pod = existing(state, target)
    if body.get("kind", "Eviction") != "Eviction":
        raise bad_request("the kind in the data does not match the expected kind (Eviction)")
    if (pod.get("status") or {}).get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp"):
        _check_budgets(state, pod)
    options = body.get("deleteOptions") or {}
    bare = Target(target.resource, target.namespace, target.name)
    state, _ = delete(state, bare, options)
    return state, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _check_budgets(state: ClusterState, pod: Document) -> None:
    labels = pod["metadata"].get("labels") or {}
    found = [
        budget
        for budget in cluster.items(state, "poddisruptionbudgets.policy", pod["metadata"]["namespace"])
        if matches(budget["spec"].get("selector"), labels)
    ]
    if len(found) > 1:
        message = (
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
        raise ApiError(500, "InternalError", message)
    for budget in found:
        status = budget.get("status") or {}
        if status.get("disruptionsAllowed", 0) < 1 and not (not _ready(pod) and _lets_go(budget, status)):
            raise _too_many(budget, status)


def _lets_go(budget: Document, status: Document) -> bool:
    """Whether the budget has nothing against losing a pod that is not ready."""
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    desired = status.get("desiredHealthy", 0)
    return bool(desired > 0 and status.get("currentHealthy", 0) >= desired)


def _ready(pod: Document) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _too_many(budget: Document, status: Document) -> ApiError:
    name, desired, healthy = (
        budget["metadata"]["name"],
        status.get("desiredHealthy", 0),
        status.get("currentHealthy", 0),
    )
    cause = {
        "reason": "DisruptionBudget",
        "message": f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently",
    }
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return ApiError(429, "TooManyRequests", message, details={"causes": [cause]})


def proxied_name(target: Target) -> str:
    """The name in what a proxy is asked for: `[scheme:]name[:port]`."""
    return target.name.split(":")[1 if target.name.startswith(("http:", "https:")) else 0]


def behind(state: ClusterState, target: Target) -> Target:
    """A ready pod of the service that a proxy is asked for. ApiError 404 without the service, 503 without a pod."""
    name = proxied_name(target)
    existing(state, Target(target.resource, target.namespace, name))
    of_pods = CATALOGUE.find("", "v1", "pods") or target.resource
    found = cluster.get(state, cluster.ObjectKey("endpoints", target.namespace, name)) or {}
    for subset in found.get("subsets") or ():
        for address in subset.get("addresses") or ():
            about = address.get("targetRef") or {}
            if about.get("kind") == "Pod":
                return Target(of_pods, target.namespace, about["name"], target.subresource, target.rest)
    raise ApiError(503, "ServiceUnavailable", f'no endpoints available for service "{name}"')


def proxied(state: ClusterState, target: Target) -> bytes:
    """What the pod itself would answer; only its `/metrics` is. ApiError 503 while it cannot be reached."""
    name = proxied_name(target)
    target = Target(target.resource, target.namespace, name, target.subresource, target.rest)
    pod = existing(state, target)
    if target.rest.strip("/") != _METRICS_PATH:
        raise ApiError(404, "NotFound", f"pod {name} answers /{_METRICS_PATH} only")
    if not any((status.get("state") or {}).get("running") for status in _statuses(pod)):
        message = f'error trying to reach service: pod "{name}" has no running container'
        raise ApiError(503, "ServiceUnavailable", message)
    return _exposition(state, target, pod)


def _exposition(state: ClusterState, target: Target, pod: Document) -> bytes:
    registry = CollectorRegistry(auto_describe=False)

    def gauge(metric: str, text: str, value: float) -> None:
        Gauge(metric, text, registry=registry).set(value)

    use = cluster.pod_usage(state, target.key)
    if use is not None:
        gauge("ecp_pod_cpu_usage_cores", "CPU in use.", use[0] / 1000)
        gauge("ecp_pod_memory_usage_bytes", "Memory in use.", use[1])
    gauge("ecp_pod_ready", "1 when the pod's readiness probe passes.", float(_ready(pod)))
    restarts = sum(int(status.get("restartCount") or 0) for status in _statuses(pod))
    gauge("ecp_pod_restarts", "Container restarts since the pod was made.", restarts)
    return generate_latest(registry)
