"""Deployments: begin one, follow it, look back at what each burned (api.md §6 and §8)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, NotRequired, cast

from aiohttp import web
from pydantic import ConfigDict, Field, StrictBool, StrictStr

from ecpmon.api.auth import session_of
from ecpmon.api.burning import Burned, burned_by
from ecpmon.api.common import (
    apart,
    backend_of,
    bad_field,
    now_of,
    read_model,
    reply,
    tenant_of,
)
from ecpmon.api.context import CALLER
from ecpmon.api.deployment_phases import (
    ObjectShown,
    PendingObject,
    Phase,
    Standing,
    completion,
    created,
    pending,
    phase_of,
    standing_of,
)
from ecpmon.api.entrance import (
    Gateway,
    IngressClass,
    IngressDomain,
    IngressNamespace,
    MonitoringNamespace,
    Route,
    TlsIssuer,
    entrance_of,
)
from ecpmon.api.errors import speaks_korean
from ecpmon.api.following import DeploymentStep
from ecpmon.api.manifests import Finding, ResourceSummary, Standard
from ecpmon.api.paths import path_name
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.sockets import given_back_on_error, hears_korean, opened
from ecpmon.api.times import JsonTime
from ecpmon.errors import (
    BudgetExhausted,
    Conflict,
    InsufficientResources,
    KubernetesUnavailable,
    ManifestInvalid,
    NotFound,
    Overloaded,
)
from ecpmon.korean.templates import translated
from ecpmon.model.deployments import REPORTED, DeploymentRecord, DeploymentStatus
from ecpmon.model.tenants import Tenant, TenantStatus
from ecpmon.openapi.declaring import Query, TypedDict, read_query
from ecpmon.orchestrator.deployments import rendered, with_left_out
from ecpmon.shapes import Model

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
    ingress_domain: IngressDomain = None
    ingress_class: IngressClass = None
    tls_issuer: TlsIssuer = None
    ingress_namespace: IngressNamespace = None
    monitoring_namespace: MonitoringNamespace = None
    route: Route = None
    gateway: Gateway = None
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
    warnings: NotRequired[list[str]]
    errors: NotRequired[list[str]]
    findings: NotRequired[list[Finding]]
    simulator_compatible: NotRequired[bool]
    pod_security: NotRequired[Standard]
    resource_summary: NotRequired[ResourceSummary]
    estimated_cost: NotRequired[Annotated[str | None, Field(examples=["$350/month"])]]
    deployment_time: NotRequired[Annotated[str | None, Field(examples=["5-10 minutes"])]]


@routes.post(
    "/api/v1/tenants/{tenant_id}/deploy",
    Permission.OPERATE,
    body=DeployBody,
    answers={202: DeploymentBegun},
    refuses=(
        Conflict,
        BudgetExhausted,
        InsufficientResources,
        ManifestInvalid,
        KubernetesUnavailable,
        Overloaded,
    ),
)
async def deploy(request: web.Request) -> web.Response:
    """Begin a deployment, once its manifest is found valid.

    Refused with 409 while another runs, and when the tenant's error budget is spent.
    """
    backend, tenant = backend_of(request), await tenant_of(request)
    body = await read_model(request, DeployBody)
    method = "demo" if backend.demo else body.method or backend.operating.current.method
    options = {
        "include_monitoring": body.include_monitoring,
        "include_ingress": body.include_ingress,
        **entrance_of(body),
    }
    service = backend.deployments
    service.check_method(method)
    chosen, korean = {**service.surroundings, **options}, speaks_korean(request)
    if body.dry_run:
        unknown = await service.unknown_kinds(method)
        report = await apart(request, tenant, _dry_run, tenant, chosen, unknown, korean=korean)
        validated = {"deployment_id": None, "status": "validated", **report}
        return reply(cast(DeploymentBegun, validated), 202)
    forced = await service.check_gate(tenant, force=body.force, reason=body.reason)
    if errors := await apart(request, tenant, _errors, tenant, chosen, korean=korean):
        raise ManifestInvalid(errors)
    deployment_id = await service.request(tenant, method, options, request[CALLER].name, forced)
    begun: DeploymentBegun = {"deployment_id": deployment_id, "status": "pending"}
    return reply(begun, 202)


def _dry_run(
    tenant: Tenant, options: Mapping[str, Any], unknown: frozenset[str], *, korean: bool
) -> dict[str, Any]:
    """What validation says of the manifests, and what of them would be left out: objects of `unknown` kinds."""
    objects, report = rendered(tenant, options)
    return with_left_out(report, objects, unknown).shown(korean=korean)


def _errors(tenant: Tenant, options: Mapping[str, Any], *, korean: bool) -> list[str]:
    _, report = rendered(tenant, options)
    return [error.line(korean=korean) for error in report.errors]


class LogShown(TypedDict):
    timestamp: datetime
    level: Annotated[str, Field(examples=["info"])]
    message: str


class DeploymentShown(Burned):
    """A deployment with its objects and log."""

    tenant_id: str
    deployment_id: str
    method: Annotated[str, Field(examples=["kubernetes"])]
    status: Standing
    progress: Annotated[int, Field(description="Percent.", ge=0, le=100)]
    phase: Phase
    message: str
    created_resources: list[ObjectShown]
    pending_resources: list[PendingObject]
    created_at: datetime
    finished_at: datetime | None
    estimated_completion: Annotated[
        datetime | None,
        Field(
            description="When it was over or, of one that runs, will be: as the tenant's last ones by the same method, "
            "or as its preset usually takes. null: it takes longer than that, or nobody asked for it."
        ),
    ]
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
    return reply(await _document(request, tenant, found[0]))


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
        tenant, deployment_id, method, status, message, caller, at, now
    )
    if status is DeploymentStatus.COMPLETED:
        where = tenant.deployed(method)
        holds, age = backend.intervals.evidence(where)
        await backend.tenants.set_deployed(tenant, method, "running", holds, age, now)
    elif tenant.status is TenantStatus.DEPLOYING and await backend.deployments.store.running(tenant) is None:
        # Pushed by us and never seen to run: now somebody has seen that it does not.
        await backend.tenants.set_status(tenant, TenantStatus.FAILED, message)
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
    documents = [await _document(request, tenant, record) for record in found]
    told: Deployments = {"tenant_id": tenant.tenant_id, "deployments": documents}
    return reply(told)


async def _document(request: web.Request, tenant: Tenant, record: DeploymentRecord) -> DeploymentShown:
    told = translated if speaks_korean(request) else str
    return {
        "tenant_id": record.tenant_id,
        "deployment_id": record.deployment_id,
        "method": record.method,
        "status": standing_of(record),
        "progress": record.progress,
        "phase": phase_of(record),
        "message": told(record.message),
        "created_resources": created(record),
        "pending_resources": pending(record),
        "created_at": record.created_at,
        "finished_at": record.finished_at,
        "estimated_completion": await _completion(request, tenant, record),
        "requested_by": record.requested_by,
        "forced_because": record.forced_because,
        **await burned_by(request, tenant, record),
        "logs": [
            {"timestamp": line.at, "level": line.level, "message": told(line.message)} for line in record.logs
        ],
    }


async def _completion(request: web.Request, tenant: Tenant, record: DeploymentRecord) -> datetime | None:
    usual = None
    if record.finished_at is None and record.requested_at is not None:
        from ecpmon.orchestrator.catalogue import default_catalogue

        usual = await backend_of(request).deployments.store.typical_seconds(record)
        preset = default_catalogue().presets.get(tenant.preset)
        if usual is None and preset is not None:
            usual = 60.0 * preset.deployment_minutes[1]
    return completion(record, usual, now_of(request))


@routes.socket(
    "/ws/deployment/{deployment_id}",
    Permission.READ,
    says=(DeploymentStep,),
    closes={1000: "The deployment is over.", 4404: "There is no such deployment, or not for this caller."},
)
async def follow(request: web.Request) -> web.StreamResponse:
    """A deployment's steps until it is over, then a normal close. Rows are read, so any replica can be asked.

    The id that a new tenant was made with tells of its first deployment, once somebody asks for one.
    """
    backend = backend_of(request)
    name = path_name(request, "deployment_id", "there is no deployment of that name")
    record = await backend.deployments.store.get(name, request[CALLER].tenants)
    store = backend.deployments.store

    async def ask() -> DeploymentRecord:
        """Of a tenant that nobody had deployed when it was made, its first deployment stands under its own id."""
        found = await store.get(name, (record.tenant,))
        if found.requested_at is None and (first := await store.first_asked(found.tenant)) is not None:
            return replace(first, deployment_id=name)
        return found

    record = await ask()
    session, korean = session_of(request, record.tenant, record.tenant_id), hears_korean(request)
    place = backend.hub.follow(session, record, ask, korean=korean)
    with given_back_on_error(place):
        return await opened(request, place, None)  # nothing is asked of the client
