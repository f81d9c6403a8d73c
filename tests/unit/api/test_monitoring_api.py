"""Pushing and reading measurements (api.md §3), over real sockets with stores in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes import ADMIN, NOW, OUTSIDER, FakeSimulator, World, ago, ask, error_of, fields_of, make_app

from ecpmon.api import monitoring, pushing
from ecpmon.api.routing import Permission
from ecpmon.errors import DatabaseUnavailable, NotFound, SimulatorUnavailable
from ecpmon.model.samples import Source
from ecpmon.names import CANONICAL_METRICS
from ecpmon.ports.tokens import Caller
from ecpmon.settings import Settings
from ecpmon.wire import rfc3339

URL = "/api/v1/tenants/acme/monitoring"
SYSTEM = "/api/v1/monitoring/system"
GIB = 2**30
PUSHED = {"accepted": 6, "rejected": [], "rejected_count": 0, "timestamp": "2026-03-02T09:00:00Z"}


@pytest.fixture
def world() -> World:
    made = World(settings=Settings(max_batch=5, raw_retention_days=7))
    made.tenants.add("acme")
    return made


@pytest.fixture
async def client(world: World, aiohttp_client: Any) -> Any:
    return await aiohttp_client(make_app([pushing, monitoring], world))


def stored(world: World) -> dict[tuple[str, str], dict[Any, float]]:
    return {(kind, name): values for (_, _, kind, name), values in world.samples.stored.items()}


def test_who_may_do_what() -> None:
    assert {(r.method, r.path): r.permission for r in [*pushing.routes.table, *monitoring.routes.table]} == {
        ("POST", "/api/v1/tenants/{tenant_id}/monitoring"): Permission.INGEST,
        ("GET", "/api/v1/tenants/{tenant_id}/monitoring"): Permission.READ,
        ("GET", SYSTEM): Permission.READ,
    }


async def test_a_push_is_one_frame_of_canonical_series(client: Any, world: World) -> None:
    names = ["cpu", "memory_usage", "network_in", "storage_used", "up", "대기열"]
    status, body = await ask(client, "POST", URL, {"metrics": dict.fromkeys(names, 1)})
    assert (status, body) == (202, PUSHED)
    [batch] = world.samples.batches
    [frame] = batch.frames
    assert (frame.tenant_id, frame.source, frame.ts) == ("acme", Source.PUSH, NOW)
    assert [(s.key.metric_type, s.key.metric_name) for s in frame.samples] == [
        ("cpu", "cpu_usage"), ("memory", "memory_usage"), ("network", "network_in"),
        ("storage", "storage_used"), ("sla", "up"), ("custom", "대기열"),
    ]  # fmt: skip


async def test_a_list_is_committed_as_one_batch(client: Any, world: World) -> None:
    entries = [{"timestamp": rfc3339(ago(minutes=m)), "metrics": {"cpu": m}} for m in (3, 1, 2)]
    status, body = await ask(client, "POST", URL, entries)
    assert (status, body["accepted"], body["timestamp"]) == (202, 3, rfc3339(ago(minutes=1)))
    assert len(world.samples.batches) == 1
    assert stored(world)["cpu", "cpu_usage"] == {ago(minutes=m): m for m in (3, 1, 2)}


async def test_of_two_names_of_one_series_the_last_one_wins(client: Any, world: World) -> None:
    _, body = await ask(client, "POST", URL, b'{"metrics": {"cpu": 1, "cpu_usage": 2}}')
    assert body["accepted"] == 1
    assert stored(world) == {("cpu", "cpu_usage"): {NOW: 2.0}}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, NOW), ("2026-03-02T08:59:00", ago(minutes=1)), ("2026-03-02T17:59:00+09:00", ago(minutes=1)),
        ("2026-03-02 08:59", ago(minutes=1)), ("20260302T085900Z", ago(minutes=1)),
        ("2026-03-02T08:59:00.000000999Z", ago(minutes=1)), ("2026-03-02", ago(hours=9)),
        ("2026-03-02T08:59:00z", ago(minutes=1)),
        ("2026-02-23T09:00:00Z", ago(days=7)), ("2026-03-02T09:05:00Z", ago(minutes=-5)),
    ],
)  # fmt: skip
async def test_any_iso_8601_time_is_taken(client: Any, world: World, given: Any, meant: Any) -> None:
    status, body = await ask(client, "POST", URL, {"timestamp": given, "metrics": {"cpu": 1}})
    assert (status, body["rejected"], body["timestamp"]) == (202, [], rfc3339(meant))
    assert stored(world)["cpu", "cpu_usage"] == {meant: 1.0}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("2026-02-23T08:59:59Z", "too_old"), ("0001-01-01T00:00:00Z", "too_old"),
        ("2026-03-02T09:05:01Z", "in_the_future"), ("9999-12-31T23:59:59Z", "in_the_future"),
        ("yesterday", "bad_timestamp"), ("", "bad_timestamp"), ("2026-02-30T00:00:00Z", "bad_timestamp"),
        (1767225600, "bad_timestamp"), (True, "bad_timestamp"), ([], "bad_timestamp"), ({}, "bad_timestamp"),
        ("0001-01-01T00:00:00+05:00", "bad_timestamp"), ("9999-12-31T23:59:59-05:00", "bad_timestamp"),
    ],
)  # fmt: skip
async def test_an_entry_of_a_bad_time_is_rejected_and_the_rest_is_kept(
    client: Any, world: World, given: Any, reason: str
) -> None:
    entries = [{"timestamp": given, "metrics": {"cpu": 1, "queue": 2}}, {"metrics": {"memory": 3}}]
    status, body = await ask(client, "POST", URL, entries)
    assert (status, body["accepted"]) == (202, 1)
    assert [(r["metric"], r["reason"]) for r in body["rejected"]] == [("cpu", reason), ("queue", reason)]
    assert list(stored(world)) == [("memory", "memory_usage")]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        *(("x", v, "not_a_number") for v in (
            "NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400, "true", "null", '"5"', "[]", "{}",
        )),
        *(("x", v, "out_of_range") for v in ("1e308", "-1e308", "1.0000001e100", "-1" + "0" * 101)),
        *((n, "1", "bad_name") for n in ("", "x" * 101, "a\\nb", "a\\u0000b", "\\u200b", "\\ud800")),
    ],
)  # fmt: skip
async def test_what_is_no_measurement_is_rejected_and_the_rest_is_kept(
    client: Any, name: str, value: str, reason: str
) -> None:
    raw = f'{{"metrics": {{"{name}": {value}, "cpu": 1}}}}'
    status, body = await ask(client, "POST", URL, raw.encode())
    assert (status, body["accepted"]) == (202, 1), body
    [rejected] = body["rejected"]
    assert rejected["reason"] == reason
    if "\\ud800" not in name:  # half a surrogate pair cannot be said in UTF-8
        assert rejected["metric"] == json.loads(f'"{name}"')[:100]


@pytest.mark.parametrize(
    ("language", "said"), [("en", "must be a finite number"), ("ko-KR,ko;q=0.9", "유한한 숫자여야 합니다")]
)
async def test_why_a_sample_is_rejected_is_told_in_the_language_of_who_sent_it(
    client: Any, language: str, said: str
) -> None:
    headers = {"Accept-Language": language}
    async with client.post(URL, data=b'{"metrics": {"cpu": NaN}}', headers=headers) as answer:
        assert (await answer.json())["rejected"] == [
            {"metric": "cpu", "reason": "not_a_number", "message": said}
        ]


async def test_nothing_is_written_when_nothing_is_left(client: Any, world: World) -> None:
    status, body = await ask(client, "POST", URL, b'{"metrics": {"cpu": NaN}}')
    assert (status, body["accepted"], world.samples.batches) == (202, 0, [])


async def test_what_the_store_rejects_is_told(client: Any, world: World) -> None:
    world.samples._max_series = 1
    _, body = await ask(client, "POST", URL, b'{"metrics": {"a": 1, "b": 2, "c": "3"}}')
    assert body["accepted"] == 1
    assert {r["metric"]: r["reason"] for r in body["rejected"]} == {
        "b": "too_many_series",
        "c": "not_a_number",
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], ""), ("text", ""), (5, ""), ({}, "metrics"), ({"metrics": {}}, "metrics"),
        ({"metrics": []}, "metrics"), ({"metrics": None}, "metrics"), ([1], "0."), ([None], "0."),
        ([{"metrics": {"a": 1}}, {"metrics": {}}], "1.metrics"),
    ],
)  # fmt: skip
async def test_pushes_that_are_none(client: Any, world: World, body: Any, field: str) -> None:
    status, answer = await ask(client, "POST", URL, body)
    assert status == 422
    assert fields_of(error_of(status, answer)) == [field]
    assert world.samples.batches == []


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000])
async def test_bodies_that_are_not_json(client: Any, raw: bytes) -> None:
    status, answer = await ask(client, "POST", URL, raw)
    assert (status, error_of(status, answer)["code"]) == (400, "BAD_REQUEST")


async def test_a_batch_has_a_bound(client: Any, world: World) -> None:
    entry = {"metrics": {"cpu": 1}}
    assert (await ask(client, "POST", URL, [entry] * 5))[0] == 202
    status, answer = await ask(client, "POST", URL, [entry] * 6)
    assert (status, error_of(status, answer)["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_database_that_is_away_is_said_so(client: Any, world: World) -> None:
    world.samples.error = DatabaseUnavailable("away")
    for method, body in (("POST", {"metrics": {"cpu": 1}}), ("GET", None)):
        status, answer = await ask(client, method, URL, body)
        assert (status, error_of(status, answer)["code"]) == (503, "DATABASE_ERROR")


async def test_plots_are_by_type_where_a_type_has_one_name(client: Any) -> None:
    names = ["cpu", "memory", "gpu", "storage_used", "request_count", "response_time", "error_rate"]
    names += ["network_in", "network_out", "up", "queue", "storage"]
    push = {"timestamp": rfc3339(ago(minutes=1)), "metrics": dict.fromkeys(names, 2)}
    await ask(client, "POST", URL, push)
    _, body = await ask(client, "GET", URL)
    assert set(body["metrics"]) == {
        "cpu", "memory", "gpu", "storage", "request", "response", "error",
        "network_in", "network_out", "up", "queue", "custom.storage",
    }  # fmt: skip
    _, body = await ask(client, "GET", URL + "?metric_type=network")
    assert set(body["metrics"]) == {"network_in", "network_out"}


async def test_points_and_their_summary(client: Any) -> None:
    values = {12: 10.0, 11: 30.0, 2: 80.0}
    entries = [{"timestamp": rfc3339(ago(minutes=m)), "metrics": {"cpu": v}} for m, v in values.items()]
    await ask(client, "POST", URL, entries)
    status, body = await ask(client, "GET", URL + "?hours=1&interval=5m")
    assert status == 200
    shown = {
        "metrics": {
            "cpu": [
                {"timestamp": "2026-03-02T08:45:00Z", "value": 20.0},
                {"timestamp": "2026-03-02T08:55:00Z", "value": 80.0},
            ]
        },
        # Over three samples, not over two steps; the highest sample, not the highest average.
        "summary": {"avg_cpu": 40.0, "max_cpu": 80.0},
    }
    assert body == {
        "tenant_id": "acme",
        "time_range": {"start": "2026-03-02T08:00:00Z", "end": "2026-03-02T09:00:00Z"},
        "step_seconds": 300.0,
        **shown,
        "metric_sources": {"cpu": "push"},
        "sources": {"push": shown},
    }
    _, body = await ask(client, "GET", URL + "?hours=1&interval=1h")
    assert body["summary"] == {"avg_cpu": 40.0, "max_cpu": 80.0}


async def test_of_each_metric_the_evidence_is_shown_else_who_spoke_last(client: Any, world: World) -> None:
    world.tenants.add("mine", sli_source="simulator")
    said = {
        ("simulator", "cpu"): {40: 1.0}, ("push", "cpu"): {1: 2.0}, ("prometheus", "cpu"): {2: 3.0},
        ("prometheus", "memory"): {10: 4.0}, ("push", "memory"): {30: 5.0},
        ("push", "queue"): {30: 6.0}, ("prometheus", "queue"): {10: 7.0, 31: 8.0}, ("push", "lone"): {59: 9.0},
    }  # fmt: skip
    for (source, name), values in said.items():
        kind, metric = CANONICAL_METRICS.get(name, ("custom", name))
        key = ("mine", Source(source), kind, metric)
        world.samples.stored[key] = {ago(minutes=m): value for m, value in values.items()}
    _, body = await ask(client, "GET", "/api/v1/tenants/mine/monitoring?hours=1")
    assert body["metric_sources"] == {
        "cpu": "simulator", "memory": "prometheus", "queue": "prometheus", "lone": "push",
    }  # fmt: skip
    assert {k: [p["value"] for p in points] for k, points in body["metrics"].items()} == {
        "cpu": [1], "memory": [4], "queue": [8, 7], "lone": [9],
    }  # fmt: skip
    assert body["summary"]["avg_queue"] == 7.5
    everything = {
        (source, key): [p["value"] for p in points]
        for source, of in body["sources"].items()
        for key, points in of["metrics"].items()
    }
    assert everything == {where: [*values.values()][::-1] for where, values in said.items()}
    assert body["sources"]["push"]["summary"]["max_cpu"] == 2


@pytest.mark.parametrize(
    ("query", "start"),
    [
        ("hours=24", "2026-03-01T09:00:00Z"), ("hours=0.01&interval=15s", "2026-03-02T08:55:00Z"),
        ("hours=0.7&interval=1h", "2026-03-02T08:15:00Z"), ("hours=0.7&interval=1m", "2026-03-02T08:15:00Z"),
        ("hours=800.5&interval=1h", "2026-01-28T00:00:00Z"), ("hours=800.5&interval=1d", "2026-01-28T00:00:00Z"),
    ],
)  # fmt: skip
async def test_at_every_interval_a_window_begins_with_a_whole_rollup(
    client: Any, query: str, start: str
) -> None:
    assert (await ask(client, "GET", f"{URL}?{query}"))[1]["time_range"]["start"] == start


async def test_a_tenant_without_data_has_empty_plots(client: Any) -> None:
    _, body = await ask(client, "GET", URL)
    assert (body["metrics"], body["summary"]) == ({}, {})
    assert body["time_range"]["start"] == rfc3339(ago(hours=24))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("metric_type=disk", "metric_type"), ("metric_type=", "metric_type"), ("interval=2m", "interval"),
        ("interval=", "interval"), ("hours=0", "hours"), ("hours=-1", "hours"), ("hours=nan", "hours"),
        ("hours=inf", "hours"), ("hours=x", "hours"), ("hours=", "hours"), ("hours=18601", "hours"),
        ("hours=184&interval=1m", "interval"), ("hours=18600&interval=5m", "interval"),
    ],
)  # fmt: skip
async def test_reads_that_make_no_sense(client: Any, query: str, field: str) -> None:
    status, answer = await ask(client, "GET", f"{URL}?{query}")
    assert status == 422
    assert fields_of(error_of(status, answer)) == [field]


@pytest.mark.parametrize(
    "query", ["hours=183&interval=1m", "hours=18600&interval=1d", "hours=0.01&interval=15s"]
)
async def test_reads_within_the_bounds(client: Any, query: str) -> None:
    assert (await ask(client, "GET", f"{URL}?{query}"))[0] == 200


@pytest.mark.parametrize("name", ["acme", "nobody", "Not%20A%20Name", "x" * 300])
async def test_an_outsider_finds_nothing(aiohttp_client: Any, world: World, name: str) -> None:
    client = await aiohttp_client(make_app([pushing, monitoring], world, OUTSIDER))
    for method, body in (("POST", {"metrics": {"cpu": 1}}), ("GET", None)):
        status, answer = await ask(client, method, f"/api/v1/tenants/{name}/monitoring", body)
        assert (status, error_of(status, answer)["code"]) == (404, "TENANT_NOT_FOUND")
    assert world.samples.batches == []


async def test_a_deleted_tenant_takes_no_more(client: Any, world: World) -> None:
    await world.tenants.delete(await world.tenants.get("acme"), NOW)
    assert (await ask(client, "POST", URL, {"metrics": {"cpu": 1}}))[0] == 404


def cluster(*ready: bool) -> dict[str, Any]:
    amounts = {"cpu_millicores": 64_000, "memory_bytes": 256 * GIB, "gpu": 8}
    used = {"cpu_millicores": 16_000, "memory_bytes": 64 * GIB, "gpu": 1}
    shares = {"cpu_millicores": 25.0, "memory_bytes": 25.0, "gpu": 12.5}
    nodes = [{"name": f"n{i}", "ready": r} for i, r in enumerate(ready)]
    return {"nodes": nodes, "capacity": amounts, "used": used, "utilization": shares}


async def system(aiohttp_client: Any, world: World, caller: Caller = ADMIN) -> tuple[int, Any]:
    return await ask(await aiohttp_client(make_app([pushing, monitoring], world, caller)), "GET", SYSTEM)


@pytest.mark.parametrize(
    ("ready", "status"),
    [((True, True), "healthy"), ((True, False), "degraded"), ((False, False), "critical"), ((), "critical")],
)
async def test_the_cluster_as_a_whole(
    aiohttp_client: Any, world: World, ready: tuple[bool, ...], status: str
) -> None:
    world.simulator = FakeSimulator(cluster(*ready))
    world.tenants.add("idle", status="pending")
    assert (await system(aiohttp_client, world)) == (
        200,
        {
            "cluster_status": status,
            "total_tenants": 2,
            "active_tenants": 1,
            "total_resources": {"cpu": "64000m", "memory": "256Gi", "gpu": 8},
            "used_resources": {"cpu": "16000m", "memory": "64Gi", "gpu": 1},
            "utilization": {"cpu": 25.0, "memory": 25.0, "gpu": 12.5},
        },
    )


@pytest.mark.parametrize(
    ("tenants", "counted"), [(None, 2), (frozenset({1}), 1), (frozenset({3}), 0), (frozenset(), 0)]
)
async def test_only_tenants_the_caller_may_see_are_counted(
    aiohttp_client: Any, world: World, tenants: frozenset[int] | None, counted: int
) -> None:
    world.simulator = FakeSimulator(cluster(True))
    world.tenants.add("other")
    await world.tenants.delete(world.tenants.add("gone"), NOW)
    _, body = await system(aiohttp_client, world, Caller("c", frozenset({"viewer"}), tenants))
    assert (body["total_tenants"], body["active_tenants"]) == (counted, counted)
    # And nobody else's use of the cluster is.
    assert world.simulator.among == [None if tenants is None else [t for t in ("acme",) if t in tenants]]


@pytest.mark.parametrize(
    "simulator",
    [
        None,
        FakeSimulator(error=SimulatorUnavailable("it does not answer")),
        FakeSimulator(error=NotFound("something else listens there")),
        FakeSimulator({}), FakeSimulator({"items": []}), FakeSimulator({**cluster(True), "capacity": None}),
        FakeSimulator({**cluster(True), "nodes": [1]}), FakeSimulator({**cluster(True), "utilization": []}),
        FakeSimulator({**cluster(True), "used": {"memory_bytes": "64Gi"}}),
    ],
)  # fmt: skip
async def test_a_cluster_that_cannot_be_asked(
    aiohttp_client: Any, world: World, simulator: FakeSimulator | None
) -> None:
    world.simulator = simulator
    status, answer = await system(aiohttp_client, world)
    assert (status, error_of(status, answer)["code"]) == (503, "MONITORING_UNAVAILABLE")
