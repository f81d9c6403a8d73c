"""Deployments and the volumes of stateful parts."""

from __future__ import annotations

from typing import Any, Final

from ecpmon.orchestrator.catalogue import Probe
from ecpmon.orchestrator.manifests.foundation import REDIS_URL
from ecpmon.orchestrator.manifests.options import (
    ACCOUNT,
    CONFIG,
    SECRET,
    SESSIONS_ANNOTATION,
    Manifest,
    Scope,
)
from ecpmon.orchestrator.plans import ServicePlan

# Any number but 0: images are told, and volumes are given to it by fsGroup.
USER: Final = 10001
GPU: Final = "nvidia.com/gpu"


def claim(scope: Scope, service: ServicePlan) -> Manifest:
    """The volume of a stateful part, in decimal GB as the catalogue counts."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{service.storage_gb}G"}},
    }
    return scope.object("v1", "PersistentVolumeClaim", f"{service.service_name}-data", service, spec=spec)


def deployment(scope: Scope, service: ServicePlan) -> Manifest:
    """The pods of one service."""
    made = scope.object("apps/v1", "Deployment", service.service_name, service)
    made["metadata"]["annotations"] = {SESSIONS_ANNOTATION: str(service.sessions)}
    made["spec"] = {
        "replicas": service.replicas,
        "revisionHistoryLimit": 5,
        "selector": {"matchLabels": scope.selector(service)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling(scope, service)},
        "template": {
            "metadata": {"labels": scope.service_labels(service)},
            "spec": _pod(scope, service),
        },
    }
    return made


def _rolling(scope: Scope, service: ServicePlan) -> dict[str, int]:
    """A surge only where the quota has room for it; one writer never has a second beside it."""
    granted = scope.plan.resources
    free_cpu = int(granted.cpu.removesuffix("m")) - scope.plan.needs.cpu_millicores
    pod = service.needs.cpu_millicores // service.replicas
    surge = not service.spec.stateful and service.replicas == 1 and not service.gpu and free_cpu >= pod
    return {"maxSurge": int(surge), "maxUnavailable": int(not surge)}


def _pod(scope: Scope, service: ServicePlan) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "serviceAccountName": ACCOUNT,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if service.replicas > 1:
        pod["topologySpreadConstraints"] = [_spread(scope, service)]
    if service.gpu:
        pod["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    pod["containers"] = [_container(scope, service)]
    pod["volumes"] = _volumes(service)
    return pod


def _spread(scope: Scope, service: ServicePlan) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule" if service.spread else "ScheduleAnyway",
        "labelSelector": {"matchLabels": scope.selector(service)},
    }


def _container(scope: Scope, service: ServicePlan) -> dict[str, Any]:
    spec = service.spec
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - inside the container
    if spec.data_path is not None:
        mounts.append({"name": "data", "mountPath": spec.data_path})
    return {
        "name": service.service_name,
        "image": service.image,
        "ports": [{"name": "http" if spec.liveness.path else "tcp", "containerPort": spec.port}],
        "env": [
            {"name": "TENANT_ID", "value": scope.tenant.tenant_id},
            {"name": "SERVICE_TYPE", "value": service.service_name},
            {"name": "REDIS_URL", "value": REDIS_URL},
        ],
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
        "volumeMounts": mounts,
    }


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


def _volumes(service: ServicePlan) -> list[dict[str, Any]]:
    """A read-only root needs writable places: /tmp, and data_path where the catalogue names one."""
    size = f"{service.storage_gb}G"
    if service.spec.stateful:
        claimed = {"persistentVolumeClaim": {"claimName": f"{service.service_name}-data"}}
        return [{"name": "tmp", "emptyDir": {}}, {"name": "data", **claimed}]
    scratch = {"sizeLimit": size} if service.storage_gb else {}
    volumes = [{"name": "tmp", "emptyDir": scratch}]
    return [*volumes, {"name": "data", "emptyDir": scratch}] if service.spec.data_path else volumes
