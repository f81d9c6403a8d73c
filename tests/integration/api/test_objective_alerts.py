"""Alerts on objectives over the whole service: pushed counters, the job's turn, what people see, and a backtest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.integration.api.conftest import NOW, Service

MINUTE = timedelta(minutes=1)
CHECKOUT: dict[str, Any] = {
    "kind": "requests",
    "target": 0.995,
    "total": {"metric": "checkout_total"},
    "bad": {"metric": "checkout_failed_total"},
}


async def pushed(service: Service, tenant: str, minutes: int, bad: range) -> None:
    """A reading a minute up to now, 100 requests each; `bad` counts minutes before now in which all fail."""
    total = failed = 0
    batch = []
    for before in range(minutes, -1, -1):
        total, failed = total + 100, failed + (100 if before in bad else 0)
        # At the end of its minute, in whose figures it is then.
        at = NOW - before * MINUTE - timedelta(seconds=1)
        counters = {"checkout_total": total, "checkout_failed_total": failed}
        batch.append({"timestamp": at.isoformat(), "metrics": counters})
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{tenant}/monitoring", batch)
    assert status == 202, answer


async def alerts_of(service: Service, tenant: str, objective: str = "checkout") -> dict[str, Any]:
    _, answer, _ = await service.ask("GET", f"/api/v1/tenants/{tenant}/alerts")
    return {a["alert_name"]: a for a in answer["alerts"] if a.get("objective") == objective}


async def test_an_objective_fires_agrees_with_its_backtest_and_ends_with_it(service: Service) -> None:
    tenant = await service.tenant()
    url = f"/api/v1/tenants/{tenant}"
    assert (await service.ask("PUT", f"{url}/objectives/checkout", CHECKOUT))[0] == 201
    rules = await alerts_of(service, tenant)
    assert {a["kind"] for a in rules.values()} == {"burn_rate", "budget", "no_data"}
    assert len(rules) == 5
    await pushed(service, tenant, 100, range(4))
    await service.runtime.work.objectives.roll()
    page = (await alerts_of(service, tenant))["slo_checkout_burn_rate_page"]
    assert (page["state"], page["since"]) == ("inactive", None), "four minutes are 6.7 % of the hour"
    service.clock.advance(60)
    body = {"metrics": {"checkout_total": 10_200, "checkout_failed_total": 500}}
    assert (await service.ask("POST", f"{url}/monitoring", body))[0] == 202
    service.clock.advance(5)
    await service.runtime.work.objectives.roll()
    page = (await alerts_of(service, tenant))["slo_checkout_burn_rate_page"]
    # The reading at the full minute is of the minute that has just begun.
    assert page["state"] == "inactive"
    service.clock.advance(60)
    await service.runtime.work.objectives.roll()
    page = (await alerts_of(service, tenant))["slo_checkout_burn_rate_page"]
    assert (page["state"], page["since"]) == ("firing", "2026-03-02T09:02:00Z")
    trial = {"policy": "page", "objective": "checkout", "from": (NOW - 90 * MINUTE).isoformat()}
    status, tried, _ = await service.ask("POST", f"{url}/alerts/test", trial)
    assert status == 200, tried
    assert [f["fired_at"] for f in tried["firings"]] == [page["since"]]
    assert (tried["objective"], tried["target"], tried["step_seconds"]) == ("checkout", 99.5, 60)
    assert (await service.ask("DELETE", f"{url}/alerts/{page['rule_id']}"))[0] == 409
    shown = {k: page[k] for k in ("alert_name", "condition", "duration", "actions")}
    status, changed, _ = await service.ask(
        "PUT", f"{url}/alerts/{page['rule_id']}", {**shown, "severity": "critical"}
    )
    assert (status, changed["severity"], changed["objective"]) == (200, "critical", "checkout")
    assert (await service.ask("DELETE", f"{url}/objectives/checkout"))[0] == 204
    assert await alerts_of(service, tenant) == {}


async def test_alerts_can_be_set_off_and_what_is_shown_can_be_sent_back(service: Service) -> None:
    tenant = await service.tenant()
    url = f"/api/v1/tenants/{tenant}/objectives/checkout"
    status, shown, _ = await service.ask("PUT", url, CHECKOUT)
    assert (status, shown["alerts"]) == (201, True)
    status, shown, _ = await service.ask("PUT", url, {**shown, "alerts": False})
    assert (status, shown["alerts"]) == (200, False)
    assert await alerts_of(service, tenant) == {}
    _, text, _ = await service.ask("GET", f"{url}?format=openslo")
    assert 'ecpmon/alerts: "false"' in text or "ecpmon/alerts: 'false'" in text
    status, answer, _ = await service.ask("PUT", url, text.encode(), **{"Content-Type": "application/yaml"})
    assert (status, answer["alerts"]) == (200, False)
    assert (await service.ask("PUT", url, {**CHECKOUT, "alerts": "no"}))[0] == 422


async def test_a_backtest_names_what_is_wrong_with_it(service: Service) -> None:
    tenant = await service.tenant()
    url = f"/api/v1/tenants/{tenant}"
    await service.ask("PUT", f"{url}/objectives/checkout", {**CHECKOUT, "windows": ["7d"]})
    for body, field in (
        ({"policy": "page", "objective": "nobody"}, "objective"),
        ({"condition": "up < 1", "objective": "checkout"}, "policy"),
        ({"policy": "page", "objective": "checkout", "step": "90s"}, "step"),
        ({"policy": "page", "objective": "checkout", "target": "20%"}, "target"),
    ):
        status, answer, _ = await service.ask("POST", f"{url}/alerts/test", body)
        assert status == 422, answer
        assert answer["error"]["details"]["fields"][0]["field"] == field, body
    # A week's promise has a ticket as well.
    status, tried, _ = await service.ask(
        "POST", f"{url}/alerts/test", {"policy": "ticket", "objective": "checkout"}
    )
    assert (status, tried["firings"]) == (200, [])


async def test_a_backtest_leaves_out_what_was_planned(service: Service) -> None:
    tenant = await service.tenant()
    url = f"/api/v1/tenants/{tenant}"
    assert (await service.ask("PUT", f"{url}/objectives/checkout", CHECKOUT))[0] == 201
    await pushed(service, tenant, 100, range(10, 20))
    await service.runtime.work.objectives.roll()
    trial = {"policy": "page", "objective": "checkout", "from": (NOW - 90 * MINUTE).isoformat()}
    _, tried, _ = await service.ask("POST", f"{url}/alerts/test", trial)
    assert len(tried["firings"]) == 1
    plan = {
        "start": (NOW - 25 * MINUTE).isoformat(),
        "end": (NOW - 5 * MINUTE).isoformat(),
        "reason": "upgrade",
    }
    assert (await service.ask("POST", f"{url}/maintenance", plan))[0] == 201
    _, tried, _ = await service.ask("POST", f"{url}/alerts/test", trial)
    assert (tried["firings"], tried["unknown_evaluations"]) == ([], 0)
    # The live rules read the same.
    service.clock.advance(60)
    await service.runtime.work.objectives.roll()
    assert (await alerts_of(service, tenant))["slo_checkout_burn_rate_page"]["state"] == "inactive"
