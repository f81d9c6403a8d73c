"""A tenant that flaps more often than a timeline can hold: its figures stay exact, and it is told what is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ecpmon.api.context import CONTEXT
from tests.integration.api.conftest import NOW, Service


@pytest.fixture
def service_settings() -> dict[str, Any]:
    return {"max_changes_per_day": 20}


async def test_figures_stay_exact_and_say_which_days_are_kept_by_the_minute(service: Service) -> None:
    flapping, calm = await service.tenant(push_interval=60), await service.tenant(push_interval=3600)
    url = f"/api/v1/tenants/{flapping}"
    # An hour of 20 s down and 40 s up, which is three times as many changes as are kept to the instant.
    start = NOW - timedelta(hours=1)
    seen = [(start + timedelta(minutes=m, seconds=s), up) for m in range(60) for s, up in ((0, 1), (40, 0))]
    entries = [{"timestamp": at.isoformat(), "metrics": {"up": up}} for at, up in [*seen, (NOW, 1)]]
    assert (await service.ask("POST", f"{url}/monitoring", entries))[0] == 202
    single = {"timestamp": NOW.isoformat(), "metrics": {"up": 1}}
    assert (await service.ask("POST", f"/api/v1/tenants/{calm}/monitoring", single))[0] == 202
    _, body, _ = await service.ask("GET", f"{url}/sla?windows=1h")
    [hour] = body["windows"]
    assert body["by_minute"] == [f"{NOW:%Y-%m-%d}"]
    assert (hour["down_minutes"], hour["coverage"]) == (pytest.approx(20), 100)
    # Every minute was down in part: one outage, of as much down time.
    _, body, _ = await service.ask("GET", f"{url}/incidents")
    assert body["by_minute"] == [f"{NOW:%Y-%m-%d}"]
    assert [i["down_seconds"] for i in body["incidents"]] == [pytest.approx(1200)]
    _, plot, _ = await service.ask("GET", f"{url}/sla/timeline?window=1h&step=5m")
    assert {round(p["down_minutes"], 9) for p in plot["points"][1:-1]} == {round(5 / 3, 9)}
    # The samples are all there, and the neighbour's timeline is to the instant.
    stored = await service.runtime.database.fetchval(
        "SELECT count(*) FROM monitoring_data WHERE tenant_id = $1 AND metric_name = 'up'", flapping
    )
    assert stored == 121
    _, body, _ = await service.ask("GET", f"/api/v1/tenants/{calm}/sla?windows=1h")
    assert body["by_minute"] == []
    await service.runtime._update_gauges()
    registry = service.app[CONTEXT].telemetry.registry
    assert registry.get_sample_value("ecpmon_timelines_by_minute") == 1
