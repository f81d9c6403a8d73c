"""One caller's share of what all share, through HTTP."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import pytest

from ecpmon.api.limits import ALL_QUESTIONS_AT_ONCE, BAD_TOKEN_BURST, LIMITS
from ecpmon.api.pushing import ONE_BY_ONE, SAMPLES_PER_REQUEST
from ecpmon.storage.series import SeriesCatalogue
from tests.integration.api.conftest import Service
from tests.waiting import PATIENCE


async def test_guessing_tokens_is_limited_before_it_costs_a_query(service: Service) -> None:
    assert (await service.ask("GET", "/api/v1/tenants/"))[0] == 200
    codes = []
    for _ in range(int(BAD_TOKEN_BURST) + 2):
        service.tokens["guess"] = f"ecp_{secrets.token_urlsafe(32)}"
        status, _, headers = await service.ask("GET", "/api/v1/tenants/", who="guess", **{"X-Debug": "true"})
        codes.append((status, json.loads(headers["X-Debug-Info"])["queries"] > 0))
    assert codes == [(401, True)] * int(BAD_TOKEN_BURST) + [(429, False)] * 2
    # A token that was good before comes from the same address and is let in.
    assert (await service.ask("GET", "/api/v1/tenants/"))[0] == 200
    service.clock.advance(seconds=1)
    assert (await service.ask("GET", "/api/v1/tenants/", who="viewer"))[0] == 200


async def test_a_tenant_that_used_up_its_samples_waits_and_its_neighbour_does_not(service: Service) -> None:
    alpha, beta = await service.tenant(), await service.tenant()
    limits = service.app[LIMITS]
    limits.samples.charge(f"tenant False {alpha}", 10_000_000, service.clock.now())
    body = {"metrics": {"cpu": 1}}
    status, answer, headers = await service.ask("POST", f"/api/v1/tenants/{alpha}/monitoring", body)
    assert (status, answer["error"]["code"], headers["Retry-After"].isdigit()) == (429, "RATE_LIMITED", True)
    assert (await service.ask("POST", f"/api/v1/tenants/{beta}/monitoring", body))[0] == 202
    service.clock.advance(seconds=int(headers["Retry-After"]))
    assert (await service.ask("POST", f"/api/v1/tenants/{alpha}/monitoring", body))[0] == 202


async def test_a_refusal_waits_and_holds_nobody_else_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecpmon.api.limits.REFUSAL_SECONDS", PATIENCE)
    alpha, beta = await service.tenant(), await service.tenant()
    service.app[LIMITS].samples.charge(f"tenant False {alpha}", 10_000_000, service.clock.now())
    body = {"metrics": {"cpu": 1}}
    refused = [
        asyncio.create_task(service.ask("POST", f"/api/v1/tenants/{alpha}/monitoring", body))
        for _ in range(10)
    ]
    assert (await service.ask("POST", f"/api/v1/tenants/{beta}/monitoring", body))[0] == 202
    assert not any(task.done() for task in refused)
    for task in refused:
        task.cancel()
    await asyncio.gather(*refused, return_exceptions=True)


async def test_pushes_are_counted_by_samples_for_caller_and_tenant(service: Service) -> None:
    tenant = await service.tenant()
    body = {"metrics": {f"m{n}": n for n in range(90)} | {"bad": "text"}}
    assert (await service.ask("POST", f"/api/v1/tenants/{tenant}/monitoring", body))[0] == 202
    levels = service.app[LIMITS].samples._levels
    full = service.runtime.settings.max_samples_per_second * 4
    assert [full - level[0] for level in levels.values()] == [91 * ONE_BY_ONE + SAMPLES_PER_REQUEST] * 2


async def test_names_over_the_bound_of_a_full_tenant_cost_no_query(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await service.tenant()
    most = service.runtime.settings.max_series_per_tenant
    url = f"/api/v1/tenants/{tenant}/monitoring"
    body = {"metrics": {f"m{n}": n for n in range(most)}}
    assert (await service.ask("POST", url, body))[1]["accepted"] == most
    asked: list[object] = []
    stored = SeriesCatalogue._stored

    async def counted(self: SeriesCatalogue, connection: Any, tenants: list[int], names: Any) -> Any:
        asked.append(names)
        return await stored(self, connection, tenants, names)

    monkeypatch.setattr(SeriesCatalogue, "_stored", counted)
    for n in range(5):
        status, answer, _ = await service.ask("POST", url, {"metrics": {"m0": 1, f"new-{n}": 1}})
        named = [(each["metric"], each["reason"]) for each in answer["rejected"]]
        assert (status, named) == (202, [(f"new-{n}", "too_many_series")])
    assert asked == [["new-0"], None]  # what there is of it, and then all that the full tenant has


async def test_who_sends_slowly_holds_no_turn_that_others_wait_for(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    head = (
        "POST /api/v1/tenants/calculate-resources HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
        f"Authorization: Bearer {service.tokens['viewer']}\r\n\r\n{{"
    )
    slow = [await asyncio.open_connection(host, int(port)) for _ in range(ALL_QUESTIONS_AT_ONCE + 2)]
    try:
        for _, writer in slow:
            writer.write(head.encode())
        async with asyncio.timeout(PATIENCE):  # they hold more than one byte each
            while service.app[LIMITS].memory.held < len(slow):
                await asyncio.sleep(0.01)
        assert (await service.ask("GET", "/api/v1/tenants/", who="viewer"))[0] == 200
        assert (await service.ask("GET", "/api/v1/tenants/"))[0] == 200
    finally:
        for _, writer in slow:
            writer.close()


async def test_what_is_refused_for_lack_of_rights_counts_as_a_request(service: Service) -> None:
    tenant = await service.tenant()
    levels = service.app[LIMITS].requests._levels
    for path, status in ((f"/api/v1/tenants/{tenant}", 404), ("/api/v1/tokens", 200)):
        before = {key: level for key, (level, *_) in levels.items()}
        assert (await service.ask("GET", path, who="outsider"))[0] == status
        changed = {key for key, (level, *_) in levels.items() if level != before.get(key)}
        assert len(changed) == 1
