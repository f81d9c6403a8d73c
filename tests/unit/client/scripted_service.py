"""A service that answers what a test tells it to, one answer after the other."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDictProxy

from ecpmon.client import AsyncECPClient, Retries

# As patient as needed, in no time.
QUICK = Retries(attempts=5, seconds=30, first_wait=0.001, longest_wait=0.002)
Socket = Callable[[web.WebSocketResponse], Awaitable[None]]


@dataclass
class Seen:
    method: str
    path: str
    headers: CIMultiDictProxy[str]
    body: Any


def said(status: int, code: str, message: str = "no", **details: Any) -> web.Response:
    error = {"code": code, "message": message, "details": details, "request_id": "req-of-the-service"}
    return web.json_response({"error": error}, status=status)


def later(status: int, code: str, seconds: float) -> web.Response:
    answer = said(status, code)
    answer.headers["Retry-After"] = f"{seconds:g}"
    return answer


def pushed(accepted: int = 1, **more: Any) -> web.Response:
    told = {"accepted": accepted, "rejected": [], "rejected_count": 0, "timestamp": "2026-03-02T09:00:00Z"}
    return web.json_response({**told, **more}, status=202)


# `HANG_UP`: the request is taken and the connection closed without an answer.
HANG_UP = object()


@dataclass
class Service:
    """`answers` are used up; the last one stays. `sockets`: what happens in the next one, likewise."""

    answers: list[Any] = field(default_factory=list)
    sockets: list[Socket | web.Response] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    heard: list[Any] = field(default_factory=list)
    url: str = ""
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_get("/ws/{rest:.*}", self._socket)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        server = TestServer(app)
        await server.start_server()
        self.stack.push_async_callback(server.close)
        self.url = str(server.make_url("")).rstrip("/")

    def client(self, **more: Any) -> AsyncECPClient:
        made = AsyncECPClient(self.url + "/api/v1", retries=more.pop("retries", QUICK), **more)
        self.stack.push_async_callback(made.close)
        return made

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(Seen(request.method, request.raw_path, request.headers, _parsed(body)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is HANG_UP:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if callable(answer):
            answer = answer(self.seen[-1])
            if isinstance(answer, Awaitable):
                answer = await answer
        # An answer can be given once only.
        return web.Response(body=answer.body, status=answer.status, headers=answer.headers)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request.method, request.raw_path, request.headers, None))
        play = self.sockets.pop(0) if len(self.sockets) > 1 else self.sockets[0]
        if isinstance(play, web.Response):
            return web.Response(body=play.body, status=play.status, headers=play.headers)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await play(socket)
        return socket


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body
