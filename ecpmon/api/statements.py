"""Statements of months, quarters and years as JSON, CSV, HTML and PDF (api.md §4)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import AfterValidator, Field

from ecpmon.api.common import apart, backend_of, bad_field, long_turn, now_of, tenant_of
from ecpmon.api.context import CONTEXT
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import LimitReached, NotFound
from ecpmon.model.statement_documents import ToldStatement
from ecpmon.model.tenants import Language
from ecpmon.openapi.declaring import Query, Text, read_query
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
MONTH: Final = "^[0-9]{4}-(0[1-9]|1[0-2])$"
PERIOD: Final = "^[0-9]{4}(-(0[1-9]|1[0-2])|-Q[1-4])?$"
_NO_MONTH: Final = "must be a month such as 2026-10; `period` takes quarters and years as well"


def _a_month(text: str) -> str:
    if not is_month(text):
        raise ValueError(_NO_MONTH)
    return text


Month = Annotated[
    str, AfterValidator(_a_month), Field(json_schema_extra={"pattern": MONTH, "examples": ["2026-10"]})
]


class Asked(Query):
    """Of a month, or of a period; of the present month when neither is said."""

    month: Month | None = None
    period: (
        Annotated[
            str,
            Field(
                description="a month, a quarter or a year",
                json_schema_extra={"pattern": PERIOD, "examples": ["2026-10", "2026-Q3", "2026"]},
            ),
        ]
        | None
    ) = None
    format: Literal["json", "csv", "html", "pdf"] = "json"
    language: Annotated[Language | None, Field(description="absent: the tenant's")] = None
    revision: Annotated[int, Field(ge=1, le=10_000, description="absent: the newest")] | None = None


@routes.get(
    "/api/v1/tenants/{tenant_id}/sla/report",
    Permission.READ,
    query=Asked,
    answers={
        200: (
            ToldStatement,
            Text("text/csv", headers=("Content-Disposition",)),
            Text("text/html"),
            Text("application/pdf", headers=("Content-Disposition",), binary=True),
        )
    },
    refuses=(LimitReached, NotFound),
)
async def report(request: web.Request) -> web.Response:
    """The statement of a month, a quarter or a year: closed once, restated with its difference when late data comes."""
    tenant, now = await tenant_of(request, with_deleted=True), now_of(request)
    asked = read_query(request, Asked)
    present = name_of(label_at(tenant.contract_versions, min(now, tenant.deleted_at or now)))
    if asked.month is not None and asked.period is not None:
        raise bad_field("period", "give either a month or a period")
    of = asked.period if asked.period is not None else asked.month or present
    look = Look.of(request.app[CONTEXT].settings, asked.language or tenant.language)
    async with long_turn(request, tenant):
        told = await backend_of(request).statements.report(tenant, of, now, asked.revision)
        if told is None:
            raise NotFound(
                "there is no such revision of this statement", details={"revision": asked.revision}
            )
        body = await apart(request, tenant, _written, told, asked.format, look)
    name = f"sla-{tenant.tenant_id}-{of}.{asked.format}"
    files = asked.format in ("csv", "pdf")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'} if files else None
    charset = None if asked.format in ("pdf", "json") else "utf-8"
    return web.Response(body=body, content_type=_TYPES[asked.format], charset=charset, headers=headers)


def _written(told: Told, shape: str, look: Look) -> bytes:
    data = told.data()
    return dumps(data) if shape == "json" else printed(data, shape, look)
