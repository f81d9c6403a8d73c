"""What a tenant may have of its own: the one too many is refused by name, counted, and costs no neighbour."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from ecpmon.api.context import CONTEXT
from ecpmon.errors import LimitReached
from ecpmon.model.alerts import AlertRule, RuleKind, Severity
from tests.integration.api.conftest import NOW, Service

SIX_A_DAY = "FREQ=DAILY;BYHOUR=0,4,8,12,16,20"


def refusals(service: Service, limit: str) -> float:
    [counted] = service.app[CONTEXT].telemetry.refusals.collect()
    return sum(x.value for x in counted.samples if x.name.endswith("_total") and x.labels["limit"] == limit)


def recurring(number: int, rrule: str) -> dict[str, Any]:
    start = (NOW + timedelta(days=1, minutes=number)).isoformat()
    return {"start": start, "duration": "1m", "rrule": rrule, "reason": "nightly"}


async def test_maintenance_is_bounded_by_how_often_it_begins(service: Service) -> None:
    name, neighbour = await service.tenant(), await service.tenant()
    url = f"/api/v1/tenants/{name}/maintenance"
    before = refusals(service, "maintenance_occurrences")
    # 558 times in 93 days each, and 2,000 are possible.
    for number in range(3):
        assert (await service.ask("POST", url, recurring(number, SIX_A_DAY)))[0] == 201
    status, refused, _ = await service.ask("POST", url, recurring(3, SIX_A_DAY))
    assert (status, refused["error"]["code"]) == (409, "LIMIT_REACHED")
    assert refused["error"]["details"] == {"limit": "maintenance_occurrences", "most": 2000}
    assert "keep_past=true" in refused["error"]["message"]
    assert refusals(service, "maintenance_occurrences") == before + 1
    # A single one still fits, and so does everything of a neighbour.
    single = {"start": NOW.isoformat(), "duration": "1h", "reason": "urgent"}
    assert (await service.ask("POST", url, single))[0] == 201
    others = f"/api/v1/tenants/{neighbour}/maintenance"
    assert (await service.ask("POST", others, recurring(3, SIX_A_DAY)))[0] == 201
    # What is taken back makes room.
    _, listed, _ = await service.ask("GET", url)
    gone = next(m["id"] for m in listed["maintenance"] if m["rrule"])
    assert (await service.ask("DELETE", f"{url}/{gone}"))[0] == 204
    assert (await service.ask("POST", url, recurring(3, SIX_A_DAY)))[0] == 201


async def test_two_at_once_do_not_fit_into_the_last_place(service: Service) -> None:
    url = f"/api/v1/tenants/{await service.tenant()}/maintenance"
    answers = await asyncio.gather(*(service.ask("POST", url, recurring(n, SIX_A_DAY)) for n in range(8)))
    assert sorted(status for status, _, _ in answers) == [201] * 3 + [409] * 5


async def test_alert_rules_are_bounded_and_built_in_ones_do_not_count(service: Service) -> None:
    name = await service.tenant()
    store = service.runtime.alerts

    def rule(number: int) -> AlertRule:
        return AlertRule(
            str(uuid.uuid4()), name, f"r{number}", RuleKind.THRESHOLD, "cpu_usage > 80", 0, Severity.INFO
        )  # fmt: skip

    made = await asyncio.gather(*(store.create(rule(n), NOW, 3) for n in range(6)), return_exceptions=True)
    assert sum(isinstance(m, LimitReached) for m in made) == 3
    with pytest.raises(LimitReached, match="delete one first"):
        await store.create(rule(9), NOW, 3)
    assert len(await store.rules(await service.runtime.tenants.get(name))) == 3 + 5


async def test_actions_of_a_rule_are_bounded(service: Service) -> None:
    name = await service.tenant()
    hook = {"type": "webhook", "url": "https://93.184.216.34/hook"}
    body = {"alert_name": "loud", "condition": "cpu_usage > 80", "actions": [hook] * 21}
    status, refused, _ = await service.ask("POST", f"/api/v1/tenants/{name}/alerts", body)
    assert (status, refused["error"]["details"]["fields"][0]["field"]) == (422, "actions")
    assert refused["error"]["details"]["limit"] == "actions_per_rule"
    assert refusals(service, "actions_per_rule") >= 1
    # Twenty with as long headers as one may have were 45 KB of each of 200 rules.
    body["actions"] = [{**hook, "headers": {f"X-{n}": "v" * 1_000 for n in range(17)}}]
    status, refused, _ = await service.ask("POST", f"/api/v1/tenants/{name}/alerts", body)
    assert (status, refused["error"]["details"]["fields"][0]["field"]) == (422, "actions")
    assert refused["error"]["details"]["limit"] == "actions_bytes"
    body["actions"] = [{**hook, "headers": {f"X-{n}": "v" * 1_000 for n in range(15)}}]
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/alerts", body))[0] == 201
