"""Statements of months, quarters and years as JSON, CSV, HTML and PDF (api.md §4)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from ecpmon.api.common import apart, backend_of, bad_field, long_turn, now_of, query_int, tenant_of
from ecpmon.api.context import CONTEXT
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import NotFound
from ecpmon.model.tenants import Language, Tenant
from ecpmon.sla.contracts import label_at, name_of
from ecpmon.sla.statements import is_month
from ecpmon.statements.look import Look
from ecpmon.statements.service import Told
from ecpmon.statements.shapes import printed
from ecpmon.wire import dumps

routes = Routes()
_TYPES: Final = {
    "json": "application/json",
    "csv": "text/csv",
    "html": "text/html",
    "pdf": "application/pdf",
}
FORMATS: Final = tuple(_TYPES)


@routes.get("/api/v1/tenants/{tenant_id}/sla/report", Permission.READ)
async def report(request: web.Request) -> web.Response:
    """The statement of a month, a quarter or a year: closed once, restated with its difference when late data comes."""
    tenant, now = await tenant_of(request, with_deleted=True), now_of(request)
    present = name_of(label_at(tenant.contract_versions, min(now, tenant.deleted_at or now)))
    if "month" in request.query and "period" in request.query:
        raise bad_field("period", "give either a month or a period")
    of = request.query.get("period", request.query.get("month", present))
    if "period" not in request.query and not is_month(of):
        raise bad_field("month", "must be a month such as 2026-10; `period` takes quarters and years as well")
    shape = request.query.get("format", "json")
    if shape not in FORMATS:
        raise bad_field("format", f"known are {', '.join(FORMATS)}")
    look = _look(request, tenant)
    revision = query_int(request, "revision", 0, 1, 10_000) if "revision" in request.query else None
    async with long_turn(request, tenant):
        told = await backend_of(request).statements.report(tenant, of, now, revision)
        if told is None:
            raise NotFound("there is no such revision of this statement", details={"revision": revision})
        body = await apart(request, tenant, _written, told, shape, look)
    name = f"sla-{tenant.tenant_id}-{of}.{shape}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'} if shape in ("csv", "pdf") else None
    charset = None if shape in ("pdf", "json") else "utf-8"
    return web.Response(body=body, content_type=_TYPES[shape], charset=charset, headers=headers)


def _look(request: web.Request, tenant: Tenant) -> Look:
    """In the tenant's language, or the one that is asked for."""
    language = request.query.get("language", tenant.language.value)
    if language not in list(Language):
        raise bad_field("language", f"known are {', '.join(Language)}")
    return Look.of(request.app[CONTEXT].settings, Language(language))


def _written(told: Told, shape: str, look: Look) -> bytes:
    data = told.data()
    return dumps(data) if shape == "json" else printed(data, shape, look)
