"""`HEAD` is answered wherever `GET` is, as `GET` is, but for the body."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from ecpmon.api.application import route_table
from tests.integration.api.conftest import Service
from tests.raw_http import request_bytes
from tests.waiting import PATIENCE

TABLE = route_table()
READABLE = sorted({route.path for route in TABLE if route.method == "GET" and not route.socket})
SAID = ("Content-Type", "Content-Length", "ETag", "Cache-Control", "Content-Disposition")


def address(path: str, tenant_id: str) -> str:
    return path.replace("{tenant_id}", tenant_id).replace("{", "").replace("}", "")


async def test_every_route_with_get_takes_head_and_answers_alike(service: Service) -> None:
    name = await service.tenant()
    assert {"/health", "/ready", "/metrics", "/docs", "/api/v1/tenants/{tenant_id}"} <= set(READABLE)
    for path in READABLE:
        there = address(path, name)
        status, _, headers = await service.ask("GET", there)
        # On the same connection: if a body followed, the next answer would be broken.
        async with service.session.head(service.url + there, headers=service.headers("admin")) as answer:
            body = await answer.read()
        assert (answer.status, body) == (status, b""), path
        assert int(answer.headers["Content-Length"]) > 0, path
        if path not in (
            "/ready",
            "/metrics",
            "/api/v1/operations/dashboard",
        ):  # of milliseconds, and of what was asked before
            shown = {key: answer.headers.get(key) for key in SAID}
            assert shown == {key: headers.get(key) for key in SAID}, path


@pytest.mark.parametrize(
    ("path", "status"),
    [("/health", 200), ("/ready", 200), ("/metrics", 200), ("/api/v1/tenants/nobody", 404)],
)
async def test_nothing_follows_the_head_on_the_wire(service: Service, path: str, status: int) -> None:
    token = b"Bearer " + service.tokens["admin"].encode()
    headers = [(b"Authorization", token), (b"Accept-Encoding", b"gzip")]
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(service.url).port)
    async with asyncio.timeout(PATIENCE):
        writer.write(request_bytes(b"HEAD", path.encode(), headers))
        said = await reader.read()  # until the connection is closed, as was asked for
    writer.close()
    head, _, rest = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert rest == b""


async def test_head_needs_the_permission_of_get(service: Service) -> None:
    path = f"/api/v1/tenants/{await service.tenant()}"
    for who, status in ((None, 401), ("outsider", 404), ("ingest", 403), ("viewer", 200)):
        assert (await service.ask("HEAD", path, who=who))[0] == status
        assert (await service.ask("GET", path, who=who))[0] == status


@pytest.mark.parametrize("path", ["/ws/alerts/{tenant_id}", "/api/v1/tenants/{tenant_id}/deploy"])
async def test_where_nothing_is_read_there_is_no_head(service: Service, path: str) -> None:
    assert path in {route.path for route in TABLE} - set(READABLE)
    status, _, headers = await service.ask("HEAD", address(path, "x"))
    assert (status, "HEAD" in headers["Allow"]) == (405, False)
