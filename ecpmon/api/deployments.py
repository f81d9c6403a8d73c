"""Deployments: begin one, follow it, look back at what each burned (api.md §6 and §8)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final, Literal, NotRequired, cast

from aiohttp import web
from pydantic import ConfigDict, Field, StrictBool, StrictStr

from ecpmon.api.auth import session_of
from ecpmon.api.common import (
    apart,
    backend_of,
    bad_field,
    minutes,
    now_of,
    percent,
    read_model,
    reply,
    tenant_of,
    worked_out,
)
from ecpmon.api.context import CALLER, Backend
from ecpmon.api.following import DeploymentStep
from ecpmon.api.manifests import Finding, ResourceSummary
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.sockets import given_back_on_error, opened
from ecpmon.api.tenant_shapes import Percent
from ecpmon.api.times import EARLIEST, LATEST, JsonTime
from ecpmon.errors import (
    BudgetExhausted,
    Conflict,
    InsufficientResources,
    KubernetesUnavailable,
    NotFound,
    Overloaded,
    no_such_deployment,
)
from ecpmon.model.deployments import REPORTED, DeploymentRecord, DeploymentStatus
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Tally
from ecpmon.openapi.declaring import Query, TypedDict, read_query
from ecpmon.orchestrator.deployments import rendered
from ecpmon.ports.sla import PackedSpans
from ecpmon.shapes import Model
from ecpmon.sla.gate import ATTRIBUTED, burned
from ecpmon.sla.terms import effort_of, off_between

routes = Routes()
# PostgreSQL holds none.
NO_NUL: Final = r"^[^\x00]*$"
# A pipeline's clock may differ from ours.
_AHEAD: Final = timedelta(minutes=5)


class DeployBody(Model):
    model_config = ConfigDict(extra="forbid")

    method: Annotated[
        Literal["kubernetes", "gitops", "simulator"] | None,
        Field(description="Absent: as the settings say.", examples=["simulator"]),
    ] = None
    dry_run: StrictBool = False
    include_monitoring: StrictBool = True
    include_ingress: StrictBool = False
    # Deploy although the error budget is spent; the reason is kept with the deployment.
    force: StrictBool = False
    reason: Annotated[StrictStr, Field(max_length=1000, pattern=NO_NUL)] = ""


class DeploymentBegun(TypedDict):
    """Of a dry run nothing begins, and what validation says of the manifests is told."""

    deployment_id: Annotated[
        str | None, Field(description="null of a dry run.", examples=["dep-0f3c1b2a4d5e"])
    ]
    status: Literal["pending", "validated"]
    valid: NotRequired[bool]
    warnings: NotRequired[list[Finding]]
    errors: NotRequired[list[Finding]]
    simulator_compatible: NotRequired[bool]
    resource_summary: NotRequired[ResourceSummary]
    estimated_cost: NotRequired[Annotated[str | None, Field(examples=["$350/month"])]]
    deployment_time: NotRequired[Annotated[str | None, Field(examples=["5-10 minutes"])]]


@routes.post(
    "/api/v1/tenants/{tenant_id}/deploy",
    Permission.OPERATE,
    body=DeployBody,
    answers={202: DeploymentBegun},
    refuses=(Conflict, BudgetExhausted, InsufficientResources, KubernetesUnavailable, Overloaded),
)
async def deploy(request: web.Request) -> web.Response:
    """Begin a deployment. Refused with 409 while another runs, and when the tenant's error budget is spent."""
    backend, tenant = backend_of(request), await tenant_of(request)
    body = await read_model(request, DeployBody)
    method = "demo" if backend.demo else body.method or backend.operating.current.method
    options = {"include_monitoring": body.include_monitoring, "include_ingress": body.include_ingress}
    service = backend.deployments
    service.check_method(method)
    if body.dry_run:
        report = await apart(request, tenant, _dry_run, tenant, options)
        validated = {"deployment_id": None, "status": "validated", **report}
        return reply(cast(DeploymentBegun, validated), 202)
    forced = await service.check_gate(tenant, force=body.force, reason=body.reason)
    deployment_id = await service.request(tenant, method, options, request[CALLER].name, forced)
    begun: DeploymentBegun = {"deployment_id": deployment_id, "status": "pending"}
    return reply(begun, 202)


def _dry_run(tenant: Tenant, options: Mapping[str, Any]) -> dict[str, Any]:
    """What validation says of the manifests."""
    return rendered(tenant, options)[1].shown()


