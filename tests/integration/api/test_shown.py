"""What people are shown of measurements: every source, at once, the same figures everywhere. All through HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from ecpmon.api.monitoring import INTERVALS
from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, Source
from ecpmon.sla.evidence import series_key
from ecpmon.wire import rfc3339
from tests.grafana import DASHBOARDS, questions, sql_sent
from tests.integration.api.conftest import NOW, Service, listens
from tests.integration.api.test_sockets import connect
from tests.waiting import PATIENCE, until


async def push(service: Service, name: str, ago: float = 0, **metrics: float) -> None:
    body = {"timestamp": rfc3339(service.clock.now() - timedelta(seconds=ago)), "metrics": metrics}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body)
    assert (status, answer["rejected"]) == (202, []), answer


async def collected(service: Service, name: str, source: Source, ago: float = 0, **metrics: float) -> None:
    """What a collector has read."""
    samples = tuple(Sample(series_key(metric), value) for metric, value in metrics.items())
    frame = Frame(name, source, service.clock.now() - timedelta(seconds=ago), samples)
    await service.runtime.writer.write(Batch((frame,)))


async def shown(service: Service, name: str, query: str = "") -> dict[str, Any]:
    status, answer, _ = await service.ask("GET", f"/api/v1/tenants/{name}/monitoring{query}")
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


def values(points: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[float]]:
    return {key: [p["value"] for p in of] for key, of in points.items()}


async def rolled_up(service: Service) -> None:
    await service.runtime.work.keeping.roll_up()


@pytest.mark.parametrize("sli_source", ["simulator", "prometheus", "push"])
async def test_what_is_pushed_is_shown_at_once_whatever_the_evidence_is(
    service: Service, sli_source: str
) -> None:
    name = await service.tenant(sli_source=sli_source)
    service.clock.advance(150)  # in the middle of a bucket
    await push(service, name, cpu_usage=95)
    service.clock.advance(1)
    for query in ("", "?metric_type=cpu", *(f"?interval={each}" for each in INTERVALS)):
        answer = await shown(service, name, query)
        assert values(answer["metrics"]) == {"cpu": [95]}, query
        assert answer["summary"] == {"avg_cpu": 95, "max_cpu": 95}
        assert answer["metric_sources"] == {"cpu": "push"}
        assert answer["sources"] == {"push": {"metrics": answer["metrics"], "summary": answer["summary"]}}


async def test_after_a_change_of_source_the_older_values_stay_readable(service: Service) -> None:
    name = await service.tenant()
    await push(service, name, 7200, cpu_usage=10, queue=3)
    store = service.runtime.tenants
    tenant = await store.get(name)
    assert tenant.evidence_source is Source.PUSH
    await store.set_deployed(tenant, "simulator", "running", timedelta(seconds=12.5), timedelta(), NOW)
    await collected(service, name, Source.SIMULATOR, 60, cpu_usage=40)
    for rolls in (False, True):
        if rolls:
            service.clock.advance(600)
            await rolled_up(service)
        answer = await shown(service, name)
        assert answer["metric_sources"] == {"cpu": "simulator", "queue": "push"}
        assert values(answer["metrics"]) == {"cpu": [40], "queue": [3]}
        assert {source: values(of["metrics"]) for source, of in answer["sources"].items()} == {
            "push": {"cpu": [10], "queue": [3]}, "simulator": {"cpu": [40]},
        }  # fmt: skip
        assert answer["sources"]["push"]["summary"]["avg_cpu"] == 10


async def test_one_mean_at_every_interval(service: Service) -> None:
    """Two hours of little and a minute of much: an average of averages says something else at every interval."""
    name = await service.tenant()
    batch = [
        {"timestamp": rfc3339(NOW - timedelta(seconds=s)), "metrics": {"response_time": value}}
        for s, value in [*((60 * n, 100.0) for n in range(2, 122)), *((n, 900.0) for n in range(1, 61))]
    ]
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", batch)
    assert (status, answer["rejected"]) == (202, [])
    right = (120 * 100 + 60 * 900) / 180
    for later in (0, 40, 301, 3601):
        service.clock.set(NOW + timedelta(seconds=later))
        if later:
            await rolled_up(service)
        for interval in INTERVALS:
            found = (await shown(service, name, f"?interval={interval}"))["summary"]
            assert found["avg_response"] == pytest.approx(right), (later, interval)
            assert found["max_response"] == 900


def _panels() -> dict[str, str]:
    """By metric what the dashboard of a tenant asks for it."""
    [path] = [path for path in DASHBOARDS if path.parent.name == "en" and path.stem == "tenant"]
    asked = [question.sql for question in questions(path) if question.sql]
    return {
        key: next(sql for sql in asked if f"metric_name = '{metric}'" in sql)
        for key, metric in (("cpu", "cpu_usage"), ("response", "response_time"))
    }


@pytest.mark.parametrize("rolled", [False, True])
async def test_dashboards_and_views_agree_with_the_api(service: Service, rolled: bool) -> None:
    name = await service.tenant(sli_source="simulator")
    for ago in (7300, 3700, 3650, 400, 20, 10):
        await push(service, name, ago, cpu_usage=ago, response_time=ago + 1, **{"up.chatbot": 1})
        await collected(service, name, Source.SIMULATOR, ago + 5, cpu_usage=ago / 2, response_time=ago / 4)
        if ago == 400 and rolled:
            await rolled_up(service)
    service.clock.advance(1)
    fetch, now = service.runtime.database.fetch, service.clock.now()
    answer = await shown(service, name)
    for key, sql in _panels().items():
        rows = await fetch(sql_sent(sql, name, now - timedelta(days=1), now))
        assert len(rows) == 8  # one line per source
        for source, of in answer["sources"].items():
            mean = "value" if key == "cpu" else "mean"
            own = [(rfc3339(r["time"]), pytest.approx(r[mean])) for r in rows if r["metric"] == source]
            assert own == [(p["timestamp"], p["value"]) for p in of["metrics"][key]]
    for view, interval in (("metrics_5m", "5m"), ("metrics_1h", "1h")):
        answer = await shown(service, name, f"?interval={interval}")
        rows = await fetch(
            f"SELECT * FROM {view} WHERE tenant_id = $1 AND labels = '{{}}' ORDER BY timestamp", name
        )
        for source, of in answer["sources"].items():
            for key, metric in (("cpu", "cpu_usage"), ("response", "response_time")):
                own = [r for r in rows if (r["data_source"], r["metric_name"]) == (source, metric)]
                assert [(rfc3339(r["timestamp"]), pytest.approx(r["avg"])) for r in own] == [
                    (p["timestamp"], p["value"]) for p in of["metrics"][key]
                ]
                count = sum(r["count"] for r in own)
                assert (count, max(r["max"] for r in own)) == (6, of["summary"][f"max_{key}"])
                mean = sum(r["avg"] * r["count"] for r in own) / count
                assert of["summary"][f"avg_{key}"] == pytest.approx(mean)
        components = [
            r for r in await fetch(f"SELECT * FROM {view} WHERE tenant_id = $1", name) if r["labels"]
        ]
        assert sum(r["count"] for r in components) == 6


async def listed(service: Service, name: str) -> Any:
    status, answer, _ = await service.ask("GET", "/api/v1/tenants/?limit=1000")
    assert status == 200
    [row] = [row for row in answer["tenants"] if row["tenant_id"] == name]
    return row["sla_response_time"]


async def test_what_stands_for_requests_that_nobody_answered_is_no_response_time(service: Service) -> None:
    name = await service.tenant()
    for ago in (4000, 3990, 3980, 900):
        await push(service, name, ago, response_time=120, error_rate=0.02, up=1)
    # A client waits five seconds, and gives up.
    for ago in (3970, 3960, 890):
        await push(service, name, ago, response_time=5000, error_rate=1)
    await push(service, name, 880, response_time=5000, up=0)
    # Slow, but answered; and another source's word is not about these.
    await push(service, name, 870, response_time=240, error_rate=0.6)
    await collected(service, name, Source.PROMETHEUS, 870, up=0)
    service.clock.advance(600)
    await rolled_up(service)
    assert await listed(service, name) == "144ms"  # of 4 x 120 and 240
    # The plot shows what was said.
    assert (await shown(service, name))["summary"]["max_response"] == 5000
    # A correction is taken in, and so is its contrary.
    service.clock.advance(60)
    await push(service, name, 880 + 660, up=1)
    await rolled_up(service)
    assert await listed(service, name) == "953ms"  # with one of 5000
    await push(service, name, 870 + 660, up=0)
    await push(service, name, 880 + 660, up=0)
    await rolled_up(service)
    assert await listed(service, name) == "120ms"


async def test_a_tenant_that_never_answered_has_no_response_time(service: Service) -> None:
    name = await service.tenant()
    for ago in (4000, 3000):
        await push(service, name, ago, response_time=5000, error_rate=1)
    await rolled_up(service)
    assert await listed(service, name) is None


async def test_the_response_time_of_a_tenant_is_one_sources(service: Service) -> None:
    name = await service.tenant(sli_source="simulator")
    await push(service, name, 4000, response_time=900)
    await rolled_up(service)
    assert await listed(service, name) == "900ms"
    await collected(service, name, Source.SIMULATOR, 4000, response_time=100)
    await rolled_up(service)
    assert await listed(service, name) == "100ms"


async def test_sockets_tell_the_source_that_the_plots_show(service: Service) -> None:
    name = await service.tenant(sli_source="simulator")
    await push(service, name, 20, queue=7)
    await collected(service, name, Source.SIMULATOR, 10, cpu_usage=40)
    await push(service, name, 5, cpu_usage=95)
    await until(lambda: listens(service), "it listens")
    async with connect(service, f"/ws/monitoring/{name}") as socket:
        first = await socket.receive_json(timeout=PATIENCE)
        assert first["metrics"] == {"cpu": 40, "queue": 7}
        answer = await shown(service, name)
        assert {key: own[-1] for key, own in values(answer["metrics"]).items()} == first["metrics"]
        await socket.send_json({"action": "subscribe", "metrics": ["cpu"], "interval": 100})
        assert (await socket.receive_json(timeout=PATIENCE))["metrics"] == {"cpu": 40}
        await push(service, name, cpu_usage=96)
        assert (await socket.receive_json(timeout=PATIENCE))["metrics"] == {"cpu": 40}
        # What was deployed elsewhere is measured elsewhere.
        await service.runtime.database.execute(
            "UPDATE tenants SET sli_source = 'push' WHERE tenant_id = $1", name
        )
        for _ in range(100):
            if (await socket.receive_json(timeout=PATIENCE))["metrics"] == {"cpu": 96}:
                break
        else:
            pytest.fail("the socket still tells the former evidence")
