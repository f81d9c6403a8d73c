"""Manifests: rendered from a tenant, and validation of those somebody else wrote (api.md §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from ecpmon.api.common import apart, backend_of, bad_field, read_model, stored_tenant, tenant_named
from ecpmon.api.context import Backend
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import SimulatorUnavailable
from ecpmon.model.tenants import TENANT_ID_PATTERN, Tenant
from ecpmon.wire import dumps

if TYPE_CHECKING:
    from ecpmon.orchestrator.manifests import ManifestOptions

routes = Routes()


def _flag(request: web.Request, name: str, default: bool) -> bool:
    text = request.query.get(name)
    if text not in (None, "true", "false"):
        raise bad_field(name, "must be true or false")
    return default if text is None else text == "true"


@routes.get("/api/v1/tenants/{tenant_id}/manifest", Permission.READ)
async def get_manifest(request: web.Request) -> web.Response:
    """The tenant's Kubernetes objects; the same state gives the same bytes."""
    from ecpmon.orchestrator.manifests import ManifestOptions

    tenant = await stored_tenant(request)  # somebody may deploy it
    shape = request.query.get("format", "yaml")
    if shape not in ("yaml", "json"):
        raise bad_field("format", "known are yaml, json")
    options = ManifestOptions(
        include_monitoring=_flag(request, "include_monitoring", True),
        include_ingress=_flag(request, "include_ingress", False),
        namespace=request.query.get("namespace") or None,
    )
    text = await apart(request, tenant, _rendered, tenant, options, shape)
    return web.Response(text=text, content_type=f"application/{shape}")


def _rendered(tenant: Tenant, options: ManifestOptions, shape: str) -> str:
    from ecpmon.orchestrator.manifests import render, to_json, to_yaml
    from ecpmon.orchestrator.tuning import plan_of

    objects = render(tenant, plan_of(tenant), options)
    return to_json(objects) if shape == "json" else to_yaml(objects)


@routes.post("/api/v1/tenants/{tenant_id}/manifest", Permission.READ)
async def post_manifest(request: web.Request) -> web.Response:
    """The same as GET, for clients that post."""
    return await get_manifest(request)


def _newest_version() -> str:
    from ecpmon.orchestrator.validation import DEFAULT_VERSION

    return DEFAULT_VERSION


class ValidateBody(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="ignore")

    tenant_id: Annotated[StrictStr, Field(pattern=TENANT_ID_PATTERN)]
    manifest_content: StrictStr
    strict_validation: StrictBool = False
    target_simulator: StrictBool = False
    kubernetes_version: StrictStr = Field(default_factory=_newest_version)


async def _cluster_gpus(backend: Backend) -> int | None:
    """How many GPUs the simulated cluster has; None when nobody can say: then that check is left out."""
    if backend.simulator is None:
        return None
    try:
        return int((await backend.simulator.status(None))["capacity"]["gpu"])
    except (SimulatorUnavailable, KeyError, TypeError, ValueError):
        return None


@routes.post("/api/v1/tenants/validate-manifest", Permission.READ)
async def validate(request: web.Request) -> web.Response:
    """What is wrong with a manifest, by document, object and field."""
    body = await read_model(request, ValidateBody)
    tenant = await tenant_named(request, body.tenant_id)
    backend = backend_of(request)
    gpus = await _cluster_gpus(backend) if body.target_simulator else None
    shown = await apart(request, tenant, _validated, body, gpus)
    return web.Response(body=shown, content_type="application/json")


def _validated(body: ValidateBody, gpus: int | None) -> bytes:
    from ecpmon.orchestrator.validation import validate_manifest

    report = validate_manifest(
        body.tenant_id,
        body.manifest_content,
        version=body.kubernetes_version,
        strict=body.strict_validation,
        cluster_gpus=gpus,
    )
    shown = report.shown()
    if body.target_simulator:
        shown["valid"] = report.valid and report.simulator_compatible
    return dumps(shown)
