"""Small words for the tests of the simulator's model."""

from __future__ import annotations

from ecpmon.simulator.model.commands import inject, put_tenant
from ecpmon.simulator.model.failures import FailureType
from ecpmon.simulator.model.objects import Deployment, Resources, ServiceSpec
from ecpmon.simulator.model.pods import Pod
from ecpmon.simulator.model.scenarios import ScenarioStep
from ecpmon.simulator.model.state import ClusterState, new_state
from ecpmon.simulator.model.step import step
from ecpmon.simulator.model.times import SECOND, from_seconds

T0 = 1_790_000_000 * SECOND
STARTUP = 8


def spec(
    name: str = "callbot",
    replicas: int = 3,
    *,
    cpu: int = 500,
    memory_gib: int = 1,
    gpu: int = 0,
    sessions: int = 50,
    startup: float = STARTUP,
) -> ServiceSpec:
    resources = Resources(cpu, memory_gib * 1024**3, gpu)
    return ServiceSpec(name, replicas, resources, sessions, from_seconds(startup))


def later(state: ClusterState, seconds: float) -> ClusterState:
    return step(state, from_seconds(seconds))


def running(*services: ServiceSpec, nodes: int = 4, seed: int = 7, tenant: str = "acme") -> ClusterState:
    """A cluster with one tenant that has been ready for a minute."""
    state = put_tenant(new_state(seed, T0, nodes=nodes), tenant, services or (spec(),))
    return later(state, 60)


def fail(
    state: ClusterState,
    kind: str,
    seconds: float,
    severity: float = 0.5,
    tenant: str = "acme",
    target: str | None = None,
) -> ClusterState:
    order = ScenarioStep(FailureType(kind), from_seconds(seconds), severity, 0, target)
    return inject(state, tenant, [order])[0]


def ready(state: ClusterState, tenant: str = "acme") -> bool | None:
    return state.tenants[tenant].ready


def service(state: ClusterState, name: str = "callbot", tenant: str = "acme") -> Deployment:
    return state.deployments[f"ecp-ai-{tenant}/{name}"]


def pods(state: ClusterState, name: str = "callbot", tenant: str = "acme") -> list[Pod]:
    return [state.pods[key] for key in state.pods_of[f"ecp-ai-{tenant}/{name}"]]


def truth_seconds(state: ClusterState, tenant: str = "acme") -> list[tuple[float, bool]]:
    """Transitions in seconds after T0."""
    return [((at - T0) / SECOND, up) for at, up in state.tenants[tenant].truth]
