"""OTLP metrics from the real OpenTelemetry SDK, and batches as a Collector makes them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest

from tests.integration.api.conftest import NOW, Service
from tests.integration.api.test_remote_write import stored

NS = int(NOW.timestamp()) * 10**9


@contextmanager
def instruments(service: Service, tenant: str, *, delta: bool = False) -> Iterator[tuple[Any, Any]]:
    """A meter of the SDK whose exporter sends to `service`, and its provider."""
    sdk = import_module("opentelemetry.sdk.metrics")
    export = import_module("opentelemetry.sdk.metrics.export")
    http = import_module("opentelemetry.exporter.otlp.proto.http.metric_exporter")
    resource = import_module("opentelemetry.sdk.resources").Resource
    temporality = export.AggregationTemporality.DELTA if delta else export.AggregationTemporality.CUMULATIVE
    exporter = http.OTLPMetricExporter(
        endpoint=f"{service.url}/v1/metrics",
        headers=service.headers("ingest"),
        preferred_temporality=dict.fromkeys((sdk.Counter, sdk.Histogram), temporality),
    )
    reader = export.PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
    about = resource.create({"service.name": "callbot", "service.instance.id": "i1", "tenant.id": tenant})
    provider = sdk.MeterProvider([reader], about)
    try:
        yield provider.get_meter("a test"), provider
    finally:
        provider.shutdown(timeout_millis=1_000)


@pytest.fixture
async def present(service: Service) -> Service:
    """The SDK tells the time itself: the service's clock is put to it."""
    from datetime import UTC, datetime

    service.clock.advance((datetime.now(UTC) - service.clock.now()).total_seconds() + 5)
    for who in ("admin", "ingest"):
        await service.token(who, [who])
    return service


@pytest.mark.parametrize("delta", [False, True])
async def test_what_the_sdk_measures_arrives(present: Service, delta: bool) -> None:
    name = await present.tenant()

    def measure() -> None:
        with instruments(present, name, delta=delta) as (meter, provider):
            done, rt = meter.create_counter("requests"), meter.create_histogram("rt", unit="ms")
            meter.create_gauge("queue.depth").set(4, {"lane": "a"})
            for count in (3, 4):
                done.add(count, {"code": 200})
                rt.record(40.0 * count)
                assert provider.force_flush()

    await asyncio.to_thread(measure)
    found = [(n, labels, value) for n, labels, value, _ in await stored(present, name)]
    own = {"service.name": "callbot", "service.instance.id": "i1"}
    about = own | ({"ecpmon_front": "0"} if delta else {})
    assert ("queue.depth", {**own, "lane": "a"}, 4.0) in found
    counts = [value for n, labels, value in found if n == "requests" and labels == {**about, "code": "200"}]
    assert counts == ([0.0, 3.0, 7.0] if delta else [3.0, 7.0])
    rows = [value for n, labels, value in found if n == "rt_bucket" and labels == {**about, "le": "250"}]
    assert rows[-1] == 2.0
    assert [value for n, _, value in found if n == "rt_count"][-1] == 2.0


def batch(name: str, *values: float) -> dict[str, Any]:
    """As a Collector sends: resources of several tenants in one request."""

    def resource(tenant: str, value: float) -> dict[str, Any]:
        point = {"timeUnixNano": str(NS), "asDouble": value}
        return {
            "resource": {"attributes": [{"key": "tenant_id", "value": {"stringValue": tenant}}]},
            "scopeMetrics": [{"scope": {}, "metrics": [{"name": "temp", "gauge": {"dataPoints": [point]}}]}],
        }

    return {"resourceMetrics": [resource(name, v) for v in values] + [resource("no-such-tenant", 1.0)]}


async def post(service: Service, body: Any, who: str = "ingest", **headers: str) -> tuple[int, Any, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await service.ask(
        "POST", "/v1/metrics", data, who=who, **{"Content-Type": "application/json"} | given
    )


async def test_a_batch_of_a_collector_is_taken_as_json_and_packed_by_gzip(service: Service) -> None:
    name = await service.tenant()
    packed = gzip.compress(json.dumps(batch(name, 1.5)).encode())
    assert (await post(service, packed, Content_Encoding="gzip"))[:2] == (200, {})
    assert await stored(service, name) == [("temp", {}, 1.5, 0.0)]


async def test_what_will_never_do_is_told_as_a_partial_success(service: Service) -> None:
    name = await service.tenant()
    late = batch(name, 1.5)
    late["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"].append(
        {"timeUnixNano": str(NS + 400 * 10**9), "asInt": "3"}
    )
    status, answer, _ = await post(service, late)
    assert status == 200
    assert answer["partialSuccess"]["rejectedDataPoints"] == "1"
    assert "1 in_the_future" in answer["partialSuccess"]["errorMessage"]
    assert await stored(service, name) == [("temp", {}, 1.5, 0.0)]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400), (b"[]", {}, 400), (b"\x0a\x05", {"Content_Type": "application/x-protobuf"}, 400),
        (b"", {}, 200), (b"", {"Content_Type": "application/x-protobuf"}, 200),
        (b"{}", {"Content_Type": "text/plain"}, 415),
        (b"{}", {"Content_Encoding": "br"}, 415), (b"{}", {"X_Scope_OrgID": "no-such-tenant"}, 400),
        (b"\0" * 200_001, {}, 400),
    ],
)  # fmt: skip
async def test_what_is_answered(service: Service, body: bytes, headers: dict[str, str], status: int) -> None:
    assert (await post(service, body, **headers))[0] == status


async def test_a_token_of_one_tenant_names_it_and_reaches_no_other(service: Service) -> None:
    own, other = await service.tenant(), await service.tenant()
    await service.token("of-one", ["ingest"], [own])
    body = batch(other, 9.0)
    body["resourceMetrics"].append({"scopeMetrics": batch("", 2.5)["resourceMetrics"][0]["scopeMetrics"]})
    assert (await post(service, body, who="of-one"))[:2] == (200, {})
    assert await stored(service, own) == [("temp", {}, 2.5, 0.0)]
    assert await stored(service, other) == []
