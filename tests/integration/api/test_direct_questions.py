"""The short way of questions answers as the long one does, counts as it does, and takes nothing that is unusual."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from ecpmon.api import limits as limits_module
from ecpmon.api.direct_questions import QUESTIONS, DirectQuestions
from ecpmon.api.limits import LIMITS
from ecpmon.app.memoryfeed import MemoryFeed
from ecpmon.errors import DatabaseUnavailable
from tests.integration.api.conftest import Service
from tests.waiting import until

# Nobody asks for anything with it, but it is looked at on the long way only.
LONG = {"X-Debug": "no"}
Answer = tuple[int, dict[str, str], Any]


@pytest.fixture
def service_settings() -> dict[str, Any]:
    """With pages elsewhere, for which every answer says that it differs by who asks."""
    return {"cors_origins": "https://console.example"}


class Ways:
    """How many questions went the short way, and how many of those were answered there."""

    def __init__(self) -> None:
        self.tried = self.answered = 0


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    counts, plain = Ways(), DirectQuestions._answered

    async def answered(self: DirectQuestions, *args: Any) -> Any:
        counts.tried += 1
        answer = await plain(self, *args)
        counts.answered += answer is not None
        return answer

    monkeypatch.setattr(DirectQuestions, "_answered", answered)
    # What the bus tells, or does not tell for a second on a slow machine, is another test's.
    for told in ("rows", "restart"):
        monkeypatch.setattr(MemoryFeed, told, lambda *_: None)
    return counts


async def ask(service: Service, tenant: str, what: str, who: str = "viewer", **headers: str) -> Answer:
    """On a connection on which nothing else was sent."""
    url = f"{service.url}/api/v1/tenants/{tenant}/{what}"
    async with (
        aiohttp.ClientSession() as session,
        session.get(URL(url, encoded=True), headers=service.headers(who, **headers)) as answer,
    ):
        status, heads, said = answer.status, answer.headers, await answer.json()
    for changing in ("request_id", "timestamp"):
        if "error" in said:
            said["error"].pop(changing, None)
    assert heads["X-Request-ID"]
    assert heads["Date"].endswith("GMT")
    return status, {k: v for k, v in heads.items() if k not in ("Date", "X-Request-ID")}, said


async def known(service: Service, who: str = "viewer") -> str:
    """A tenant with samples that is in memory, like the token, and stays there however long the test takes."""
    for memory in (service.runtime.tokens.memory, service.runtime.tenants.memory):
        memory.trusted = lambda: True
    tenant = await service.tenant()
    body = [{"timestamp": f"2026-03-02T08:{m:02}:00Z", "metrics": {"cpu": m, "up": 1}} for m in range(59)]
    assert (await service.ask("POST", f"/api/v1/tenants/{tenant}/monitoring", body))[0] == 202
    for _ in range(2):  # the token, then the tenant
        await ask(service, tenant, "monitoring", who, **LONG)
    return tenant


def left(heads: dict[str, str]) -> int:
    """Of `RateLimit`, which is taken out."""
    return int(heads.pop("RateLimit").split("r=")[1].split(";")[0])


ALIKE = (
    "monitoring", "monitoring?hours=1&interval=15s", "monitoring?metric_type=cpu&points=10",
    "monitoring?from=2026-03-02T08:00:00Z&to=2026-03-02T08:30:00Z", "sla", "sla?windows=1h,month",
    # Refused by the handler.
    "monitoring?from=2026-03-03T08:00:00Z", "monitoring?hours=744&interval=15s",
)  # fmt: skip
NOT_PLAIN = (
    "monitoring?hours=", "monitoring?hour=1", "monitoring?hours=1&hours=1", "monitoring?hours=x",
    "monitoring?interval=5%6d", "monitoring?hours", "sla?windows=1h,2h", "sla?windows=1h,%2024h", "sla/",
    "monitoring/",
)  # fmt: skip


async def test_both_ways_answer_alike(service: Service, ways: Ways) -> None:
    tenant = await known(service)
    for number, what in enumerate(ALIKE, 1):
        short, long = await ask(service, tenant, what), await ask(service, tenant, what, **LONG)
        assert left(short[1]) == left(long[1]) + 1, what
        assert short == long
        assert short[1]["Vary"] == "Origin"
        assert ways.answered == number, what


async def test_a_query_string_that_is_not_plain_or_not_right_takes_the_long_way(
    service: Service, ways: Ways
) -> None:
    tenant = await known(service)
    for what in NOT_PLAIN:
        short, long = await ask(service, tenant, what), await ask(service, tenant, what, **LONG)
        assert (short[0], short[2]) == (long[0], long[2])
        assert ways.tried == 0, what


async def test_both_ways_refuse_alike_who_asks_too_much(
    service: Service, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_module, "REFUSAL_SECONDS", 0.01)
    await service.token("eager", ["viewer"])
    tenant = await known(service, "eager")
    await ask(service, tenant, "sla", "eager")
    requests = service.app[LIMITS].requests
    requests.charge(next(reversed(requests._levels)), 10**9, service.clock.now())
    short, long = (
        await ask(service, tenant, "sla", "eager"),
        await ask(service, tenant, "sla", "eager", **LONG),
    )
    assert (short[0], short[2]["error"]["code"]) == (429, "RATE_LIMITED")
    assert short == long
    assert ways.answered == 2


@pytest.mark.parametrize("what", sorted(QUESTIONS))
async def test_both_ways_say_alike_that_the_database_is_away(
    service: Service, ways: Ways, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await known(service)

    async def away(*_: Any) -> Any:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(service.runtime.monitoring, "plots", away)
    monkeypatch.setattr(service.runtime.contracts, "read", away)
    monkeypatch.setattr(service.runtime.contracts, "held", lambda *_: None)
    short, long = await ask(service, tenant, what), await ask(service, tenant, what, **LONG)
    assert left(short[1]) == left(long[1]) + 1
    assert short == long
    assert (short[0], short[2]["error"]["code"]) == (503, "DATABASE_ERROR")
    assert ways.answered == 1


@pytest.mark.parametrize("what", sorted(QUESTIONS))
async def test_a_caller_who_may_not_is_refused_by_the_long_way(
    service: Service, ways: Ways, what: str
) -> None:
    tenant = await known(service)
    await service.token("other", ["viewer"], tenants=[await service.tenant()])
    for who, status in (("ingest", 403), ("other", 404), ("outsider", 404), ("expired", 401), ("wrong", 401)):
        for _ in range(2):
            assert (await ask(service, tenant, what, who))[0] == status, who
    assert ways.answered == 0


@pytest.mark.parametrize("what", sorted(QUESTIONS))
async def test_a_revoked_token_and_a_deleted_tenant_are_noticed_at_once(
    service: Service, ways: Ways, what: str
) -> None:
    issued = await service.token("short-lived", ["viewer"])
    tenant = await known(service, "short-lived")
    assert (await ask(service, tenant, what, "short-lived"))[0] == 200
    assert (await service.ask("DELETE", f"/api/v1/tokens/{issued.token_id}"))[0] == 204
    assert (await ask(service, tenant, what, "short-lived"))[0] == 401
    tenant = await known(service)
    assert (await ask(service, tenant, what))[0] == 200
    assert (await service.ask("DELETE", f"/api/v1/tenants/{tenant}"))[0] == 202
    status, _, said = await ask(service, tenant, what)
    # What was promised to a deleted tenant may be asked about.
    assert (status, bool(said.get("deleted_at"))) == ((200, True) if what == "sla" else (404, False))
    assert ways.answered == 2


async def test_of_a_tenant_that_is_gone_meanwhile_the_long_way_tells_and_counts_once(
    service: Service, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await known(service)
    before = left((await ask(service, tenant, "sla"))[1])

    async def gone(*_: Any) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(service.runtime.contracts, "read", gone)
        patched.setattr(service.runtime.contracts, "held", lambda *_: None)
        status, heads, said = await ask(service, tenant, "sla")
    assert (status, said["tenant_id"], left(heads)) == (200, tenant, before - 1)
    assert (ways.tried, ways.answered) == (2, 1)


ASKING = (
    {"X-Demo-Mode": "true"}, {"X-Demo-Mode": "perhaps"}, {"X-Debug": "true"}, {"Connection": "close"},
    {"Origin": "https://console.example"}, {"If-None-Match": "a"}, {"Expect": "100-continue"},
)  # fmt: skip


async def test_who_asks_for_something_goes_the_long_way(service: Service, ways: Ways) -> None:
    tenant = await known(service)
    for headers in ASKING:
        await ask(service, tenant, "monitoring", **headers)
        assert ways.tried == 0, headers


async def test_what_a_browser_adds_by_itself_is_nothing_that_is_asked_for(
    service: Service, ways: Ways
) -> None:
    tenant = await known(service)
    added = {"Referer": f"{service.url}/console", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin",
             "Sec-CH-UA": '"Chromium";v="130"', "Priority": "u=1, i", "Accept-Language": "ko"}  # fmt: skip
    assert (await ask(service, tenant, "monitoring", **added))[0] == 200
    assert ways.answered == 1


async def test_what_goes_the_short_way_is_counted(service: Service, ways: Ways) -> None:
    tenant = await known(service)
    found = [left((await ask(service, tenant, what))[1]) for what in ("sla", "monitoring", "sla")]
    assert found == list(range(found[0], found[0] - 3, -1))
    assert ways.answered == 3
    page = (await service.ask("GET", "/metrics"))[1]
    assert (
        f'ecp_tenant_requests_total{{code="200",method="GET",status="success",tenant_id="{tenant}"}} 5.0'
        in page
    )


async def test_questions_on_one_connection_are_answered_in_their_order_whichever_way_they_take(
    service: Service, ways: Ways
) -> None:
    tenant = await known(service)
    url = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)

    def question(what: str, *more: str) -> bytes:
        head = [f"GET /api/v1/tenants/{tenant}/{what} HTTP/1.1", "Host: x", *more]
        return "\r\n".join([*head, f"Authorization: Bearer {service.tokens['viewer']}", "", ""]).encode()

    async def answered() -> Any:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return json.loads(await reader.readexactly(length))

    try:
        writer.write(question("monitoring?hours=1"))
        assert (await answered())["step_seconds"] == 300
        # A piece, then the rest of it with another one.
        writer.write(question("sla")[:30])
        await asyncio.sleep(0.02)
        writer.write(question("sla")[30:] + question("monitoring?interval=1h"))
        assert "windows" in await answered()
        assert (await answered())["step_seconds"] == 3600
        assert ways.tried == 1
    finally:
        writer.close()


SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(%'"


async def test_who_hangs_up_ends_his_question_to_the_database(
    service: Service, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await known(service)

    async def plots(*_: Any) -> Any:
        return await service.runtime.database.fetch("SELECT pg_sleep(50)")

    monkeypatch.setattr(service.runtime.monitoring, "plots", plots)
    url = urlsplit(service.url)
    _, writer = await asyncio.open_connection(url.hostname, url.port)
    head = f"GET /api/v1/tenants/{tenant}/monitoring HTTP/1.1\r\nHost: x\r\n"
    writer.write(f"{head}Authorization: Bearer {service.tokens['viewer']}\r\n\r\n".encode())

    async def asleep(number: int) -> bool:
        return bool(await service.runtime.database.fetchval(SLEEPING) == number)

    await until(lambda: asleep(1), "the question is with the database")
    assert ways.tried == 1
    writer.close()
    await until(lambda: asleep(0), "no question is left")
    assert not service.app[LIMITS].questions._busy
