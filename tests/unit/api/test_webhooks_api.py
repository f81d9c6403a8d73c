"""Alerts from Alertmanager (api.md §5), over real sockets with stores in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from fakes import OUTSIDER, World, ask, error_of, fields_of, make_app
from socket_world import session

from ecpmon.api import webhooks
from ecpmon.api.routing import Permission

URL = "/api/v1/webhooks/tenant-alert"
START = datetime(2026, 3, 2, 8, 59, 0, 123456, tzinfo=UTC)


def alert(**change: Any) -> dict[str, Any]:
    """As Alertmanager 0.27 sends it."""
    return {
        "status": "firing",
        "labels": {"alertname": "ECPTenantDown", "severity": "critical", "tenant_id": "acme"},
        "annotations": {"summary": "acme is down"},
        "startsAt": "2026-03-02T08:59:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c3b1a7d5e9f00112",
        **change,
    }


def body(*alerts: Any, **change: Any) -> dict[str, Any]:
    return {
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "ecpmon",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am:9093",
        "alerts": list(alerts), **change,
    }  # fmt: skip


@pytest.fixture
def world() -> World:
    made = World()
    made.tenants.add("acme")
    return made


@pytest.fixture
async def client(world: World, aiohttp_client: Any) -> Any:
    return await aiohttp_client(make_app([webhooks], world))


def counts(**told: int) -> dict[str, Any]:
    names = ("received", "new", "duplicates", "ignored", "firing", "resolved", "recoveries")
    return {"status": "processed", **dict.fromkeys(names, 0), **told}


def test_who_may_do_what() -> None:
    assert [(r.method, r.path, r.permission) for r in webhooks.routes.table] == [
        ("POST", URL, Permission.OPERATE)
    ]


async def test_an_alert_is_recorded_and_told_once(client: Any, world: World) -> None:
    with world.hub.listen(session("acme")) as acme, world.hub.listen(session("other")) as other:
        assert await ask(client, "POST", URL, body(alert())) == (
            200,
            counts(received=1, new=1, firing=1, recoveries=1),
        )
        assert await ask(client, "POST", URL, body(alert())) == (200, counts(received=1, duplicates=1))
        [told] = acme.take()
        assert other.take() == []
    assert (told["tenant_id"], told["status"], told["message"]) == ("acme", "firing", "acme is down")
    [recorded] = world.external_alerts.recorded
    assert (recorded.tenant_id, recorded.alert_name, recorded.severity, recorded.status) == (
        "acme",
        "ECPTenantDown",
        "critical",
        "firing",
    )
    # Of Go's nine digits six are kept.
    assert (recorded.starts_at, recorded.ends_at) == (START, None)
    assert recorded.fingerprint == "c3b1a7d5e9f00112"


async def test_the_end_of_an_alert_is_new(client: Any, world: World) -> None:
    over = alert(status="resolved", endsAt="2026-03-02T09:30:00.5+09:00")
    _, answer = await ask(client, "POST", URL, body(alert(), over, alert(), status="resolved"))
    assert answer == counts(received=3, new=2, duplicates=1, firing=1, resolved=1, recoveries=1)
    assert world.external_alerts.recorded[1].ends_at == datetime(2026, 3, 2, 0, 30, 0, 500000, tzinfo=UTC)


async def test_the_same_alert_later_is_another(client: Any) -> None:
    for start in ("2026-03-02T08:59:00Z", "2026-03-02T10:00:00Z"):
        _, answer = await ask(client, "POST", URL, body(alert(startsAt=start)))
        assert answer["new"] == 1


async def test_an_alert_of_no_tenant_is_recorded_and_told_nobody(client: Any, world: World) -> None:
    with world.hub.listen(session("acme")) as acme:
        _, answer = await ask(client, "POST", URL, body(alert(labels={"alertname": "Watchdog"})))
        assert acme.take() == []
    assert answer == counts(received=1, new=1, firing=1)
    [recorded] = world.external_alerts.recorded
    assert (recorded.tenant_id, recorded.severity) == (None, "none")


async def test_alerts_of_others_are_ignored(aiohttp_client: Any, world: World) -> None:
    world.tenants.add("somebody-elses", key=4711)
    client = await aiohttp_client(make_app([webhooks], world, OUTSIDER))
    own = alert(labels={"alertname": "X", "tenant_id": "somebody-elses"}, fingerprint="f2")
    with world.hub.listen(session("acme")) as acme:
        _, answer = await ask(client, "POST", URL, body(alert(), own))
        assert acme.take() == []
    assert answer == counts(received=2, new=1, ignored=1, firing=1)
    assert [a.tenant_id for a in world.external_alerts.recorded] == ["somebody-elses"]


async def test_an_outsider_cannot_use_up_an_alert(aiohttp_client: Any, client: Any, world: World) -> None:
    outside = await aiohttp_client(make_app([webhooks], world, OUTSIDER))
    await ask(outside, "POST", URL, body(alert()))
    assert (await ask(client, "POST", URL, body(alert())))[1]["new"] == 1


async def test_no_alerts_are_fine(client: Any) -> None:
    assert await ask(client, "POST", URL, body()) == (200, counts())


async def test_what_newer_versions_add_is_ignored(client: Any) -> None:
    status, answer = await ask(client, "POST", URL, body(alert(added=1), notificationReason="x", extra={}))
    assert (status, answer["new"]) == (200, 1)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-02T08:59:00Z", START.replace(microsecond=0)),
        ("2026-03-02T08:59:00.123456Z", START), ("2026-03-02T08:59:00.1234567Z", START),
        ("2026-03-02T17:59:00.123456789+09:00", START), ("2026-03-02T08:59:00.123456999-00:00", START),
    ],
)  # fmt: skip
async def test_times_as_go_prints_them(client: Any, world: World, text: str, at: datetime) -> None:
    await ask(client, "POST", URL, body(alert(startsAt=text)))
    assert [a.starts_at for a in world.external_alerts.recorded] == [at]


async def test_text_that_a_database_cannot_hold_does_not_lose_the_alert(client: Any, world: World) -> None:
    labels = {"alertname": "a\x00b", "severity": "\x00", "tenant_id": "acme", "k\x00": "v\x00"}
    status, answer = await ask(client, "POST", URL, body(alert(labels=labels, annotations={"\x00": "\x00"})))
    assert (status, answer["new"]) == (200, 1), answer
    [recorded] = world.external_alerts.recorded
    assert (recorded.alert_name, recorded.labels["k\ufffd"]) == ("a\ufffdb", "v\ufffd")


def without(name: str) -> dict[str, Any]:
    return {k: v for k, v in alert().items() if k != name}


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ([], ""), ("text", ""), (5, ""), ({}, "version"), ({"version": "4"}, "alerts"),
        (body(alert(), version="3"), "version"), (body(alert(), version=4), "version"),
        ({"version": "4", "alerts": {}}, "alerts"), ({"version": "4", "alerts": None}, "alerts"),
        (body("x"), "alerts.0"), (body(alert(), 5), "alerts.1"),
        *((body(without(n)), f"alerts.0.{n}") for n in ("status", "labels", "startsAt", "fingerprint")),
        (body(alert(status="pending")), "alerts.0.status"), (body(alert(labels=[])), "alerts.0.labels"),
        (body(alert(labels={"tenant_id": 5})), "alerts.0.labels.tenant_id"),
        (body(alert(annotations={"summary": None})), "alerts.0.annotations.summary"),
        (body(alert(fingerprint="")), "alerts.0.fingerprint"),
        (body(alert(fingerprint="f" * 65)), "alerts.0.fingerprint"),
        (body(alert(fingerprint="f\x00")), "alerts.0.fingerprint"),
        *((body(alert(startsAt=t)), "alerts.0.startsAt") for t in (
            "", "soon", 5, None, "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+05:00",
            "9999-12-31T23:59:59-05:00",
        )),
        (body(alert(endsAt="later")), "alerts.0.endsAt"),
    ],
)  # fmt: skip
async def test_what_is_missing_or_wrong_is_named(client: Any, world: World, sent: Any, field: str) -> None:
    status, answer = await ask(client, "POST", URL, sent)
    assert status == 422
    assert field in fields_of(error_of(status, answer))
    assert world.external_alerts.recorded == []


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff"])
async def test_bodies_that_are_not_json(client: Any, raw: bytes) -> None:
    status, answer = await ask(client, "POST", URL, raw)
    assert (status, error_of(status, answer)["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"version": "\\ud800", "alerts": []}',
        b'{"version": "4", "alerts": [{"labels": {"\\ud800": "x"}}]}',
        b'{"version": "4", "alerts": [{"labels": {"x": "\\ud800"}, "fingerprint": "\\ud800"}]}',
    ],
)
async def test_half_surrogate_pairs_are_refused(client: Any, raw: bytes) -> None:
    status, answer = await ask(client, "POST", URL, raw)
    assert (status, error_of(status, answer)["code"]) == (422, "VALIDATION_FAILED")
