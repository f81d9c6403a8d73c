"""Incidents are whole wherever they are shown: over the end of a month, of a range, of maintenance, and of flaps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.api.conftest import Service

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)


async def push(service: Service, name: str, told: Iterable[tuple[datetime, int]]) -> None:
    batch = [{"timestamp": at.isoformat(), "metrics": {"up": up}} for at, up in told]
    for first in range(0, len(batch), 500):
        part = batch[first : first + 500]
        status, body, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", part)
        assert (status, body["rejected"]) == (202, [])


async def get(service: Service, name: str, rest: str) -> Any:
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/{rest}")
    assert status == 200, body
    return body


async def an_outage_over_new_month(service: Service) -> str:
    """Observed from March 31 to April 2 each hour; down from an hour before the month ends to two hours after."""
    name = await service.tenant(push_interval=3600, push_mode="changes")
    service.clock.set(APRIL + 24 * HOUR)
    await push(service, name, ((APRIL + n * HOUR, 0 if -1 <= n < 2 else 1) for n in range(-24, 25)))
    return name


async def test_both_months_tell_the_whole_incident_and_charge_their_part(service: Service) -> None:
    name = await an_outage_over_new_month(service)
    service.clock.set(APRIL + timedelta(days=4))
    seen = []
    for month in ("2026-03", "2026-04"):
        told = await get(service, name, f"sla/report?month={month}")
        [incident] = told["incidents"]
        assert (incident["start"], incident["end"]) == ("2026-03-31T23:00:00Z", "2026-04-01T02:00:00Z")
        assert (told["failure_count"], told["recovery_time_avg"]) == (1, 3 * 3600)
        assert told["down_minutes"] == incident["down_minutes"]
        seen.append(incident["down_minutes"])
    assert seen == [60, 120]
    parts = []
    for query in ("from=2026-03-31T00:00:00Z&to=2026-04-01T00:00:00Z", "from=2026-04-01T00:00:00Z"):
        [incident] = (await get(service, name, f"incidents?{query}"))["incidents"]
        assert (incident["start"], incident["end"]) == ("2026-03-31T23:00:00Z", "2026-04-01T02:00:00Z")
        assert (incident["duration_seconds"], incident["recovery_seconds"]) == (3 * 3600, 3 * 3600)
        parts.append(incident["budget_minutes"])
    assert parts == [60, 120]
    month, day = (await get(service, name, "sla?windows=month,24h&at=2026-04-02T00:30:00Z"))["windows"]
    assert [(w["failure_count"], w["recovery_time_avg"]) for w in (month, day)] == [(1, 3 * 3600)] * 2
    assert [w["down_minutes"] for w in (month, day)] == [120, 90]


async def test_a_month_is_restated_when_its_last_incident_ends_after_it_was_closed(service: Service) -> None:
    name = await service.tenant(push_interval=3600, push_mode="changes")
    service.clock.set(APRIL)
    await push(service, name, ((APRIL + n * HOUR, 0 if n >= -1 else 1) for n in range(-24, 1)))
    for day in range(1, 5):
        service.clock.set(APRIL + timedelta(days=day))
        await push(service, name, ((APRIL + timedelta(days=day) + n * HOUR, 0) for n in range(-23, 1)))
    first = await get(service, name, "sla/report?month=2026-03")
    assert (first["state"], first["revision"], first["recovery_time_avg"]) == ("final", 1, None)
    assert [(i["end"], i["ongoing"]) for i in first["incidents"]] == [(None, True)]
    service.clock.advance(3600)
    await push(service, name, [(service.clock.now(), 1)])
    service.clock.advance(60)
    second = await get(service, name, "sla/report?month=2026-03")
    assert (second["revision"], second["recovery_time_avg"]) == (2, 98 * 3600)
    assert [i["end"] for i in second["incidents"]] == ["2026-04-05T01:00:00Z"]
    assert second["restates"].keys() == {"incidents", "recovery_time_avg"}
    service.clock.advance(3600)
    assert (await get(service, name, "sla/report?month=2026-03"))["revisions"] == 2


async def test_what_was_planned_is_taken_out_of_an_incident_as_far_as_it_reaches(service: Service) -> None:
    name = await an_outage_over_new_month(service)
    plans = [("2026-03-31T23:10:00Z", "20m"), ("2026-04-01T00:30:00Z", "1h")]
    for start, duration in plans:
        body = {"start": start, "duration": duration, "reason": "patches"}
        assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body))[0] == 201
    await service.ask(
        "POST", f"/api/v1/tenants/{name}/maintenance", {**body, "start": "2026-03-31T12:00:00Z"}
    )
    [incident] = (await get(service, name, "incidents?from=2026-04-01T00:00:00Z"))["incidents"]
    assert (incident["start"], incident["duration_seconds"]) == ("2026-03-31T23:00:00Z", 3 * 3600)
    assert (incident["down_seconds"], incident["recovery_seconds"]) == (3600, 100 * 60)
    # Of a month, and of a day whose begin lies in the outage: what was planned before it counts for the whole.
    for query in (
        "windows=24h",
        "windows=month&at=2026-04-02T00:00:00Z",
        "windows=1h&at=2026-04-01T02:15:00Z",
    ):
        [window] = (await get(service, name, f"sla?{query}"))["windows"]
        assert (window["failure_count"], window["recovery_time_avg"]) == (1, 100 * 60)
    march = await get(service, name, "sla/report?month=2026-03")
    assert (march["failure_count"], march["recovery_time_avg"], march["down_minutes"]) == (1, 100 * 60, 40)


async def test_six_hours_of_short_outages_are_one_failure_of_two_hours_down(service: Service) -> None:
    name = await service.tenant(push_interval=3600, push_mode="changes")
    start = APRIL + 12 * HOUR
    service.clock.set(start + 7 * HOUR)
    told = [(start - HOUR, 1)]
    for n in range(360):
        told += [(start + n * MINUTE, 0), (start + n * MINUTE + timedelta(seconds=20), 1)]
    await push(service, name, [*told, (start + 6 * HOUR + 50 * MINUTE, 1)])
    await service.runtime.work.keeping.take_in_hand_made()
    for query in ("windows=24h", "windows=1h&at=2026-04-01T17:30:00Z", "windows=month"):
        body = await get(service, name, f"sla?{query}")
        [window] = body["windows"]
        assert (window["failure_count"], body["flap_limit_seconds"]) == (1, 60)
        if "at" not in query:
            assert (window["recovery_time_avg"], window["down_minutes"]) == (pytest.approx(120 * 60), 120)
    status, found, _ = await service.ask("GET", f"/api/v1/simulator/sla/{name}/analysis?period=24h")
    assert (status, found["failure_count"], found["recovery_time_avg"]) == (200, 1, pytest.approx(120 * 60))
    [incident] = (await get(service, name, "incidents"))["incidents"]
    assert (incident["down_seconds"], incident["recovery_seconds"]) == (
        pytest.approx(7200),
        pytest.approx(7200),
    )
    assert incident["duration_seconds"] == 359 * 60 + 20
    statement = await get(service, name, "sla/report?month=2026-04")
    assert (statement["failure_count"], statement["recovery_time_avg"]) == (1, pytest.approx(7200))
