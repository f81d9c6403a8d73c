"""`/openapi.json` through HTTP: open to everybody, made once, and not sent again to who has it."""

from __future__ import annotations

import json
import zlib

from ecpmon.api.application import route_table
from tests.integration.api.conftest import Service


async def test_the_document_is_there_for_everybody_and_sent_once(service: Service) -> None:
    status, told, headers = await service.ask("GET", "/openapi.json", who=None)
    assert (status, told["openapi"], headers["Content-Type"]) == (200, "3.1.0", "application/json")
    declared = [route for route in route_table() if route.contract is not None]
    assert {r.path for r in declared} == told["paths"].keys() | told["x-websockets"].keys()
    for tag in (headers["ETag"], f'"another", W/{headers["ETag"]}'):
        same = await service.ask("GET", "/openapi.json", who=None, **{"If-None-Match": tag})
        assert (same[0], same[1], same[2]["ETag"]) == (304, "", headers["ETag"])
    assert (await service.ask("GET", "/openapi.json", who=None, **{"If-None-Match": '"another"'}))[0] == 200
    async with service.session.get(
        f"{service.url}/openapi.json", headers={"Accept-Encoding": "gzip"}, auto_decompress=False
    ) as answer:
        packed = await answer.read()
    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(zlib.decompress(packed, wbits=31)) == told
