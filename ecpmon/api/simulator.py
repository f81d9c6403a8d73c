"""The simulator through the orchestrator: deploy tenants there and break them (api.md §7)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NotRequired, cast

from aiohttp import web
from pydantic import ConfigDict, Field, StrictBool, StrictStr

from ecpmon.api.auth import runs_the_cluster
from ecpmon.api.common import backend_of, bad_field, now_of, read_model, reply, seen_tenants, tenant_of
from ecpmon.api.context import CALLER, CONTEXT, Backend
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import (
    BadRequest,
    BudgetExhausted,
    Conflict,
    Forbidden,
    InsufficientResources,
    NotFound,
    SimulatorUnavailable,
    ValidationFailed,
)
from ecpmon.model.operating import without_secrets
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.openapi.declaring import TypedDict, optional
from ecpmon.orchestrator.simulated import bring_out
from ecpmon.ports.orchestrator import Reach, SimulatorClient
from ecpmon.shapes import Model

routes = Routes()


# What `failure_scenarios` starts: rules/simulator/scenarios.yaml.
SCENARIO: Final = "short_outage"


# What the simulator may answer, beside that it does not.
_SIMULATED: Final = (SimulatorUnavailable, BadRequest, Forbidden, NotFound, Conflict, ValidationFailed)


class SimulatorDeployBody(Model):
    model_config = ConfigDict(extra="ignore")

    include_monitoring: Annotated[StrictBool, Field(description="Simulated pods are always observable.")] = (
        True
    )
    enable_sla_tracking: Annotated[
        StrictBool,
        Field(
            description="false is for a tenant whose availability is told by somebody else (`sli_source`)."
        ),
    ] = True
    failure_scenarios: StrictBool = False
    force: Annotated[
        StrictBool,
        Field(description="Although the error budget is spent; `reason` is kept with the deployment."),
    ] = False
    reason: Annotated[StrictStr, Field(max_length=1000, pattern=r"^[^\x00]*$")] = ""


class FailureBody(Model):
    model_config = ConfigDict(extra="ignore")

    failure_type: Annotated[StrictStr, Field(min_length=1, max_length=50, examples=["pod_crash"])]
    duration_seconds: Annotated[float, Field(gt=0, le=30 * 86_400, strict=True)] | None = None
    severity: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None


def simulator_of(request: web.Request) -> SimulatorClient:
    client = backend_of(request).simulator
    if client is None:
        raise SimulatorUnavailable("no simulator is configured here; set ECPMON_SIMULATOR_URL")
    return client


def _reach(request: web.Request) -> Reach:
    """How far the caller's failures may go."""
    return "cluster" if runs_the_cluster(request[CALLER]) else "tenant"


class SimulatorDeployed(TypedDict):
    status: Literal["success"]
    deployment_id: Annotated[str, Field(examples=["sim-deploy-0f3c1b2a4d5e"])]
    simulator_dashboard: Annotated[str, Field(examples=["http://127.0.0.1:6360/dashboard/my-ai-service"])]
    resources_count: Annotated[int, Field(description="Services.")]
    sla_monitoring: bool
    failure_scenario: Annotated[str | None, Field(examples=[None])]


class Amounts(TypedDict):
    cpu_millicores: int
    memory_bytes: int
    gpu: int


class AllAmounts(Amounts):
    """Storage: what is on the disks. A simulator of an older release does not tell it."""

    storage_bytes: NotRequired[int]


class Utilization(TypedDict):
    """Requests over capacity, and what is on the disks over their size, in percent."""

    cpu_millicores: float
    memory_bytes: float
    gpu: float
    storage_bytes: NotRequired[float]


class NodeShown(TypedDict):
    name: Annotated[str, Field(examples=["node-1"])]
    ready: bool
    capacity: Amounts
    used: Amounts


class ClusterShown(TypedDict):
    timestamp: datetime
    nodes: list[NodeShown]
    capacity: AllAmounts
    used: Annotated[AllAmounts, Field(description="By the caller's tenants.")]
    utilization: Utilization
    tenants: int
    pods: Annotated[Mapping[str, int], Field(description="By phase.", examples=[{"Running": 4}])]


class SimulatorStatus(TypedDict):
    status: Literal["running"]
    cluster: ClusterShown


class FailureType(TypedDict):
    failure_type: Annotated[str, Field(examples=["pod_crash"])]
    description: str
    severity_means: str
    default_duration_seconds: float
    default_severity: float
    outage: Annotated[str, Field(description="Whether it can make a tenant not ready.")]
    reach: Annotated[Literal["tenant", "cluster"], Field(description="`cluster`: what tenants share.")]


class FailureTypes(TypedDict):
    failure_types: list[FailureType]


class Affected(TypedDict):
    pods: list[str]
    services: list[str]
    nodes: list[str]


