"""A broadcast in plain aiohttp, for `bench.sockets`: POST /push sends one text to every socket of /ws."""

from __future__ import annotations

import asyncio
import sys

import orjson
from aiohttp import web

from ecpmon.serving import raise_file_limit

SOCKETS = web.AppKey("sockets", set[web.WebSocketResponse])
BROADCASTS = web.AppKey("broadcasts", set[asyncio.Task[None]])


async def subscribe(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False, heartbeat=30)
    await socket.prepare(request)
    request.app[SOCKETS].add(socket)
    try:
        async for _ in socket:
            pass
    finally:
        request.app[SOCKETS].discard(socket)
    return socket


async def push(request: web.Request) -> web.Response:
    metrics = (await request.json())["metrics"]
    state = "up" if metrics["up"] else "down"
    told = {
        "timestamp": "2026-11-27T05:00:00.000000Z",
        "tenant_id": "bench",
        "metrics": metrics,
        "state": state,
    }
    text = orjson.dumps(told).decode()

    async def tell() -> None:
        for socket in list(request.app[SOCKETS]):
            await socket.send_str(text)

    task = asyncio.create_task(tell())
    request.app[BROADCASTS].add(task)
    task.add_done_callback(request.app[BROADCASTS].discard)
    return web.json_response({"accepted": len(metrics)}, status=202)


async def ready(_: web.Request) -> web.Response:
    return web.Response(text="ready")


def main() -> None:
    raise_file_limit()
    app = web.Application()
    app[SOCKETS], app[BROADCASTS] = set(), set()
    app.router.add_get("/ws", subscribe)
    app.router.add_get("/ready", ready)
    app.router.add_post("/push", push)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, backlog=4096)


if __name__ == "__main__":
    main()
