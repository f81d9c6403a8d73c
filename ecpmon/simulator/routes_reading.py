"""Routes that read: metrics, truth, health, the page of endpoints."""

from __future__ import annotations

from html import escape

from aiohttp import web

from ecpmon.simulator.documents import metrics_document, sla_document, system_document, truth_document
from ecpmon.simulator.exposition import CONTENT_TYPE, exposition
from ecpmon.simulator.model.commands import tenant_of
from ecpmon.simulator.model.times import rfc3339
from ecpmon.simulator.schemas import AmongBody
from ecpmon.simulator.web import answer, engine_of, moment_in_query, read_body

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>ecpmon simulator</title>
<style>body{{font-family:sans-serif;margin:2rem;max-width:70rem}}td{{padding:.2rem .8rem;vertical-align:top}}
code{{white-space:nowrap}}</style></head><body>
<h1>ecpmon deployment simulator</h1>
<p>Times are RFC 3339 UTC. Every error is
<code>{{"error":{{"code","message","details","timestamp","request_id"}}}}</code>.</p>
<table>{rows}</table></body></html>
"""


async def health(_: web.Request) -> web.Response:
    return answer({"status": "ok"})


def docs_page(endpoints: list[tuple[str, str, str]]) -> str:
    """The page of `/docs` from (method, path, summary)."""
    rows = "".join(
        f"<tr><td>{escape(method)}</td><td><code>{escape(path)}</code></td><td>{escape(summary)}</td></tr>\n"
        for method, path, summary in endpoints
    )
    return _PAGE.format(rows=rows)


async def all_metrics(request: web.Request) -> web.Response:
    state = await engine_of(request).view()
    tenants = [metrics_document(state, tenant) for tenant in state.tenants.values()]
    return answer({"timestamp": rfc3339(state.now), "tenants": tenants})


async def custom_metrics(request: web.Request) -> web.Response:
    state = await engine_of(request).view()
    tenants = [
        {**metrics_document(state, tenant), "sla_data": sla_document(state, tenant)}
        for tenant in state.tenants.values()
    ]
    return answer({"timestamp": rfc3339(state.now), "tenants": tenants})


async def tenant_metrics(request: web.Request) -> web.Response:
    state = await engine_of(request).view()
    return answer(metrics_document(state, tenant_of(state, request.match_info["tenant_id"])))


async def system_metrics(request: web.Request) -> web.Response:
    return answer(system_document(await engine_of(request).view()))


async def system_metrics_among(request: web.Request) -> web.Response:
    body = await read_body(request, AmongBody)
    return answer(system_document(await engine_of(request).view(), frozenset(body.tenants)))


async def truth(request: web.Request) -> web.Response:
    since, until = moment_in_query(request, "from"), moment_in_query(request, "to")
    state = await engine_of(request).view()
    return answer(truth_document(state, tenant_of(state, request.match_info["tenant_id"]), since, until))


async def prometheus(request: web.Request) -> web.Response:
    tenant_id, service = request.query.get("tenant_id"), request.query.get("service")
    state = await engine_of(request).view()
    # aiohttp refuses this content type as `content_type=`: it has parameters.
    return web.Response(body=exposition(state, tenant_id, service), headers={"Content-Type": CONTENT_TYPE})
