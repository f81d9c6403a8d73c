"""Manifests: rendered from a tenant, and validation of those somebody else wrote (api.md §6)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, NotRequired

from aiohttp import web
from pydantic import ConfigDict, Field, StrictBool, StrictStr

from ecpmon.api.common import MAX_DOCUMENT, apart, backend_of, read_model, stored_tenant, tenant_named
from ecpmon.api.context import Backend
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
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import EcpError, InsufficientResources, Overloaded, TenantNotFound
from ecpmon.kube.versions import DEFAULT_VERSION
from ecpmon.model.tenants import TENANT_ID_PATTERN, Tenant
from ecpmon.openapi.declaring import Flag, Json, Query, Text, TypedDict, read_query
from ecpmon.shapes import Model
from ecpmon.wire import dumps

if TYPE_CHECKING:
    from ecpmon.orchestrator.manifests import ManifestOptions

routes = Routes()

NAMESPACE: Final = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$"
# Bytes of a body with a manifest in it.
MAX_MANIFEST: Final = 2 * MAX_DOCUMENT
_PATIENCE: Final = 2.0  # seconds for what the simulated cluster has; validation goes on without


class ManifestQuery(Query):
    format: Literal["yaml", "json"] = "yaml"
    include_monitoring: Flag = True
    include_ingress: Flag = False
    ingress_domain: IngressDomain = None
    ingress_class: IngressClass = None
    tls_issuer: TlsIssuer = None
    ingress_namespace: IngressNamespace = None
    monitoring_namespace: MonitoringNamespace = None
    route: Route = None
    gateway: Gateway = None
    namespace: Annotated[
        str,
        Field(
            description="Another namespace than `ecp-ai-{tenant_id}`.",
            examples=["ecp-ai-my-ai-service"],
            pattern=r"^[^\x00]*$",
        ),
    ] = ""


_MANIFEST: Final = (
    Text(
        "application/yaml",
        example="apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ecp-ai-my-ai-service\n",
    ),
    Json(dict[str, Any], example={"apiVersion": "v1", "kind": "List", "items": []}),
)


@routes.get(
    "/api/v1/tenants/{tenant_id}/manifest",
    Permission.READ,
    query=ManifestQuery,
    answers={200: _MANIFEST},
    refuses=(InsufficientResources, Overloaded),
)
async def get_manifest(request: web.Request) -> web.Response:
    """The tenant's Kubernetes objects; the same state gives the same bytes."""
    from ecpmon.orchestrator.manifests import options_of

    tenant = await stored_tenant(request)  # somebody may deploy it
    query = read_query(request, ManifestQuery)
    options = options_of(
        {
            **backend_of(request).deployments.surroundings,
            "include_monitoring": query.include_monitoring,
            "include_ingress": query.include_ingress,
            "namespace": query.namespace or None,
            **entrance_of(query),
        }
    )
    text = await apart(request, tenant, rendered, tenant, options, query.format)
    return web.Response(text=text, content_type=f"application/{query.format}")


def rendered(tenant: Tenant, options: ManifestOptions, shape: str = "yaml") -> str:
    """Its objects as text. Raises as `plan_of` does."""
    from ecpmon.orchestrator.manifests import render, to_json, to_yaml
    from ecpmon.orchestrator.tuning import plan_of

    objects = render(tenant, plan_of(tenant), options)
    return to_json(objects) if shape == "json" else to_yaml(objects)


@routes.post(
    "/api/v1/tenants/{tenant_id}/manifest",
    Permission.READ,
    query=ManifestQuery,
    answers={200: _MANIFEST},
    refuses=(InsufficientResources, Overloaded),
)
async def post_manifest(request: web.Request) -> web.Response:
    """The same as GET, for clients that post."""
    return await get_manifest(request)


class ValidateBody(Model):
    model_config = ConfigDict(extra="ignore")

    tenant_id: Annotated[StrictStr, Field(pattern=TENANT_ID_PATTERN)]
    manifest_content: Annotated[
        StrictStr,
        Field(
            description="YAML, one document or several.",
            examples=["apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ecp-ai-my-ai-service\n"],
        ),
    ]
    strict_validation: Annotated[StrictBool | None, Field(description="Absent: as the settings say.")] = None
    target_simulator: StrictBool = False
    kubernetes_version: StrictStr = Field(
        default=DEFAULT_VERSION, description="Absent: the newest known.", examples=["1.33"]
    )
    namespace: Annotated[
        StrictStr | None,
        Field(
            description="Where the objects go. Absent: `ecp-ai-{tenant_id}`, or where a whole manifest of this "
            "tenant says.",
            examples=["voice"],
            pattern=NAMESPACE,
        ),
    ] = None


class ValidateQuery(Query):
    namespace: Annotated[
        str,
        Field(
            description="The same as in the body, as manifests are asked for.",
            examples=["voice"],
            pattern=NAMESPACE,
        ),
    ] = ""


