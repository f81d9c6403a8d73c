"""Trying rules on history over the real service, and that it agrees with what the engine did."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.integration.api.conftest import NOW, Service
from tests.integration.api.test_contract import is_error

MINUTE = timedelta(minutes=1)


async def push(service: Service, name: str, entries: Any) -> None:
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", entries)
    assert status == 202
    assert not answer["rejected"]
    await service.runtime.work.trigger.settled()


async def ask(service: Service, name: str, body: dict[str, Any], status: int = 200) -> Any:
    found, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/alerts/test", body)
    assert found == status, answer
    return answer


def entry(at: datetime, **metrics: float) -> dict[str, Any]:
    return {"timestamp": at.isoformat(), "metrics": metrics}


async def past(service: Service, name: str, minutes: int, down: range, cpu: int = 10, high: int = 95) -> None:
    """A sample every minute up to now; `down` counts minutes before now."""
    batch = [
        entry(NOW - i * MINUTE, up=0 if i in down else 1, cpu_usage=high if i in down else cpu)
        for i in range(minutes, -1, -1)
    ]
    await push(service, name, batch)


async def told(service: Service, name: str, alert: str) -> list[tuple[str, str]]:
    """What the live engine said, oldest first."""
    tenant = await service.runtime.tenants.get(name)
    events = await service.runtime.alerts.recent_events(tenant, 1000)
    changes = [e for e in sorted(events, key=lambda e: e.event_id) if e.alert_name == alert]
    return [
        ("fired" if e.to_state == "firing" else "resolved", f"{e.at:%Y-%m-%dT%H:%M:%SZ}")
        for e in changes
        if e.from_state != e.to_state and "firing" in (e.from_state, e.to_state)
    ]


def replayed(answer: Any) -> list[tuple[str, str]]:
    found = []
    for firing in answer["firings"]:
        found.append(("fired", firing["fired_at"]))
        if firing["resolved_at"]:
            found.append(("resolved", firing["resolved_at"]))
    return found


async def test_it_agrees_with_what_the_engine_did(service: Service) -> None:
    name = await service.tenant()
    await past(service, name, 70, range(0))
    rules = {
        "windowed": {"condition": "avg(cpu_usage, 3m) > 80 and up < 1", "duration": "2m"},
        "plain": {"condition": "cpu_usage > 80 or budget_remaining(1h) < -1000"},
    }
    for alert, rule in rules.items():
        url = f"/api/v1/tenants/{name}/alerts"
        assert (await service.ask("POST", url, {"alert_name": alert, **rule}))[0] == 201
    begun = service.clock.now() + MINUTE
    for minute in range(1, 100):
        service.clock.advance(60)
        down = 5 <= minute < 15 or 20 <= minute < 22
        if not 40 <= minute < 46:  # it says nothing for a while
            sample = {"up": int(not down), "cpu_usage": 95 if down or minute in (60, 61) else 10}
            await push(service, name, {"metrics": sample})
        await service.runtime.work.engine.evaluate_tenants([name], service.clock.now(), sla=True)
    period = {"from": begun.isoformat(), "step": "1m"}
    paged = await ask(service, name, {"policy": "page", **period})
    live = await told(service, name, "sla_burn_rate_page")
    assert len(live) == 2
    assert replayed(paged) == live
    for alert, rule in rules.items():
        live = await told(service, name, alert)
        assert len(live) >= 2, alert
        assert replayed(await ask(service, name, {**rule, **period})) == live, alert


async def test_a_policy_is_tried_on_an_outage(service: Service) -> None:
    name = await service.tenant()
    await past(service, name, 200, range(51, 61))
    answer = await ask(service, name, {"policy": "page", "target": "99.9%"})
    assert (answer["policy"], answer["target"], answer["step_seconds"]) == ("page", 99.9, 60)
    assert (answer["from"], answer["to"]) == ("2026-01-31T09:00:00Z", "2026-03-02T09:00:00Z")
    assert (answer["evaluations"], answer["unknown_evaluations"]) == (43_201, 0)
    assert answer["firings"] == [
        {"fired_at": "2026-03-02T08:03:00Z", "resolved_at": None, "value": pytest.approx(50)}
    ]
    # Minutes of history until then are the budget's base: 143 of them.
    assert answer["incidents"] == [
        {
            "start": "2026-03-02T08:00:00Z",
            "end": "2026-03-02T08:10:00Z",
            "detected_at": "2026-03-02T08:03:00Z",
            "detection_delay_seconds": 180,
            "budget_left_minutes_at_detection": pytest.approx(0.143 - 3),
        }
    ]
    assert (answer["missed_incidents"], answer["false_alarms"]) == (0, 0)
    ticket = await ask(service, name, {"policy": "ticket"})
    assert (ticket["firings"], ticket["missed_incidents"]) == ([], 1)
    _, shown, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla?windows=30d")
    assert ticket["budget"] == {"window": "30d", **shown["windows"][0]["error_budget"]}


async def test_planned_maintenance_is_no_outage(service: Service) -> None:
    name = await service.tenant()
    await past(service, name, 200, range(51, 61))
    planned = {"start": "2026-03-02T07:55:00Z", "end": "2026-03-02T08:15:00Z", "reason": "new disks"}
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", planned))[0] == 201
    answer = await ask(service, name, {"policy": "page"})
    assert (answer["firings"], answer["incidents"]) == ([], [])
    assert answer["budget"]["consumed_minutes"] == 0


async def test_a_condition_is_tried_on_the_last_hour_and_nothing_is_saved(service: Service) -> None:
    name = await service.tenant()
    await past(service, name, 90, range(21, 31))
    rule = {
        "alert_name": "high",
        "condition": "cpu > 80",
        "duration": "2m",
        "severity": "page",
        "actions": [],
    }
    answer = await ask(service, name, rule)
    assert (answer["condition"], answer["duration"], answer["evaluations"]) == ("cpu > 80", "120s", 721)
    assert (answer["step_seconds"], answer["resolution_seconds"]) == (5, None)
    assert answer["firings"] == [
        {"fired_at": "2026-03-02T08:32:00Z", "resolved_at": "2026-03-02T08:40:00Z", "value": 95}
    ]
    assert [i["detection_delay_seconds"] for i in answer["incidents"]] == [120]
    assert (answer["false_alarms"], answer["unknown_evaluations"]) == (0, 0)
    _, rules, _ = await service.ask("GET", f"/api/v1/tenants/{name}/alerts")
    assert {r["kind"] for r in rules["alerts"]} == {"burn_rate", "budget", "no_data"}


async def test_older_history_is_read_from_the_averages_that_are_kept(service: Service) -> None:
    name = await service.tenant()
    await past(service, name, 400, range(241, 271))
    await service.runtime.work.keeping.roll_up()
    period = {"from": (NOW - timedelta(days=3)).isoformat(), "step": "10m"}
    answer = await ask(service, name, {"condition": "max(cpu_usage, 10m) > 80", **period})
    assert (answer["resolution_seconds"], answer["evaluations"]) == (600, 433)
    # Down from 04:30 to 05:00: the average of 04:30-04:40 is known at 04:40.
    assert [(f["fired_at"], f["resolved_at"]) for f in answer["firings"]] == [
        ("2026-03-02T04:40:00Z", "2026-03-02T05:10:00Z")
    ]
    assert answer["missed_incidents"] == 0
    # Nothing was measured before 02:20.
    assert answer["unknown_evaluations"] == pytest.approx(433 - 40, abs=3)


async def test_a_tenant_without_history_has_nothing_to_tell(service: Service) -> None:
    name = await service.tenant()
    for body in ({"policy": "ticket"}, {"condition": "cpu > 80"}):
        answer = await ask(service, name, body)
        assert (answer["firings"], answer["incidents"], answer["budget"]["total_minutes"]) == ([], [], 0)
        assert answer["budget"]["remaining_percent"] is None
    assert answer["unknown_evaluations"] == answer["evaluations"]


CPU = {"condition": "cpu_usage > 80"}
PAGE = {"policy": "page"}
LONG_AGO = {"from": "2026-02-20T00:00:00Z"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "condition"), ({**CPU, **PAGE}, "condition"), ({"condition": ""}, "condition"),
        ({"condition": 5}, "condition"), ({"condition": "cpu_usgae > 80"}, "condition"),
        ({"policy": "wake_everybody"}, "policy"), ({**CPU, "duration": "soon"}, "duration"),
        ({**PAGE, "duration": "5m"}, "duration"), ({**PAGE, "target": "100%"}, "target"),
        ({**PAGE, "target": "NaN"}, "target"), ({**PAGE, "target": 99.9}, "target"),
        ({**PAGE, "target": "10%"}, "target"), ({**CPU, "from": "yesterday"}, "from"), ({**CPU, "from": 5}, "from"),
        ({**CPU, "from": "2026-03-02T09:00:00Z"}, "from"), ({**CPU, "from": "2025-11-01T00:00:00Z"}, "from"),
        ({**CPU, "from": "0001-01-01T00:00:00+14:00"}, "from"), ({**CPU, "to": "2026-03-02T09:00:01Z"}, "to"),
        ({**CPU, "to": "9999-12-31T23:59:59-14:00"}, "to"), ({**CPU, "to": "2020-01-01", **LONG_AGO}, "from"),
        ({**CPU, "to": "0001-01-01"}, "to"),
        ({**CPU, "step": "0s"}, "step"), ({**CPU, "step": "2h"}, "step"), ({**CPU, "step": "fast"}, "step"),
        ({**CPU, "step": 60}, "step"), ({**PAGE, "step": "10s"}, "step"), ({**CPU, **LONG_AGO, "step": "1m"}, "step"),
        ({"condition": "burn_rate(1h) > 2", **LONG_AGO, "step": "30s"}, "step"),
        ({"condition": "avg(cpu_usage, 1m) > 80", **LONG_AGO}, "from"), ({**CPU, "stepp": "1m"}, "stepp"),
    ],
)  # fmt: skip
async def test_bad_input_is_named(service: Service, body: dict[str, Any], field: str) -> None:
    name = await service.tenant()
    answer = await ask(service, name, body, 422)
    assert is_error(answer, "VALIDATION_FAILED")
    assert [f["field"] for f in answer["error"]["details"]["fields"]] == [field], answer
