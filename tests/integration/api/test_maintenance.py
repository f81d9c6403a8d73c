"""Maintenance over the API: figures follow at once, past minutes included."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.api.conftest import NOW, Service


async def broken_hour(service: Service, **more: Any) -> str:
    """A tenant that was down from 08:20 to 08:40."""
    name = await service.tenant(push_interval=1200, **more)
    for minutes, up in ((60, 1), (40, 0), (20, 1), (1, 1)):
        entry = {"timestamp": (NOW - timedelta(minutes=minutes)).isoformat(), "metrics": {"up": up}}
        await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", entry)
    return name


async def hour(service: Service, name: str) -> dict[str, Any]:
    _, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla?windows=1h")
    found: dict[str, Any] = body["windows"][0]
    return found


async def test_adding_and_removing_recomputes_the_past(service: Service) -> None:
    name = await broken_hour(service)
    assert (await hour(service, name))["down_minutes"] == 20
    url = f"/api/v1/tenants/{name}/maintenance"
    body = {"start": "2026-03-02T08:30:00Z", "end": "2026-03-02T08:50:00Z", "reason": "database upgrade"}
    status, added, _ = await service.ask("POST", url, body)
    assert status == 201
    window = await hour(service, name)
    assert (window["down_minutes"], window["maintenance_minutes"], window["eligible_minutes"]) == (10, 20, 40)
    assert window["availability"] == pytest.approx(75)
    assert window["availability_other_accounting"] == pytest.approx(100 * 50 / 60)
    _, listed, _ = await service.ask("GET", url)
    assert [m["id"] for m in listed["maintenance"]] == [added["id"]]
    assert listed["maintenance"][0]["created_by"] == "admin"
    _, incidents, _ = await service.ask("GET", f"/api/v1/tenants/{name}/incidents")
    assert [i["down_seconds"] for i in incidents["incidents"]] == [600]
    assert (await service.ask("DELETE", f"{url}/{added['id']}"))[0] == 204
    assert (await service.ask("DELETE", f"{url}/{added['id']}"))[0] == 404
    assert (await hour(service, name))["down_minutes"] == 20


async def test_a_contract_may_count_it_as_up(service: Service) -> None:
    name = await broken_hour(service, maintenance_accounting="count_as_up")
    body = {"start": "2026-03-02T08:30:00Z", "duration": "20m", "reason": "upgrade"}
    await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body)
    window = await hour(service, name)
    assert window["availability"] == pytest.approx(100 * 50 / 60)
    assert window["eligible_minutes"] == 60
    _, plot, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla/timeline?window=1h&step=1h")
    assert [p["availability"] for p in plot["points"]] == [pytest.approx(100 * 50 / 60)]


async def test_recurring_windows_say_when_they_come_next(service: Service) -> None:
    name = await service.tenant(time_zone="Asia/Seoul")
    body = {
        "start": "2026-03-08T03:00",
        "duration": "2h",
        "rrule": "FREQ=WEEKLY;BYDAY=SU",
        "reason": "weekly",
    }
    status, added, _ = await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body)
    assert status == 201, added
    assert (added["time_zone"], added["start"]) == ("Asia/Seoul", "2026-03-07T18:00:00Z")
    assert [o["start"] for o in added["next_occurrences"][:2]] == [
        "2026-03-07T18:00:00Z",
        "2026-03-14T18:00:00Z",
    ]


async def test_a_recurring_window_ends_without_taking_back_what_has_been(service: Service) -> None:
    name = await service.tenant(push_interval=86_400)
    url = f"/api/v1/tenants/{name}/maintenance"
    body = {"start": "2026-03-02T10:00:00Z", "duration": "1h", "rrule": "FREQ=DAILY", "reason": "patches"}
    _, added, _ = await service.ask("POST", url, body)
    await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"up": 1}})
    service.clock.advance(2 * 86_400)

    async def planned() -> float:
        await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"up": 1}})
        _, found, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla?windows=7d")
        return float(found["windows"][0]["maintenance_minutes"])

    assert await planned() == 120
    one = f"{url}/{added['id']}"
    assert (await service.ask("DELETE", f"{one}?keep_past=perhaps"))[0] == 422
    assert (await service.ask("DELETE", f"{one}?keep_past=true"))[0] == 204
    _, listed, _ = await service.ask("GET", url)
    [ended] = listed["maintenance"]
    assert (ended["ends_at"], ended["next_occurrences"]) == ("2026-03-04T09:00:00Z", [])
    service.clock.advance(2 * 86_400)
    assert await planned() == 120
    assert (await service.ask("DELETE", f"{one}?keep_past=true"))[0] == 404  # nothing more to come
    assert (await service.ask("DELETE", one))[0] == 204
    assert await planned() == 0


async def test_another_tenants_window_does_not_exist(service: Service) -> None:
    mine, other = await service.tenant(), await service.tenant()
    body = {"start": "2026-03-02T10:30:00Z", "duration": "20m", "rrule": "FREQ=DAILY", "reason": "upgrade"}
    _, added, _ = await service.ask("POST", f"/api/v1/tenants/{mine}/maintenance", body)
    for query in ("", "?keep_past=true"):
        url = f"/api/v1/tenants/{other}/maintenance/{added['id']}{query}"
        assert (await service.ask("DELETE", url))[0] == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"end": "2026-03-02T07:00:00Z"}, "end"), ({"duration": "1h"}, "end"), ({"end": None}, "end"),
        ({"start": "tomorrow"}, "start"), ({"start": "2026-01-01T00:00:00Z"}, "end"), ({"reason": " "}, "reason"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"), ({"time_zone": "localtime"}, "time_zone"),
        ({"time_zone": "right/Asia/Seoul"}, "time_zone"), ({"time_zone": ""}, "time_zone"),
        ({"start": "9999-12-31T00:00:00Z", "end": "9999-12-31T01:00:00Z"}, "start"),
        ({"rrule": "FREQ=DAILY"}, "reason"), ({"rrule": "FREQ=SECONDLY", "reason": "entered too late"}, "rrule"),
        ({"start": "2026-03-02T10:00:00Z", "rrule": "FREQ=SECONDLY"}, "rrule"), ({"colour": "red"}, "colour"),
    ],
)  # fmt: skip
async def test_maintenance_that_makes_no_sense(service: Service, change: dict[str, Any], field: str) -> None:
    name = await service.tenant()
    body = {"start": "2026-03-02T08:00:00Z", "end": "2026-03-02T12:00:00Z", "reason": "x", **change}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body)
    assert status == 422
    assert [f["field"] for f in answer["error"]["details"]["fields"]] == [field], answer


async def test_text_that_cannot_be_stored_is_the_callers_fault(service: Service) -> None:
    name = await service.tenant()
    body = {"start": "2026-03-02T08:00:00Z", "duration": "1h", "reason": "a\x00b"}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body)
    assert (status, answer["error"]["code"]) == (422, "VALIDATION_FAILED")


@pytest.mark.parametrize("change", [{"time_zone": "Nowhere/At_All"}, {"maintenance_accounting": "forget"}])
async def test_contracts_that_make_no_sense(service: Service, change: dict[str, Any]) -> None:
    body = {"tenant_id": "odd-contract", "name": "x", "service_requirements": {"chatbot": 10}, **change}
    assert (await service.ask("POST", "/api/v1/tenants/", body))[0] == 422


async def test_calendar_windows_follow_the_tenants_zone(service: Service) -> None:
    name = await service.tenant(time_zone="Asia/Seoul")
    _, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla?windows=month,quarter,90d")
    month, quarter, rolling = body["windows"]
    assert (month["start"], month["end"]) == ("2026-02-28T15:00:00Z", "2026-03-31T15:00:00Z")
    assert (quarter["start"], quarter["end"]) == ("2025-12-31T15:00:00Z", "2026-03-31T15:00:00Z")
    assert rolling["window"] == "90d"


async def test_a_tenant_all_down_at_odd_instants_stops_nobody(service: Service) -> None:
    # What floats left over of equal numbers was a negative availability, and the database refused all tenants'.
    sound = await service.tenant()
    await service.ask("POST", f"/api/v1/tenants/{sound}/monitoring", {"metrics": {"up": 1}})
    names = [await service.tenant(push_interval=60) for _ in range(12)]
    for index, name in enumerate(names):
        for seconds in (3000.123457 + index / 7, 2900.7 + index / 3, 2000.1):
            at = (NOW - timedelta(seconds=seconds)).isoformat()
            await service.ask(
                "POST", f"/api/v1/tenants/{name}/monitoring", {"timestamp": at, "metrics": {"up": 0}}
            )
    service.clock.advance(1.1)
    await service.runtime.work.rolling.run_once()
    stored = await service.runtime.availability.statuses_of(await service.runtime.tenants.live())
    assert all(stored[name]["1h"] == "violated" for name in names)
    assert stored[sound]["1h"] == "meeting"


async def test_a_clock_that_was_ahead_is_forgotten(service: Service) -> None:
    name = await broken_hour(service)
    service.clock.advance(86_400)
    await service.runtime.work.rolling.run_once()
    service.clock.set(NOW)
    await service.runtime.work.rolling.run_once()
    assert (await service.runtime.availability.statuses_of(await service.runtime.tenants.live()))[name][
        "1h"
    ] == "violated"
    stored = await service.runtime.database.fetch(
        "SELECT DISTINCT as_of FROM sla_current JOIN tenants t ON t.id = tenant WHERE tenant_id = $1", name
    )
    assert [r["as_of"] for r in stored] == [NOW]


async def test_what_recurred_in_the_past_counts_at_once_when_a_tenant_admin_enters_it(
    service: Service,
) -> None:
    name = await broken_hour(service)
    await service.token("clerk", ["operator"], [name])
    await service.token("owner", ["tenant_admin"], [name])
    url = f"/api/v1/tenants/{name}/maintenance"
    body = {
        "start": "2026-02-01T08:30:00Z", "duration": "20m", "rrule": "FREQ=DAILY",
        "reason": "nobody had entered the nightly backups",
    }  # fmt: skip
    status, answer, _ = await service.ask("POST", url, body, who="clerk")
    assert (status, answer["error"]["code"]) == (403, "FORBIDDEN")
    assert (await hour(service, name))["maintenance_minutes"] == 0
    status, added, _ = await service.ask("POST", url, body, who="owner")
    assert status == 201, added
    assert (await hour(service, name))["maintenance_minutes"] == 20
    [row] = await service.runtime.database.fetch(
        "SELECT * FROM audit_log WHERE action = 'maintenance.added' AND subject = $1", added["id"]
    )
    assert (row["actor"], row["after"]["rrule"], row["after"]["reason"]) == (
        "owner",
        "FREQ=DAILY",
        body["reason"],
    )
    assert row["after"]["in_the_past"] is True


async def test_a_rule_that_was_entered_before_goes_on_as_it_did(service: Service) -> None:
    name = await service.tenant(time_zone="Europe/Berlin")
    url = f"/api/v1/tenants/{name}/maintenance"
    # 02:30 does not exist in Berlin on 2026-03-29.
    body = {"start": "2026-03-27T02:30", "duration": "1h", "rrule": "FREQ=DAILY;COUNT=3", "reason": "nightly"}
    _, added, _ = await service.ask("POST", url, body)
    assert [o["start"][8:10] for o in added["next_occurrences"]] == ["27", "28", "30"]
    await service.runtime.database.execute(
        "UPDATE maintenance SET by_rfc = false WHERE maintenance_id = $1", added["id"]
    )
    _, listed, _ = await service.ask("GET", url)
    [old] = listed["maintenance"]
    assert [o["start"] for o in old["next_occurrences"]] == [
        "2026-03-27T01:30:00Z", "2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z",
    ]  # fmt: skip
    assert (added["rrule_reading"], old["rrule_reading"]) == ("rfc5545", "as_before")


@pytest.mark.parametrize(
    ("rrule", "start", "field"),
    [
        ("FREQ=DAILY", "2026-03-29T02:30", "start"), ("FREQ=MONTHLY;BYSETPOS=1", "2026-03-29T04:30", "rrule"),
        ("FREQ=WEEKLY;BYDAY=1MO", "2026-03-29T04:30", "rrule"),
    ],
)  # fmt: skip
async def test_rules_that_mean_nothing_are_refused(
    service: Service, rrule: str, start: str, field: str
) -> None:
    name = await service.tenant(time_zone="Europe/Berlin")
    body = {"start": start, "duration": "1h", "rrule": rrule, "reason": "nightly"}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body)
    assert (status, answer["error"]["details"]["fields"][0]["field"]) == (422, field)


async def test_until_as_a_date_is_all_of_that_day(service: Service) -> None:
    name = await service.tenant(time_zone="Asia/Seoul")
    body = {
        "start": "2026-03-08T03:00", "duration": "1h", "rrule": "FREQ=DAILY;UNTIL=20260310", "reason": "nightly",
    }  # fmt: skip
    _, added, _ = await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body)
    assert [o["start"] for o in added["next_occurrences"]][-1] == "2026-03-09T18:00:00Z"
    assert len(added["next_occurrences"]) == 3
