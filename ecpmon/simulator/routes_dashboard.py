"""The page of a cluster, for people: what is in it, and what shall fail. It asks the routes beside it."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from ecpmon.errors import TenantNotFound
from ecpmon.model.tenants import TENANT_ID_PATTERN
from ecpmon.openapi.described import SHOWN
from ecpmon.pages import simulator
from ecpmon.simulator.routing import Routes

routes = Routes()
# Where the files of pages are, as seen from a cluster's page.
ROOT: Final = web.AppKey("root", str)


@routes.get("/", answers=SHOWN)
async def dashboard(request: web.Request) -> web.Response:
    """The cluster in a browser: nodes, tenants, pods, what is failing, and failures to trigger."""
    return simulator(request.app[ROOT])


@routes.get("/dashboard/{tenant_id}", answers={302: None}, refuses=(TenantNotFound,))
async def dashboard_of(request: web.Request) -> web.Response:
    """The same page with one tenant, as answers of the API link to it."""
    name = request.match_info["tenant_id"]
    if re.fullmatch(TENANT_ID_PATTERN, name) is None:
        raise TenantNotFound(name)
    return web.Response(status=302, headers={"Location": f"../#/tenants/{name}"})
