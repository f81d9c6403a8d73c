"""What a timeline is drawn with, plots of what is zoomed into, and what a window would change before it is planned."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from ecpmon.wire import rfc3339
from tests.integration.api.conftest import NOW, Service


async def lived(service: Service) -> str:
    """Two hours: ten minutes down after twenty, nothing heard of twenty minutes in the second hour."""
    name = await service.tenant()
    begin = NOW - timedelta(hours=2)
    body = [
        {
            "timestamp": rfc3339(begin + timedelta(minutes=n)),
            "metrics": {"up": 0 if 20 <= n < 30 else 1, "cpu_usage": n},
        }
        for n in range(120)
        if not 80 <= n < 100
    ]
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body)
    assert status == 202, answer
    return f"/api/v1/tenants/{name}"


async def asked(service: Service, path: str, **query: Any) -> Any:
    status, answer, _ = await service.ask("GET", f"{path}?{urlencode(query)}")
    assert status == 200, answer
    return answer


async def test_gaps_have_their_reasons_and_what_was_left_out_its_kind(service: Service) -> None:
    path = await lived(service)
    window = {
        "start": rfc3339(NOW - timedelta(minutes=100)),
        "duration": "5m",
        "reason": "a disk",
        "category": "customer",
    }
    status, _, _ = await service.ask("POST", f"{path}/maintenance", window)
    assert status == 201
    since = NOW - timedelta(hours=2)
    found = await asked(service, f"{path}/sla/annotations", **{"from": rfc3339(since), "to": rfc3339(NOW)})
    [gap] = found["gaps"]
    # Of a time when no service was there to be told.
    assert gap["reason"] == "collector_down"
    # The sample before it held for a while.
    assert 15 < gap["minutes"] < 20
    assert found["exclusions"] == [
        {
            "start": window["start"], "end": rfc3339(NOW - timedelta(minutes=95)), "category": "customer",
            "title": "a disk",
        }
    ]  # fmt: skip
    for bad in ({"from": rfc3339(NOW), "to": rfc3339(since)}, {"from": rfc3339(NOW - timedelta(days=101))}):
        status, answer, _ = await service.ask("GET", f"{path}/sla/annotations?{urlencode(bad)}")
        assert (status, answer["error"]["details"]["fields"][0]["field"]) == (422, "from")


async def test_a_plot_of_a_part_says_of_it_what_the_whole_says(service: Service) -> None:
    path = await lived(service)
    whole = await asked(service, f"{path}/sla/timeline", window="2h", step="5m")
    begin, end = NOW - timedelta(minutes=110), NOW - timedelta(minutes=60)
    part = await asked(
        service, f"{path}/sla/timeline", step="5m", **{"from": rfc3339(begin), "to": rfc3339(end)}
    )
    assert part["points"] == [p for p in whole["points"] if part["from"] <= p["timestamp"] < part["to"]]
    assert sum(p["down_minutes"] for p in part["points"]) == 10


async def test_of_metrics_as_many_points_are_told_as_a_plot_has_room_for(service: Service) -> None:
    path = await lived(service)
    begin = NOW - timedelta(hours=10)
    for points, step in ((1000, 300), (40, 900), (10, 3600)):
        found = await asked(
            service, f"{path}/monitoring", points=points, metric_type="cpu", **{"from": rfc3339(begin)}
        )
        told = found["metrics"]["cpu"]
        assert found["step_seconds"] == step
        assert len(told) <= points + 1
        # The average over all is the same however it is cut.
        assert found["summary"]["avg_cpu"] == sum(n for n in range(120) if not 80 <= n < 100) / 100


async def test_a_preview_says_what_planning_it_then_does(service: Service) -> None:
    path = await lived(service)
    window = {"start": rfc3339(NOW - timedelta(minutes=100)), "duration": "10m", "reason": "it was planned"}
    status, preview, _ = await service.ask("POST", f"{path}/maintenance/preview", window)
    assert status == 200, preview
    assert preview["past"]["count"] == 1
    before = {w["window"]: w for w in (await asked(service, f"{path}/sla", windows="24h,30d"))["windows"]}
    assert (await asked(service, f"{path}/maintenance"))["maintenance"] == []
    status, _, _ = await service.ask("POST", f"{path}/maintenance", window)
    assert status == 201
    after = {w["window"]: w for w in (await asked(service, f"{path}/sla", windows="24h,30d"))["windows"]}
    effects = {e["window"]: e for e in preview["effects"]}
    for name in ("24h", "30d"):
        for side, told in (("before", before), ("after", after)):
            for figure in ("availability", "verdict", "down_minutes", "maintenance_minutes"):
                assert effects[name][side][figure] == told[name][figure]
    assert effects["24h"]["before"]["down_minutes"] == 10
    assert effects["24h"]["after"]["down_minutes"] == 0


async def test_a_token_is_told_what_it_may(service: Service) -> None:
    await service.token("op", ["operator"], [await service.tenant()])
    status, told, _ = await service.ask("GET", "/api/v1/session", who="op")
    assert status == 200
    assert told == {
        "name": "op", "roles": ["operator"], "permissions": ["scrape", "read", "ingest", "operate"],
        "every_tenant": False, "expires_at": None, "expires_in": None, "demo": False,
    }  # fmt: skip