class FailureShown(TypedDict):
    """A failure; `affected` names what was chosen when it started."""

    id: str
    tenant_id: str
    failure_type: Annotated[str, Field(examples=["pod_crash"])]
    severity: float
    start: datetime
    end: datetime
    duration_seconds: float
    target_service: str | None
    active: bool
    effect: str
    affected: Affected


class FailuresEnded(TypedDict):
    tenant_id: str
    ended: Annotated[list[str], Field(description="Their ids.")]
    timestamp: datetime


@routes.post(
    "/api/v1/simulator/deploy/{tenant_id}",
    Permission.OPERATE,
    body=optional(SimulatorDeployBody),
    answers={200: SimulatorDeployed},
    refuses=(*_SIMULATED, BudgetExhausted, InsufficientResources),
)
async def deploy(request: web.Request) -> web.Response:
    """Deploy a tenant into the simulator, whose readiness then is its SLA evidence."""
    backend, tenant = backend_of(request), await tenant_of(request)
    body = await read_model(request, SimulatorDeployBody, optional=True)
    deployed = tenant.deployed("simulator")
    tracked = deployed.evidence_source is Source.SIMULATOR
    if tracked and not body.enable_sla_tracking:
        raise bad_field(
            "enable_sla_tracking",
            "the simulator is this tenant's evidence; give the tenant an sli_source of push or prometheus first",
        )
    client = simulator_of(request)
    forced = await backend.deployments.check_gate(tenant, force=body.force, reason=body.reason)
    deployment_id, count = await bring_out(
        tenant,
        client,
        backend.deployments.store,
        backend.tenants,
        backend.intervals,
        request.app[CONTEXT].clock,
        by=request[CALLER].name,
        forced_because=forced,
        scenario=SCENARIO if body.failure_scenarios else None,
    )
    if body.failure_scenarios:
        await _note(request, tenant, "failure.triggered", {"scenario": SCENARIO})
    await backend.deployments.let_go(tenant, "simulator")
    done: SimulatorDeployed = {
        "status": "success",
        "deployment_id": deployment_id,
        "simulator_dashboard": _dashboard(backend, tenant),
        "resources_count": count,
        "sla_monitoring": tracked,
        "failure_scenario": SCENARIO if body.failure_scenarios else None,
    }
    return reply(done)


def _dashboard(backend: Backend, tenant: Tenant) -> str:
    """Where people see the tenant in the simulator."""
    own = backend.operating.current.deployment.simulatorUrl
    api = without_secrets(backend.operating.started_with.deployment.deploymentEndpoint)
    return f"{api if own is None else own}/dashboard/{tenant.tenant_id}"


@routes.get("/api/v1/simulator/status", Permission.READ, answers={200: SimulatorStatus}, refuses=_SIMULATED)
async def status(request: web.Request) -> web.Response:
    """Capacity of the simulated cluster, and what the caller's tenants use of it."""
    cluster = await simulator_of(request).status(await seen_tenants(request))
    told: SimulatorStatus = {"status": "running", "cluster": cast(ClusterShown, cluster)}
    return reply(told)


@routes.get(
    "/api/v1/simulator/failures/types", Permission.READ, answers={200: FailureTypes}, refuses=_SIMULATED
)
async def failure_types(request: web.Request) -> web.Response:
    """Failures that can be triggered, and what each does."""
    return reply(await simulator_of(request).failure_types())


@routes.post(
    "/api/v1/simulator/failures/{tenant_id}/trigger",
    Permission.OPERATE,
    body=FailureBody,
    answers={202: FailureShown},
    refuses=_SIMULATED,
)
async def trigger(request: web.Request) -> web.Response:
    """Break a tenant on purpose; what tenants share is broken by administrators of all tenants only."""
    tenant = await tenant_of(request)
    body = await read_model(request, FailureBody)
    failure = await simulator_of(request).trigger_failure(
        tenant.tenant_id, body.failure_type, body.duration_seconds, body.severity, _reach(request)
    )
    told = {name: failure.get(name) for name in ("id", "failure_type", "severity", "start", "end")}
    await _note(request, tenant, "failure.triggered", told)
    return reply(failure, 202)


@routes.delete(
    "/api/v1/simulator/failures/{tenant_id}",
    Permission.OPERATE,
    answers={200: FailuresEnded},
    refuses=_SIMULATED,
)
async def clear(request: web.Request) -> web.Response:
    """End every failure of a tenant now that the caller could have ordered."""
    tenant = await tenant_of(request)
    ended = await simulator_of(request).clear_failures(tenant.tenant_id, _reach(request))
    if ended.get("ended"):
        await _note(request, tenant, "failure.ended", {"ended": ended["ended"]})
    return reply(ended)


async def _note(request: web.Request, tenant: Tenant, action: str, after: Mapping[str, Any]) -> None:
    """Who breaks a tenant costs it its SLA, wherever that is done."""
    await backend_of(request).audit.note(now_of(request), action, tenant.tenant_id, tenant.key, after)
