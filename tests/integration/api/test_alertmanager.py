"""Alertmanager's receiver in the whole service: each alert is its tenant's, and long messages cost their sender."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from ecpmon.api.limits import LIMITS
from ecpmon.errors import RateLimited
from tests.integration.api.conftest import Service
from tests.waiting import PATIENCE

URL = "/api/v1/webhooks/tenant-alert"
_runs = itertools.count(1)


@pytest.fixture
def service_settings() -> dict[str, Any]:
    return {"max_alerts": 300, "max_body_bytes": 2_000_000}


@pytest.fixture
def run() -> str:
    return f"run-{next(_runs)}"


async def operator(service: Service, name: str, tenants: list[str]) -> str:
    await service.token(name, ["operator"], tenants)
    return name


def alert(fingerprint: str, tenant_id: str | None, **change: Any) -> dict[str, Any]:
    labels = {"alertname": "ECPTenantDown", "severity": "critical"}
    if tenant_id is not None:
        labels["tenant_id"] = tenant_id
    return {
        "status": "firing", "labels": labels, "annotations": {}, "startsAt": "2026-03-02T08:59:00Z",
        "endsAt": "0001-01-01T00:00:00Z", "fingerprint": fingerprint, **change,
    }  # fmt: skip


async def tell(service: Service, who: str, *alerts: Any) -> tuple[int, dict[str, Any], Any]:
    """(status, what was told, headers)."""
    status, answer, headers = await service.ask(
        "POST", URL, {"version": "4", "alerts": list(alerts)}, who=who
    )
    return status, answer if status == 200 else answer["error"]["details"], headers


async def recoveries(service: Service, tenant_id: str) -> int:
    _, found, _ = await service.ask("GET", f"/api/v1/tenants/{tenant_id}/recoveries")
    return len(found["recoveries"])


async def test_alphas_operator_cannot_use_up_betas_alerts(service: Service, run: str) -> None:
    alpha, beta = await service.tenant(), await service.tenant()
    alphas = await operator(service, f"alphas {run}", [alpha])
    over = {"status": "resolved", "endsAt": "2026-03-02T08:59:30Z"}
    # The same fingerprint and start as beta's alert, as alpha's, as nobody's and as beta's; and its end.
    for change in ({}, over):
        pretended = [alert(run, alpha, **change), alert(run, None, **change), alert(run, beta, **change)]
        status, told, _ = await tell(service, alphas, *pretended)
        assert (status, told["new"], told["duplicates"], told["ignored"]) == (200, 1, 1, 1)
    assert await recoveries(service, beta) == 0
    async with service.session.ws_connect(
        f"{service.url}/ws/alerts/{beta}", headers=service.headers("admin")
    ) as socket:
        for change in ({}, over):
            _, told, _ = await tell(service, "admin", alert(run, beta, **change))
            assert (told["new"], told["duplicates"]) == (1, 0)
            assert (await socket.receive_json(timeout=PATIENCE))["status"] == change.get("status", "firing")
    assert await recoveries(service, beta) == 1
    tenant = await service.runtime.tenants.get(beta)
    assert [a.status for a in await service.runtime.external_alerts.recent(tenant, 10)] == [
        "resolved",
        "firing",
    ]


async def test_a_tenants_operator_cannot_use_up_the_clusters_alerts(service: Service, run: str) -> None:
    one, other = await service.tenant(), await service.tenant()
    single = await operator(service, f"single {run}", [one])
    several = await operator(service, f"several {run}", [one, other])
    gone = await service.tenant()
    ghost = await operator(service, f"ghost {run}", [gone])
    assert (await service.ask("DELETE", f"/api/v1/tenants/{gone}"))[0] == 202
    _, told, _ = await tell(service, single, alert(run, None))
    assert (told["new"], told["recoveries"]) == (1, 1)
    for who, name, reason in (
        (several, None, "no_tenant"), (ghost, None, "no_tenant"), (ghost, gone, "unknown_tenant"),
    ):  # fmt: skip
        _, told, _ = await tell(service, who, alert(run, name))
        assert (told["new"], told["ignored_reasons"][reason]) == (0, 1), who
    _, told, _ = await tell(
        service, "admin", alert(run, None), alert(run, "no-such-tenant", status="resolved")
    )
    assert (told["new"], told["duplicates"]) == (2, 0)


async def test_a_long_message_is_taken_in_parts_and_nothing_of_it_is_lost(service: Service, run: str) -> None:
    alpha, beta = await service.tenant(), await service.tenant()
    sent = [alert(f"{run}-{n}", alpha if n % 2 else beta) for n in range(700)]
    seen = []
    while not seen or seen[-1][0] == 503:
        status, told, headers = await tell(service, "admin", *sent)
        assert "Retry-After" in headers or status == 200
        seen.append((status, told["new"], told["duplicates"], told["left"]))
        service.clock.advance(1)
    assert seen == [(503, 300, 0, 400), (503, 300, 300, 100), (200, 100, 600, 0)]
    rows = await service.runtime.database.fetch(
        "SELECT state, count(*) AS number FROM recoveries JOIN tenants t ON t.id = tenant "
        "WHERE tenant_id IN ($1, $2) GROUP BY 1", alpha, beta,
    )  # fmt: skip
    assert {r["state"]: r["number"] for r in rows} == {"checking": 2, "joined": 698}
    _, metrics, _ = await service.ask("GET", "/metrics", who="admin")
    assert 'ecpmon_external_alerts_total{outcome="left"} 500.0' in metrics


async def test_a_flood_of_alerts_is_told_to_come_again_and_holds_nobody_up(
    service: Service, run: str
) -> None:
    alpha, beta = await service.tenant(), await service.tenant()
    flooder, betas = [await operator(service, f"{t} {run}", [t]) for t in (alpha, beta)]

    async def flood(number: int) -> int:
        some = [alert(f"{run}-{number}-{n}", alpha) for n in range(300)]
        return (await tell(service, flooder, *some))[0]

    found = await asyncio.gather(*(flood(n) for n in range(20)))
    assert 503 in found
    # The clock stands still: nothing is made up for. Beta's alert is taken at once.
    status, _, headers = await service.ask("POST", URL, {"version": "4", "alerts": []}, who=flooder)
    assert (status, int(headers["Retry-After"]) >= 1) == (503, True)
    status, told, _ = await tell(service, betas, alert(run, beta))
    assert (status, told["new"]) == (200, 1)


async def test_alertmanager_is_told_503_where_others_are_told_429(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RateLimited("slow down")

    for name in ("requests", "body_bytes", "alerts"):
        with monkeypatch.context() as patch:
            patch.setattr(service.app[LIMITS], name, _Refusing(refuse))
            status, answer, headers = await service.ask("POST", URL, {"version": "4", "alerts": []})
            assert (status, answer["error"]["code"], "Retry-After" in headers) == (503, "OVERLOADED", True), (
                name
            )


class _Refusing:
    def __init__(self, refuse: Any) -> None:
        self.take = self.check = self.charge = refuse
        self.policy = ""

    def left(self, *_: Any) -> str:
        return ""
