"""What Alertmanager told us can be read again, a page at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.api.conftest import NOW, Service


async def tell(service: Service, name: str, number: int, status: str = "firing") -> None:
    alert = {
        "status": status, "labels": {"alertname": f"A{number}", "tenant_id": name, "severity": "page"},
        "annotations": {"summary": f"the {number}th"}, "fingerprint": f"f-{number}",
        "startsAt": (NOW - timedelta(hours=1)).isoformat(),
        **({"endsAt": NOW.isoformat()} if status == "resolved" else {}),
    }  # fmt: skip
    service.clock.advance(1)
    _, answer, _ = await service.ask(
        "POST", "/api/v1/webhooks/tenant-alert", {"version": "4", "alerts": [alert]}
    )
    assert answer["new"] == 1, answer


async def page(service: Service, name: str, query: str = "") -> Any:
    status, answer, _ = await service.ask("GET", f"/api/v1/tenants/{name}/alerts/received{query}")
    assert status == 200, answer
    return answer


async def test_they_are_read_newest_first_a_page_at_a_time_and_of_one_status(service: Service) -> None:
    name, other = await service.tenant(), await service.tenant()
    for number in range(3):
        await tell(service, name, number)
    await tell(service, name, 1, "resolved")
    await tell(service, other, 9)
    whole = await page(service, name)
    assert [(a["alert_name"], a["status"]) for a in whole["alerts"]] == [
        ("A1", "resolved"), ("A2", "firing"), ("A1", "firing"), ("A0", "firing"),
    ]  # fmt: skip
    assert whole["pagination"] == {"skip": 0, "limit": 100, "has_more": False}
    assert whole["alerts"][0] == {
        "fingerprint": "f-1", "alert_name": "A1", "severity": "page", "status": "resolved",
        "starts_at": "2026-03-02T08:00:00Z", "ends_at": "2026-03-02T09:00:00Z", "received_at": "2026-03-02T09:00:04Z",
        "labels": {"alertname": "A1", "tenant_id": name, "severity": "page"}, "annotations": {"summary": "the 1th"},
    }  # fmt: skip
    first, second = await page(service, name, "?limit=3"), await page(service, name, "?skip=3&limit=3")
    assert first["alerts"] + second["alerts"] == whole["alerts"]
    assert (first["pagination"]["has_more"], second["pagination"]["has_more"]) == (True, False)
    assert [a["alert_name"] for a in (await page(service, name, "?status=resolved"))["alerts"]] == ["A1"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "skip=-1", "skip=100001", "skip=x", "status=open"]
)
async def test_what_is_no_page_is_refused_by_its_name(service: Service, query: str) -> None:
    name = await service.tenant()
    status, answer, _ = await service.ask("GET", f"/api/v1/tenants/{name}/alerts/received?{query}")
    assert (status, answer["error"]["code"]) == (422, "VALIDATION_FAILED")
    assert [f["field"] for f in answer["error"]["details"]["fields"]] == [query.partition("=")[0]]


async def test_a_rule_cannot_take_its_place(service: Service) -> None:
    name = await service.tenant()
    assert (await page(service, name))["alerts"] == []
