"""Every route of the simulator, its errors included, against one process."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ecpmon.collectors.simulator import parse
from ecpmon.simulator.documents import NODE_STORAGE
from tests.integration.simulator.sim_process import SERVICE, Simulator

GPU = {"name": "stt", "replicas": 2, "gpu": 1, "sessions": 20, "startup_seconds": 20}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    made = Simulator(tmp_path_factory.mktemp("sim") / "state", "--manual-clock", "--seed", "3").start()
    made.ok("POST", "/api/v1/clock/set", {"to": "2026-11-02T08:00:00Z"})
    made.deploy("first", SERVICE, GPU)
    made.deploy("second", SERVICE)
    made.advance(600)
    yield made
    made.kill()


def test_deploying_is_idempotent(simulator: Simulator) -> None:
    path = "/api/v1/tenants/deployed"
    assert simulator.call("PUT", path, {"services": [SERVICE]})[0] == 201
    status, document = simulator.call("PUT", path, {"services": [SERVICE]})
    assert status == 200
    (service,) = document["services"]
    assert (service["desired"], service["ready"], len(service["pods"])) == (3, 0, 3)
    assert service["pods"][0]["phase"] == "Pending"
    assert service["pods"][0]["reason"] == "ContainerCreating"
    assert "deployed" in [t["tenant_id"] for t in simulator.ok("GET", "/api/v1/tenants")["tenants"]]
    assert 'tenant_id="deployed"' in simulator.raw("GET", "/metrics")[1].decode()
    assert simulator.call("DELETE", path)[0] == 204
    assert simulator.call("GET", path)[0] == 404
    assert "deployed" not in simulator.raw("GET", "/metrics")[1].decode()


def test_metrics_of_all_and_of_one_agree(simulator: Simulator) -> None:
    one = simulator.ok("GET", "/api/v1/metrics/first")
    everything = simulator.ok("GET", "/api/v1/metrics")
    assert one in everything["tenants"]
    assert one["ready"] is True
    assert set(one["metrics"]) == {
        "cpu_usage", "memory_usage", "gpu_usage", "network_in", "network_out", "network_rps", "storage_used",
        "request_count", "response_time", "error_rate", "sessions",
    }  # fmt: skip
    assert 0 < one["metrics"]["cpu_usage"] < 100
    assert one["metrics"]["gpu_usage"] > 0
    system = simulator.ok("GET", "/api/v1/metrics/system")
    assert system["used"]["gpu"] == 2
    assert len(system["nodes"]) == 4


def test_a_custom_endpoint_tells_what_a_collector_reads_and_how_available_each_was(
    simulator: Simulator,
) -> None:
    told = simulator.ok("GET", "/api/metrics")
    plain = simulator.ok("GET", "/api/v1/metrics")
    assert [{k: v for k, v in t.items() if k != "sla_data"} for t in told["tenants"]] == plain["tenants"]
    one = next(t for t in told["tenants"] if t["tenant_id"] == "first")
    truth = simulator.ok("GET", "/api/v1/truth/first")
    assert one["sla_data"]["downtime_minutes"] == truth["down_seconds"] / 60
    assert 0 < one["sla_data"]["availability"] == one["sla_data"]["uptime_percentage"] <= 100
    now = datetime.fromisoformat(told["timestamp"])
    assert [frame.tenant_id for frame in parse(told, {"first": 1}, now).frames] == ["first"]


def test_disks_count_what_is_on_them(simulator: Simulator) -> None:
    system = simulator.ok("GET", "/api/v1/metrics/system")
    assert system["capacity"]["storage_bytes"] == 4 * NODE_STORAGE
    stored = [t["metrics"]["storage_used"] for t in simulator.ok("GET", "/api/v1/metrics")["tenants"]]
    assert system["used"]["storage_bytes"] == pytest.approx(sum(stored), abs=len(stored))
    mine = simulator.ok("POST", "/api/v1/metrics/system", {"tenants": ["first"]})["used"]["storage_bytes"]
    assert 0 < mine < system["used"]["storage_bytes"]


def test_prometheus_can_read_of_one_service_alone(simulator: Simulator) -> None:
    _, raw, _ = simulator.raw("GET", "/metrics?tenant_id=first&service=stt")
    labels = [s.labels for f in text_string_to_metric_families(raw.decode()) for s in f.samples]
    assert {found["tenant_id"] for found in labels if "tenant_id" in found} == {"first"}
    assert {found["service"] for found in labels if "service" in found} == {"stt"}
    assert not any("node" in found for found in labels)


def test_the_demo_cluster_is_another_one(simulator: Simulator) -> None:
    assert simulator.ok("GET", "/demo/api/v1/tenants")["tenants"] == []
    simulator.ok("PUT", "/demo/api/v1/tenants/first", {"services": [SERVICE]})
    simulator.ok("DELETE", "/demo/api/v1/tenants/first")
    assert simulator.call("GET", "/api/v1/tenants/first")[0] == 200


def test_prometheus_can_read_it(simulator: Simulator) -> None:
    _, raw, headers = simulator.raw("GET", "/metrics")
    assert headers["Content-Type"].startswith("text/plain; version=")
    families = {f.name: f for f in text_string_to_metric_families(raw.decode())}
    ready = {s.labels["tenant_id"]: s.value for s in families["ecp_sim_tenant_ready"].samples}
    assert ready["first"] == 1
    codes = {s.labels["code"] for s in families["ecp_sim_requests"].samples}
    assert codes == {"200", "503"}
    assert families["ecp_sim_pod_ready"].samples[0].labels.keys() == {"tenant_id", "service", "pod"}
    assert families["ecp_sim_node_ready"].samples[0].value == 1
    assert families["ecp_sim_tenant_response_seconds"].samples[0].value < 1


def test_failures_start_show_and_end(simulator: Simulator) -> None:
    types = {t["failure_type"] for t in simulator.ok("GET", "/api/v1/failures/types")["failure_types"]}
    assert len(types) == 9
    order = {"failure_type": "gpu_failure", "duration_seconds": 60, "severity": 1.0, "target_service": "stt"}
    made = simulator.ok("POST", "/api/v1/failures/first", order)
    assert made["active"] is True
    assert len(made["affected"]["pods"]) == 2
    assert [f["id"] for f in simulator.ok("GET", "/api/v1/failures/first")["failures"]] == [made["id"]]
    pods = simulator.ok("GET", "/api/v1/tenants/first")["services"][1]["pods"]
    assert {p["phase"] for p in pods} == {"CrashLoopBackOff"}
    assert "gpu_failure" in pods[0]["message"]
    assert simulator.ok("DELETE", "/api/v1/failures/first")["ended"] == [made["id"]]
    simulator.advance(20)
    assert simulator.ok("GET", "/api/v1/metrics/first")["ready"] is True


def test_scenarios_are_scheduled(simulator: Simulator) -> None:
    shipped = simulator.ok("GET", "/api/v1/scenarios")["scenarios"]
    assert shipped["short_outage"]["steps"][0]["failure_type"] == "full_outage"
    for name in shipped:
        made = simulator.ok("POST", "/api/v1/scenarios/second", {"scenario": name})["failures"]
        assert len(made) == len(shipped[name]["steps"])
    assert simulator.ok("GET", "/api/v1/failures/second")["scheduled"]
    simulator.ok("DELETE", "/api/v1/failures/second")
    simulator.ok("POST", "/api/v1/scenarios/second", {"steps": [{"at": 5, "failure_type": "cpu_spike"}]})
    simulator.ok("DELETE", "/api/v1/failures/second")
    simulator.advance(60)
    assert simulator.call("POST", "/api/v1/scenarios/second", {"scenario": "nope"})[0] == 404


def test_history_is_what_the_truth_says_and_repeats(simulator: Simulator) -> None:
    order = {"duration_seconds": 30 * 86_400, "interval_seconds": 60, "tenants": ["first", "second"]}
    _, raw, headers = simulator.raw("POST", "/api/v1/history", json.dumps(order).encode())
    assert headers["Content-Type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in raw.splitlines()]
    assert 86_350 <= len(lines) <= 86_400
    for tenant in ("first", "second"):
        mine = [line for line in lines if line["tenant_id"] == tenant]
        assert all(a["timestamp"] < b["timestamp"] for a, b in pairwise(mine))
        assert all(a["metrics"]["request_count"] <= b["metrics"]["request_count"] for a, b in pairwise(mine))
        _check_against_truth(mine, simulator.ok("GET", f"/api/v1/truth/{tenant}"))
    again = simulator.raw("POST", "/api/v1/history", json.dumps(order).encode())[1]
    assert again == raw


def _check_against_truth(lines: list[dict[str, Any]], truth: dict[str, Any]) -> None:
    starts = [i["start"] for i in truth["intervals"]]  # fixed width, so that texts sort like times
    assert truth["since"] <= lines[0]["timestamp"]
    for line in lines:
        interval = truth["intervals"][bisect_right(starts, line["timestamp"]) - 1]
        assert line["ready"] is (interval["state"] == "up")
    downs = [interval for interval in truth["intervals"] if interval["state"] == "down"]
    moments = [[datetime.fromisoformat(i[edge]) for edge in ("start", "end")] for i in downs]
    down = sum((end - start).total_seconds() for start, end in moments)
    assert down == pytest.approx(truth["down_seconds"])


BAD = {
    "an unknown path": ("GET", "/nope", None, 404, "NOT_FOUND"),
    "a wrong method": ("POST", "/health", b"{}", 405, "METHOD_NOT_ALLOWED"),
    "an unknown tenant": ("GET", "/api/v1/metrics/ghost", None, 404, "TENANT_NOT_FOUND"),
    "a failure of an unknown tenant": (
        "POST", "/api/v1/failures/ghost", b'{"failure_type":"cpu_spike"}', 404, "TENANT_NOT_FOUND",
    ),
    "the truth of an unknown tenant": ("GET", "/api/v1/truth/ghost", None, 404, "TENANT_NOT_FOUND"),
    "history of an unknown tenant": ("POST", "/api/v1/history", b'{"tenants":["ghost"]}', 404, "TENANT_NOT_FOUND"),
    "no JSON": ("POST", "/api/v1/failures/first", b"{", 400, "BAD_REQUEST"),
    "an empty body": ("POST", "/api/v1/failures/first", b"", 400, "BAD_REQUEST"),
    "not UTF-8": ("POST", "/api/v1/failures/first", b'"\xff"', 400, "BAD_REQUEST"),
    "NaN": ("POST", "/api/v1/failures/first", b'{"failure_type":"cpu_spike","severity":NaN}', 400, "BAD_REQUEST"),
    "a list instead of an object": ("POST", "/api/v1/failures/first", b"[]", 422, "VALIDATION_FAILED"),
    "an unknown failure": ("POST", "/api/v1/failures/first", b'{"failure_type":"x"}', 422, "VALIDATION_FAILED"),
    "severity 0": (
        "POST", "/api/v1/failures/first", b'{"failure_type":"cpu_spike","severity":0}', 422, "VALIDATION_FAILED",
    ),
    "a duration that is true": (
        "POST", "/api/v1/failures/first", b'{"failure_type":"cpu_spike","duration_seconds":true}', 422,
        "VALIDATION_FAILED",
    ),
    "a number as text": (
        "PUT", "/api/v1/tenants/x", b'{"services":[{"name":"a","replicas":"3"}]}', 422, "VALIDATION_FAILED",
    ),
    "no services": ("PUT", "/api/v1/tenants/x", b'{"services":[]}', 422, "VALIDATION_FAILED"),
    "a service twice": (
        "PUT", "/api/v1/tenants/x", b'{"services":[{"name":"a"},{"name":"a"}]}', 422, "VALIDATION_FAILED",
    ),
    "a name that is no label": ("PUT", "/api/v1/tenants/X_y", b'{"services":[{"name":"a"}]}', 422, "VALIDATION_FAILED"),
    "a reserved name": ("PUT", "/api/v1/tenants/system", b'{"services":[{"name":"a"}]}', 422, "VALIDATION_FAILED"),
    "external metrics that are no numbers": (
        "POST", "/api/v1/external-metrics", b'{"tenant_id":"first","source":"s","metrics":{"a":true}}', 422,
        "VALIDATION_FAILED",
    ),
    "a time that is none": ("GET", "/api/v1/truth/first?from=yesterday", None, 422, "VALIDATION_FAILED"),
    "time running backwards": ("POST", "/api/v1/clock/advance", b'{"to":"2020-01-01T00:00:00Z"}', 409, "CONFLICT"),
    "setting a clock in use": ("POST", "/api/v1/clock/set", b'{"to":"2020-01-01T00:00:00Z"}', 409, "CONFLICT"),
    "a time as a number": ("POST", "/api/v1/clock/advance", b'{"to":12}', 422, "VALIDATION_FAILED"),
    "an advance by infinity": ("POST", "/api/v1/clock/advance", b'{"seconds":1e999}', 400, "BAD_REQUEST"),
    "an endless body": ("POST", "/api/v1/history", b" " * (5 * 1024**2), 413, "PAYLOAD_TOO_LARGE"),
}  # fmt: skip


@pytest.mark.parametrize("sentence", BAD)
def test_one_error_shape_for(simulator: Simulator, sentence: str) -> None:
    method, path, body, status, code = BAD[sentence]
    got, raw, headers = simulator.raw(method, path, body)
    error = json.loads(raw)["error"]
    assert (got, error["code"]) == (status, code), error
    assert set(error) == {"code", "message", "details", "timestamp", "request_id"}
    assert headers["X-Request-ID"] == error["request_id"]
    if code == "VALIDATION_FAILED":
        assert error["details"]["fields"]


def test_nothing_bad_was_accepted(simulator: Simulator) -> None:
    assert simulator.call("GET", "/api/v1/tenants/x")[0] == 404


def test_its_document_and_the_pages_that_show_it_are_there(simulator: Simulator) -> None:
    document = simulator.ok("GET", "/openapi.json")
    for path in ("/api/v1/history", "/api/v1/truth/{tenant_id}", "/metrics", "/api/v1/clock/advance"):
        assert path in document["paths"]
    for path in ("/docs", "/redoc"):
        status, page, headers = simulator.raw("GET", path)
        assert (status, b'data-document="openapi.json"' in page) == (200, True)
        assert "script-src 'self';" in headers["Content-Security-Policy"]
        assert b"http://" not in page
    assert simulator.raw("GET", "/ui/docs.js")[0] == 200


def test_the_state_folder_holds_one_snapshot_and_its_journal(simulator: Simulator) -> None:
    names = sorted(path.name for path in Path(simulator.state_dir).iterdir())
    assert names == ["demo", "simulator.journal", "simulator.json", "simulator.lock"]
    demo = sorted(path.name for path in (Path(simulator.state_dir) / "demo").iterdir())
    assert demo == names[1:]
