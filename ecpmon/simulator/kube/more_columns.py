"""Columns of nodes, policies, quotas, events and the rest; and which kind has which."""

from __future__ import annotations

from typing import Any, Final

from ecpmon.simulator.kube import columns as c
from ecpmon.simulator.kube.cells import AGE, NAME, NONE, UNKNOWN, Column, dig, number, since, text
from ecpmon.simulator.kube.status import Document
from ecpmon.simulator.model.document_draft import DEFAULT_CLASS
from ecpmon.simulator.model.times import Micros


def _node_status(node: Document, _: Micros) -> str:
    ready = [x for x in dig(node, "status.conditions", []) if x.get("type") == "Ready"]
    words = ["Ready" if ready[0].get("status") == "True" else "NotReady"] if ready else ["Unknown"]
    return ",".join([*words, *(["SchedulingDisabled"] if dig(node, "spec.unschedulable") else [])])


def _roles(node: Document, _: Micros) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or NONE


def _node_address(kind: str) -> Any:
    def cell(node: Document, _: Micros) -> str:
        addresses = dig(node, "status.addresses", [])
        return next((a["address"] for a in addresses if a.get("type") == kind), NONE)

    return cell


_NODES: Final = (
    NAME,
    Column("Status", _node_status),
    Column("Roles", _roles),
    AGE,
    Column("Version", text("status.nodeInfo.kubeletVersion", UNKNOWN)),
    Column("Internal-IP", _node_address("InternalIP"), wide=True),
    Column("External-IP", _node_address("ExternalIP"), wide=True),
    Column("OS-Image", text("status.nodeInfo.osImage", UNKNOWN), wide=True),
    Column("Kernel-Version", text("status.nodeInfo.kernelVersion", UNKNOWN), wide=True),
    Column("Container-Runtime", text("status.nodeInfo.containerRuntimeVersion", UNKNOWN), wide=True),
)


def _targets(hpa: Document, _: Micros) -> str:
    current = dig(hpa, "status.currentMetrics", [])
    parts = []
    for index, metric in enumerate(dig(hpa, "spec.metrics", [])):
        now = current[index] if index < len(current) else {}
        parts.append(_target(metric, now))
    return ", ".join(parts[:2]) + (f" + {len(parts) - 2} more..." if len(parts) > 2 else "") or NONE


def _target(metric: Document, current: Document) -> str:
    kind = str(metric.get("type", ""))
    key = kind[:1].lower() + kind[1:]
    wanted, found = dig(metric, f"{key}.target", {}), dig(current, f"{key}.current", {})
    if "averageUtilization" in wanted:
        seen = found.get("averageUtilization")
        name = dig(metric, f"{key}.name", "")
        return f"{name}: {UNKNOWN if seen is None else f'{seen}%'}/{wanted['averageUtilization']}%"
    value = wanted.get("averageValue") or wanted.get("value")
    seen = found.get("averageValue") or found.get("value") or UNKNOWN
    return f"{seen}/{value}" + (" (avg)" if "averageValue" in wanted else "")


_AUTOSCALERS: Final = (
    NAME,
    Column("Reference",
           lambda d, _: f"{dig(d, 'spec.scaleTargetRef.kind')}/{dig(d, 'spec.scaleTargetRef.name')}"),
    Column("Targets", _targets),
    Column("MinPods", text("spec.minReplicas", "<unset>")),
    Column("MaxPods", number("spec.maxReplicas"), "integer"),
    Column("Replicas", number("status.currentReplicas"), "integer"),
    AGE,
)  # fmt: skip
_BUDGETS: Final = (
    NAME,
    Column("Min Available", text("spec.minAvailable", "N/A")),
    Column("Max Unavailable", text("spec.maxUnavailable", "N/A")),
    Column("Allowed Disruptions", number("status.disruptionsAllowed"), "integer"),
    AGE,
)


def _quota(prefix: str) -> Any:
    def cell(quota: Document, _: Micros) -> str:
        hard, used = dig(quota, "status.hard", dig(quota, "spec.hard", {})), dig(quota, "status.used", {})
        mine = [name for name in sorted(hard) if name.startswith("limits") is (prefix == "limits")]
        return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in mine)

    return cell


# The real server calls the first column after the name REQUEST since 1.33.
_QUOTAS: Final = (NAME, Column("Request", _quota("requests")), Column("Limit", _quota("limits")), AGE)
_NAMESPACES: Final = (NAME, Column("Status", text("status.phase", "Active")), AGE)


def _last_seen(event: Document, now: Micros) -> str:
    moment = event.get("lastTimestamp") or dig(event, "series.lastObservedTime") or event.get("eventTime")
    return since(moment or event["metadata"].get("creationTimestamp"), now)


def _first_seen(event: Document, now: Micros) -> str:
    return since(event.get("firstTimestamp") or event.get("eventTime"), now)


def _object(event: Document, _: Micros) -> str:
    about = event.get("involvedObject") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


