"""What `Allow` says of a path is what is declared for it, in the API and in the simulator."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import make_mocked_request

from ecpmon.api import application
from ecpmon.pathwords import Routed, add_table
from ecpmon.simulator import server
from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.routing import DEMO_PATH
from ecpmon.simulator.snapshot import SnapshotStore


def declared(table: list[Routed]) -> dict[str, set[str]]:
    """Methods by path."""
    found: dict[str, set[str]] = {}
    for route in table:
        found.setdefault(route.path, set()).add(route.method)
        if route.method == hdrs.METH_GET and not route.socket:
            found[route.path].add(hdrs.METH_HEAD)
    return found


async def allowed(app: web.Application, path: str) -> set[str]:
    """What a request by a method that no route has is told."""
    request = make_mocked_request("BREW", re.sub(r"\{\w+\}", "acme", path), app=app)
    match = await app.router.resolve(request)
    with pytest.raises(web.HTTPMethodNotAllowed) as refused:
        await match.handler(request)
    return set(refused.value.headers["Allow"].split(","))


async def test_the_api_allows_what_it_declares() -> None:
    app, table = web.Application(), application.route_table()
    add_table(app.router, table)
    expected = declared([*table])
    assert {path: await allowed(app, path) for path in expected} == expected


async def test_the_simulator_allows_what_it_declares(tmp_path: Path) -> None:
    """Beside its Kubernetes API, and under the path of the demo cluster as well."""
    engines = [open_engine(SnapshotStore(tmp_path / name), EngineOptions(seed=5)) for name in ("one", "demo")]
    app, expected = server.create_app(*engines), declared([*server.route_table()])
    assert expected["/api/v1/failures/types"] == {"GET", "HEAD"}
    found = {path: await allowed(app, path) for path in expected}
    assert found == expected
    assert await allowed(app, f"{DEMO_PATH}/api/v1/failures/types") == {"GET", "HEAD"}
    for engine in engines:
        await engine.close()
