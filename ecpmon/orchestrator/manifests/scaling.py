"""HorizontalPodAutoscaler and PodDisruptionBudget."""

from __future__ import annotations

from typing import Final

from ecpmon.orchestrator.catalogue import PresetSpec
from ecpmon.orchestrator.manifests.options import Manifest, Scope
from ecpmon.orchestrator.plans import ServicePlan

# The design utilisation of rules/presets.yaml. Of the limit: against requests, a tenth of it, it would
# scale out at rest.
TARGET_PERCENT: Final = 70


def target_millicores(limit: int) -> int:
    """The CPU that a pod may use on average before replicas are added, of its limit in millicores."""
    return max(1, limit * TARGET_PERCENT // 100)


def autoscaler(scope: Scope, service: ServicePlan) -> Manifest:
    """Between the planned replicas and what the quota still admits for this service alone."""
    limit = int(service.cpu_limit.removesuffix("m"))
    target = {"type": "AverageValue", "averageValue": f"{target_millicores(limit)}m"}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.service_name},
        "minReplicas": service.replicas,
        "maxReplicas": service.replicas + _room(scope, service),
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
    }
    return scope.object("autoscaling/v2", "HorizontalPodAutoscaler", service.service_name, service, spec=spec)


def disruption_budget(scope: Scope, service: ServicePlan) -> Manifest:
    """One pod at a time: a drain goes on, and the spare replica covers it."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": scope.selector(service)}}
    return scope.object("policy/v1", "PodDisruptionBudget", service.service_name, service, spec=spec)


def _room(scope: Scope, service: ServicePlan) -> int:
    """Replicas beyond the plan that fit what the preset grants, at most as many again as planned."""
    granted = PresetSpec(**scope.plan.resources.model_dump(), deployment_minutes=(1, 1))
    needs, each = scope.plan.needs, service.needs
    free = (
        (granted.cpu - needs.cpu_millicores, each.cpu_millicores),
        (granted.memory - needs.memory_mib, each.memory_mib),
        (granted.gpu - needs.gpus, service.gpu * service.replicas),
        (granted.storage - needs.storage_gb, each.storage_gb),
    )
    rooms = [left * service.replicas // used for left, used in free if used]
    return max(0, min([service.replicas, *rooms]))