class ObjectShown(TypedDict):
    type: Annotated[str, Field(examples=["Deployment"])]
    name: Annotated[str, Field(examples=["callbot"])]
    status: Annotated[str, Field(examples=["created"])]
    replicas: Annotated[str | None, Field(description="`ready/desired` of workloads.", examples=["2/2"])]


class PendingObject(TypedDict):
    type: Annotated[str, Field(examples=["Deployment"])]
    name: Annotated[str, Field(examples=["callbot"])]


class LogShown(TypedDict):
    timestamp: datetime
    level: Annotated[str, Field(examples=["info"])]
    message: str


class MinutesBounds(TypedDict):
    """What it would be if all that nobody measured had been up, and down."""

    low: float | None
    high: float | None


class Burned(TypedDict):
    """Budget minutes burned within the deployment's hour, and how much of it was measured."""

    burned_minutes: float | None
    burned_bounds: MinutesBounds
    burned_coverage: Percent | None


class DeploymentShown(Burned):
    """A deployment with its objects and log."""

    tenant_id: str
    deployment_id: str
    method: Annotated[str, Field(examples=["kubernetes"])]
    status: DeploymentStatus
    progress: Annotated[int, Field(description="Percent.", ge=0, le=100)]
    phase: DeploymentStatus
    message: str
    created_resources: list[ObjectShown]
    pending_resources: list[PendingObject]
    created_at: datetime
    finished_at: datetime | None
    estimated_completion: Annotated[datetime | None, Field(description="Of one that runs nobody knows.")]
    requested_by: str
    forced_because: Annotated[str | None, Field(description="Why the spent error budget was overruled.")]
    logs: list[LogShown]


@routes.get(
    "/api/v1/tenants/{tenant_id}/deployment-status",
    Permission.READ,
    answers={200: DeploymentShown},
    refuses=(NotFound, Overloaded),
)
async def deployment_status(request: web.Request) -> web.Response:
    """The latest deployment, with its objects and log."""
    backend, tenant = backend_of(request), await tenant_of(request, with_deleted=True)
    store = backend.deployments.store
    # One that runs comes before what a pipeline told meanwhile.
    running = await store.running(tenant)
    found = [running] if running is not None else await store.of_tenant(tenant, 1)
    if not found:
        raise NotFound("the tenant was never deployed", details={"tenant_id": tenant.tenant_id})
    return reply(await _document(request, backend, tenant, found[0]))


class ReportBody(Model):
    model_config = ConfigDict(extra="ignore")

    status: Literal["completed", "failed"]
    message: Annotated[StrictStr, Field(max_length=1000, pattern=NO_NUL)] = ""
    deployed_at: Annotated[JsonTime | None, Field(description="When the pipeline was done; absent: now.")] = (
        None
    )


class Reported(TypedDict):
    deployment_id: Annotated[str, Field(examples=["ci-0f3c1b2a4d5e"])]
    status: Literal["completed", "failed"]


@routes.post(
    "/api/v1/tenants/{tenant_id}/deployment-status",
    Permission.OPERATE,
    body=ReportBody,
    answers={200: Reported},
)
async def report_status(request: web.Request) -> web.Response:
    """A CI pipeline tells how its deployment went; it is kept beside ours."""
    backend, tenant = backend_of(request), await tenant_of(request)
    body = await read_model(request, ReportBody)
    deployment_id = f"{REPORTED}{uuid.uuid4().hex[:12]}"
    caller, now = request[CALLER].name, now_of(request)
    at = body.deployed_at or now
    if at > now + _AHEAD:
        raise bad_field(
            "deployed_at", f"must not lie more than {_AHEAD.total_seconds():g} s ahead of this clock"
        )
    at = min(at, now)
    status = DeploymentStatus(body.status)
    message = body.message or "told by a pipeline"
    method = tenant.deployed_to or ("demo" if backend.demo else "gitops")
    await backend.deployments.store.record_finished(
        tenant, deployment_id, method, status, message, caller, at
    )
    if status is DeploymentStatus.COMPLETED:
        where = tenant.deployed(method)
        holds, age = backend.intervals.evidence(where)
        await backend.tenants.set_deployed(tenant, method, "running", holds, age, now)
    told: Reported = {"deployment_id": deployment_id, "status": body.status}
    return reply(told)


class DeploymentsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class Deployments(TypedDict):
    tenant_id: str
    deployments: list[DeploymentShown]


