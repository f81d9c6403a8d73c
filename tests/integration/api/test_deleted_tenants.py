"""What is promised ends with the tenant: its budget, its windows, its month; and who may read them goes on reading."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecpmon.storage.statements import PgStatementStore
from tests.integration.api.conftest import NOW, Service

END = NOW + timedelta(days=10)
DAY = timedelta(days=1)


async def a_deleted_tenant(service: Service, **more: Any) -> str:
    """Observed for ten days from March 2 at 9 on, each hour; down for the last two hours, then deleted."""
    name = await service.tenant(push_interval=3600, push_mode="changes", **more)
    await service.token(f"of {name}", ["viewer"], tenants=[name])
    for first in (0, 5 * 24):
        service.clock.set(NOW + timedelta(hours=first + 5 * 24))
        hours = range(first, first + 5 * 24)
        batch = [
            {"timestamp": (NOW + timedelta(hours=h)).isoformat(), "metrics": {"up": 0 if h >= 238 else 1}}
            for h in hours
        ]
        status, body, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", batch)
        assert (status, body["rejected"]) == (202, [])
    assert service.clock.now() == END
    assert (await service.ask("DELETE", f"/api/v1/tenants/{name}?force=true"))[0] == 202
    return name


async def test_the_budget_ends_with_the_tenant_and_does_not_shrink(service: Service) -> None:
    name = await a_deleted_tenant(service)
    url = f"/api/v1/tenants/{name}/sla?windows=month,quarter,24h,30d"
    found = []
    for later in (timedelta(minutes=1), DAY, 30 * DAY, 100 * DAY):
        service.clock.set(END + later)
        status, body, _ = await service.ask("GET", url)
        assert status == 200
        found.append(body)
    assert found[1:] == found[:-1]
    assert (found[0]["as_of"], found[0]["deleted_at"]) == ("2026-03-12T09:00:00Z",) * 2
    month, quarter, day, _ = found[0]["windows"]
    for window in (month, quarter):
        assert window["end"] == "2026-03-12T09:00:00Z"
        assert window["error_budget"]["total_minutes"] == pytest.approx(0.005 * 10 * 1440)
        assert window["error_budget"]["consumed_minutes"] == 120
    assert (day["eligible_minutes"], day["down_minutes"]) == (1440, 120)
    # Of an instant at which it was there: a month's budget.
    _, before, _ = await service.ask("GET", f"{url}&at=2026-03-12T08:00:00Z")
    assert before["windows"][0]["error_budget"]["total_minutes"] == pytest.approx(0.005 * (744 - 33) * 60)


async def test_its_last_month_ends_with_it_and_is_closed_soon(service: Service) -> None:
    name = await a_deleted_tenant(service)
    url = f"/api/v1/tenants/{name}/sla/report"
    tenant = await service.runtime.tenants.get_with_deleted(name, among=None)
    body = {"start": "2026-03-20T00:00:00Z", "duration": "1h", "reason": "planned for later"}
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body))[0] == 404
    service.clock.set(END + 2 * DAY)
    _, early, _ = await service.ask("GET", url)
    assert (early["month"], early["state"]) == ("2026-03", "preliminary")
    service.clock.set(END + 3 * DAY)
    await service.runtime.work.closing.run_once()
    assert len(await PgStatementStore(service.runtime.database).revisions(tenant, "2026-03")) == 1
    _, told, _ = await service.ask("GET", url)
    assert (told["state"], told["revision"], told["digest"]) == ("final", 1, early["digest"])
    assert told["period"] == {"start": "2026-03-01T00:00:00Z", "end": "2026-03-12T09:00:00Z"}
    assert told["deleted_at"] == "2026-03-12T09:00:00Z"
    assert told["error_budget"]["total_minutes"] == pytest.approx(0.005 * 10 * 1440)
    assert (told["eligible_minutes"], told["down_minutes"], told["gap_minutes"]) == (10 * 1440, 120, 0)
    assert told["days"][-1]["date"] == "2026-03-12"
    # It was down when it ended: over, but nothing recovered.
    [incident] = told["incidents"]
    assert (incident["end"], incident["ongoing"], incident["recovery_minutes"]) == (
        told["deleted_at"],
        False,
        None,
    )
    _, shown, _ = await service.ask("GET", f"/api/v1/tenants/{name}/incidents")
    [incident] = shown["incidents"]
    assert (incident["end"], incident["ongoing"], incident["recovery_seconds"]) == (
        told["deleted_at"],
        False,
        None,
    )
    service.clock.set(datetime(2026, 5, 1, tzinfo=UTC))
    assert (await service.ask("GET", f"{url}?month=2026-03"))[1] == told
    status, refused, _ = await service.ask("GET", f"{url}?month=2026-04")
    assert (status, refused["error"]["details"]["fields"][0]["field"]) == (422, "month")


async def test_who_could_read_the_tenant_reads_its_statement_and_nobody_else_does(service: Service) -> None:
    name = await a_deleted_tenant(service)
    service.clock.set(END + 4 * DAY)
    paths = [f"/api/v1/tenants/{name}/{rest}" for rest in ("sla/report", "sla", "incidents", "sla/timeline")]
    of_old = f"of {name}"
    for path in paths:
        status, body, _ = await service.ask("GET", path, who=of_old)
        assert (status, body["tenant_id"]) == (200, name)
        assert (await service.ask("GET", path, who="outsider"))[0] == 404
    # Another tenant of that name is another tenant.
    await service.tenant(tenant_id=name)
    await service.token("of the new one", ["viewer"], tenants=[name])
    _, old, _ = await service.ask("GET", paths[0], who=of_old)
    _, new, _ = await service.ask("GET", paths[0], who="of the new one")
    assert (old["down_minutes"], old["deleted_at"]) == (120, "2026-03-12T09:00:00Z")
    assert (new["down_minutes"], new["deleted_at"], new["eligible_minutes"]) == (0, None, 0)
    assert (await service.ask("GET", paths[1], who="of the new one"))[1]["deleted_at"] is None
