"""HorizontalPodAutoscaler and PodDisruptionBudget."""

from __future__ import annotations

from typing import Final

from ecpmon.orchestrator.manifests.options import Manifest, Scope
from ecpmon.orchestrator.plans import ServicePlan

# The design utilisation of rules/presets.yaml. Of the limit: against requests, a tenth of it, it would
# scale out at rest.
TARGET_PERCENT: Final = 70


def target_millicores(limit: int) -> int:
    """The CPU that a pod may use on average before replicas are added, of its limit in millicores."""
    return max(1, limit * TARGET_PERCENT // 100)


def autoscaler(scope: Scope, service: ServicePlan) -> Manifest:
    """Between the planned replicas and what the quota admits of all services at their maxima together.

    `minReplicas` is where the plan's number stands: the Deployment says none, so that applying it does not undo what
    the autoscaler decided.
    """
    limit = int(service.cpu_limit.removesuffix("m"))
    target = {"type": "AverageValue", "averageValue": f"{target_millicores(limit)}m"}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.service_name},
        "minReplicas": service.replicas,
        "maxReplicas": service.max_replicas,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
    }
    return scope.object("autoscaling/v2", "HorizontalPodAutoscaler", service.service_name, service, spec=spec)


def disruption_budget(scope: Scope, service: ServicePlan) -> Manifest:
    """One pod at a time: a drain goes on, and the spare replica covers it. Who does not serve holds nobody up."""
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": scope.selector(service)},
    }
    return scope.object("policy/v1", "PodDisruptionBudget", service.service_name, service, spec=spec)
