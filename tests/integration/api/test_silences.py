"""Silences over HTTP: made, shown, ended, and walls to everybody else."""

from __future__ import annotations

from typing import Any

import pytest

from ecpmon.storage.silences import MOST
from tests.integration.api.conftest import Service
from tests.integration.api.test_audit import last, log_of
from tests.integration.api.test_flap_control import next_alert, rule_of, told
from tests.integration.api.test_sockets import connect

URL = "/api/v1/silences"
HOOK = {"type": "webhook", "url": "https://hooks.example.com/ecp"}
RULE = {"alert_name": "hot", "condition": "cpu_usage > 80", "actions": [HOOK]}
HOUR = {"duration": "1h", "reason": "moving the data centre"}
NOBODYS = "6f1c2a52-0000-4000-8000-000000000000"


async def ruled(service: Service, **more: Any) -> tuple[str, str]:
    """A tenant with a rule, and the rule."""
    name = await service.tenant(**more)
    status, rule, _ = await service.ask("POST", f"/api/v1/tenants/{name}/alerts", RULE)
    assert status == 201, rule
    assert rule["silenced"] is None
    return name, rule["rule_id"]


async def silence(service: Service, body: dict[str, Any], who: str = "admin", expect: int = 201) -> Any:
    status, made, _ = await service.ask("POST", URL, body, who=who)
    assert status == expect, made
    return made


async def of(service: Service, name: str, who: str = "admin", more: str = "") -> list[dict[str, Any]]:
    status, body, _ = await service.ask("GET", f"{URL}?tenant_id={name}{more}", who=who)
    assert status == 200, body
    found: list[dict[str, Any]] = body["silences"]
    return found


async def waiting(service: Service, name: str) -> list[str]:
    """What of the rule is to be sent."""
    _, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/alerts/deliveries")
    return [d["to_state"] for d in reversed(body["deliveries"]) if d["alert_name"] == "hot"]


async def test_a_silenced_alert_is_shown_and_told_nobody_until_its_silence_is_over(service: Service) -> None:
    name, rule_id = await ruled(service)
    since = await last(service)
    status, made, _ = await service.ask("POST", f"/api/v1/tenants/{name}/alerts/{rule_id}/silence", HOUR)
    assert status == 201, made
    assert (made["state"], made["tenants"], made["matcher"]["rule_id"]) == ("active", [name], rule_id)
    assert (made["end"], made["ends_at"]) == ("2026-03-02T10:00:00Z", "2026-03-02T10:00:00Z")
    [row] = await log_of(service, since)
    assert (row["action"], row["subject"], row["actor"]) == ("silence.created", made["silence_id"], "admin")
    assert row["after"]["reason"] == HOUR["reason"]
    async with connect(service, f"/ws/alerts/{name}") as socket:
        await told(service, name, 95)
        heard = await next_alert(socket)
        assert (heard["status"], heard["silenced"]) == ("firing", True)
        shown = await rule_of(service, name, "/active")
        assert shown["silenced"] == {
            "silence_id": made["silence_id"], "until": "2026-03-02T10:00:00Z", "reason": HOUR["reason"],
            "created_by": "admin",
        }  # fmt: skip
        assert await waiting(service, name) == []
        service.clock.advance(3600)
        await service.runtime.work.tell_after_silence()
        heard = await next_alert(socket)
        assert (heard["status"], "silenced" in heard) == ("firing", False)
    assert await waiting(service, name) == ["firing"]
    assert (await rule_of(service, name, "/active"))["silenced"] is None
    assert await of(service, name) == []
    [over] = await of(service, name, more="&ended=true")
    assert (over["silence_id"], over["state"]) == (made["silence_id"], "expired")


async def test_one_that_is_ended_is_over_and_stays_on_record(service: Service) -> None:
    name, _ = await ruled(service)
    made = await silence(
        service, {**HOUR, "tenants": {"tenant_ids": [name]}, "alerts": ["h*"], "severities": ["warning"]}
    )
    await told(service, name, 95)
    since = await last(service)
    for tenants in ([name], []):
        status, ended, _ = await service.ask("DELETE", f"{URL}/{made['silence_id']}")
        assert (status, ended["tenants"]) == (200, tenants)
    assert [r["action"] for r in await log_of(service, since)] == ["silence.ended"]
    await service.runtime.work.tell_after_silence()
    assert await waiting(service, name) == ["firing"]
    status, body, _ = await service.ask("GET", f"{URL}/{made['silence_id']}")
    [shown] = body["silences"]
    assert (shown["state"], shown["ended_by"]) == ("expired", "admin")


async def test_one_that_recurs_shows_when_it_is_on_next(service: Service) -> None:
    name, _ = await ruled(service)
    made = await silence(service, {
        "start": "2026-03-02T23:00:00", "duration": "2h", "rrule": "FREQ=DAILY", "time_zone": "Asia/Seoul",
        "reason": "backups", "tenants": {"tenant_ids": [name]},
    })  # fmt: skip
    assert (made["state"], made["ends_at"]) == ("pending", None)
    assert made["next_times"][0] == {"start": "2026-03-02T14:00:00Z", "end": "2026-03-02T16:00:00Z"}
    assert len(made["next_times"]) == 10


