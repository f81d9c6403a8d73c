"""Service hours over the API: what lies outside is in no figure, by whichever route it is asked for."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.api.conftest import NOW, Service

HOUR = timedelta(hours=1)
# NOW is a Monday, nine o'clock.
OFFICE = {
    "weekly": {day: ["08:00-18:00"] for day in ("mon", "tue", "wed", "thu", "fri")},
    "holidays": ["2026-03-04"],
}
# Hours since then: Monday 22:00 to 02:00, Tuesday 17:00 to 20:00, Wednesday (the holiday) 10:00 to 12:00.
DOWN = [*range(13, 17), *range(32, 35), *range(49, 51)]


async def get(service: Service, path: str) -> dict[str, Any]:
    status, answer, _ = await service.ask("GET", path)
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


async def three_days(service: Service, **more: Any) -> str:
    """A tenant with office hours, heard of each hour until Thursday, nine o'clock, which it is then."""
    name = await service.tenant(
        push_interval=3600,
        push_mode="changes",
        service_hours=OFFICE,
        sla_target={"availability": "99%"},
        **more,
    )
    for hour in range(73):
        service.clock.set(NOW + hour * HOUR)
        url = f"/api/v1/tenants/{name}/monitoring"
        status, body, _ = await service.ask("POST", url, {"metrics": {"up": int(hour not in DOWN)}})
        assert (status, body["rejected"]) == (202, [])
    return name


async def window(service: Service, name: str, window: str) -> dict[str, Any]:
    [found] = (await get(service, f"/api/v1/tenants/{name}/sla?windows={window}"))["windows"]
    return dict(found)


def minutes(found: dict[str, Any]) -> dict[str, float]:
    return {part: found[f"{part}_minutes"] for part in ("eligible", "down", "gap", "maintenance", "outside")}


@pytest.mark.parametrize("rule", ["exclude", "count_as_up"])
async def test_what_lies_outside_is_in_no_figure(service: Service, rule: str) -> None:
    name = await three_days(service, maintenance_accounting=rule)
    # Nine hours of Monday, ten of Tuesday, one of today; of the outages one hour.
    assert minutes(await window(service, name, "7d")) == {
        "eligible": 1200, "down": 60, "gap": 0, "maintenance": 0, "outside": 3120,
    }  # fmt: skip
    body = {"start": "2026-03-03T17:30:00Z", "end": "2026-03-03T19:00:00Z", "reason": "half of it planned"}
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body))[0] == 201
    week = await window(service, name, "7d")
    as_up = rule == "count_as_up"
    assert minutes(week) == {
        "eligible": 1200 if as_up else 1170, "down": 30, "gap": 0, "maintenance": 30, "outside": 3120,
    }  # fmt: skip
    assert week["availability"] == pytest.approx(100 * (1 - 30 / (1200 if as_up else 1170)))
    assert week["availability_other_accounting"] == pytest.approx(100 * (1 - 30 / (1170 if as_up else 1200)))
    assert (week["coverage"], week["failure_count"]) == (100, 1)
    # The month holds nineteen more hours of this week and seventeen more days of ten hours.
    month = await window(service, name, "month")
    assert month["error_budget"]["total_minutes"] == pytest.approx(
        0.01 * (week["eligible_minutes"] + 60 * (19 + 170))
    )
    assert month["error_budget"]["consumed_minutes"] == 30


async def test_every_route_tells_the_same(service: Service) -> None:
    name = await three_days(service)
    listed = await get(service, f"/api/v1/tenants/{name}/incidents")
    assert [i["down_seconds"] for i in listed["incidents"]] == [3600]
    plot = await get(service, f"/api/v1/tenants/{name}/sla/timeline?window=72h&step=1h")
    shown = {p["timestamp"]: p for p in plot["points"]}
    night, holiday = shown["2026-03-02T23:00:00Z"], shown["2026-03-04T10:00:00Z"]
    assert (night["availability"], night["down_minutes"], night["outside_minutes"]) == (None, 0, 60)
    assert (holiday["availability"], holiday["outside_minutes"]) == (None, 60)
    assert shown["2026-03-03T17:00:00Z"]["down_minutes"] == 60
    period = await get(service, f"/api/v1/simulator/sla/{name}/analysis?period=72h")
    assert (period["current_sla"], period["failure_count"]) == (pytest.approx(95), 1)
    rows = (await get(service, "/api/v1/sla/summary"))["tenants"]
    [row] = [r for r in rows if r["tenant_id"] == name]
    assert row["windows"]["7d"]["availability"] == pytest.approx(95)
    # The job, which works from totals alone, finds the same.
    await service.runtime.work.rolling.run_once()
    [row] = [r for r in (await get(service, "/api/v1/sla/summary"))["tenants"] if r["tenant_id"] == name]
    assert row["windows"]["7d"]["availability"] == pytest.approx(95)
    assert row["error_budget"]["remaining_minutes"] == pytest.approx(0.01 * 1200 - 60)


