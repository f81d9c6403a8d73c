"""Figures of all tenants are kept up to date by evaluating who changed, and the others every half minute."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from ecpmon.app.rolling import AT_REST
from ecpmon.sla import windows
from ecpmon.sla.periods import WINDOW_NAMES
from ecpmon.wire import rfc3339
from tests.integration.api.conftest import NOW, Service


async def push(service: Service, name: str, up: int) -> None:
    body = {"timestamp": rfc3339(service.clock.now()), "metrics": {"up": up}}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body)
    assert status == 202, answer


async def turn(service: Service, name: str, seconds: float) -> datetime:
    """When the tenant's figures are of, after a turn of the job so much later."""
    service.clock.advance(seconds)
    await service.runtime.work.rolling.run_once()
    found: datetime = await service.runtime.database.fetchval(
        "SELECT min(as_of) FROM sla_current JOIN tenants t ON t.id = tenant WHERE tenant_id = $1", name
    )
    return found


async def test_who_rests_is_evaluated_every_half_minute(service: Service) -> None:
    name = await service.tenant()
    await push(service, name, 1)
    seen = [await turn(service, name, 5) for _ in range(30)]
    evaluated = sorted(set(seen))
    assert evaluated[0] == NOW + timedelta(seconds=5)
    later = [b - a for a, b in pairwise(evaluated[1:])]
    assert len(later) >= 2
    assert set(later) == {AT_REST}
    assert evaluated[1] - evaluated[0] <= AT_REST


async def test_who_is_down_or_comes_back_is_evaluated_at_once(service: Service) -> None:
    name = await service.tenant()
    await push(service, name, 1)
    await turn(service, name, 1)
    await push(service, name, 0)
    for _ in range(4):
        assert await turn(service, name, 5) == service.clock.now()
    await push(service, name, 1)
    came_back = await turn(service, name, 5)
    assert came_back == service.clock.now()
    assert await turn(service, name, 1) == came_back


CHANGES: dict[str, tuple[str, str, Any]] = {
    "another target": ("PUT", "", {"sla_target": {"availability": "99.9%"}}),
    "maintenance": (
        "POST", "/maintenance",
        {"start": rfc3339(NOW + timedelta(hours=1)), "duration": "1h", "reason": "a test"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
async def test_who_was_changed_is_evaluated_at_once(service: Service, change: str) -> None:
    name = await service.tenant()
    await push(service, name, 1)
    await turn(service, name, 1)
    method, path, body = CHANGES[change]
    status, answer, _ = await service.ask(method, f"/api/v1/tenants/{name}{path}", body)
    assert status < 300, answer
    assert await turn(service, name, 1) == service.clock.now()


async def test_whose_alerts_change_is_not_evaluated_for_that(service: Service) -> None:
    name = await service.tenant()
    await push(service, name, 1)
    seen = await turn(service, name, 1)
    rule = {"alert_name": "any", "condition": "up > 0"}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/alerts", rule)
    assert status == 201, answer
    await service.runtime.work.evaluate_alerts()
    states = "SELECT count(*) FROM alert_states WHERE status = 'firing'"
    assert await service.runtime.database.fetchval(states) == 1
    assert await turn(service, name, 1) == seen


async def test_what_is_kept_is_what_the_spans_say(service: Service) -> None:
    name = await service.tenant()
    for up in (1, 1, 0, 0, 1, 1, 0, 1):
        await push(service, name, up)
        service.clock.advance(40)
    as_of = await turn(service, name, 400)
    tenant = await service.runtime.tenants.get(name)
    spans = await service.runtime.availability.timeline(tenant, as_of - timedelta(days=93), as_of)
    expected = {w.window: w for w in windows.standing(spans, as_of, tenant.sla_target.fraction)}
    rows = await service.runtime.database.fetch("SELECT * FROM sla_current WHERE tenant = $1", tenant.key)
    assert {r["window_name"] for r in rows} == expected.keys()
    for row in rows:
        own = expected[row["window_name"]]
        assert row["availability"] == pytest.approx(own.availability)
        assert row["coverage"] == pytest.approx(own.coverage)
        assert row["budget_remaining_seconds"] == pytest.approx(own.budget.remaining)


async def test_a_window_begins_to_count_when_maintenance_does(service: Service) -> None:
    name = await service.tenant()
    await push(service, name, 1)
    await turn(service, name, 1)
    start = service.clock.now() + timedelta(seconds=8)
    body = {"start": rfc3339(start), "duration": "10m", "reason": "a test"}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body)
    assert status < 300, answer
    assert await turn(service, name, 1) == service.clock.now()
    assert await turn(service, name, 8) == service.clock.now() > start


async def test_the_windows_that_are_series_are_a_setting(service: Service) -> None:
    name = await service.tenant()
    await push(service, name, 1)
    await turn(service, name, 1)
    _, text, _ = await service.ask("GET", "/metrics")
    found = re.findall(rf'ecp_tenant_sla_availability_ratio{{tenant_id="{name}",window="(.*?)"}}', text)
    assert set(found) == {"1h", "24h", "30d", "month"}
    assert await service.runtime.database.fetchval(
        "SELECT count(*) FROM sla_current c JOIN tenants t ON t.id = c.tenant WHERE tenant_id = $1", name
    ) == len(WINDOW_NAMES)
