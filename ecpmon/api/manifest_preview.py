"""What would be deployed of a tenant that is not stored as it is written yet, and what validation says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from aiohttp import web
from pydantic import Field

from ecpmon.api.auth import caller_key
from ecpmon.api.common import apart, backend_of, now_of, read_model, stored_tenant
from ecpmon.api.manifests import ToValidate, ValidateBody, Validation, rendered, to_validate, validated
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.tenant_bodies import TenantBody, check_preset, target_of
from ecpmon.api.tenant_update import UpdateBody, is_resized, plan_after, wanted_of
from ecpmon.errors import InsufficientResources, InvalidPreset, Overloaded
from ecpmon.model.tenants import Tenant, TenantStatus
from ecpmon.openapi.declaring import TypedDict
from ecpmon.wire import dumps

if TYPE_CHECKING:
    from ecpmon.orchestrator.manifests import ManifestOptions

routes = Routes()
_REFUSED: Final = (InvalidPreset, InsufficientResources, Overloaded)


class ManifestPreview(TypedDict):
    manifest: Annotated[
        str,
        Field(
            description="YAML, as `GET …/manifest` would give it once this is stored.",
            examples=["apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ecp-ai-my-ai-service\n"],
        ),
    ]
    validation: Annotated[Validation, Field(description="Of that text, with lines.")]


@routes.post(
    "/api/v1/tenants/preview-manifest",
    Permission.MANAGE_TENANTS,
    body=TenantBody,
    answers={200: ManifestPreview},
    refuses=_REFUSED,
)
async def preview_new(request: web.Request) -> web.Response:
    """The manifest of a tenant that could be created, with its findings; nothing is stored."""
    from ecpmon.orchestrator.sizing import plan_tenant

    backend, now = backend_of(request), now_of(request)
    body = await read_model(request, TenantBody)
    target = target_of(request, body.sla_target)
    plan = plan_tenant(body.service_requirements, target, check_preset(body.preset))
    tenant = Tenant(
        key=0,
        tenant_id=body.tenant_id,
        name=body.name,
        preset=plan.preset,
        is_demo=backend.demo,
        status=TenantStatus.PENDING,
        service_requirements=body.service_requirements,
        resources=plan.resources,
        sla_target=target,
        gpu_type=plan.gpu_type,
        created_at=now,
        updated_at=now,
    )
    asked, options = await _asked(request, tenant), _options(request)
    shown = await backend.workers.run_for(caller_key(request), _previewed, tenant, options, asked)
    return web.Response(body=shown, content_type="application/json")


@routes.post(
    "/api/v1/tenants/{tenant_id}/manifest/preview",
    Permission.MANAGE_TENANTS,
    body=UpdateBody,
    answers={200: ManifestPreview},
    refuses=_REFUSED,
)
async def preview_changed(request: web.Request) -> web.Response:
    """The tenant's manifest as it would be after a change, with its findings; nothing is stored."""
    tenant = await stored_tenant(request)
    body = await read_model(request, UpdateBody)
    # What hours say is in no manifest.
    wanted = wanted_of(tenant, body, None)
    if is_resized(body):
        wanted = wanted.model_copy(update={"preset": plan_after(wanted, body).preset})
    asked, options = await _asked(request, wanted), _options(request)
    shown = await apart(request, tenant, _previewed, wanted, options, asked)
    return web.Response(body=shown, content_type="application/json")


async def _asked(request: web.Request, tenant: Tenant) -> ToValidate:
    """Of a text that there is not yet."""
    return await to_validate(request, ValidateBody(tenant_id=tenant.tenant_id, manifest_content=""), None)


def _options(request: web.Request) -> ManifestOptions:
    from ecpmon.orchestrator.manifests import options_of

    return options_of(backend_of(request).deployments.surroundings)


def _previewed(tenant: Tenant, options: ManifestOptions, asked: ToValidate) -> bytes:
    """A `ManifestPreview`, as JSON."""
    text = rendered(tenant, options)
    body = asked.body.model_copy(update={"manifest_content": text})
    return b'{"manifest":%s,"validation":%s}' % (dumps(text), validated(replace(asked, body=body)))
