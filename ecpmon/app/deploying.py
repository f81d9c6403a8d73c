"""Which deployers there are, by what is configured, and the service that uses them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

from ecpmon.model.tenants import Tenant
from ecpmon.orchestrator.deployments import DeploymentService
from ecpmon.ports.orchestrator import Deployer
from ecpmon.ports.service import Clock
from ecpmon.ports.sla import MaintenanceStore, WindowSums
from ecpmon.ports.tenants import TenantStore
from ecpmon.settings import Settings
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.parts import Terms
from ecpmon.sla.terms import terms_of
from ecpmon.storage.database import Database
from ecpmon.storage.deployments import PgDeploymentStore

# Instead of a kubeconfig: the service account of the pod we run in.
IN_CLUSTER: Final = "in-cluster"


def make_deployments(
    database: Database,
    settings: Settings,
    clock: Clock,
    *,
    tenants: TenantStore,
    window_sums: WindowSums,
    maintenance: MaintenanceStore,
    intervals: Intervals,
    demo: bool,
    carries_out: bool,
) -> DeploymentService:
    async def terms(tenant: Tenant) -> Terms:
        return terms_of(tenant, await maintenance.of_tenant(tenant), clock.now())

    deployers = _demo_deployers() if demo else _deployers(settings)
    return DeploymentService(
        PgDeploymentStore(database), tenants, window_sums, terms, intervals, deployers, clock,
        takeover=timedelta(seconds=settings.deployment_takeover), carries_out=carries_out,
        surroundings=surroundings(settings),
    )  # fmt: skip


def surroundings(settings: Settings) -> dict[str, Any]:
    """What manifests are to know of the cluster, by the names of `ManifestOptions`."""
    redis = settings.redis_url
    return {
        "ingress_domain": settings.ingress_domain,
        "ingress_class": settings.ingress_class,
        "tls_issuer": settings.tls_issuer,
        "ingress_namespace": settings.ingress_namespace,
        "monitoring_namespace": settings.monitoring_namespace,
        "route": settings.ingress_route,
        "gateway": settings.ingress_gateway,
        "gpu_nodes": "" if settings.gpu_nodes == "none" else settings.gpu_nodes,
        "redis_url": None if redis is None else redis.get_secret_value(),
    }


def _demo_deployers() -> dict[str, Deployer]:
    from ecpmon.orchestrator.deployers.demo import DemoDeployer

    return {"demo": DemoDeployer()}


def _deployers(settings: Settings) -> dict[str, Deployer]:
    """By method. A method that is not configured is absent, and refused when somebody asks for it; none is imported."""
    found = _of_clusters(settings) if settings.simulator_url or settings.kubeconfig else {}
    if settings.gitops_url:
        from ecpmon.orchestrator.deployers.gitops import GitopsDeployer

        found["gitops"] = GitopsDeployer(
            settings.gitops_url,
            Path(settings.gitops_dir) if settings.gitops_dir else Path.cwd() / ".ecpmon" / "gitops",
            branch=settings.gitops_branch,
            token=settings.gitops_token,
            author=settings.gitops_author,
            watcher=cast("Any", found.get("kubernetes")),
        )
    return found


def _of_clusters(settings: Settings) -> dict[str, Deployer]:
    from ecpmon.orchestrator.deployers.cluster import ClusterAddress
    from ecpmon.orchestrator.deployers.kubernetes import KubernetesDeployer

    found: dict[str, Deployer] = {}
    if settings.simulator_url:
        simulator = ClusterAddress(url=settings.simulator_url)
        found["simulator"] = KubernetesDeployer(simulator, rollout_timeout=settings.rollout_timeout)
    if settings.kubeconfig:
        in_cluster = settings.kubeconfig == IN_CLUSTER
        cluster = ClusterAddress(
            kubeconfig=None if in_cluster else settings.kubeconfig, context=settings.kube_context
        )
        found["kubernetes"] = KubernetesDeployer(cluster, rollout_timeout=settings.rollout_timeout)
    return found