async def test_one_lasts_as_long_as_is_said_also_by_its_duration(service: Service) -> None:
    name, _ = await ruled(service)
    made = await silence(service, {"duration": "31d", "reason": "a month", "tenants": {"tenant_ids": [name]}})
    assert made["ends_at"] == "2026-04-02T09:00:00Z"


async def test_tenants_are_walls(service: Service) -> None:
    """Who holds some of a silence's tenants sees, and ends, it for these; for others it is as if it were not there."""
    mine, _ = await ruled(service, tenant_id="wall-mine")
    other, _ = await ruled(service, tenant_id="wall-other")
    await service.token("half", ["operator"], [mine])
    made = await silence(service, {**HOUR, "tenants": {"name": "wall-*"}})
    assert made["tenants"] == [mine, other]
    [seen] = await of(service, mine, "half")
    assert seen["tenants"] == [mine]
    assert await of(service, other, "half") == []
    assert await of(service, mine, "outsider") == []
    for method in ("GET", "DELETE"):
        status, refused, _ = await service.ask(method, f"{URL}/{made['silence_id']}", who="outsider")
        unknown, same, _ = await service.ask(method, f"{URL}/{NOBODYS}", who="outsider")
        assert (status, refused["error"]["code"]) == (unknown, same["error"]["code"]) == (404, "NOT_FOUND")
        assert refused["error"]["message"] == same["error"]["message"]
    # The pattern chooses among the caller's own; a name that is not his is as one that is nobody's.
    own = await silence(service, {**HOUR, "tenants": {"name": "wall-*"}}, "half")
    assert own["tenants"] == [mine]
    refusals = [
        await silence(service, {**HOUR, "tenants": {"tenant_ids": [who]}}, "half", 422)
        for who in (other, "wall-none")
    ]
    texts = {r["error"]["message"].replace(other, "wall-none") for r in refusals}
    assert len(texts) == 1
    status, ended, _ = await service.ask("DELETE", f"{URL}/{made['silence_id']}", who="half")
    assert (status, ended["tenants"]) == (200, [mine])
    assert [s["tenants"] for s in await of(service, other)] == [[other]]
    _, body, _ = await service.ask("GET", f"{URL}/{made['silence_id']}")
    assert {tuple(s["tenants"]): s["ended_by"] for s in body["silences"]} == {(mine,): "half", (other,): None}


async def test_a_viewer_sees_silences_and_makes_none(service: Service) -> None:
    name, _ = await ruled(service)
    await silence(service, {**HOUR, "tenants": {"tenant_ids": [name]}})
    assert len(await of(service, name, "viewer")) == 1
    await silence(service, {**HOUR, "tenants": {"tenant_ids": [name]}}, "viewer", 403)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tenants": {}}, "tenants"),
        ({"tenants": {"name": "nobody-*"}}, "tenants"),
        ({"duration": None}, "end"),
        ({"end": "2026-03-03T09:00:00Z"}, "end"),
        ({"start": "2026-03-01T09:00:00Z"}, "end"),
        ({"start": "2026-03-02T09:00:00Z", "end": "2026-05-02T09:00:00Z", "duration": None}, "end"),
        ({"duration": "32d"}, "duration"),
        ({"rrule": "FREQ=HOURLY"}, "rrule"),
        ({"rrule": "FREQ=DAILY;COUNT=2", "start": "2026-02-02T09:00:00Z"}, "rrule"),
        ({"time_zone": "Nowhere/Land"}, "time_zone"),
        ({"severities": ["loud"]}, "severities.0"),
        ({"reason": "  "}, "reason"),
        ({"alerts": [""]}, "alerts.0"),
    ],
)
async def test_what_cannot_be_meant_is_refused(service: Service, change: dict[str, Any], field: str) -> None:
    name = await service.tenant()
    body = {**HOUR, "tenants": {"tenant_ids": [name]}, **change}
    refused = await silence(service, {k: v for k, v in body.items() if v is not None}, expect=422)
    assert refused["error"]["code"] == "VALIDATION_FAILED"
    assert [f["field"] for f in refused["error"]["details"]["fields"]] == [field]
    assert await of(service, name, more="&ended=true") == []


async def test_a_tenant_has_so_many_at_most_and_another_one_as_many(service: Service) -> None:
    full, free = await service.tenant(tenant_id="full-1"), await service.tenant(tenant_id="full-2")
    key = (await service.runtime.tenants.get(full)).key
    await service.runtime.database.execute(
        "INSERT INTO silences (tenant, silence_id, starts_at, duration, time_zone, reason, created_by, created_at,"
        " ends_at)"
        " SELECT $1, gen_random_uuid(), $2, '1h', 'UTC', 'x', 'y', $2, $2::timestamptz + interval '1h'"
        " FROM generate_series(1, $3)",
        key, service.clock.now(), MOST,
    )  # fmt: skip
    refused = await silence(service, {**HOUR, "tenants": {"name": "full-*"}}, expect=409)
    assert (refused["error"]["code"], refused["error"]["details"]["limit"]) == ("LIMIT_REACHED", "silences")
    assert await of(service, free) == [], "all of it or nothing"
    await silence(service, {**HOUR, "tenants": {"tenant_ids": [free]}})
    _, page, _ = await service.ask("GET", f"{URL}?tenant_id={full}&limit=40&skip=80")
    assert (len(page["silences"]), page["pagination"]["has_more"]) == (20, False)
