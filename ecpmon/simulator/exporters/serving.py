"""Exporters over HTTP: through the API server's proxies, and at addresses of their own.

Each node has a loopback address (`node_address`), where its kubelet answers on the simulator's port; kube-state-metrics
has another. So service discovery finds addresses that can be scraped, without any proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ecpmon.simulator.engine import Engine
from ecpmon.simulator.exporters.cadvisor import cadvisor_page, kubelet_page, resource_page
from ecpmon.simulator.exporters.meters import Meters
from ecpmon.simulator.exporters.page import CONTENT_TYPE, Page
from ecpmon.simulator.exporters.state_metrics import state_page
from ecpmon.simulator.kube.answers import answered
from ecpmon.simulator.kube.status import ApiError, no_such_path, not_found
from ecpmon.simulator.model.addresses import EXPORTERS, STATE_METRICS, node_address
from ecpmon.simulator.model.objects import Node
from ecpmon.simulator.model.state import ClusterState

Made = Callable[[ClusterState, Node, Meters], Awaitable[Page]]
_METERED: Final[dict[str, Made]] = {"metrics/cadvisor": cadvisor_page, "metrics/resource": resource_page}
# More nodes than this have no address of their own: each takes a socket.
_MOST_LISTENING: Final = 200


class Exporters:
    """The pages of one cluster, with what their counters have counted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._meters: dict[tuple[str, str], tuple[asyncio.Lock, Meters]] = {}

    async def state(self, request: web.Request, path: str) -> web.StreamResponse:
        """What kube-state-metrics answers. ApiError 404 for any path but its `/metrics`."""
        if path == "healthz":
            return web.Response(text="OK")
        if path != "metrics":
            raise no_such_path()
        return await _written(request, await state_page(await self._engine.view()))

    async def kubelet(self, request: web.Request, name: str, path: str) -> web.StreamResponse:
        """What the kubelet of a node answers. ApiError 404 for a node or path that is not there, 503 for a dead one."""
        state = await self._engine.view()
        node = state.nodes.get(name)
        if node is None:
            raise not_found("nodes", "", name)
        if not node.ready:
            message = (
                f"error trying to reach service: dial tcp {node_address(name)}: connect: no route to host"
            )
            raise ApiError(503, "ServiceUnavailable", message)
        if path == "healthz":
            return web.Response(text="ok")
        if path == "metrics":
            return await _written(request, await kubelet_page(state, node))
        make = _METERED.get(path)
        if make is None:
            raise no_such_path()
        lock, meters = self._meters.setdefault((name, path), (asyncio.Lock(), Meters()))
        async with lock:  # a page that is made beside another would count what that has counted
            page = await make(await self._engine.view(), node, meters)
        return await _written(request, page)

    def at_addresses(self) -> Middleware:
        """A middleware: what is asked at an address of an exporter is answered by it."""

        @web.middleware
        async def dispatch(request: web.Request, handler: Handler) -> web.StreamResponse:
            address = _asked_at(request)
            if not address.startswith(EXPORTERS):
                return await handler(request)
            return await answered(request, lambda asked: self._at(asked, address))

        return dispatch

    async def _at(self, request: web.Request, address: str) -> web.StreamResponse:
        path = request.path.strip("/")
        if address == STATE_METRICS:
            return await self.state(request, path)
        for name in self._engine.current.nodes:
            if node_address(name) == address:
                return await self.kubelet(request, name, path)
        raise no_such_path()


def listening(state: ClusterState) -> Iterator[str]:
    """The addresses at which exporters answer."""
    yield STATE_METRICS
    for name in list(state.nodes)[:_MOST_LISTENING]:
        address = node_address(name)
        if address.startswith(EXPORTERS):
            yield address


def _asked_at(request: web.Request) -> str:
    found = None if request.transport is None else request.transport.get_extra_info("sockname")
    return str(found[0]) if isinstance(found, tuple) else ""


async def _written(request: web.Request, page: Page) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE})
    await response.prepare(request)
    async for piece in page.pieces():
        await response.write(piece)
    await response.write_eof()
    return response
