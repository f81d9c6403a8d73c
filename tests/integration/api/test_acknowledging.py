"""Acknowledging over HTTP: of one alert, by one person, shown until the alert is over."""

from __future__ import annotations

from tests.integration.api.conftest import Service
from tests.integration.api.test_audit import last, log_of
from tests.integration.api.test_flap_control import next_alert, rule_of, told
from tests.integration.api.test_silences import HOUR, ruled, waiting
from tests.integration.api.test_sockets import connect


async def test_it_is_shown_told_sockets_and_over_with_its_alert(service: Service) -> None:
    name, rule_id = await ruled(service)
    url = f"/api/v1/tenants/{name}/alerts/{rule_id}/acknowledge"
    await told(service, name, 95)
    since = await last(service)
    await service.token("ann", ["operator"], [name])
    async with connect(service, f"/ws/alerts/{name}") as socket:
        assert (await next_alert(socket))["status"] == "firing"
        status, seen, _ = await service.ask("POST", url, {"note": "on it"}, who="ann")
        assert (status, seen["by"], seen["note"]) == (200, "ann", "on it")
        heard = await next_alert(socket)
        assert (heard["status"], heard["acknowledged"]) == ("firing", True)
        assert heard["message"] == f"hot is acknowledged for {name} by ann"
        # Who says so later is told who did.
        assert (await service.ask("POST", url))[1] == seen
        assert (await rule_of(service, name, "/active"))["acknowledged"] == seen
        for _ in range(2):
            assert (await service.ask("DELETE", url))[0] == 204
        assert (await next_alert(socket))["acknowledged"] is False
    assert (await rule_of(service, name, "/active"))["acknowledged"] is None
    rows = await log_of(service, since)
    assert [(r["action"], r["actor"], r["subject"]) for r in rows if r["action"].startswith("alert.")] == [
        ("alert.acknowledged", "ann", "hot"), ("alert.unacknowledged", "admin", "hot"),
    ]  # fmt: skip
    assert (await service.ask("POST", url))[0] == 200
    await told(service, name, 10)
    await told(service, name, 95)
    assert (await rule_of(service, name))["acknowledged"] is None, "another alert"
    assert await waiting(service, name) == ["firing", "inactive", "firing"], "nobody is sent a message for it"


async def test_a_silenced_alert_can_be_acknowledged_and_is_told_all_the_same(service: Service) -> None:
    name, rule_id = await ruled(service)
    url = f"/api/v1/tenants/{name}/alerts/{rule_id}"
    assert (await service.ask("POST", f"{url}/silence", HOUR))[0] == 201
    await told(service, name, 95)
    assert (await service.ask("POST", f"{url}/acknowledge"))[0] == 200
    assert await waiting(service, name) == []
    service.clock.advance(3600)
    await service.runtime.work.tell_after_silence()
    assert await waiting(service, name) == ["firing"]


async def test_what_does_not_fire_has_nothing_to_acknowledge(service: Service) -> None:
    name, rule_id = await ruled(service)
    url = f"/api/v1/tenants/{name}/alerts/{rule_id}/acknowledge"
    for method in ("POST", "DELETE"):
        status, refused, _ = await service.ask(method, url)
        assert (status, refused["error"]["code"]) == (409, "CONFLICT")


async def test_another_tenants_rule_is_nobodys(service: Service) -> None:
    name, _ = await ruled(service)
    other, rule_id = await ruled(service)
    await told(service, other, 95)
    for method in ("POST", "DELETE"):
        url = f"/api/v1/tenants/{name}/alerts/{rule_id}/acknowledge"
        assert (await service.ask(method, url))[0] == 404
    assert (await rule_of(service, other))["acknowledged"] is None
