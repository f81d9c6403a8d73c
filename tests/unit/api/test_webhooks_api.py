"""Alerts from Alertmanager (api.md §5), over real sockets with stores in memory."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes import OUTSIDER, World, ask, error_of, fields_of, make_app
from socket_world import kept, session

from ecpmon.api import webhooks
from ecpmon.api.alertmanager import message_of
from ecpmon.api.context import CONTEXT
from ecpmon.api.routing import Permission
from ecpmon.ports.tokens import Caller
from ecpmon.settings import Settings
from tests.cost import at_most, unit

URL = "/api/v1/webhooks/tenant-alert"
JSON = {"Content-Type": "application/json"}
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


def counts(no_tenant: int = 0, unknown_tenant: int = 0, **told: Any) -> dict[str, Any]:
    names = ("received", "new", "duplicates", "ignored", "firing", "resolved", "recoveries")
    names += ("rejected_count", "left", "truncated")
    why = {"no_tenant": no_tenant, "unknown_tenant": unknown_tenant}
    return {
        "status": "processed",
        **dict.fromkeys(names, 0),
        "rejected": [],
        "ignored": no_tenant + unknown_tenant,
        "ignored_reasons": why,
        **told,
    }


def test_who_may_do_what() -> None:
    assert [(r.method, r.path, r.permission) for r in webhooks.routes.table] == [
        ("POST", URL, Permission.OPERATE)
    ]


async def test_an_alert_is_recorded_and_told_once(client: Any, world: World) -> None:
    with world.hub.listen(session("acme")) as (_, acme), world.hub.listen(session("other")) as (_, other):
        assert await ask(client, "POST", URL, body(alert())) == (
            200,
            counts(received=1, new=1, firing=1, recoveries=1),
        )
        assert await ask(client, "POST", URL, body(alert())) == (200, counts(received=1, duplicates=1))
        [told] = kept(acme)
        assert kept(other) == []
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


async def test_of_a_key_that_stands_twice_the_last_value_counts(client: Any) -> None:
    """Refusing would lose every alert beside it."""
    twice = json.dumps(body(alert())).replace(
        '"truncatedAlerts": 0', '"truncatedAlerts": 7, "truncatedAlerts": 0'
    )
    assert (await ask(client, "POST", URL, twice.encode()))[1]["new"] == 1


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
    with world.hub.listen(session("acme")) as (_, acme):
        _, answer = await ask(client, "POST", URL, body(alert(labels={"alertname": "Watchdog"})))
        assert kept(acme) == []
    assert answer == counts(received=1, new=1, firing=1)
    [recorded] = world.external_alerts.recorded
    assert (recorded.tenant_id, recorded.severity) == (None, "none")


async def test_alerts_of_others_are_ignored(aiohttp_client: Any, world: World) -> None:
    world.tenants.add("somebody-elses", key=4711)
    client = await aiohttp_client(make_app([webhooks], world, OUTSIDER))
    own = alert(labels={"alertname": "X", "tenant_id": "somebody-elses"}, fingerprint="f2")
    with world.hub.listen(session("acme")) as (_, acme):
        _, answer = await ask(client, "POST", URL, body(alert(), own))
        assert kept(acme) == []
    assert answer == counts(received=2, new=1, unknown_tenant=1, firing=1)
    assert [a.tenant_id for a in world.external_alerts.recorded] == ["somebody-elses"]


async def test_an_alert_that_names_no_tenant_is_that_of_the_only_tenant_its_sender_has(
    aiohttp_client: Any, world: World
) -> None:
    world.tenants.add("somebody-elses", key=4711)
    client = await aiohttp_client(make_app([webhooks], world, OUTSIDER))
    nameless = alert(labels={"alertname": "ECPTenantDown"})
    with (
        world.hub.listen(session("somebody-elses", number=4711)) as (_, own),
        world.hub.listen(session("acme")) as (_, acme),
    ):
        _, answer = await ask(client, "POST", URL, body(nameless))
        assert ([m["tenant_id"] for m in kept(own)], kept(acme)) == (["somebody-elses"], [])
    assert answer == counts(received=1, new=1, firing=1, recoveries=1)
    assert [a.tenant_id for a in world.external_alerts.recorded] == ["somebody-elses"]


@pytest.mark.parametrize("tenants", [("acme", "beta"), ()])
async def test_an_alert_that_names_no_tenant_is_nobodys_when_its_sender_has_several(
    aiohttp_client: Any, world: World, tenants: tuple[str, ...]
) -> None:
    keys = {"acme": 1, "beta": world.tenants.add("beta").key}
    some = Caller("some", frozenset({"operator"}), frozenset(keys[t] for t in tenants), frozenset(tenants))
    client = await aiohttp_client(make_app([webhooks], world, some))
    _, answer = await ask(client, "POST", URL, body(alert(labels={"alertname": "Watchdog"})))
    assert answer == counts(received=1, no_tenant=1)
    assert world.external_alerts.recorded == []


async def test_an_alert_of_a_tenant_that_does_not_exist_is_not_taken_from_its_operator(
    aiohttp_client: Any, world: World
) -> None:
    client = await aiohttp_client(make_app([webhooks], world, OUTSIDER))
    ghost = alert(labels={"alertname": "X", "tenant_id": "somebody-elses"})
    assert (await ask(client, "POST", URL, body(ghost)))[1] == counts(received=1, unknown_tenant=1)


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


@pytest.mark.parametrize(
    ("text", "year"), [
        ("0001-01-01T00:00:00Z", 1970), ("0001-01-01T00:00:00+05:00", 1970),
        ("9999-12-31T23:59:59Z", 2199), ("9999-12-31T23:59:59-05:00", 2199),
    ],
)  # fmt: skip
async def test_of_a_time_that_cannot_be_the_nearest_is_taken(
    client: Any, world: World, text: str, year: int
) -> None:
    await ask(client, "POST", URL, body(alert(startsAt=text)))
    assert [a.starts_at.year for a in world.external_alerts.recorded] == [year]


async def test_text_that_a_database_cannot_hold_does_not_lose_the_alert(client: Any, world: World) -> None:
    labels = {"alertname": "a\x00b", "severity": "\x00", "tenant_id": "acme", "k\x00": "v\x00", "s": "\ud83d"}
    raw = json.dumps(body(alert(labels=labels, annotations={"\x00": "\x00"})))
    async with client.post(URL, data=raw, headers={"Content-Type": "application/json"}) as response:
        status, answer = response.status, await response.json()
    assert (status, answer["new"]) == (200, 1), answer
    [recorded] = world.external_alerts.recorded
    assert (recorded.alert_name, recorded.labels["k\ufffd"]) == ("a\ufffdb", "v\ufffd")
    assert recorded.labels["s"] == "\ufffd"


def without(name: str) -> dict[str, Any]:
    return {k: v for k, v in alert().items() if k != name}


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ([], ""), ("text", ""), (5, ""), ({}, "version"), ({"version": "4"}, "alerts"),
        (body(alert(), version="3"), "version"), (body(alert(), version=4), "version"),
        ({"version": "4", "alerts": {}}, "alerts"), ({"version": "4", "alerts": None}, "alerts"),
        (body("x"), "alerts.0"),
        *((body(without(n)), f"alerts.0.{n}") for n in ("status", "labels", "startsAt", "fingerprint")),
        (body(alert(status="pending")), "alerts.0.status"), (body(alert(labels=[])), "alerts.0.labels"),
        (body(alert(labels={"tenant_id": 5})), "alerts.0.labels.tenant_id"),
        (body(alert(annotations={"summary": None})), "alerts.0.annotations.summary"),
        (body(alert(fingerprint="")), "alerts.0.fingerprint"),
        (body(alert(fingerprint="f" * 65)), "alerts.0.fingerprint"),
        (body(alert(fingerprint="f\x00")), "alerts.0.fingerprint"),
        *((body(alert(startsAt=t)), "alerts.0.startsAt") for t in (
            "", "soon", 5, None, "2026-02-30T00:00:00Z", "20026-11-27T00:00:00Z",
        )),
        (body(alert(endsAt="later")), "alerts.0.endsAt"),
    ],
)  # fmt: skip
async def test_what_is_missing_or_wrong_is_named(client: Any, world: World, sent: Any, field: str) -> None:
    status, answer = await ask(client, "POST", URL, sent)
    assert status == 422
    assert field in fields_of(error_of(status, answer))
    assert world.external_alerts.recorded == []


async def test_alerts_that_cannot_be_taken_cost_the_others_nothing(client: Any, world: World) -> None:
    bad = alert(startsAt="soon")
    sent = body(5, alert(), *[bad] * 30, alert(fingerprint="f2"), alert(fingerprint="\udc00"))
    raw = json.dumps(sent)
    async with client.post(URL, data=raw, headers={"Content-Type": "application/json"}) as response:
        answer = await response.json()
    named, answer["rejected"] = answer["rejected"], []
    assert answer == counts(received=34, new=2, firing=2, recoveries=2, rejected_count=32)
    assert [r["field"] for r in named] == ["alerts.0", *(f"alerts.{n}.startsAt" for n in range(2, 21))]
    assert [a.fingerprint for a in world.external_alerts.recorded] == [alert()["fingerprint"], "f2"]


@pytest.mark.parametrize("where", ["labels", "annotations"])
@pytest.mark.parametrize("value", [0, "text", {"deep": 1}])
async def test_an_alert_with_too_many_labels_is_refused_before_each_is_looked_at(
    client: Any, world: World, where: str, value: Any
) -> None:
    wide = alert(**{where: {f"{n}": value for n in range(12_000)}})
    status, answer = await ask(client, "POST", URL, body(alert(), wide, alert(fingerprint="f2")))
    assert (status, answer["new"], answer["rejected_count"]) == (200, 2, 1)
    assert answer["rejected"] == [
        {"field": f"alerts.1.{where}", "message": "has more than 200 members"}
    ] or answer["rejected"] == [{"field": "alerts.1", "message": "has more than 10000 members in all"}]
    rejected = client.app[CONTEXT].telemetry.external_alerts.labels("rejected")
    assert rejected._value.get() == 1


async def test_what_a_wide_alert_costs_is_no_more_than_reading_it() -> None:
    wide = alert(labels={f"{n}": 0 for n in range(20_000)})
    assert len(json.dumps(wide)) < 256 * 1024
    sent = json.dumps(body(alert(), *[wide] * 10)).encode()
    with at_most(25):  # 8 were measured; 70 when each label was complained about
        message = await message_of(sent)
    assert message.refused_count == 10


@pytest.fixture
def settled() -> Iterator[None]:
    """As `app.process.settle` leaves it: collections do not look at what other tests have made."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("settled")
