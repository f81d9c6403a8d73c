"""The SLA of one tenant is answered in one round trip from what is held of its contract, and never from an old one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ecpmon.storage import contracts
from ecpmon.storage.queries import load
from ecpmon.wire import rfc3339
from tests.integration.api.conftest import NOW, Service
from tests.integration.asked import tell_statements

WINDOWS = "windows=1h,24h,7d,30d,90d,month,quarter"


async def push(service: Service, name: str, up: int) -> None:
    body = {"timestamp": rfc3339(service.clock.now()), "metrics": {"up": up}}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body)
    assert status == 202, answer


async def sla(service: Service, name: str, more: str = "", who: str = "admin") -> Any:
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla?{WINDOWS}{more}", who=who)
    assert status == 200, body
    return body


async def with_a_past(service: Service) -> str:
    """A tenant that was down for a while, with a planned hour that is over and one to come."""
    name = await service.tenant()
    for up in (1, 1, 0, 0, 1, 1):
        service.clock.advance(10)
        await push(service, name, up)
    service.clock.advance(300)
    return name


async def plan(service: Service, name: str, minutes_from_now: float) -> None:
    start = service.clock.now() + timedelta(minutes=minutes_from_now)
    body = {"start": rfc3339(start), "end": rfc3339(start + timedelta(minutes=1)), "reason": "work"}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body)
    assert status == 201, answer


@pytest.mark.parametrize("planned", [False, True])
async def test_the_present_is_told_as_the_past_is(service: Service, planned: bool) -> None:
    name = await with_a_past(service)
    if planned:
        await plan(service, name, -5.3)
        await plan(service, name, 60)
    await service.runtime.work.rolling.run_once()
    now = "&at=" + rfc3339(service.clock.now())
    before, again, told = [await sla(service, name, more) for more in ("", "", now)]
    assert before == again == told
    month = next(w for w in told["windows"] if w["window"] == "30d")
    assert (month["maintenance_minutes"] > 0) is planned
    assert month["down_minutes"] > 0


async def test_who_was_never_observed_has_no_figures(service: Service) -> None:
    name = await service.tenant()
    for _ in range(2):
        assert {w["availability"] for w in (await sla(service, name))["windows"]} == {None}
    await push(service, name, 1)
    service.clock.advance(5)
    assert {w["availability"] for w in (await sla(service, name))["windows"]} == {100}


async def test_a_question_costs_one_statement_until_something_changes(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await with_a_past(service)
    seen: list[str] = []
    tell_statements(monkeypatch, lambda record: seen.append(record.query))
    # Those of questions about the SLA: alerts are evaluated meanwhile.
    about_sla = {
        *load("contracts").values(),
        load("tenants")["by_name_with_deleted"],
        load("maintenance")["of_tenant"],
        load("availability")["statuses"],
        load("crowding")["between"],
    }
    # What alerts make of the pushes is a change of the tenant.
    await service.runtime.work.trigger.settled()
    # Connections tell whom they were opened for.
    await service.runtime.database.close()
    await sla(service, name)

    async def statements() -> int:
        seen.clear()
        await sla(service, name)
        return sum(query in about_sla for query in seen)

    assert [await statements() for _ in range(3)] == [1, 1, 1]
    await plan(service, name, 60)
    changed = [await statements() for _ in range(2)]
    assert changed[0] > 1
    assert changed[1] == 1


TARGET = """UPDATE tenants SET sla_target = '{"availability": "90%"}' WHERE tenant_id = $1"""
ZONE = "UPDATE tenants SET time_zone = 'Asia/Seoul' WHERE tenant_id = $1"


async def test_what_anybody_changes_is_in_the_next_answer(service: Service) -> None:
    name = await with_a_past(service)
    assert (await sla(service, name))["target"] == 99.5
    # By hand, as a person or another process does: nothing here is told of it.
    for statement in (TARGET, ZONE):
        await service.runtime.database.execute(statement, name)
    told = await sla(service, name)
    assert (told["target"], told["time_zone"]) == (90, "Asia/Seoul")
    await plan(service, name, -5.3)
    assert (await sla(service, name))["windows"][1]["maintenance_minutes"] == 1


async def test_a_name_is_never_anothers(service: Service) -> None:
    name = await with_a_past(service)
    await service.token("mine", ["viewer"], [name])
    assert (await sla(service, name, who="mine"))["windows"][0]["down_minutes"] > 0
    status, _, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla", who="outsider")
    assert status == 404
    assert (await service.ask("DELETE", f"/api/v1/tenants/{name}"))[0] == 202
    # His history stays; the tenant that has the name now is another's.
    former = (await sla(service, name, who="mine"))["windows"][0]
    await service.tenant(tenant_id=name)
    assert (await sla(service, name))["windows"][0]["eligible_minutes"] == 0
    assert (await sla(service, name, who="mine"))["windows"][0] == former
    assert former["eligible_minutes"] > 0


async def test_what_is_held_is_bounded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    store = service.runtime.contracts
    monkeypatch.setattr(store, "_most", 2)
    monkeypatch.setattr(contracts, "_PLANNED", 1)
    names = [await service.tenant() for _ in range(3)]
    for name in names:
        await sla(service, name)
    assert [store.held(name, None) is not None for name in names] == [False, True, True]
    for minutes in (60, 70):
        await plan(service, names[2], minutes)
    await sla(service, names[2])
    assert store.held(names[2], None) is None
    assert service.clock.now() >= NOW
