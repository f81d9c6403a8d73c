"""Every object of a tenant in dependency order."""

from __future__ import annotations

from ecpmon.model.tenants import Tenant
from ecpmon.orchestrator.manifests.foundation import foundation
from ecpmon.orchestrator.manifests.monitoring import prometheus_rule, service_monitor
from ecpmon.orchestrator.manifests.network import network_policy, service
from ecpmon.orchestrator.manifests.options import Manifest, ManifestOptions, Scope
from ecpmon.orchestrator.manifests.routing import entrance, gateway_of, routes
from ecpmon.orchestrator.manifests.scaling import autoscaler, disruption_budget
from ecpmon.orchestrator.manifests.workload import claim, deployment
from ecpmon.orchestrator.plans import TenantPlan


def render(tenant: Tenant, plan: TenantPlan, options: ManifestOptions | None = None) -> tuple[Manifest, ...]:
    """What to apply for `tenant`, each object after those it needs. Secrets are named, never written."""
    scope = Scope(tenant, plan, options or ManifestOptions())
    services, gateway = plan.services, gateway_of(scope)
    objects = [*foundation(scope), network_policy(scope)]
    objects += [routes(scope, gateway)] if gateway else []
    objects += [claim(scope, s) for s in services if s.spec.stateful]
    objects += [service(scope, s) for s in services]
    objects += [deployment(scope, s) for s in services]
    objects += [autoscaler(scope, s) for s in services if not s.spec.stateful]
    objects += [disruption_budget(scope, s) for s in services if s.disruption_budget]
    if scope.options.include_ingress:
        objects += entrance(scope)
    if scope.options.include_monitoring:
        objects += [service_monitor(scope), prometheus_rule(scope)]
    return tuple(objects)