async def test_ten_thousand_alerts_hold_the_loop_a_little_at_a_time(client: Any, world: World) -> None:
    sent = json.dumps(body(*(alert(fingerprint=f"f{n}") for n in range(10_000)))).encode()
    answering = asyncio.create_task(client.post(URL, data=io.BytesIO(sent), headers=JSON))
    steps, before = [], unit()
    with world.hub.listen(session("acme")) as (_, listener):
        while not answering.done():
            began = time.thread_time()
            await asyncio.sleep(0)
            steps.append(time.thread_time() - began)
        assert listener.closed, "it was told more than is kept for it"
    answer = await answering
    assert (answer.status, (await answer.json())["error"]["details"]["received"]) == (503, 10_000)
    # A turn is that of the server and of the client; 0.9 units of 5 to 10 ms were measured.
    assert max(steps) <= 3 * max(before, unit())


async def test_what_alertmanager_left_out_itself_is_said(client: Any) -> None:
    assert (await ask(client, "POST", URL, body(truncatedAlerts=17)))[1] == counts(truncated=17)
    status, refused = (await ask(client, "POST", URL, body(truncatedAlerts=False)))[:2]
    assert (status, fields_of(error_of(status, refused))) == (422, ["truncatedAlerts"])


async def test_the_rest_of_a_long_message_is_taken_when_it_comes_again(
    aiohttp_client: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "ALERTS_PER_COMMIT", 4)
    world.settings = Settings(max_alerts=10)
    client = await aiohttp_client(make_app([webhooks], world))
    sent = body(*(alert(fingerprint=f"f{n}") for n in range(25)))
    seen = []
    with world.hub.listen(session("acme")) as (_, acme):
        for _ in range(3):
            status, answer = await ask(client, "POST", URL, sent)
            told = answer if status == 200 else error_of(status, answer)["details"]
            seen.append((status, told["new"], told["duplicates"], told["left"]))
        assert [m["alert_id"] for m in kept(acme)] == [f"f{n}" for n in range(25)]
    assert seen == [(503, 10, 0, 15), (503, 10, 10, 5), (200, 5, 20, 0)]
    assert len(world.recoveries.begun) == 25
    assert (await ask(client, "POST", URL, sent))[1] == counts(received=25, duplicates=25)


