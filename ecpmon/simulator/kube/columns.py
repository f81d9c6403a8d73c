"""The columns and cells of `kubectl get`, per kind, as the real server prints them."""

from __future__ import annotations

from typing import Final

from ecpmon.simulator.kube.cells import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    Column,
    containers,
    dig,
    moment,
    number,
    pairs,
    selector_text,
    since,
    text,
)
from ecpmon.simulator.kube.status import Document
from ecpmon.simulator.model.times import Micros

_TEMPLATE: Final = "spec.template.spec.containers"
_TEMPLATE_COLUMNS: Final = (
    Column("Containers", containers("name", _TEMPLATE), wide=True),
    Column("Images", containers("image", _TEMPLATE), wide=True),
    Column("Selector", lambda d, _: selector_text(dig(d, "spec.selector")), wide=True),
)


# Pods


def _pod_ready(pod: Document, _: Micros) -> str:
    statuses = dig(pod, "status.containerStatuses", [])
    ready = sum(bool(status.get("ready")) for status in statuses)
    return f"{ready}/{len(dig(pod, 'spec.containers', []))}"


def pod_status(pod: Document, _: Micros) -> str:
    """Phase, or what is wrong with a container, as the STATUS column says it."""
    status = pod.get("status") or {}
    reason = status.get("reason") or status.get("phase") or UNKNOWN
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        if dig(state, "waiting.reason"):
            reason = state["waiting"]["reason"]
        elif state.get("terminated"):
            ended = state["terminated"]
            reason = ended.get("reason") or f"ExitCode:{ended.get('exitCode', 0)}"
    if pod["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return str(reason)


def _restarts(pod: Document, now: Micros) -> str:
    statuses = dig(pod, "status.containerStatuses", [])
    count = sum(int(status.get("restartCount") or 0) for status in statuses)
    ends = [dig(status, "lastState.terminated.finishedAt") for status in statuses]
    last = max((end for end in ends if end), default=None)
    return f"{count} ({since(last, now)} ago)" if count and last else str(count)


def _readiness_gates(pod: Document, _: Micros) -> str:
    gates = dig(pod, "spec.readinessGates", [])
    if not gates:
        return NONE
    true = {c["type"] for c in dig(pod, "status.conditions", []) if c.get("status") == "True"}
    return f"{sum(gate.get('conditionType') in true for gate in gates)}/{len(gates)}"


PODS: Final = (
    NAME,
    Column("Ready", _pod_ready),
    Column("Status", pod_status),
    Column("Restarts", _restarts),
    AGE,
    Column("IP", text("status.podIP"), wide=True),
    Column("Node", text("spec.nodeName"), wide=True),
    Column("Nominated Node", text("status.nominatedNodeName"), wide=True),
    Column("Readiness Gates", _readiness_gates, wide=True),
)

# Workloads

DEPLOYMENTS: Final = (
    NAME,
    Column("Ready", lambda d, _: f"{dig(d, 'status.readyReplicas', 0)}/{dig(d, 'spec.replicas', 0)}"),
    Column("Up-to-date", number("status.updatedReplicas"), "integer"),
    Column("Available", number("status.availableReplicas"), "integer"),
    AGE,
    *_TEMPLATE_COLUMNS,
)
REPLICA_SETS: Final = (
    NAME,
    Column("Desired", number("spec.replicas"), "integer"),
    Column("Current", number("status.replicas"), "integer"),
    Column("Ready", number("status.readyReplicas"), "integer"),
    AGE,
    *_TEMPLATE_COLUMNS,
)
STATEFUL_SETS: Final = (
    NAME,
    Column("Ready", lambda d, _: f"{dig(d, 'status.readyReplicas', 0)}/{dig(d, 'spec.replicas', 0)}"),
    AGE,
    *_TEMPLATE_COLUMNS[:2],
)
DAEMON_SETS: Final = (
    NAME,
    Column("Desired", number("status.desiredNumberScheduled"), "integer"),
    Column("Current", number("status.currentNumberScheduled"), "integer"),
    Column("Ready", number("status.numberReady"), "integer"),
    Column("Up-to-date", number("status.updatedNumberScheduled"), "integer"),
    Column("Available", number("status.numberAvailable"), "integer"),
    Column("Node Selector", lambda d, _: pairs(dig(d, "spec.template.spec.nodeSelector"))),
    AGE,
    *_TEMPLATE_COLUMNS,
)


def _job_status(job: Document, _: Micros) -> str:
    for condition in dig(job, "status.conditions", []):
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed", "Suspended"):
            return str(condition["type"])
    return "Running"


def _job_duration(job: Document, now: Micros) -> str:
    """Until it was done, or how long it has been at it."""
    begun, done = dig(job, "status.startTime"), dig(job, "status.completionTime")
    return since(begun, moment(done) if done else now) if begun else ""


JOBS: Final = (
    NAME,
    Column("Status", _job_status),
    Column("Completions", lambda d, _: f"{dig(d, 'status.succeeded', 0)}/{dig(d, 'spec.completions', 1)}"),
    Column("Duration", _job_duration),
    AGE,
    *_TEMPLATE_COLUMNS,
)
CRON_JOBS: Final = (
    NAME,
    Column("Schedule", text("spec.schedule")),
    Column("Timezone", text("spec.timeZone")),
    Column("Suspend", lambda d, _: str(dig(d, "spec.suspend", False))),
    Column("Active", lambda d, _: len(dig(d, "status.active", [])), "integer"),
    Column(
        "Last Schedule",
        lambda d, now: (
            since(dig(d, "status.lastScheduleTime"), now) if dig(d, "status.lastScheduleTime") else NONE
        ),
    ),
    AGE,
)

# Services


def _external_ip(service: Document, _: Micros) -> str:
    ips = dig(service, "spec.externalIPs", [])
    kind = dig(service, "spec.type")
    if kind == "ExternalName":
        return str(dig(service, "spec.externalName", NONE))
    if kind == "LoadBalancer":
        points = dig(service, "status.loadBalancer.ingress", [])
        found = [point.get("ip") or point.get("hostname") or "" for point in points] + ips
        return ",".join(found) or "<pending>"
    return ",".join(ips) or NONE


def _service_ports(service: Document, _: Micros) -> str:
    ports = []
    for port in dig(service, "spec.ports", []):
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        ports.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(ports) or NONE


SERVICES: Final = (
    NAME,
    Column("Type", text("spec.type", "ClusterIP")),
    Column("Cluster-IP", text("spec.clusterIP")),
    Column("External-IP", _external_ip),
    Column("Port(s)", _service_ports),
    AGE,
    Column("Selector", lambda d, _: pairs(dig(d, "spec.selector")), wide=True),
)


def _hosts(ingress: Document, _: Micros) -> str:
    hosts = [rule["host"] for rule in dig(ingress, "spec.rules", []) if rule.get("host")]
    return ",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "") or "*"


def _points(ingress: Document, _: Micros) -> str:
    points = dig(ingress, "status.loadBalancer.ingress", [])
    return ",".join(point.get("ip") or point.get("hostname") or "" for point in points)


INGRESSES: Final = (
    NAME,
    Column("Class", text("spec.ingressClassName")),
    Column("Hosts", _hosts),
    Column("Address", _points),
    Column("Ports", lambda d, _: "80, 443" if dig(d, "spec.tls") else "80"),
    AGE,
)
NETWORK_POLICIES: Final = (
    NAME,
    Column("Pod-Selector", lambda d, _: selector_text(dig(d, "spec.podSelector"))),
    AGE,
)


def _endpoints(document: Document, _: Micros) -> str:
    found = []
    for subset in document.get("subsets") or ():
        for address in subset.get("addresses") or ():
            found += [f"{address.get('ip')}:{port.get('port')}" for port in subset.get("ports") or ()]
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "") or NONE


ENDPOINTS: Final = (NAME, Column("Endpoints", _endpoints), AGE)


def _slice_ports(document: Document, _: Micros) -> str:
    return ",".join(str(port.get("port", "*")) for port in document.get("ports") or ()) or "<unset>"


def _slice_addresses(document: Document, _: Micros) -> str:
    found = [a for point in document.get("endpoints") or () for a in point.get("addresses") or ()]
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "") or "<unset>"


ENDPOINT_SLICES: Final = (
    NAME,
    Column("AddressType", text("addressType")),
    Column("Ports", _slice_ports),
    Column("Endpoints", _slice_addresses),
    AGE,
)
