"""What Alertmanager's list says about the alerts of an incident."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from aiohttp import ClientSession, web

from ecpmon.errors import MonitoringUnavailable
from ecpmon.model.recovery import AlertList, AlertStanding
from ecpmon.orchestrator import alertmanager
from ecpmon.orchestrator.alertmanager import Alertmanager, standings_of

A = AlertStanding


def listed(fingerprint: str, state: str, **labels: str) -> dict[str, Any]:
    return {"fingerprint": fingerprint, "labels": labels, "status": {"state": state}}


LIST = AlertList(
    standings_of(
        [
            listed("fires", "active", tenant_id="acme"),
            listed("new", "unprocessed", tenant_id="acme"),
            listed("quiet", "suppressed", tenant_id="acme"),
            listed("nobodys", "active"),
            listed("of beta", "active", tenant_id="beta"),
        ]
    )
)


@pytest.mark.parametrize(
    ("fingerprints", "standing"),
    [
        (["fires"], A.FIRING),
        (["new"], A.FIRING),
        (["quiet"], A.SILENCED),
        (["quiet", "fires"], A.FIRING),
        (["quiet", "unknown"], A.SILENCED),
        (["nobodys"], A.FIRING),
        (["unknown"], A.GONE),
        (["of beta"], A.GONE),  # a fingerprint is its tenant's
        ([], A.GONE),
    ],
)
def test_one_alert_that_fires_is_enough(fingerprints: list[str], standing: AlertStanding) -> None:
    assert LIST.of("acme", fingerprints) is standing


@pytest.mark.parametrize(
    "document", [None, 1, {"status": "success"}, [1], [{}], [listed("f", "active") | {"labels": None}]]
)
def test_anything_else_is_no_list(document: Any) -> None:
    with pytest.raises(MonitoringUnavailable):
        standings_of(document)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"[]"),
        (302, b"[]"),
        (200, b"not JSON"),
        (200, b"{}"),
        (200, b"[" + b" " * alertmanager.MAX_REPLY_BYTES + b"]"),
    ],
    ids=["a fault", "elsewhere", "no JSON", "no list", "too much"],
)
async def test_who_answers_something_else_is_away(aiohttp_server: Any, status: int, body: bytes) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers={"Location": "/"})

    app = web.Application()
    app.router.add_get("/api/v2/alerts", answer)
    server = await aiohttp_server(app)
    async with ClientSession() as session:
        asked = Alertmanager(session, str(server.make_url("")).rstrip("/"), {}, 60)
        with pytest.raises(MonitoringUnavailable):
            await asked.alerts("ECPTenantDown", ["acme"])


async def test_only_alerts_of_the_tenants_are_asked_for(aiohttp_server: Any) -> None:
    heard: list[tuple[list[str], str | None]] = []

    async def answer(request: web.Request) -> web.Response:
        heard.append((request.query.getall("filter"), request.headers.get("X-Key")))
        return web.Response(body=orjson.dumps([listed("fires", "active", tenant_id="a.b")]))

    app = web.Application()
    app.router.add_get("/api/v2/alerts", answer)
    server = await aiohttp_server(app)
    async with ClientSession() as session:
        asked = Alertmanager(session, str(server.make_url("")).rstrip("/"), {"X-Key": "k"}, 60)
        found = await asked.alerts("ECPTenantDown", ["b", "a.b"])
    assert found.of("a.b", ["fires"]) is A.FIRING
    assert heard == [(['alertname="ECPTenantDown"', r'tenant_id=~"(a\\.b|b)?"'], "k")]