@routes.get(
    "/api/v1/tenants/{tenant_id}/deployments",
    Permission.READ,
    query=DeploymentsQuery,
    answers={200: Deployments},
    refuses=(Overloaded,),
)
async def deployments(request: web.Request) -> web.Response:
    """The deployments, newest first, each with the budget minutes burned within its hour."""
    backend, tenant = backend_of(request), await tenant_of(request, with_deleted=True)
    found = await backend.deployments.store.of_tenant(tenant, read_query(request, DeploymentsQuery).limit)
    documents = [await _document(request, backend, tenant, record) for record in found]
    told: Deployments = {"tenant_id": tenant.tenant_id, "deployments": documents}
    return reply(told)


async def _document(
    request: web.Request, backend: Backend, tenant: Tenant, record: DeploymentRecord
) -> DeploymentShown:
    status = record.status
    return {
        "tenant_id": record.tenant_id,
        "deployment_id": record.deployment_id,
        "method": record.method,
        "status": status,
        "progress": record.progress,
        "phase": status,
        "message": record.message,
        "created_resources": [
            {"type": o.kind, "name": o.name, "status": o.status, "replicas": o.replicas}
            for o in record.objects
            if o.status != "pending"
        ],
        "pending_resources": [
            {"type": o.kind, "name": o.name} for o in record.objects if o.status == "pending"
        ],
        "created_at": record.created_at,
        "finished_at": record.finished_at,
        # Of one that runs nobody knows: rollouts wait for images and nodes.
        "estimated_completion": record.finished_at,
        "requested_by": record.requested_by,
        "forced_because": record.forced_because,
        **_charge(await _burned(request, backend, tenant, record)),
        "logs": [
            {"timestamp": line.at, "level": line.level, "message": line.message} for line in record.logs
        ],
    }


_JUST_BEGUN: Final = Tally(0.0, 0.0, 0.0)


def _charge(found: Tally | None) -> Burned:
    """Budget minutes burned within the deployment's hour, and how much of it was measured.

    None when nothing was measured in it; of one that has just begun there is nothing to measure yet.
    """
    if found is None:
        return {
            "burned_minutes": None,
            "burned_bounds": {"low": None, "high": None},
            "burned_coverage": None,
        }
    known = found is _JUST_BEGUN or found.measured > 0
    return {
        "burned_minutes": minutes(found.down) if known else None,
        "burned_bounds": {"low": minutes(found.down), "high": minutes(found.down + found.gap)},
        "burned_coverage": percent(found.measured / found.eligible) if found.eligible > 0 else None,
    }


async def _burned(
    request: web.Request, backend: Backend, tenant: Tenant, record: DeploymentRecord
) -> Tally | None:
    """The deployment's hour; None for the row of a tenant nobody deployed.

    None as well for a row whose time cannot be: nothing was measured then.
    """
    began = record.requested_at
    if began is None or not EARLIEST <= began < LATEST:
        return None
    now = now_of(request)
    until = min(began + ATTRIBUTED, now)
    if until <= began:
        return _JUST_BEGUN
    spans = await backend.availability.packed(
        tenant, began - timedelta(seconds=1), until, present=until == now
    )
    planned = await backend.maintenance.of_tenant(tenant)
    much = effort_of(tenant, planned) + len(spans)
    return await worked_out(request, tenant, much, _charged, tenant, spans, planned, began, until, now)


def _charged(
    tenant: Tenant,
    spans: PackedSpans,
    planned: Sequence[Maintenance],
    began: datetime,
    until: datetime,
    now: datetime,
) -> Tally:
    off = off_between(tenant, planned, began, until)
    return burned(spans.open(), began, now, off.maintenance)


@routes.socket(
    "/ws/deployment/{deployment_id}",
    Permission.READ,
    says=(DeploymentStep,),
    closes={1000: "The deployment is over.", 4404: "There is no such deployment, or not for this caller."},
)
async def follow(request: web.Request) -> web.StreamResponse:
    """A deployment's steps until it is over, then a normal close. Rows are read, so any replica can be asked."""
    backend = backend_of(request)
    name = request.match_info["deployment_id"]
    if not name.isprintable():
        raise no_such_deployment(name)
    record = await backend.deployments.store.get(name, request[CALLER].tenants)
    ask = partial(backend.deployments.store.get, name, (record.tenant,))
    place = backend.hub.follow(session_of(request, record.tenant, record.tenant_id), record, ask)
    with given_back_on_error(place):
        return await opened(request, place, None)  # nothing is asked of the client