class Finding(TypedDict):
    """What is wrong, or doubtful, and where."""

    severity: Literal["error", "warning"]
    category: Annotated[
        Literal["syntax", "api", "relation", "capacity", "advice", "policy"],
        Field(description="`policy`: a rule of ours for tenants, which no API server has."),
    ]
    code: Annotated[str, Field(examples=["MISSING_RESOURCES"])]
    document: Annotated[int | None, Field(description="From 0; null: the whole stream.")]
    object: Annotated[str, Field(examples=["Deployment/callbot"])]
    path: Annotated[str, Field(examples=["spec.template.spec.containers.0.resources.limits.cpu"])]
    message: Annotated[str, Field(description="In Korean when `Accept-Language` prefers it.")]
    line: NotRequired[
        Annotated[
            int | None, Field(description="Of what was sent, from 1; null: of no one line.", examples=[12])
        ]
    ]


class ResourceSummary(TypedDict):
    """What the cluster would set aside, before any autoscaler asks for more."""

    namespaces: int
    deployments: int
    services: int
    configmaps: int
    secrets: int
    total_cpu: Annotated[str, Field(examples=["4000m"])]
    total_memory: Annotated[str, Field(examples=["8Gi"])]
    total_gpu: int
    total_storage: Annotated[str, Field(description="Of volume claims.", examples=["0.1TB"])]
    estimated_pods: int


Standard = Literal["privileged", "baseline", "restricted"]
_SENTENCES: Final = "One text for each; `findings` has the same in parts."


class Validation(TypedDict):
    valid: bool
    warnings: Annotated[list[str], Field(description=_SENTENCES)]
    errors: Annotated[list[str], Field(description=_SENTENCES)]
    findings: list[Finding]
    simulator_compatible: bool
    pod_security: Annotated[
        Standard, Field(description="The strictest Pod Security Standard that all pods meet.")
    ]
    resource_summary: ResourceSummary
    estimated_cost: Annotated[
        str | None, Field(description="null: there is no object.", examples=["$350/month"])
    ]
    deployment_time: Annotated[str | None, Field(examples=["5-10 minutes"])]


class _Cluster(NamedTuple):
    """`gpus` None: nobody can say, and what depends on it is left out."""

    gpus: int | None = None
    nodes: int = 1


async def _cluster(backend: Backend) -> _Cluster:
    """What the simulated cluster has."""
    if backend.simulator is None:
        return _Cluster()
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await backend.simulator.status(None)
        nodes = sum(bool(node.get("ready", True)) for node in found.get("nodes", ()))
        return _Cluster(int(found["capacity"]["gpu"]), max(1, nodes))
    except (EcpError, TimeoutError, AttributeError, KeyError, TypeError, ValueError):
        return _Cluster()  # a refusal as well: it is not our caller's


@routes.post(
    "/api/v1/tenants/validate-manifest",
    Permission.READ,
    query=ValidateQuery,
    body=ValidateBody,
    answers={200: Validation},
    refuses=(TenantNotFound, Overloaded),
)
async def validate(request: web.Request) -> web.Response:
    """What is wrong with a manifest, by document, object and field."""
    namespace = read_query(request, ValidateQuery).namespace
    body = await read_model(request, ValidateBody, most=MAX_MANIFEST)
    tenant = await tenant_named(request, body.tenant_id)
    asked = await to_validate(request, body, body.namespace or namespace or None)
    shown = await apart(request, tenant, validated, asked)
    return web.Response(body=shown, content_type="application/json")


async def to_validate(request: web.Request, body: ValidateBody, namespace: str | None) -> ToValidate:
    """With what the cluster has, and in the caller's language."""
    backend = backend_of(request)
    return ToValidate(
        body,
        namespace,
        await _cluster(backend),
        strict=_strict(body, backend),
        korean=speaks_korean(request),
    )


def _strict(body: ValidateBody, backend: Backend) -> bool:
    if body.strict_validation is None:
        return bool(backend.operating.current.deployment.validationStrict)
    return body.strict_validation


@dataclass(frozen=True, slots=True)
class ToValidate:
    """A manifest, and what it is validated by."""

    body: ValidateBody
    namespace: str | None
    cluster: _Cluster
    strict: bool
    korean: bool


def validated(asked: ToValidate) -> bytes:
    """A `Validation`, as JSON."""
    from ecpmon.orchestrator.validation import validate_manifest

    body = asked.body
    report = validate_manifest(
        body.tenant_id,
        body.manifest_content,
        namespace=asked.namespace,
        version=body.kubernetes_version,
        strict=asked.strict,
        cluster_gpus=asked.cluster.gpus,
        cluster_nodes=asked.cluster.nodes,
    )
    shown = report.shown(korean=asked.korean)
    if body.target_simulator:
        shown["valid"] = report.valid and report.simulator_compatible
    return dumps(shown)