_EVENTS: Final = (
    Column("Last Seen", _last_seen),
    Column("Type", text("type", "")),
    Column("Reason", text("reason", "")),
    Column("Object", _object),
    Column("Subobject", text("involvedObject.fieldPath", ""), wide=True),
    Column("Source", lambda d, _: dig(d, "source.component") or d.get("reportingComponent", ""), wide=True),
    Column("Message", lambda d, _: str(d.get("message", "")).strip()),
    Column("First Seen", _first_seen, wide=True),
    Column("Count", text("count", 1), wide=True),
    Column("Name", text("metadata.name"), wide=True, form="name"),
)
_SECRETS: Final = (
    NAME,
    Column("Type", text("type")),
    Column("Data", lambda d, _: len(d.get("data") or {}), "integer"),
    AGE,
)
_CONFIG_MAPS: Final = (
    NAME,
    Column("Data", lambda d, _: len(d.get("data") or {}) + len(d.get("binaryData") or {}), "integer"),
    AGE,
)
_ACCOUNTS: Final = (NAME, Column("Secrets", lambda d, _: len(d.get("secrets") or ()), "integer"), AGE)
_LIMITS: Final = (NAME, Column("Created At", text("metadata.creationTimestamp")))
_MODES: Final = {
    "ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP",
}  # fmt: skip


def _phase(document: Document, _: Micros) -> str:
    leaving = dig(document, "metadata.deletionTimestamp")
    return "Terminating" if leaving else str(dig(document, "status.phase", "Pending"))


def _taken_by(volume: Document, _: Micros) -> str:
    found = dig(volume, "spec.claimRef", {})
    return f"{found.get('namespace')}/{found.get('name')}" if found else ""


def _class_name(document: Document, _: Micros) -> str:
    name = str(dig(document, "metadata.name"))
    marks = dig(document, "metadata.annotations", {})
    return f"{name} (default)" if marks.get(DEFAULT_CLASS) == "true" else name


_CLASS: Final = Column("StorageClass", text("spec.storageClassName", ""))
_CLAIMS: Final = (
    NAME,
    Column("Status", _phase),
    Column("Volume", text("spec.volumeName", "")),
    Column("Capacity", text("status.capacity.storage", "")),
    Column("Access Modes", lambda d, _: ",".join(_MODES.get(m, m) for m in dig(d, "status.accessModes", []))),
    _CLASS,
    Column("VolumeAttributesClass", text("spec.volumeAttributesClassName", "<unset>")),
    AGE,
    Column("VolumeMode", text("spec.volumeMode", "<unset>"), wide=True),
)
_VOLUMES: Final = (
    NAME,
    Column("Capacity", text("spec.capacity.storage", "")),
    Column("Access Modes", lambda d, _: ",".join(_MODES.get(m, m) for m in dig(d, "spec.accessModes", []))),
    Column("Reclaim Policy", text("spec.persistentVolumeReclaimPolicy", "")),
    Column("Status", _phase),
    Column("Claim", _taken_by),
    _CLASS,
    Column("VolumeAttributesClass", text("spec.volumeAttributesClassName", "<unset>")),
    Column("Reason", text("status.reason", "")),
    AGE,
    Column("VolumeMode", text("spec.volumeMode", "<unset>"), wide=True),
)
_CLASSES: Final = (
    Column("Name", _class_name, form="name"),
    Column("Provisioner", text("provisioner", "")),
    Column("ReclaimPolicy", text("reclaimPolicy", "Delete")),
    Column("VolumeBindingMode", text("volumeBindingMode", "Immediate")),
    Column("AllowVolumeExpansion", lambda d, _: str(bool(d.get("allowVolumeExpansion"))).lower()),
    AGE,
)
_LEASES: Final = (NAME, Column("Holder", text("spec.holderIdentity", "")), AGE)
_BINDINGS: Final = (
    NAME,
    Column("Role", lambda d, _: f"{dig(d, 'roleRef.kind')}/{dig(d, 'roleRef.name')}"),
    AGE,
)
_CREATED: Final = (NAME, Column("Created At", text("metadata.creationTimestamp")))
_PRIORITIES: Final = (
    NAME,
    Column("Value", number("value"), "integer"),
    Column("Global-Default", lambda d, _: bool(d.get("globalDefault")), "boolean"),
    AGE,
)
DEFAULT: Final = (NAME, AGE)

COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    "pods": c.PODS,
    "services": c.SERVICES,
    "endpoints": c.ENDPOINTS,
    "nodes": _NODES,
    "namespaces": _NAMESPACES,
    "events": _EVENTS,
    "resourcequotas": _QUOTAS,
    "limitranges": _LIMITS,
    "secrets": _SECRETS,
    "configmaps": _CONFIG_MAPS,
    "serviceaccounts": _ACCOUNTS,
    "persistentvolumeclaims": _CLAIMS,
    "persistentvolumes": _VOLUMES,
    "storageclasses.storage.k8s.io": _CLASSES,
    "deployments.apps": c.DEPLOYMENTS,
    "replicasets.apps": c.REPLICA_SETS,
    "statefulsets.apps": c.STATEFUL_SETS,
    "daemonsets.apps": c.DAEMON_SETS,
    "jobs.batch": c.JOBS,
    "cronjobs.batch": c.CRON_JOBS,
    "horizontalpodautoscalers.autoscaling": _AUTOSCALERS,
    "poddisruptionbudgets.policy": _BUDGETS,
    "networkpolicies.networking.k8s.io": c.NETWORK_POLICIES,
    "ingresses.networking.k8s.io": c.INGRESSES,
    "endpointslices.discovery.k8s.io": c.ENDPOINT_SLICES,
    "leases.coordination.k8s.io": _LEASES,
    "roles.rbac.authorization.k8s.io": _CREATED,
    "clusterroles.rbac.authorization.k8s.io": _CREATED,
    "rolebindings.rbac.authorization.k8s.io": _BINDINGS,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDINGS,
    "customresourcedefinitions.apiextensions.k8s.io": _CREATED,
    "priorityclasses.scheduling.k8s.io": _PRIORITIES,
}