async def test_the_statement_says_the_hours(service: Service) -> None:
    name = await three_days(service)
    path = f"/api/v1/tenants/{name}/sla/report?month=2026-03"
    data = await get(service, path)
    assert (data["down_minutes"], data["eligible_minutes"], data["outside_minutes"]) == (60, 1200, 3120)
    assert data["contract"]["hours"] == OFFICE
    monday, tuesday, wednesday, _ = data["days"][1:5]
    assert (monday["outside_minutes"], tuesday["outside_minutes"], wednesday["outside_minutes"]) == (
        360,
        840,
        1440,
    )
    assert (tuesday["down_minutes"], wednesday["availability"], wednesday["down_minutes"]) == (60, None, 0)
    assert [i["down_minutes"] for i in data["incidents"]] == [60]
    _, page, _ = await service.ask("GET", f"{path}&format=html")
    assert "Monday–Friday 08:00–18:00; not on 2026-03-04" in page
    assert data["service_hours"] == "Monday–Friday 08:00–18:00"
    _, text, _ = await service.ask("GET", f"{path}&format=csv")
    rows = {r["date"]: r for r in csv.DictReader(io.StringIO(text))}
    assert float(rows["2026-03-04"]["outside_minutes"]) == 1440
    assert rows["2026-03-04"]["service_hours"] == "Monday–Friday 08:00–18:00"


async def test_other_hours_are_another_version_and_change_nothing_that_has_been(service: Service) -> None:
    name = await three_days(service)
    before = await window(service, name, "7d")
    url = f"/api/v1/tenants/{name}"
    status, answer, _ = await service.ask("PUT", url, {"service_hours": None})
    assert (status, answer["service_hours"]) == (200, None)
    assert answer["contract"] == {"version": 2, "valid_from": "2026-04-01T00:00:00Z"}
    after = await window(service, name, "7d")
    assert minutes(after) == minutes(before)
    assert after["error_budget"] == before["error_budget"]
    contract = await get(service, f"{url}/contract")
    assert (contract["in_force"]["service_hours"], contract["next"]["service_hours"]) == (OFFICE, None)
    # The evening of April 2: of the last week, what was March counts by the hours, and April all day.
    for hour in range(74, 31 * 24 + 15):
        service.clock.set(NOW + hour * HOUR)
        await service.ask("POST", f"{url}/monitoring", {"metrics": {"up": 1}})
    assert service.clock.now() == datetime(2026, 4, 2, 23, tzinfo=UTC)
    week = await window(service, name, "7d")
    # Friday 27, Monday and Tuesday; then 47 hours of April.
    assert (week["eligible_minutes"], week["outside_minutes"]) == (60 * (30 + 47), 60 * (168 - 77))


@pytest.mark.parametrize(
    ("hours", "field"),
    [
        ({}, "service_hours.weekly"),
        ({"weekly": {"mon": ["8-18"]}}, "service_hours.weekly.mon[0]"),
        ({**OFFICE, "holidays": ["tomorrow"]}, "service_hours.holidays[0]"),
        ({**OFFICE, "closed": []}, "service_hours"),
        ([], "service_hours"),
    ],
)
async def test_hours_that_make_no_sense_are_refused_by_field(
    service: Service, hours: Any, field: str
) -> None:
    body = {"tenant_id": "odd", "name": "odd", "service_requirements": {"chatbot": 1}, "service_hours": hours}
    name = await service.tenant()
    for method, path, asked in (("POST", "", body), ("PUT", name, {"service_hours": hours})):
        status, answer, _ = await service.ask(method, f"/api/v1/tenants/{path}", asked)
        assert status == 422, answer
        assert [f["field"] for f in answer["error"]["details"]["fields"]] == [field]


def calendar(*events: str) -> str:
    shown = "".join(f"BEGIN:VEVENT\r\nUID:{n}\r\n{event}\r\nEND:VEVENT\r\n" for n, event in enumerate(events))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\n{shown}END:VCALENDAR\r\n"


async def test_holidays_of_a_calendar_are_stored_as_dates(service: Service) -> None:
    text = calendar("SUMMARY:Christmas\r\nDTSTART;VALUE=DATE:20261225\r\nRRULE:FREQ=YEARLY;COUNT=3")
    name = await service.tenant(service_hours={**OFFICE, "calendar": text})
    stored = (await get(service, f"/api/v1/tenants/{name}"))["service_hours"]
    assert stored == {**OFFICE, "holidays": ["2026-03-04", "2026-12-25", "2027-12-25", "2028-12-25"]}
    # What was shown can be sent back.
    status, answer, _ = await service.ask("PUT", f"/api/v1/tenants/{name}", {"service_hours": stored})
    assert (status, answer["service_hours"], answer["contract"]["version"]) == (200, stored, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no calendar", "is no iCalendar text"),
        (
            calendar("SUMMARY:Early\r\nDTSTART:20261224T120000"),
            "the event 'Early' has a time of day (DTSTART)",
        ),
        (calendar("DTSTART;VALUE=DATE:20261224\r\nRRULE:FREQ=DAILY"), "more than 1000"),
        ("x" * 150_001, "at most 150000 characters"),
    ],
)
async def test_a_calendar_that_cannot_be_used_says_why(service: Service, text: str, said: str) -> None:
    name = await service.tenant()
    body = {"service_hours": {**OFFICE, "calendar": text}}
    status, answer, _ = await service.ask("PUT", f"/api/v1/tenants/{name}", body)
    assert status == 422, answer
    [field] = answer["error"]["details"]["fields"]
    assert field["field"] == "service_hours.calendar"
    assert said in field["message"]
