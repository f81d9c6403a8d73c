"""The short way of pushes answers as the long one does, and takes nothing that is unusual."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ecpmon.api.direct import DirectPushes
from ecpmon.api.limits import LIMITS
from ecpmon.app.memoryfeed import MemoryFeed
from tests.integration.api.conftest import Service
from tests.waiting import until

pytestmark = pytest.mark.demo

# Nobody asks for anything with it, but it is looked at on the long way only.
LONG = {"X-Debug": "no"}
Answer = tuple[int, dict[str, str], Any]


class Ways:
    """How many pushes went the short way, and how many of those were answered there."""

    def __init__(self) -> None:
        self.tried = self.answered = 0


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    counts, plain = Ways(), DirectPushes._pushed

    async def pushed(self: DirectPushes, *args: Any) -> Any:
        counts.tried += 1
        answer = await plain(self, *args)
        counts.answered += answer is not None
        return answer

    monkeypatch.setattr(DirectPushes, "_pushed", pushed)
    # What the bus tells, or does not tell for a second on a slow machine, is another test's.
    for told in ("rows", "restart"):
        monkeypatch.setattr(MemoryFeed, told, lambda *_: None)
    return counts


async def push(service: Service, tenant: str, body: bytes, who: str = "ingest", **headers: str) -> Answer:
    url = f"{service.url}/api/v1/tenants/{tenant}/monitoring"
    given = {"Authorization": f"Bearer {service.tokens[who]}", "Content-Type": "application/json", **headers}
    async with service.session.post(url, data=body, headers=given) as answer:
        heads = {k: v for k, v in answer.headers.items() if k not in ("Date", "X-Request-ID")}
        assert answer.headers["X-Request-ID"]
        assert answer.headers["Date"].endswith("GMT")
        said = json.loads(await answer.read())
    for changing in ("request_id", "timestamp"):
        said.get("error", {}).pop(changing, None)
    return answer.status, heads, said


async def known(service: Service, who: str = "ingest") -> str:
    """A tenant that is in memory, like the token, and stays there however long the test takes."""
    for memory in (service.runtime.tokens.memory, service.runtime.tenants.memory):
        memory.trusted = lambda: True
    tenant = await service.tenant()
    for _ in range(2):  # the token, then the tenant
        await push(service, tenant, b'{"metrics": {"cpu": 1}}', who, **LONG)
    return tenant


@pytest.mark.parametrize(
    "body",
    [
        b'{"metrics": {"cpu": 1, "queue": 2.5}}',
        b'[{"metrics": {"cpu": 1}, "timestamp": "2026-03-02T08:59:00Z"}, {"metrics": {"cpu": 2}}]',
        b'{"metrics": {"cpu": "text", "up": true, "queue": 1, "": 3}}',
        b'{"metrics": {"cpu": 1e101}}', b'{"metrics": {"cpu": NaN, "queue": 1}}',
        b'{"metrics": {"cpu": 1}, "timestamp": "1999-01-01T00:00:00Z"}',
        b"{", b"[]", b"3", b'{"metrics": {}}', b'{"metrics": 3}', b"\xff\xfe", b'[{"metrics": {"cpu": 1}}, 3]',
    ],
)  # fmt: skip
async def test_both_ways_answer_alike(service: Service, ways: Ways, body: bytes) -> None:
    tenant = await known(service)
    short, long = await push(service, tenant, body), await push(service, tenant, body, **LONG)
    assert short == long
    assert ways.answered == 1


async def test_both_ways_refuse_alike_who_sends_too_much(service: Service, ways: Ways) -> None:
    tenant = await known(service)
    service.app[LIMITS].samples.charge(f"tenant False {tenant}", 10**9, service.clock.now())
    body = b'{"metrics": {"cpu": 1}}'
    short, long = await push(service, tenant, body), await push(service, tenant, body, **LONG)
    assert (short[0], short[2]["error"]["code"]) == (429, "RATE_LIMITED")
    assert short == long
    assert ways.answered == 1


async def test_a_caller_who_may_not_is_refused_by_the_long_way(service: Service, ways: Ways) -> None:
    body = b'{"metrics": {"cpu": 1}}'
    tenant = await known(service)
    await service.token("other", ["ingest"], tenants=[await service.tenant()])
    for who, status in (("viewer", 403), ("other", 404), ("expired", 401), ("wrong", 401)):
        for _ in range(2):
            assert (await push(service, tenant, body, who))[0] == status, who
    assert ways.answered == 0


async def test_a_revoked_token_and_a_deleted_tenant_are_refused_at_once(service: Service, ways: Ways) -> None:
    body = b'{"metrics": {"cpu": 1}}'
    issued = await service.token("short-lived", ["ingest"])
    tenant = await known(service, "short-lived")
    assert (await push(service, tenant, body, "short-lived"))[0] == 202
    assert (await service.ask("DELETE", f"/api/v1/tokens/{issued.token_id}"))[0] == 204
    assert (await push(service, tenant, body, "short-lived"))[0] == 401
    tenant = await known(service)
    assert (await push(service, tenant, body))[0] == 202
    assert (await service.ask("DELETE", f"/api/v1/tenants/{tenant}"))[0] == 202
    assert (await push(service, tenant, body))[0] == 404
    assert ways.tried == 4


async def test_who_names_the_mode_that_he_has_anyway_goes_the_short_way(service: Service, ways: Ways) -> None:
    tenant = await known(service)
    body, mode = b'{"metrics": {"cpu": 1}}', {"X-Demo-Mode": "false"}
    assert await push(service, tenant, body, **mode) == await push(service, tenant, body, **mode, **LONG)
    assert (ways.tried, ways.answered) == (1, 1)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Demo-Mode": "true"}, {"X-Demo-Mode": "perhaps"}, {"X-Demo-Mode": ""}, {"X-Debug": "true"},
        {"Content-Encoding": "gzip"}, {"Connection": "close"}, {"Expect": "100-continue"},
    ],
)  # fmt: skip
async def test_who_asks_for_something_goes_the_long_way(
    service: Service, ways: Ways, headers: dict[str, str]
) -> None:
    tenant = await known(service)
    await push(service, tenant, b'{"metrics": {"cpu": 1}}', **headers)
    assert ways.tried == 0


async def test_what_goes_the_short_way_is_stored_and_counted(service: Service, ways: Ways) -> None:
    tenant = await known(service)
    for n in range(3):
        assert (await push(service, tenant, b'{"metrics": {"cpu": %d}}' % n))[0] == 202
    assert ways.answered == 3
    page = (await service.ask("GET", "/metrics"))[1]
    assert (
        f'ecp_tenant_requests_total{{code="202",method="POST",status="success",tenant_id="{tenant}"}} 5.0'
        in page
    )
    count = "SELECT count(*) FROM frames f JOIN tenants t ON t.id = f.tenant WHERE t.tenant_id = $1"
    assert await service.runtime.database.fetchval(count, tenant) == 5


# --- pushes that come whole -----------------------------------------------------------------------------------------


class Wire:
    """A connection on which bytes are sent as they are. `wholes`: how many pushes were taken that came whole."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self._reader, self.writer, self._head = reader, writer, head

    def request(self, body: bytes = b'{"metrics": {"cpu": 1}}', *headers: str) -> bytes:
        return "\r\n".join([self._head, f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.02)  # what is sent by itself arrives by itself; if not, less is tried here

    async def answer(self) -> tuple[int, Any]:
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return int(head[9:12]), json.loads(await self._reader.readexactly(length))

    async def closed(self) -> bool:
        return await self._reader.read() == b""


@asynccontextmanager
async def wire(service: Service, tenant: str, who: str = "ingest") -> AsyncIterator[Wire]:
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    line = f"POST /api/v1/tenants/{tenant}/monitoring HTTP/1.1"
    try:
        yield Wire(reader, writer, f"{line}\r\nHost: {host}\r\nAuthorization: Bearer {service.tokens[who]}")
    finally:
        writer.close()


@pytest.fixture
def wholes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tenants whose pushes were taken as they came."""
    taken, begun = [], DirectPushes._taken_whole

    def noted(self: DirectPushes, request: Any) -> Any:
        answering = begun(self, request)
        if answering is not None:
            taken.append(request.place)
        return answering

    monkeypatch.setattr(DirectPushes, "_taken_whole", noted)
    return taken


async def test_pushes_that_come_whole_are_answered_one_after_the_other(
    wholes: list[str], service: Service, ways: Ways
) -> None:
    tenant = await known(service)
    async with wire(service, tenant) as connection:
        for _ in range(3):
            await connection.send(connection.request())
            status, said = await connection.answer()
            assert (status, said["accepted"]) == (202, 1)
    assert (wholes, ways.answered) == ([tenant] * 3, 3)


async def test_pushes_that_come_in_pieces_or_together_are_answered_in_their_order(
    wholes: list[str], service: Service, ways: Ways
) -> None:
    tenant = await known(service)
    async with wire(service, tenant) as connection:
        one, two = connection.request(), connection.request(b'{"metrics": {"cpu": 1, "queue": 2}}')
        # While the first is under way.
        connection.writer.write(one)
        await connection.send(two[:40], two[40:] + one)
        assert [(await connection.answer())[1]["accepted"] for _ in range(3)] == [1, 2, 1]
        await connection.send(one[:-3], one[-3:] + two, one)
        assert [(await connection.answer())[1]["accepted"] for _ in range(3)] == [1, 2, 1]
        await connection.send(one, b"nonsense\r\n\r\n")
        assert (await connection.answer())[0] == 202
        assert (await connection.answer())[1]["error"]["code"] == "BAD_REQUEST"
        assert await connection.closed()


async def test_who_is_not_known_yet_takes_the_short_way_next_time(
    wholes: list[str], service: Service, ways: Ways
) -> None:
    await known(service)
    tenant = await service.tenant()
    await service.token("fresh", ["ingest"])
    async with wire(service, tenant, "fresh") as connection:
        for _ in range(4):
            await connection.send(connection.request())
            assert (await connection.answer())[0] == 202
    assert 0 < ways.answered < 4
    assert len(wholes) >= ways.answered


async def test_one_that_came_whole_is_refused_on_its_connection_which_goes_on(
    wholes: list[str], service: Service, ways: Ways
) -> None:
    tenant = await known(service)
    async with wire(service, tenant) as connection:
        for body, status in ((b"{", 400), (b'{"metrics": {}}', 422), (b'{"metrics": {"cpu": 1}}', 202)):
            await connection.send(connection.request(body, "X-Request-ID: mine"))
            found, said = await connection.answer()
            assert found == status
            if status != 202:
                assert said["error"]["request_id"] == "mine"
    assert (len(wholes), ways.answered) == (3, 3)


async def test_a_push_whose_sender_hangs_up_is_stored(
    wholes: list[str], service: Service, ways: Ways
) -> None:
    tenant = await known(service)
    count = "SELECT count(*) FROM monitoring_data WHERE tenant_id = $1 AND metric_name = 'left'"
    async with wire(service, tenant) as connection:
        connection.writer.write(connection.request(b'{"metrics": {"left": 1}}'))
        await connection.writer.drain()

    async def stored() -> bool:
        return bool(await service.runtime.database.fetchval(count, tenant))

    await until(stored, "it is stored all the same")
