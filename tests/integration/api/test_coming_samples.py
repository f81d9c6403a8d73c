"""A sample that is dated ahead is stored, and nothing acts on it before its time: then it counts. All through HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ecpmon.model.bus import BusKind, BusRow
from ecpmon.wire import rfc3339
from tests.integration.api.conftest import NOW, Service
from tests.integration.api.test_sockets import connect
from tests.waiting import PATIENCE, until


async def push(service: Service, name: str, ahead: float = 0, **metrics: float) -> None:
    at = rfc3339(service.clock.now() + timedelta(seconds=ahead))
    body = {"timestamp": at, "metrics": metrics}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body)
    assert (status, answer["rejected"], answer["timestamp"]) == (202, [], at)


async def turn(service: Service, seconds: float = 0) -> None:
    """So much later, the jobs have had a turn each, in their order."""
    service.clock.advance(seconds)
    work = service.runtime.work
    await work.keeping.take_in_hand_made()
    await work.rolling.run_once()
    await work.trigger.settled()
    await work.evaluate_alerts()


async def get(service: Service, path: str) -> Any:
    status, answer, _ = await service.ask("GET", path)
    assert status == 200, answer
    return answer


async def window(service: Service, name: str, which: str = "1h") -> dict[str, Any]:
    answer = await get(service, f"/api/v1/tenants/{name}/sla?windows={which}")
    found: dict[str, Any] = answer["windows"][0]
    return found


async def state(service: Service, name: str) -> str:
    rows = (await get(service, "/api/v1/sla/summary"))["tenants"]
    [found] = [row["state"] for row in rows if row["tenant_id"] == name]
    return str(found)


async def rules(service: Service, name: str) -> dict[str, str]:
    found = (await get(service, f"/api/v1/tenants/{name}/alerts"))["alerts"]
    return {rule["alert_name"]: rule["state"] for rule in found}


async def gauges(service: Service, name: str) -> dict[str, float]:
    page = await get(service, "/metrics")
    lines = (line.rsplit(" ", 1) for line in page.splitlines() if f'tenant_id="{name}"' in line)
    return {series: float(value) for series, value in lines}


async def test_an_outage_that_is_told_ahead_begins_when_its_time_has_come(service: Service) -> None:
    name = await service.tenant(push_interval=60)
    await push(service, name, up=1)
    service.clock.advance(30)
    await push(service, name, up=1)
    await turn(service)
    async with connect(service, f"/ws/monitoring/{name}") as socket:
        await socket.send_json({"action": "subscribe", "metrics": ["up"], "interval": 100})
        await push(service, name, ahead=120, up=0)
        for second in (0, 60, 30, 29):
            await turn(service, second)
            assert await state(service, name) == "up"
            shown = await window(service, name)
            assert (shown["down_minutes"], shown["failure_count"], shown["availability"]) == (0, 0, 100)
            assert (await get(service, f"/api/v1/tenants/{name}/incidents"))["incidents"] == []
            if second == 60:
                await push(service, name, up=1)  # after the other one, and before it
            message = await socket.receive_json(timeout=PATIENCE)
            assert (message["metrics"], "state" in message) == ({"up": 1.0}, False)
        await turn(service, 1)
        assert await state(service, name) == "down"
        await turn(service, 59)
        shown = await window(service, name)
        assert (shown["down_minutes"], shown["failure_count"]) == (pytest.approx(59 / 60), 1)
        while "state" not in message:
            message = await socket.receive_json(timeout=PATIENCE)
        assert (message["state"], message["metrics"]) == ("down", {"up": 0.0})


async def test_an_outage_is_not_ended_ahead_of_its_end(service: Service) -> None:
    name = await service.tenant(push_interval=120)
    await push(service, name, up=1)
    service.clock.advance(60)
    await push(service, name, up=0)
    await push(service, name, ahead=180, up=1)
    await turn(service, 90)
    assert await state(service, name) == "down"
    [outage] = (await get(service, f"/api/v1/tenants/{name}/incidents"))["incidents"]
    assert outage["ongoing"]
    assert (await window(service, name))["down_minutes"] == 1.5
    await turn(service, 90)
    assert await state(service, name) == "up"
    await turn(service, 60)
    [outage] = (await get(service, f"/api/v1/tenants/{name}/incidents"))["incidents"]
    assert (outage["ongoing"], outage["duration_seconds"]) == (False, 180)
    assert (await window(service, name))["down_minutes"] == 3


async def test_no_rule_fires_on_a_value_before_its_time(service: Service) -> None:
    name = await service.tenant(push_interval=60)
    for condition in ("cpu_usage > 80", "max(cpu_usage, 5m) > 80"):
        rule = {"alert_name": condition, "condition": condition, "duration": "0s"}
        status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/alerts", rule)
        assert status == 201, answer
    await push(service, name, up=1, cpu_usage=10)
    await push(service, name, ahead=100, cpu_usage=95)
    usage = f'ecp_tenant_cpu_usage{{tenant_id="{name}"}}'
    for seconds in (0, 50, 49):
        await turn(service, seconds)
        found = await rules(service, name)
        assert (found["cpu_usage > 80"], found["max(cpu_usage, 5m) > 80"]) == ("inactive", "inactive")
        assert (await gauges(service, name))[usage] == 10
    await turn(service, 1)
    found = await rules(service, name)
    assert (found["cpu_usage > 80"], found["max(cpu_usage, 5m) > 80"]) == ("firing", "firing")
    assert (await gauges(service, name))[usage] == 95


async def test_a_tenant_that_is_silent_is_so_until_what_it_told_ahead_is_due(service: Service) -> None:
    name = await service.tenant(push_interval=10)
    await push(service, name, up=1)
    await push(service, name, ahead=299, up=1)
    await turn(service, 26)
    assert await state(service, name) == "gap"
    await turn(service)
    assert (await rules(service, name))["sla_no_data"] == "pending"
    shown = await window(service, name)
    assert shown["gap_minutes"] == pytest.approx(1 / 60)
    await turn(service, 272)
    assert await state(service, name) == "gap"
    await turn(service, 1)
    assert await state(service, name) == "up"
    await turn(service, 1)
    assert (await rules(service, name))["sla_no_data"] == "inactive"


async def test_a_tenant_that_was_only_told_of_ahead_was_never_observed(service: Service) -> None:
    name = await service.tenant(push_interval=60)
    await push(service, name, ahead=60, up=0)
    await turn(service, 30)
    assert await state(service, name) == "none"
    assert (await window(service, name))["availability"] is None
    await turn(service, 30)
    assert await state(service, name) == "down"
    await turn(service, 30)
    shown = await window(service, name)
    assert (shown["eligible_minutes"], shown["down_minutes"]) == (0.5, 0.5)


async def test_a_tenant_at_rest_is_looked_at_when_what_it_told_ahead_is_due(service: Service) -> None:
    """As soon as one that tells the same in time."""
    ahead, in_time = await service.tenant(push_interval=100), await service.tenant(push_interval=100)
    for seconds in [240] * 16 + [0]:
        for name in (ahead, in_time):
            await push(service, name, up=1)
        await turn(service, seconds)
    await push(service, ahead, ahead=60, up=0)
    await turn(service, 60)
    await push(service, in_time, up=0)
    seen = []
    for _ in range(9):
        seen.append(await rules(service, in_time))
        assert await rules(service, ahead) == seen[-1]
        await turn(service, 60)
        for name in (ahead, in_time):
            await push(service, name, up=0)
    assert (set(seen[0].values()), seen[-1]["sla_burn_rate_page"]) == ({"inactive"}, "firing"), seen


async def test_a_socket_shows_a_value_that_is_stored_already_when_its_time_has_come(service: Service) -> None:
    """Also when it was opened in between."""
    name = await service.tenant()
    await push(service, name, cpu_usage=10)
    await push(service, name, ahead=200, cpu_usage=20)
    async with connect(service, f"/ws/monitoring/{name}") as socket:
        await socket.send_json({"action": "subscribe", "metrics": ["cpu"], "interval": 100})
        await push(service, name, ahead=100, cpu_usage=15)
        for seconds, value in ((99, 10), (1, 15), (99, 15), (1, 20)):
            service.clock.advance(seconds)
            message = await socket.receive_json(timeout=PATIENCE)
            while message["metrics"]["cpu"] != value:
                assert message["metrics"]["cpu"] < value
                message = await socket.receive_json(timeout=PATIENCE)
    assert service.clock.now() == NOW + timedelta(seconds=200)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["stored here", "stored by another process"])
async def test_nobody_has_to_ask_for_what_has_come(
    service: Service, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    """The job has a turn of its own when it is due."""
    name = await service.tenant(push_interval=60)
    await push(service, name, up=1)
    due = service.runtime.work.due
    if elsewhere:
        monkeypatch.setattr(due, "note", lambda _: None)
    await push(service, name, ahead=1, up=0)
    if elsewhere:
        monkeypatch.undo()
        second = int(service.clock.now().timestamp()) + 1
        row = BusRow(1, "another", BusKind.SAMPLES, (1,), {"coming": [second]})
        service.runtime.work._feed.rows([row])
    assert await state(service, name) == "up"
    service.clock.advance(1)

    async def is_down() -> bool:
        return await state(service, name) == "down"

    await until(is_down, "it is taken in")
