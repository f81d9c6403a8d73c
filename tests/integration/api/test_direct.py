"""The short way of pushes answers as the long one does, and takes nothing that is unusual."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ecpmon.api.direct import DirectPushes
from ecpmon.api.limits import LIMITS
from ecpmon.app.memoryfeed import MemoryFeed
from tests.integration.api.conftest import Service

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
