"""What a push tells: a change as it happens, or what was found by somebody who looks now and then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.api.conftest import NOW, Service


async def detail(service: Service, name: str) -> dict[str, Any]:
    _, answer, _ = await service.ask("GET", f"/api/v1/tenants/{name}")
    found: dict[str, Any] = answer
    return found


async def push(service: Service, name: str, states: dict[int, int]) -> None:
    """`states`: up by seconds from now."""
    body = [
        {"timestamp": (NOW + timedelta(seconds=at)).isoformat(), "metrics": {"up": up}}
        for at, up in states.items()
    ]
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body)
    assert status == 202, answer


async def down_between(service: Service, name: str) -> tuple[float, float]:
    """Seconds of down time in the last hour, by the bounds."""
    _, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla?windows=1h")
    [window] = body["windows"]
    eligible = window["eligible_minutes"] * 60
    low, high = (eligible * (1 - window["bounds"][end] / 100) for end in ("low", "high"))
    return pytest.approx(high, abs=1e-3), pytest.approx(low, abs=1e-3)


@pytest.mark.parametrize(
    ("body", "mode"),
    [
        ({}, "changes"),
        ({"push_interval": 30}, "samples"),
        ({"push_interval": 30, "push_mode": "changes"}, "changes"),
        ({"push_mode": "samples"}, "samples"),
    ],
)
async def test_who_names_an_interval_sends_samples_unless_they_say_otherwise(
    service: Service, body: dict[str, Any], mode: str
) -> None:
    assert (await detail(service, await service.tenant(**body)))["push_mode"] == mode


async def test_an_unknown_mode_is_refused(service: Service) -> None:
    body = {
        "tenant_id": "odd-mode",
        "name": "x",
        "service_requirements": {"chatbot": 1},
        "push_mode": "guesses",
    }
    assert (await service.ask("POST", "/api/v1/tenants/", body))[0] == 422
    name = await service.tenant()
    for wrong in ("guesses", None, 1):
        assert (await service.ask("PUT", f"/api/v1/tenants/{name}", {"push_mode": wrong}))[0] == 422
    assert (await detail(service, name))["push_mode"] == "changes"


async def test_a_sample_is_in_doubt_since_the_one_before_and_a_change_is_not(service: Service) -> None:
    states = {-600: 1, -540: 1, -480: 0, -420: 1, -360: 1}
    sampling = await service.tenant(push_interval=60)
    telling = await service.tenant(push_interval=60, push_mode="changes")
    for name in (sampling, telling):
        await push(service, name, states)
        service.clock.set(NOW - timedelta(seconds=359))
        assert await down_between(service, name) == ((0, 120) if name == sampling else (60, 60))
        service.clock.set(NOW)


async def test_another_mode_changes_no_bound_of_the_past(service: Service) -> None:
    name = await service.tenant(push_interval=60)
    await push(service, name, {-600: 1, -540: 0, -480: 1, -420: 1})
    service.clock.set(NOW - timedelta(seconds=410))
    before = await down_between(service, name)
    assert before == (0, 120)
    status, answer, _ = await service.ask("PUT", f"/api/v1/tenants/{name}", {"push_mode": "changes"})
    assert (status, answer["push_mode"]) == (200, "changes")
    assert await down_between(service, name) == before
    service.clock.set(NOW - timedelta(seconds=339))
    await push(service, name, {-400: 0, -370: 1, -340: 1})
    # The 30 s that it told since are exact; what comes late about the time before is a sample still.
    assert await down_between(service, name) == (30, 150)
    await push(service, name, {-550: 1})
    assert await down_between(service, name) == (30, 100)
    service.clock.set(NOW)


async def test_the_mode_of_a_tenant_that_is_polled_waits_until_pushes_count(service: Service) -> None:
    name = await service.tenant(sli_source="simulator")
    key = (await service.runtime.tenants.get(name)).key
    count = "SELECT count(*) FROM evidence_regimes WHERE tenant = $1"
    before = await service.runtime.database.fetchval(count, key)
    await service.ask("PUT", f"/api/v1/tenants/{name}", {"push_mode": "samples"})
    assert await service.runtime.database.fetchval(count, key) == before
    assert (await detail(service, name))["push_mode"] == "samples"


@pytest.mark.parametrize("weights", [None, {"callbot": 1.0, "chatbot": 1.0}])
@pytest.mark.parametrize("together", [True, False])
async def test_what_comes_up_when_another_goes_down_is_in_doubt_and_one_outage(
    service: Service, weights: dict[str, float] | None, together: bool
) -> None:
    """Told to be as much down before as after: nobody knows whether both were down meanwhile, or neither."""
    name = await service.tenant(
        push_interval=60, service_requirements={"callbot": 1, "chatbot": 1}, component_weights=weights
    )
    up = {-600: (1, 1), -540: (0, 1), -480: (0, 1), -420: (1, 0), -360: (1, 1)}
    batch = [
        {
            "timestamp": (NOW + timedelta(seconds=at)).isoformat(),
            "metrics": {"up.callbot": a, "up.chatbot": b},
        }
        for at, (a, b) in up.items()
    ]
    for body in [batch] if together else batch:
        status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body)
        assert status == 202, answer
    service.clock.set(NOW - timedelta(seconds=359))
    # A minute of doubt when it went down, another at the change, a third when it came up; by half of the tenant.
    told, least, most = (180, 60, 240) if weights is None else (90, 30, 150)
    assert await down_between(service, name) == (least, most)
    _, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla?windows=1h")
    [window] = body["windows"]
    assert (window["down_minutes"], window["failure_count"]) == (pytest.approx(told / 60, abs=1e-6), 1)
    _, found, _ = await service.ask("GET", f"/api/v1/tenants/{name}/incidents")
    [outage] = found["incidents"]
    assert outage["duration_seconds"] == 180
    service.clock.set(NOW)


async def test_what_was_seen_just_after_an_instant_is_in_doubt_as_of_it(service: Service) -> None:
    """It was up a minute before it was seen down: as of a second before that, it may have been down for 59 s."""
    name = await service.tenant(push_interval=60)
    await push(service, name, {-600: 1, -540: 0, -480: 0})
    service.clock.set(NOW - timedelta(seconds=479))
    for end, bounds in ((-541, (0, 59)), (-570, (0, 30)), (-600.5, (0, 0)), (-530, (10, 70))):
        then = (NOW + timedelta(seconds=end)).isoformat().replace("+00:00", "Z")
        _, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla?windows=1h&at={then}")
        [window] = body["windows"]
        seconds = window["eligible_minutes"] * 60
        if not seconds:
            continue
        low, high = (seconds * (1 - window["bounds"][side] / 100) for side in ("high", "low"))
        assert (low, high) == (pytest.approx(bounds[0], abs=1e-3), pytest.approx(bounds[1], abs=1e-3))
        assert window["verdict"] == ("breached" if low else "undetermined")
    service.clock.set(NOW)
