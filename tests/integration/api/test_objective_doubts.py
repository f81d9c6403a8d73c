"""What is sure, and what is not, of figures from counters: gaps they measured, maintenance that cuts one, falls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.api.conftest import NOW, Service

HOUR = 60


async def counted(service: Service, points: dict[int, tuple[float, float]]) -> str:
    """A tenant that pushed these requests and errors, so many minutes after the hour began that ends now."""
    tenant = await service.tenant()
    for minute, (requests, errors) in points.items():
        at = NOW - timedelta(minutes=HOUR - minute)
        body = {"timestamp": at.isoformat(), "metrics": {"requests_total": requests, "errors_total": errors}}
        status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{tenant}/monitoring", body)
        assert (status, answer["rejected"]) == (202, [])
    await service.runtime.work.objectives.roll()
    return tenant


async def hour_of(service: Service, tenant: str) -> dict[str, Any]:
    where = f"/api/v1/tenants/{tenant}/objectives/requests/status?windows=1h"
    _, answer, _ = await service.ask("GET", where)
    found: dict[str, Any] = answer["windows"][0]
    return found


async def maintained(service: Service, tenant: str, begins: int, ends: int) -> None:
    start = NOW - timedelta(minutes=HOUR)
    plan = {
        "start": (start + timedelta(minutes=begins)).isoformat(),
        "end": (start + timedelta(minutes=ends)).isoformat(),
        "reason": "upgrade",
    }
    assert (await service.ask("POST", f"/api/v1/tenants/{tenant}/maintenance", plan))[0] == 201


async def test_a_silence_that_the_counters_measured_is_not_doubted_but_where_maintenance_cuts_it(
    service: Service,
) -> None:
    """Ten requests a minute; nobody pushed from 20 to 40, and 20 requests failed meanwhile."""
    minutes = [m for m in range(HOUR + 1) if not 20 <= m < 40]
    tenant = await counted(service, {m: (1000 + 10 * m, 0 if m < 40 else 20) for m in minutes})
    hour = await hour_of(service, tenant)
    assert (hour["good"], hour["bad"], hour["coverage"]) == (570, 20, 100)
    assert hour["bounds"] == {"low": hour["ratio"], "high": hour["ratio"]}
    assert hour["verdict"] == "breached"
    # When was it that they failed? 210 requests, 20 of them bad, were told of at once.
    await maintained(service, tenant, 30, 35)
    hour = await hour_of(service, tenant)
    assert (hour["good"], hour["bad"], hour["verdict"]) == (570, 20, "undetermined")
    assert hour["bounds"] == {"low": pytest.approx(100 * 380 / 400), "high": 100}
    assert hour["eligible_minutes"] == hour["observed_minutes"] == 55


async def test_maintenance_that_covers_a_silence_wholly_leaves_no_doubt(service: Service) -> None:
    minutes = [m for m in range(HOUR + 1) if not 20 <= m < 40]
    tenant = await counted(service, {m: (1000 + 10 * m, 0 if m < 40 else 20) for m in minutes})
    await maintained(service, tenant, 19, 41)
    hour = await hour_of(service, tenant)
    assert (hour["bad"], hour["verdict"], hour["coverage"]) == (0, "met", 100)
    assert hour["bounds"] == {"low": 100, "high": 100}


async def test_assumed_restarts_are_told_and_slight_falls_are_none(service: Service) -> None:
    slight = await counted(service, {0: (500, 0), 1: (500, 0), 2: (499, 0), 3: (500, 0), 4: (510, 0)})
    hour = await hour_of(service, slight)
    assert (hour["total"], hour["assumed_resets"]) == (10, 0)
    restarted = await counted(service, {0: (500, 0), 1: (510, 0), 2: (3, 0), 3: (13, 0)})
    hour = await hour_of(service, restarted)
    assert (hour["total"], hour["assumed_resets"]) == (23, 1)


async def test_errors_that_are_born_in_an_outage_count(service: Service) -> None:
    """No error was ever counted before: the counter appears with 40 of them."""
    tenant = await counted(service, {m: (10 * m, 0) for m in range(3)} | {3: (70, 40), 4: (80, 50)})
    assert (await hour_of(service, tenant))["bad"] == 50
    born = await service.tenant()
    for minute, metrics in enumerate(
        [{"requests_total": 0}, {"requests_total": 10}, {"requests_total": 60, "errors_total": 40},
         {"requests_total": 70, "errors_total": 50}]
    ):  # fmt: skip
        at = NOW - timedelta(minutes=HOUR - minute)
        body = {"timestamp": at.isoformat(), "metrics": metrics}
        assert (await service.ask("POST", f"/api/v1/tenants/{born}/monitoring", body))[0] == 202
    await service.runtime.work.objectives.roll()
    hour = await hour_of(service, born)
    assert (hour["bad"], hour["total"]) == (50, 70)
