"""Prometheus remote write over HTTP: what is stored, whose it is, and what is answered."""

from __future__ import annotations

from typing import Any

import cramjam
import pytest

from ecpmon.api.agents import MEMORY
from ecpmon.api.limits import LIMITS
from ecpmon.api.remote_write import PATHS
from tests.integration.api.conftest import NOW, Service
from tests.remote_write import STALE, histogram, metadata, nested, packed, request_v2, series, varint

T = int(NOW.timestamp() * 1000)
V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


@pytest.fixture
def service_settings() -> dict[str, Any]:
    return {"max_series_per_tenant": 50}


async def send(
    service: Service, body: bytes, who: str | None = "ingest", path: str = "/api/v1/write", **headers: str
) -> tuple[int, Any, Any]:
    """Headers by name, with `_` for `-`."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    usual = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    return await service.ask("POST", path, body, who=who, **usual | given)


async def stored(service: Service, tenant: str) -> list[tuple[str, dict[str, str], float, float]]:
    rows = await service.runtime.database.fetch(
        'SELECT metric_name, labels, metric_value, extract(epoch FROM "timestamp" - $2)::float8 AS at'
        " FROM monitoring_data WHERE tenant_id = $1 ORDER BY 1, 2, 4",
        tenant,
        NOW,
    )
    return [(r["metric_name"], r["labels"], r["metric_value"], r["at"]) for r in rows]


async def test_series_are_stored_for_the_tenants_that_their_label_names(service: Service) -> None:
    one, other = await service.tenant(), await service.tenant()
    body = packed(
        metadata("up")
        + series({"__name__": "up", "job": "x", "tenant_id": one}, (1.0, T - 30_000), (0.0, T - 15_000))
        + series({"__name__": "cpu", "tenant_id": one}, (12.5, T - 30_000))
        + series({"__name__": "cpu", "tenant_id": other}, (3.0, T - 29_999))
        + series({"__name__": "go_threads", "instance": "nobody's"}, (9.0, T))
        + series({"__name__": "cpu", "tenant_id": "no-such-tenant"}, (9.0, T))
    )
    for _ in range(2):  # the second time every series is known, and nothing is stored twice
        assert (await send(service, body))[0] == 204
        assert await stored(service, one) == [
            ("cpu_usage", {}, 12.5, -30.0),
            ("up", {"job": "x"}, 1.0, -30.0),
            ("up", {"job": "x"}, 0.0, -15.0),
        ]
        assert await stored(service, other) == [("cpu_usage", {}, 3.0, -29.999)]


async def test_a_series_without_further_labels_is_the_evidence_of_a_tenant_that_pushes(
    service: Service,
) -> None:
    name = await service.tenant(sli_source="push")
    body = packed(series({"__name__": "up", "tenant_id": name}, (1.0, T - 120_000), (0.0, T - 60_000)))
    assert (await send(service, body))[0] == 204
    _, sla, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla")
    assert sla["state"] == "down"


async def test_what_comes_late_out_of_turn_and_again_changes_nothing_but_what_it_says(
    service: Service,
) -> None:
    """vmagent keeps no order after an outage: 1 5 … 2 17 3."""
    labels = {"__name__": "requests_total", "tenant_id": await service.tenant()}
    for second in (1, 5, 4, 2, 17, 3, 5, 17):
        assert (await send(service, packed(series(labels, (float(second), T - 60_000 + second * 1000)))))[
            0
        ] == 204
    found = await stored(service, labels["tenant_id"])
    assert [(value, at) for _, _, value, at in found] == [(s, s - 60.0) for s in (1, 2, 3, 4, 5, 17)]


@pytest.mark.parametrize("path", PATHS)
async def test_agents_find_it_where_they_look(service: Service, path: str) -> None:
    name = await service.tenant()
    body = packed(series({"__name__": "cpu", "tenant_id": name}, (1.0, T)))
    assert (await send(service, body, path=path))[0] == 204
    assert len(await stored(service, name)) == 1


@pytest.mark.parametrize("encoding", ["snappy", "zstd"])
async def test_an_empty_body_is_an_empty_request(service: Service, encoding: str) -> None:
    for body in (b"", packed(b"") if encoding == "snappy" else bytes(cramjam.zstd.compress(b""))):
        assert (await send(service, body, Content_Encoding=encoding))[0] == 204


async def test_victoriametrics_packs_by_zstd(service: Service) -> None:
    name = await service.tenant()
    body = series({"__name__": "cpu", "tenant_id": name}, (7.0, T))
    sent = await send(
        service,
        bytes(cramjam.zstd.compress(body)),
        Content_Encoding="zstd",
        X_VictoriaMetrics_Remote_Write_Version="1",
    )
    assert sent[0] == 204
    assert await stored(service, name) == [("cpu_usage", {}, 7.0, 0.0)]


BOMB = varint(2**31) + b"\x00" * 50


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"\x05abc", {}, 400, "malformed"),
        (BOMB, {}, 400, "too_large"),
        (bytes(cramjam.zstd.compress(b"\0" * 300_000)), {"Content_Encoding": "zstd"}, 400, "too_large"),
        (b"no zstd", {"Content_Encoding": "zstd"}, 400, "malformed"),
        (packed(b"\x0a\x05\x0a"), {}, 400, "malformed"),
        (b"\0" * 200_001, {}, 400, "payload_too_large"),
        (packed(b""), {"Content_Encoding": "gzip"}, 415, None),
        (packed(b""), {"Content_Encoding": "snappy, snappy"}, 415, None),
        (packed(b""), {"Content_Type": "application/json"}, 415, None),
        (packed(b""), {"Content_Type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"}, 415, None),
    ],
)  # fmt: skip
async def test_what_will_never_do_is_400_or_415_and_nothing_of_it_is_stored(
    service: Service, body: bytes, headers: dict[str, str], status: int, reason: str | None
) -> None:
    found, answer, _ = await send(service, body, **headers)
    assert (found, answer["error"]["details"].get("reason")) == (status, reason), answer


async def test_a_body_that_breaks_off_in_the_middle_stores_nothing(service: Service) -> None:
    name = await service.tenant()
    whole = series({"__name__": "cpu", "tenant_id": name}, (1.0, T))
    assert (await send(service, packed(whole + whole[:-3])))[0] == 400
    assert await stored(service, name) == []


async def test_samples_that_will_never_do_are_told_and_cost_no_other(service: Service) -> None:
    name = await service.tenant()
    body = packed(
        series(
            {"__name__": "cpu", "tenant_id": name}, (1.0, T), (2.0, T + 400_000), (3.0, T - 30 * 86_400_000)
        )
        + series({"__name__": "x" * 101, "tenant_id": name}, (1.0, T))
    )
    status, answer, _ = await send(service, body)
    assert status == 400
    assert answer["error"]["details"] == {
        "reason": "partly_refused",
        "accepted": 1,
        "left_out": {"bad_name": 1, "in_the_future": 1, "too_old": 1},
        "metrics": ["x" * 100],
    }
    assert len(await stored(service, name)) == 1


async def test_series_past_the_tenants_bound_are_refused_and_its_others_stored(service: Service) -> None:
    name = await service.tenant()
    most = service.runtime.ingest._series._max
    names = [series({"__name__": f"m{n}", "tenant_id": name}, (1.0, T)) for n in range(most + 3)]
    status, answer, _ = await send(service, packed(b"".join(names)))
    assert (status, answer["error"]["details"]["left_out"]) == (400, {"too_many_series": 3})
    assert len(await stored(service, name)) == most
    other = await service.tenant()
    assert (await send(service, packed(series({"__name__": "m", "tenant_id": other}, (1.0, T)))))[0] == 204


async def test_a_token_of_one_tenant_needs_no_label_and_reaches_no_other(service: Service) -> None:
    own, other = await service.tenant(), await service.tenant()
    await service.token("of-one", ["ingest"], [own])
    body = packed(
        series({"__name__": "cpu"}, (1.0, T)) + series({"__name__": "cpu", "tenant_id": other}, (2.0, T))
    )
    assert (await send(service, body, who="of-one"))[0] == 204
    assert await stored(service, own) == [("cpu_usage", {}, 1.0, 0.0)]
    assert await stored(service, other) == []


async def test_a_header_names_the_tenant_for_all_if_the_caller_may_see_it(service: Service) -> None:
    own, other = await service.tenant(), await service.tenant()
    await service.token("of-own", ["ingest"], [own])
    body = packed(series({"__name__": "cpu"}, (1.0, T)))
    assert (await send(service, body, X_Scope_OrgID=own))[0] == 204
    assert await stored(service, own) == [("cpu_usage", {}, 1.0, 0.0)]
    answers = []
    for name in (other, "no-such-tenant", "Not A Name"):
        status, answer, _ = await send(service, body, who="of-own", X_Scope_OrgID=name)
        answers.append(
            (status, answer["error"]["message"].replace(name, "x"), answer["error"]["details"]["reason"])
        )
    assert answers == [(400, "there is no tenant 'x'", "tenant_not_found")] * 3
    assert await stored(service, other) == []


async def test_an_outsider_stores_nothing_and_learns_nothing(service: Service) -> None:
    name = await service.tenant()
    for told in (name, "no-such-tenant"):
        body = packed(series({"__name__": "cpu", "tenant_id": told}, (1.0, T)))
        assert (await send(service, body, who="outsider"))[:2] == (204, "")
    assert await stored(service, name) == []


async def test_a_new_tenant_of_an_old_name_gets_what_is_sent_from_then_on(service: Service) -> None:
    name = await service.tenant()
    body = packed(series({"__name__": "cpu", "tenant_id": name}, (1.0, T)))
    assert (await send(service, body))[0] == 204
    assert (await service.ask("DELETE", f"/api/v1/tenants/{name}"))[0] == 202
    assert (await send(service, body))[0] == 204
    await service.tenant(tenant_id=name)
    assert await stored(service, name) == []
    assert (await send(service, body))[0] == 204
    assert len(await stored(service, name)) == 1


async def test_a_limit_is_503_with_a_small_retry_after(service: Service) -> None:
    """Prometheus drops what is answered 429, and waits as long as it is told."""
    name = await service.tenant()
    body = packed(series({"__name__": "cpu", "tenant_id": name}, (1.0, T)))
    service.app[LIMITS].samples.charge(f"tenant False {name}", 10_000_000, service.clock.now())
    status, answer, headers = await send(service, body)
    assert (status, answer["error"]["code"]) == (503, "OVERLOADED")
    assert 1 <= int(headers["Retry-After"]) <= 5
    assert await stored(service, name) == []


async def test_version_two_is_told_what_was_written(service: Service) -> None:
    name = await service.tenant()
    rt = {"__name__": "rt", "tenant_id": name}
    body = packed(
        request_v2(
            ({"__name__": "cpu", "tenant_id": name}, [(1.0, T), (STALE, T + 1)], b"\x30" + varint(T - 5)),
            (rt, [], nested(3, histogram(T, 6, 0, [(0, 3)], [1, 2, -1]))),
            (rt, [], nested(3, histogram(T, 6, -53, [(0, 3)], [1, 2, -1]))),
            ({"__name__": "x", "tenant_id": name}, [(1.0, T + 400_000)], nested(4, b"")),
        )
    )
    status, answer, headers = await send(
        service, body, Content_Type=V2, X_Prometheus_Remote_Write_Version="2.0.0"
    )
    assert (status, answer["error"]["details"]["left_out"]) == (
        400,
        {"exemplar": 1, "histogram": 1, "in_the_future": 1, "stale": 1},
    )
    told = [
        headers[f"X-Prometheus-Remote-Write-{what}-Written"]
        for what in ("Samples", "Histograms", "Exemplars")
    ]
    assert told == ["2", "1", "0"]
    assert {("rt_count", 6.0), ("cpu_usage", 1.0)} <= {(n, v) for n, _, v, _ in await stored(service, name)}


async def test_what_is_left_out_is_counted(service: Service) -> None:
    _, before, _ = await service.ask("GET", "/metrics", who="admin")
    body = packed(series({"__name__": "cpu"}, (1.0, T), (2.0, T + 1)))
    assert (await send(service, body))[0] == 204
    _, after, _ = await service.ask("GET", "/metrics", who="admin")
    line = 'ecpmon_ingest_rejected_samples_total{reason="no_tenant"} '
    counts = [float(page.partition(line)[2].partition("\n")[0] or 0) for page in (before, after)]
    assert counts[1] - counts[0] == 2


async def test_memory_that_is_full_begins_anew(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    name = await service.tenant()
    monkeypatch.setattr("ecpmon.agents.memory.MOST", 3)
    for number in range(5):
        body = series({"__name__": f"m{number}", "tenant_id": name}, (1.0, T))
        assert (await send(service, packed(body)))[0] == 204
    assert len(service.app[MEMORY][0].keys) <= 3
    assert len(await stored(service, name)) == 5
