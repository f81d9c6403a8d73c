"""The monthly statement as JSON, CSV, HTML and PDF (api.md §4)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from ecpmon.api.common import backend_of, bad_field, now_of, query_int, reply, tenant_of
from ecpmon.api.context import CONTEXT
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import NotFound
from ecpmon.sla.maintenance import zone
from ecpmon.statements.pdf import to_pdf
from ecpmon.statements.render import to_csv, to_html

routes = Routes()
FORMATS: Final = ("json", "csv", "html", "pdf")


@routes.get("/api/v1/tenants/{tenant_id}/sla/report", Permission.READ)
async def report(request: web.Request) -> web.Response:
    """The statement of a month: closed once, restated with its difference when late data comes."""
    tenant, now = await tenant_of(request, with_deleted=True), now_of(request)
    month = request.query.get("month", now.astimezone(zone(tenant.time_zone)).strftime("%Y-%m"))
    shape = request.query.get("format", "json")
    if shape not in FORMATS:
        raise bad_field("format", f"known are {', '.join(FORMATS)}")
    revision = query_int(request, "revision", 0, 1, 10_000) if "revision" in request.query else None
    data = await backend_of(request).statements.report(tenant, month, now, revision)
    if data is None:
        raise NotFound("there is no such revision of this statement", details={"revision": revision})
    return await _response(data, shape, request.app[CONTEXT].settings.pdf_font)


async def _response(data: dict[str, Any], shape: str, font: Path | None) -> web.Response:
    name = f"sla-{data['tenant_id']}-{data['month']}.{shape}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    match shape:
        case "csv":
            return web.Response(text=to_csv(data), content_type="text/csv", headers=headers)
        case "html":
            return web.Response(text=to_html(data), content_type="text/html")
        case "pdf":
            body = await asyncio.to_thread(to_pdf, data, font)
            return web.Response(body=body, content_type="application/pdf", headers=headers)
    return reply(data)
