"""Deployments and the volumes of stateful parts."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from ecpmon.orchestrator.catalogue import Probe
from ecpmon.orchestrator.manifests.options import (
    ACCOUNT,
    CONFIG,
    SECRET,
    SESSIONS_ANNOTATION,
    Manifest,
    Scope,
)
from ecpmon.orchestrator.manifests.routing import (
    ROUTES,
    ROUTES_ANNOTATION,
    ROUTES_PATH,
    routes_digest,
)
from ecpmon.orchestrator.plans import ServicePlan

REDIS_URL: Final = "redis://redis-service:6379"
GPU: Final = "nvidia.com/gpu"


def claim(scope: Scope, service: ServicePlan) -> Manifest:
    """The volume of a stateful part, in decimal GB as the catalogue counts."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{service.storage_gb}G"}},
    }
    return scope.object("v1", "PersistentVolumeClaim", f"{service.service_name}-data", service, spec=spec)


def deployment(scope: Scope, service: ServicePlan) -> Manifest:
    """The pods of one service. How many there are is its autoscaler's to say, where it has one."""
    made = scope.object("apps/v1", "Deployment", service.service_name, service)
    made["metadata"]["annotations"] = {SESSIONS_ANNOTATION: str(service.sessions)}
    about: Manifest = {"labels": scope.service_labels(service)}
    if service.spec.fronts_users:
        about["annotations"] = {ROUTES_ANNOTATION: routes_digest(scope, service)}
    made["spec"] = {
        **({"replicas": service.replicas} if service.spec.stateful else {}),
        "revisionHistoryLimit": 5,
        "selector": {"matchLabels": scope.selector(service)},
        # One writer never has a second beside it; of several pods, one at a time goes.
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": int(service.surge), "maxUnavailable": int(not service.surge)},
        },
        "template": {"metadata": about, "spec": _pod(scope, service)},
    }
    return made


def _pod(scope: Scope, service: ServicePlan) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "serviceAccountName": ACCOUNT,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": service.spec.user,
            "runAsGroup": service.spec.user,
            "fsGroup": service.spec.user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if service.replicas > 1:
        pod["topologySpreadConstraints"] = [_spread(scope, service)]
    if service.gpu:
        if scope.options.gpu_nodes:
            key, _, value = scope.options.gpu_nodes.partition("=")
            pod["nodeSelector"] = {key: value}
        pod["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    pod["containers"] = [_container(scope, service)]
    pod["volumes"] = _volumes(service)
    return pod


def _spread(scope: Scope, service: ServicePlan) -> dict[str, Any]:
    """Over the nodes that take such a pod: tainted ones would count as empty domains, and hold the others back. That
    those without its label do not count is the default."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule" if service.spread else "ScheduleAnyway",
        "nodeTaintsPolicy": "Honor",
        "labelSelector": {"matchLabels": scope.selector(service)},
    }


def _container(scope: Scope, service: ServicePlan) -> dict[str, Any]:
    spec = service.spec
    return {
        "name": service.service_name,
        "image": service.image,
        "ports": [{"name": "http" if spec.liveness.path else "tcp", "containerPort": spec.port}],
        "env": _env(scope, service),
        "envFrom": [
            {"configMapRef": {"name": CONFIG}},
            {"secretRef": {"name": SECRET, "optional": True}},
        ],
        "resources": _resources(service),
        "livenessProbe": _probe(spec.liveness, spec.port),
        "readinessProbe": _probe(spec.readiness, spec.port),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": _mounts(service),
    }


def _env(scope: Scope, service: ServicePlan) -> list[dict[str, Any]]:
    url, redis = scope.options.redis_url, {"name": "REDIS_URL"}
    if url is not None and urlsplit(url).password is not None:
        named = {"valueFrom": {"secretKeyRef": {"name": SECRET, "key": "REDIS_URL"}}}
    else:
        named = {"value": url or REDIS_URL}  # type: ignore[dict-item]
    return [
        {"name": "TENANT_ID", "value": scope.tenant.tenant_id},
        {"name": "SERVICE_TYPE", "value": service.service_name},
        {**redis, **named},
        *({"name": name, "value": value} for name, value in service.spec.env.items()),
    ]


def _resources(service: ServicePlan) -> dict[str, dict[str, str]]:
    gpu = {GPU: str(service.gpu)} if service.gpu else {}
    return {
        "requests": {"cpu": service.cpu_request, "memory": service.memory_request, **gpu},
        "limits": {"cpu": service.cpu_limit, "memory": service.memory_limit, **gpu},
    }


def _probe(probe: Probe, port: int) -> dict[str, Any]:
    asked = {"tcpSocket": {"port": port}}
    if probe.path is not None:
        asked = {"httpGet": {"path": probe.path, "port": port}}  # type: ignore[dict-item]
    return {
        **asked,
        "initialDelaySeconds": probe.initial_delay_seconds,
        "periodSeconds": probe.period_seconds,
        "timeoutSeconds": min(3, probe.period_seconds),
    }


def _mounts(service: ServicePlan) -> list[dict[str, Any]]:
    spec = service.spec
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - inside the container
    if spec.data_path is not None:
        mounts.append({"name": "data", "mountPath": spec.data_path})
    mounts += [{"name": f"written-{n}", "mountPath": path} for n, path in enumerate(spec.writes)]
    if spec.fronts_users:
        mounts.append({"name": "routes", "mountPath": ROUTES_PATH, "readOnly": True})
    return mounts


def _volumes(service: ServicePlan) -> list[dict[str, Any]]:
    """A read-only root needs writable places: /tmp, data_path, and what else the catalogue says the image writes to."""
    scratch = {"sizeLimit": f"{service.storage_gb}G"} if service.storage_gb else {}
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {} if service.spec.stateful else scratch}]
    if service.spec.stateful:
        claimed = {"persistentVolumeClaim": {"claimName": f"{service.service_name}-data"}}
        volumes.append({"name": "data", **claimed})
    elif service.spec.data_path:
        volumes.append({"name": "data", "emptyDir": scratch})
    volumes += [{"name": f"written-{n}", "emptyDir": {}} for n in range(len(service.spec.writes))]
    if service.spec.fronts_users:
        volumes.append({"name": "routes", "configMap": {"name": ROUTES}})
    return volumes
