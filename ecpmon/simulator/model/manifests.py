"""Kubernetes manifests and what the model takes from them, both ways."""

from __future__ import annotations

from typing import Any, Final

import orjson

from ecpmon.simulator.model.hashing import name_suffix
from ecpmon.simulator.model.objects import LABEL_SERVICE, LABEL_TENANT, Manifest, Resources, ServiceSpec
from ecpmon.simulator.model.pods import Fault
from ecpmon.simulator.model.quantities import GPU, cpu_limit_of, requests_of
from ecpmon.simulator.model.tenants import RESERVED_TENANTS, namespace_of
from ecpmon.simulator.model.times import SECOND, Micros, from_seconds

SESSIONS: Final = "ecp.ai/sessions"
STARTUP: Final = "ecp.ai/startup-seconds"
RUN: Final = "ecp.ai/run-seconds"
REVISION: Final = "deployment.kubernetes.io/revision"
MANAGED_BY: Final = "ecp.ai/managed-by"
SESSIONS_PER_REPLICA: Final = 20
DEFAULT_STARTUP: Final[Micros] = 8 * SECOND
DEFAULT_RUN: Final[Micros] = 5 * SECOND
_MAX_STARTUP: Final = 3600.0
_PORT: Final = 8080
# What the server alone writes; everything else of the metadata belongs to the clients.
SERVER_FIELDS: Final = frozenset(
    ("name", "namespace", "uid", "creationTimestamp", "resourceVersion", "generation", "selfLink")
)


def template_hash(seed: int, template: Manifest) -> str:
    """The pod-template-hash: changes exactly when the pods have to be replaced."""
    return name_suffix(9, seed, "template", orjson.dumps(template, option=orjson.OPT_SORT_KEYS).decode())


def from_document(document: Manifest) -> Manifest:
    """The clients' part of an object: no identity, no status."""
    metadata = {key: value for key, value in document["metadata"].items() if key not in SERVER_FIELDS}
    rest = {k: v for k, v in document.items() if k not in ("apiVersion", "kind", "metadata", "status")}
    return {"metadata": metadata, **rest}


def labels_of(manifest: Manifest) -> dict[str, str]:
    return dict((manifest.get("metadata") or {}).get("labels") or {})


def annotations_of(manifest: Manifest) -> dict[str, str]:
    return dict((manifest.get("metadata") or {}).get("annotations") or {})


def tenant_of_namespace(namespace: str, labels: Manifest) -> str:
    """The tenant whose namespace this is, if the labels say so as well; otherwise empty."""
    tenant = str(labels.get(LABEL_TENANT, ""))
    if not tenant or tenant in RESERVED_TENANTS:
        return ""
    return tenant if namespace == namespace_of(tenant) else ""


def spec_of(
    name: str, manifest: Manifest, pod_spec: Manifest, found: ServiceSpec | None = None
) -> ServiceSpec:
    """The service that a deployment's manifest describes; sessions that nobody states stay as they were.

    `pod_spec` is its pods' with the defaults of their namespace.
    """
    replicas = int(manifest["spec"].get("replicas", 1))
    annotations = annotations_of(manifest)
    default = found.sessions if found else SESSIONS_PER_REPLICA * max(1, replicas)
    sessions = _number(annotations.get(SESSIONS))
    startup = startup_of_manifest(annotations, pod_spec)
    requests, limit = requests_of(pod_spec), cpu_limit_of(pod_spec)
    if limit == requests.cpu_millicores:
        limit = 0
    stated = default if sessions is None else round(sessions)
    return ServiceSpec(name, replicas, requests, stated, startup, limit)


def startup_of_manifest(annotations: Manifest, pod_spec: Manifest) -> Micros:
    """Start-up time as the annotation says, or long enough for the probes' first delays."""
    stated = _number(annotations.get(STARTUP))
    if stated is not None:
        return from_seconds(min(stated, _MAX_STARTUP))
    delay = 0
    for container in pod_spec.get("containers") or ():
        for probe in ("startupProbe", "readinessProbe"):
            delay = max(delay, int((container.get(probe) or {}).get("initialDelaySeconds") or 0))
    return DEFAULT_STARTUP + min(delay, 3600) * SECOND


