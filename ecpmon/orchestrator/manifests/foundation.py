"""What a namespace holds before any workload: quota, limits, account, settings."""

from __future__ import annotations

from collections.abc import Iterator

from ecpmon.orchestrator.manifests.options import ACCOUNT, CONFIG, SECRET, Manifest, Scope
from ecpmon.orchestrator.room import gpu_quota


def foundation(scope: Scope) -> Iterator[Manifest]:
    """Namespace, ResourceQuota, LimitRange, ServiceAccount, ConfigMap."""
    yield {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": scope.namespace, "labels": scope.labels},
    }
    yield scope.object("v1", "ResourceQuota", "ecp-quota", spec={"hard": _hard(scope)})
    yield scope.object("v1", "LimitRange", "ecp-limits", spec={"limits": [_container_limits()]})
    yield scope.object("v1", "ServiceAccount", ACCOUNT, automountServiceAccountToken=False)
    yield scope.object("v1", "ConfigMap", CONFIG, data=_settings(scope))


def _hard(scope: Scope) -> dict[str, str]:
    plan = scope.plan
    gpus = gpu_quota(plan.resources.gpu, plan.services)
    claims = sum(s.storage_gb for s in plan.services if s.spec.stateful)
    return {
        "limits.cpu": plan.resources.cpu,
        "limits.memory": plan.resources.memory,
        "requests.cpu": plan.resources.cpu,
        "requests.memory": plan.resources.memory,
        "requests.nvidia.com/gpu": str(gpus),
        "requests.storage": f"{claims}G",
    }


def _container_limits() -> dict[str, object]:
    """For what is started by hand; our own containers all say what they need."""
    return {
        "type": "Container",
        "default": {"cpu": "500m", "memory": "512Mi"},
        "defaultRequest": {"cpu": "50m", "memory": "64Mi"},
    }


def _settings(scope: Scope) -> dict[str, str]:
    target = scope.tenant.sla_target
    found = {
        "TENANT_ID": scope.tenant.tenant_id,
        "ECP_PRESET": scope.plan.preset,
        "ECP_SLA_AVAILABILITY": target.availability,
        "ECP_SECRET_NAME": SECRET,
    }
    if target.response_time is not None:
        found["ECP_SLA_RESPONSE_TIME"] = target.response_time
    return found
