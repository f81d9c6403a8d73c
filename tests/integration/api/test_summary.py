"""The summary shows what the job of the rolling SLA found last, as long as it holds, and else what is so now."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecpmon.model.availability import SpanState
from ecpmon.ports.current import WINDOWS
from ecpmon.wire import rfc3339
from tests.integration.api.conftest import Service
from tests.waiting import until

Change = Callable[[Service, str], Awaitable[None]]


async def push(service: Service, name: str, up: float, **more: Any) -> None:
    body = {"metrics": {"up": up}, **more}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body)
    assert status == 202, answer


async def with_a_past(service: Service, *, down: bool = False) -> str:
    """Observed for half an hour, of which some minutes were an outage."""
    name = await service.tenant(sli_source="push", push_interval=600)
    for up in (1, 1, 0, 1, 0 if down else 1):
        await push(service, name, up)
        service.clock.advance(361)
    await service.runtime.work.trigger.settled()
    await service.runtime.work.rolling.run_once()
    return name


async def row_of(service: Service, name: str, who: str = "admin") -> dict[str, Any]:
    status, body, _ = await service.ask("GET", "/api/v1/sla/summary", who=who)
    assert status == 200, body
    [found] = [row for row in body["tenants"] if row["tenant_id"] == name]
    return dict(found)


async def is_worked_out(service: Service, name: str) -> bool:
    return (await row_of(service, name))["as_of"] == rfc3339(service.clock.now())


async def test_what_was_found_is_what_would_be_worked_out(service: Service) -> None:
    name = await with_a_past(service)
    found = await row_of(service, name)
    assert [w in found["windows"] for w in WINDOWS] == [True] * len(WINDOWS)
    assert found["windows"]["24h"]["availability"] < 100
    await service.runtime.database.execute("DELETE FROM sla_current")
    worked_out = await row_of(service, name)
    shown = worked_out.pop("windows")
    for window, figures in found.pop("windows").items():
        assert shown[window].pop("bounds") == pytest.approx(figures.pop("bounds"))
        assert shown[window].pop("contract_versions") == figures.pop("contract_versions") == [1]
        assert shown[window] == pytest.approx(figures)
    assert worked_out.pop("error_budget") == pytest.approx(found.pop("error_budget"))
    assert worked_out.pop("burn_rate") == pytest.approx(found.pop("burn_rate"))
    assert worked_out == found


async def test_it_holds_for_a_minute_and_the_state_is_that_of_now(service: Service) -> None:
    name, found_at = await with_a_past(service), rfc3339(service.clock.now())
    service.clock.advance(50)
    row = await row_of(service, name)
    assert (row["as_of"], row["state"]) == (found_at, "up")
    service.clock.advance(11)
    assert await is_worked_out(service, name)
    await service.runtime.work.rolling.run_once()
    service.clock.advance(3)
    assert not await is_worked_out(service, name)
    service.clock.advance(3_600)
    await service.runtime.work.rolling.run_once()
    service.clock.advance(3)
    row = await row_of(service, name)
    assert (row["state"], row["as_of"]) == (
        SpanState.GAP,
        rfc3339(service.clock.now() - timedelta(seconds=3)),
    )


async def test_what_was_found_of_who_is_down_holds_for_a_quarter_of_a_minute(service: Service) -> None:
    name = await with_a_past(service, down=True)
    service.clock.advance(14)
    assert not await is_worked_out(service, name)
    service.clock.advance(2)
    assert await is_worked_out(service, name)


async def _goes_down(service: Service, name: str) -> None:
    await push(service, name, 0)


async def _other_target(service: Service, name: str) -> None:
    target = """UPDATE tenants SET sla_target = '{"availability": "90%"}' WHERE tenant_id = $1"""
    await service.runtime.database.execute(target, name)


async def _maintenance(service: Service, name: str) -> None:
    body = {
        "start": rfc3339(service.clock.now() - timedelta(minutes=20)),
        "duration": "12m",
        "reason": "work",
    }
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body)
    assert status == 201, answer


@pytest.mark.parametrize("change", [_goes_down, _other_target, _maintenance])
async def test_it_holds_no_longer_than_what_it_was_found_by(service: Service, change: Change) -> None:
    name = await with_a_past(service)
    before = await row_of(service, name)
    service.clock.advance(5)
    assert not await is_worked_out(service, name)
    await change(service, name)
    after = await row_of(service, name)
    assert after["as_of"] == rfc3339(service.clock.now())
    assert after["windows"] != before["windows"] or after["target"] != before["target"]
    service.clock.advance(5)
    assert await is_worked_out(service, name)
    await service.runtime.work.rolling.run_once()
    service.clock.advance(3)
    assert not await is_worked_out(service, name)


async def test_another_month_is_worked_out(service: Service) -> None:
    midnight = datetime(2026, 4, 1, tzinfo=UTC)
    ahead = (midnight - service.clock.now()).total_seconds() - 5 * 361
    service.clock.advance(ahead - 2)
    name = await with_a_past(service)
    assert not midnight <= service.clock.now()
    service.clock.advance(1)
    assert not await is_worked_out(service, name)
    service.clock.advance(1)
    assert await is_worked_out(service, name)


async def test_a_row_that_is_kept_tells_the_newest_alert(service: Service) -> None:
    name = await with_a_past(service)
    assert (await row_of(service, name))["last_alert"] is None
    rule = {"alert_name": "hot", "condition": "cpu > 80"}
    await service.ask("POST", f"/api/v1/tenants/{name}/alerts", rule)
    for cpu, status in ((95, "firing"), (10, "resolved")):
        service.clock.advance(1)
        await push(service, name, 1, metrics={"up": 1, "cpu": cpu})
        await service.runtime.work.trigger.settled()
        row = await row_of(service, name)
        assert row["last_alert"] == {
            "alert_name": "hot", "status": status, "at": rfc3339(service.clock.now()),
        }  # fmt: skip


async def test_that_an_alert_is_acknowledged_is_no_newer_alert(service: Service) -> None:
    name = await with_a_past(service)
    rule = {"alert_name": "hot", "condition": "cpu > 80"}
    _, made, _ = await service.ask("POST", f"/api/v1/tenants/{name}/alerts", rule)
    service.clock.advance(1)
    await push(service, name, 1, metrics={"up": 1, "cpu": 95})
    await service.runtime.work.trigger.settled()
    fired = (await row_of(service, name))["last_alert"]
    assert fired["at"] == rfc3339(service.clock.now())
    service.clock.advance(1)
    url = f"/api/v1/tenants/{name}/alerts/{made['rule_id']}/acknowledge"
    for method, status in (("POST", 200), ("DELETE", 204)):
        assert (await service.ask(method, url))[0] == status
        assert (await row_of(service, name))["last_alert"] == fired


async def test_an_alert_of_another_process_is_told_from_the_bus_on(service: Service) -> None:
    name = await with_a_past(service)
    assert (await row_of(service, name))["last_alert"] is None
    service.runtime.alerts.memory._seconds = 600.0
    assert (await row_of(service, name))["last_alert"] is None
    # By hand, as far as this process can tell.
    await service.runtime.database.execute(
        """INSERT INTO alert_events (tenant, rule_id, alert_id, alert_name, severity, kind, from_state, to_state, at,
                                     reason, message)
        SELECT id, gen_random_uuid(), gen_random_uuid(), 'far', 'page', 'threshold', 'pending', 'firing', $2, 'x', 'x'
        FROM tenants WHERE tenant_id = $1""",
        name,
        service.clock.now(),
    )

    async def is_told() -> bool:
        alert = (await row_of(service, name))["last_alert"]
        return alert is not None and alert["alert_name"] == "far"

    await until(is_told, "the alert is in the summary")


async def test_who_sees_one_tenant_is_told_of_it_alone(service: Service) -> None:
    mine, theirs = await with_a_past(service), await with_a_past(service)
    await service.token("mine", ["viewer"], [mine])
    queries = set()
    for _ in range(5):
        _, body, headers = await service.ask("GET", "/api/v1/sla/summary", who="mine", **{"X-Debug": "true"})
        queries.add(json.loads(headers["X-Debug-Info"])["queries"])
    assert [row["tenant_id"] for row in body["tenants"]] == [mine]
    assert theirs not in json.dumps(body)
    # Whom it may see, who is quarantined, what was found; a connection that was just opened asks for itself.
    assert min(queries) == 3
