"""Who hangs up takes his question to the database with him; who waits too long is told so."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from ecpmon.storage import database as database_module
from tests.integration.api.conftest import Service
from tests.waiting import until

SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(%'"


@pytest.fixture
def slow(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take the database a minute."""

    async def plots(*_: Any) -> Any:
        return await service.runtime.database.fetch("SELECT pg_sleep(50)")

    monkeypatch.setattr(service.runtime.monitoring, "plots", plots)


async def asleep(service: Service) -> int:
    count: int = await service.runtime.database.fetchval(SLEEPING)
    return count


async def send(
    service: Service, method: str, path: str, more: str = "", body: bytes = b""
) -> asyncio.StreamWriter:
    url = urlsplit(service.url)
    _, writer = await asyncio.open_connection(url.hostname, url.port)
    token = service.tokens["admin"]
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return writer


@pytest.mark.usefixtures("slow")
async def test_who_hangs_up_ends_his_question_to_the_database(service: Service) -> None:
    name = await service.tenant()
    writer = await send(service, "GET", f"/api/v1/tenants/{name}/monitoring")

    async def begun() -> bool:
        return await asleep(service) == 1

    await until(begun, "the question is with the database")
    writer.close()

    async def ended() -> bool:
        return await asleep(service) == 0

    await until(ended, "no question is left")
    assert (await service.ask("GET", f"/api/v1/tenants/{name}/sla"))[0] == 200


async def test_a_push_of_who_hangs_up_meanwhile_is_stored(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, taken, gone = await service.tenant(), asyncio.Event(), asyncio.Event()
    write = service.runtime.writer.write

    async def held(batch: Any) -> Any:
        taken.set()
        await gone.wait()
        return await write(batch)

    monkeypatch.setattr(service.runtime.writer, "write", held)
    body = b'{"metrics": {"up": 1}}'
    more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    writer = await send(service, "POST", f"/api/v1/tenants/{name}/monitoring", more, body)
    await taken.wait()
    writer.close()
    await writer.wait_closed()
    gone.set()
    count = "SELECT count(*) FROM frames f JOIN tenants t ON t.id = f.tenant WHERE t.tenant_id = $1"

    async def stored() -> bool:
        return bool(await service.runtime.database.fetchval(count, name) == 1)

    await until(stored, "it is stored")


async def test_a_question_that_takes_too_long_is_told_as_what_it_is(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await service.tenant()

    async def plots(*_: Any) -> Any:
        async with service.runtime.database.connection() as connection:
            return await connection.fetch("SELECT pg_sleep(50)", timeout=0.2)

    monkeypatch.setattr(service.runtime.monitoring, "plots", plots)
    status, answer, headers = await service.ask("GET", f"/api/v1/tenants/{name}/monitoring")
    assert (status, answer["error"]["code"]) == (503, "OVERLOADED")
    assert answer["error"]["message"] == database_module._TOO_LONG
    assert headers["Retry-After"]
