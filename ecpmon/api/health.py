"""Operations: alive, ready, metrics, and a page that lists every route."""

from __future__ import annotations

from html import escape
from typing import Any

from aiohttp import web

from ecpmon.api.common import now_of, reply, seen_tenants
from ecpmon.api.context import CONTEXT
from ecpmon.api.exposition import PAGES, send
from ecpmon.api.routing import Permission, Route, Routes

routes = Routes()


@routes.get("/health", Permission.OPEN)
async def health(request: web.Request) -> web.Response:
    """The process is alive; and who leads, as far as that can be told at once."""
    context = request.app[CONTEXT]
    leadership = await context.production.health.leadership()
    return reply({"status": "ok", "timestamp": context.clock.now(), "leadership": leadership})


@routes.get("/ready", Permission.OPEN)
async def ready(request: web.Request) -> web.Response:
    """Database, migrations and scheduler leadership; 503 until all are well."""
    context = request.app[CONTEXT]
    components: dict[str, Any] = {"production": await context.production.health.ready()}
    if context.demo is not None:
        components["demo"] = await context.demo.health.ready()
    if context.signed is not None:
        components["oidc"] = context.signed.told()
    ok = all(c["ok"] for c in components.values())
    headers = None if ok else {"Retry-After": "2"}
    return reply({"ready": ok, "components": components}, 200 if ok else 503, headers)


@routes.get("/metrics", Permission.SCRAPE)
async def metrics(request: web.Request) -> web.StreamResponse:
    """Prometheus text exposition of ecpmon itself and of the SLA of the tenants that the caller may see."""
    seen = await seen_tenants(request)
    page = await request.app[PAGES].get(None if seen is None else frozenset(seen), now_of(request))
    return await send(request, page)


def docs_page(table: list[Route]) -> str:
    """A self-contained HTML page: what can be called, and by whom."""
    rows = "\n".join(
        f"<tr><td><code>{'WS' if r.socket else r.method}</code></td><td><code>{escape(r.path)}</code></td>"
        f"<td>{escape(r.permission.value)}</td><td>{escape(r.summary)}</td></tr>"
        for r in sorted(table, key=lambda r: (r.path, r.method))
    )
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>ecpmon API</title><style>
body{{font:15px system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}}
table{{border-collapse:collapse;width:100%}}td,th{{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #ddd}}
</style></head><body><h1>ecpmon API</h1><table><thead><tr><th>Method</th><th>Path</th><th>Needs</th><th>What</th></tr>
</thead><tbody>{rows}</tbody></table></body></html>"""
