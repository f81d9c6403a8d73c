"""What the HTTP framework costs without us: a handler that reads the body and answers. `python -m bench.empty PORT`"""

from __future__ import annotations

import sys
from typing import Final

from aiohttp import web

ANSWER: Final = b'{"accepted":9,"rejected":[],"rejected_count":0,"timestamp":"2026-11-20T12:34:56.789012Z"}'


async def push(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=ANSWER, status=202, content_type="application/json")


async def health(_: web.Request) -> web.Response:
    return web.Response(text="ok")


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/api/v1/tenants/{tenant_id}/monitoring", push)
    app.router.add_get("/health", health)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
