"""The values the API server fills in before it stores an object."""

from __future__ import annotations

import base64
from collections.abc import Callable
from copy import deepcopy
from hashlib import sha256
from typing import Any, Final

from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.status import Document

_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE: Final = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_POD: Final = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
}
_FIRST_NODE_PORT, _NODE_PORTS = 30000, 2768


def with_defaults(resource: Resource, document: Document) -> Document:
    """A copy of `document` with every default set; kinds without defaults come back as they are."""
    fill = _FILLERS.get(resource.name)
    if fill is None:
        return document
    result = deepcopy(document)
    fill(result)
    return result


def _set(target: Document, **values: Any) -> None:
    for key, value in values.items():
        if target.get(key) is None:
            target[key] = deepcopy(value)


def _objects(holder: Document, key: str) -> list[Document]:
    """The items of a list that are objects; validation speaks about the others."""
    items = holder.get(key)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _object(holder: Document, key: str) -> Document:
    """`holder[key]` as an object, created when absent; a throw-away one when it is something else."""
    if holder.get(key) is None:
        holder[key] = {}
    found: Any = holder[key]
    return found if isinstance(found, dict) else {}


def _pod_spec(spec: Document) -> None:
    _set(spec, **_POD, securityContext={})
    if spec.get("serviceAccountName"):
        _set(spec, serviceAccount=spec["serviceAccountName"])
    for container in [*_objects(spec, "initContainers"), *_objects(spec, "containers")]:
        _container(container)
    for volume in _objects(spec, "volumes"):
        for source in ("configMap", "secret", "projected", "downwardAPI"):
            if isinstance(volume.get(source), dict):
                _set(volume[source], defaultMode=420)


def _container(container: Document) -> None:
    image = str(container.get("image", ""))
    tagged = ":" in image.rpartition("/")[2] and not image.endswith(":latest")
    _set(
        container,
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy="IfNotPresent" if tagged or "@" in image else "Always",
        resources={},
    )
    for port in _objects(container, "ports"):
        _set(port, protocol="TCP")
    for name in _PROBES:
        if isinstance(container.get(name), dict):
            _probe(container[name])
    for variable in _objects(container, "env"):
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if isinstance(reference, dict):
            _set(reference, apiVersion="v1")


def _probe(probe: Document) -> None:
    _set(probe, **_PROBE)
    if isinstance(probe.get("httpGet"), dict):
        _set(probe["httpGet"], path="/", scheme="HTTP")


def _pod(document: Document) -> None:
    spec = _object(document, "spec")
    _pod_spec(spec)
    _set(spec, enableServiceLinks=True)
    for container in _objects(spec, "containers"):
        limits = (container.get("resources") or {}).get("limits")
        if isinstance(limits, dict):
            requests = container["resources"].setdefault("requests", {})
            _set(requests, **limits)


def _template(document: Document) -> Document:
    spec = _object(document, "spec")
    if isinstance(spec.get("template"), dict):
        _pod_spec(_object(spec["template"], "spec"))
    return spec


def _deployment(document: Document) -> None:
    spec = _template(document)
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = _object(spec, "strategy")
    _set(strategy, type="RollingUpdate")
    if strategy.get("type") == "RollingUpdate":
        _set(_object(strategy, "rollingUpdate"), maxSurge="25%", maxUnavailable="25%")


def _replica_set(document: Document) -> None:
    _set(_template(document), replicas=1)


def _stateful_set(document: Document) -> None:
    spec = _template(document)
    _set(spec, replicas=1, podManagementPolicy="OrderedReady", revisionHistoryLimit=10)
    _set(_object(spec, "updateStrategy"), type="RollingUpdate")


def _daemon_set(document: Document) -> None:
    spec = _template(document)
    _set(spec, revisionHistoryLimit=10)
    strategy = _object(spec, "updateStrategy")
    _set(strategy, type="RollingUpdate")
    if strategy.get("type") == "RollingUpdate":
        _set(_object(strategy, "rollingUpdate"), maxSurge=0, maxUnavailable=1)


def _job(document: Document) -> None:
    spec = _template(document)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        _set(spec, completions=1)
    _set(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)


def _cron_job(document: Document) -> None:
    _set(
        _object(document, "spec"),
        concurrencyPolicy="Allow",
        suspend=False,
        successfulJobsHistoryLimit=3,
        failedJobsHistoryLimit=1,
    )


def _service(document: Document) -> None:
    spec = _object(document, "spec")
    _set(spec, type="ClusterIP", sessionAffinity="None")
    for port in _objects(spec, "ports"):
        _set(port, protocol="TCP", targetPort=port.get("port"))
    if spec.get("type") == "ExternalName":
        return
    _set(spec, internalTrafficPolicy="Cluster", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
    _set(spec, clusterIP=_address(document))
    _set(spec, clusterIPs=[spec["clusterIP"]])
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        _set(spec, externalTrafficPolicy="Cluster")
        for port in _objects(spec, "ports"):
            _set(port, nodePort=_FIRST_NODE_PORT + _number(document, port.get("port")) % _NODE_PORTS)


def _number(document: Document, *more: Any) -> int:
    metadata = document["metadata"]
    text = "/".join(map(str, (metadata.get("namespace"), metadata.get("name"), *more)))
    return int.from_bytes(sha256(text.encode()).digest()[:4])


def _address(document: Document) -> str:
    """From the service's name, so that the same manifest gets the same address in every simulation."""
    number = _number(document)
    return f"10.{96 + number % 16}.{number // 16 % 256}.{1 + number // 4096 % 254}"


def _autoscaler(document: Document) -> None:
    spec = _object(document, "spec")
    _set(spec, minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _network_policy(document: Document) -> None:
    spec = _object(document, "spec")
    _set(spec, podSelector={}, policyTypes=["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def _secret(document: Document) -> None:
    _set(document, type="Opaque")
    written = document.pop("stringData", None)
    if isinstance(written, dict):
        data = _object(document, "data")
        data |= {key: base64.b64encode(str(value).encode()).decode() for key, value in written.items()}


def _namespace(document: Document) -> None:
    labels = _object(document["metadata"], "labels")
    labels["kubernetes.io/metadata.name"] = document["metadata"].get("name", "")
    _set(_object(document, "spec"), finalizers=["kubernetes"])
    _set(_object(document, "status"), phase="Active")


def _claim(document: Document) -> None:
    _set(_object(document, "spec"), volumeMode="Filesystem")
    _set(_object(document, "status"), phase="Pending")


_FILLERS: Final[dict[str, Callable[[Document], None]]] = {
    "pods": _pod,
    "services": _service,
    "secrets": _secret,
    "namespaces": _namespace,
    "persistentvolumeclaims": _claim,
    "deployments.apps": _deployment,
    "replicasets.apps": _replica_set,
    "statefulsets.apps": _stateful_set,
    "daemonsets.apps": _daemon_set,
    "jobs.batch": _job,
    "cronjobs.batch": _cron_job,
    "horizontalpodautoscalers.autoscaling": _autoscaler,
    "networkpolicies.networking.k8s.io": _network_policy,
}