async def test_alerts_are_limited_over_time_and_repeated_ones_count_a_tenth(
    aiohttp_client: Any, world: World
) -> None:
    world.settings = Settings(max_alerts_per_second=10)  # 40 at once
    client = await aiohttp_client(make_app([webhooks], world))
    first = body(*(alert(fingerprint=f"f{n}") for n in range(39)))
    assert (await ask(client, "POST", URL, first))[0] == 200
    assert (await ask(client, "POST", URL, first))[0] == 200  # 1 - 3.9
    status, answer = await ask(client, "POST", URL, first)
    assert error_of(status, answer)["code"] == "RATE_LIMITED"
    world.clock.instant += timedelta(seconds=0.5)
    assert (await ask(client, "POST", URL, first))[0] == 200


async def test_whoever_has_used_up_his_share_still_gets_on_with_every_request_that_is_let_in(
    aiohttp_client: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "ALERTS_PER_COMMIT", 30)
    world.settings = Settings(max_alerts_per_second=10)  # 40 at once
    client = await aiohttp_client(make_app([webhooks], world))
    sent = body(*(alert(fingerprint=f"f{n}") for n in range(900)))
    left = []
    while not left or left[-1]:
        status, answer = await ask(client, "POST", URL, sent)
        told = answer if status == 200 else error_of(status, answer)["details"]
        left.append(told["left"])
        world.clock.instant += timedelta(seconds=20)
    assert left[:2] == [840, 780]
    assert left == sorted(set(left), reverse=True)
    assert len(world.external_alerts.recorded) == 900


async def test_only_what_is_needed_of_a_message_is_looked_at(client: Any) -> None:
    # Of its tenants, any may have labels that nobody can store.
    sent = body(alert(), groupLabels={"a\x00": "\x00"}, **{"": 5, "added": {"deep": [2**80]}})
    assert (await ask(client, "POST", URL, sent))[1]["new"] == 1


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