def task_of(annotations: Manifest, pod_spec: Manifest) -> Micros:
    """How long a container runs that is not to run for ever; 0 for one that is.

    What is to be restarted whenever it ends is a service. Of anything else nobody knows what it does, so that it
    ends well after a while, which an annotation may state.
    """
    if pod_spec.get("restartPolicy", "Always") == "Always":
        return 0
    stated = _number(annotations.get(RUN))
    return DEFAULT_RUN if stated is None else max(1, from_seconds(min(stated, _MAX_STARTUP)))


def _number(text: Any) -> float | None:
    """A number ≥ 0, or None for anything else: an annotation is only a hint."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if 0 <= value < 1e9 else None


def fault_of(pod_spec: Manifest) -> Fault:
    """What the tags of the images say is wrong with them."""
    tags = {
        str(c.get("image", "")).rpartition("/")[2].partition(":")[2] for c in pod_spec.get("containers") or ()
    }
    return next((fault for fault in Fault if fault and fault.value in tags), Fault.NONE)


def share(value: Any, total: int, *, up: bool) -> int:
    """A count, or a percentage of `total` rounded up or down."""
    if isinstance(value, str) and value.endswith("%"):
        part = int(value[:-1]) * total
        return -(-part // 100) if up else part // 100
    return int(value)


def surge_and_unavailable(manifest: Manifest, wanted: int) -> tuple[int, int]:
    """maxSurge and maxUnavailable in pods; never both 0, or nothing could ever move."""
    strategy = manifest["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0, wanted
    rolling = strategy.get("rollingUpdate") or {}
    surge = share(rolling.get("maxSurge", "25%"), wanted, up=True)
    unavailable = min(wanted, share(rolling.get("maxUnavailable", "25%"), wanted, up=False))
    return (surge, unavailable) if surge or unavailable else (0, 1)


def manifest_of(spec: ServiceSpec, tenant_id: str) -> Manifest:
    """The Deployment that a REST call stands for.

    It selects what the orchestrator's manifests select, as a selector cannot change: they are applied over it later.
    """
    chosen = {"app": spec.name, LABEL_TENANT: tenant_id}
    labels = {
        **chosen,
        LABEL_SERVICE: spec.name,
        "app.kubernetes.io/name": spec.name,
        MANAGED_BY: "ecp-simulator",
    }
    return {
        "metadata": {
            "labels": labels,
            "annotations": {SESSIONS: str(spec.sessions), STARTUP: str(spec.startup / SECOND)},
        },
        "spec": {
            "replicas": spec.replicas,
            "selector": {"matchLabels": chosen},
            "template": _template(spec.name, labels, spec.resources),
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
        },
    }


def _template(service: str, labels: Manifest, resources: Resources) -> Manifest:
    wanted = _wanted(resources)
    container = {
        "name": service,
        "image": f"ecp/{service}:1.0.0",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": _PORT, "protocol": "TCP"}],
        "resources": {"requests": wanted, "limits": wanted},
        "livenessProbe": _probe("/health"),
        "readinessProbe": _probe("/ready"),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    return {
        "metadata": {"labels": dict(labels)},
        "spec": {
            "containers": [container],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "schedulerName": "default-scheduler",
        },
    }


def _wanted(resources: Resources) -> dict[str, str]:
    wanted = {"cpu": f"{resources.cpu_millicores}m", "memory": _memory(resources.memory_bytes)}
    return {**wanted, GPU: str(resources.gpu)} if resources.gpu else wanted


def _memory(count: int) -> str:
    return f"{count // 1024**2}Mi" if count % 1024**2 == 0 else str(count)


def _probe(path: str) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
