"""The contract's shapes, and what bad input gets."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.api.conftest import NOW, Service

pytestmark = pytest.mark.demo

TENANT = {"tenant_id": "x", "name": "x", "service_requirements": {"chatbot": 10}}


def is_error(body: Any, code: str) -> bool:
    error = body["error"]
    assert set(error) == {"code", "message", "details", "timestamp", "request_id"}
    assert error["timestamp"] == "2026-03-02T09:00:00Z"
    return bool(error["code"] == code)


async def test_errors_have_one_shape_whatever_went_wrong(service: Service) -> None:
    status, body, headers = await service.ask("GET", "/no/such/path")
    assert status == 404
    assert is_error(body, "NOT_FOUND")
    assert headers["X-Request-ID"] == body["error"]["request_id"]
    status, body, headers = await service.ask("PATCH", "/api/v1/tenants/")
    assert status == 405
    assert is_error(body, "METHOD_NOT_ALLOWED")
    assert "GET" in headers["Allow"]
    status, body, _ = await service.ask("POST", "/api/v1/tenants/", b"{not json")
    assert status == 400
    assert is_error(body, "BAD_REQUEST")
    status, body, _ = await service.ask("POST", "/api/v1/tenants/", b" " * 300_000)
    assert status == 413
    assert is_error(body, "PAYLOAD_TOO_LARGE")
    status, body, _ = await service.ask("POST", "/api/v1/tenants/", b"[" * 100_000)
    assert status == 400


async def test_the_request_id_is_echoed_when_it_is_sane(service: Service) -> None:
    _, _, headers = await service.ask("GET", "/health", **{"X-Request-ID": "mine-1"})
    assert headers["X-Request-ID"] == "mine-1"
    _, _, headers = await service.ask("GET", "/health", **{"X-Request-ID": "x" * 200})
    assert headers["X-Request-ID"].startswith("req-")


async def test_a_bug_is_answered_without_a_traceback(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(service.runtime.directory, "standings", broken)
    status, body, _ = await service.ask("GET", "/api/v1/tenants/")
    assert status == 500
    assert is_error(body, "INTERNAL_ERROR")
    assert "secret" not in json.dumps(body)


async def test_messages_are_korean_for_those_who_prefer_it(service: Service) -> None:
    korean = {"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"}
    _, body, _ = await service.ask("GET", "/api/v1/tenants/none-such", **korean)
    assert body["error"]["message"] == "테넌트를 찾을 수 없습니다."
    _, body, _ = await service.ask("GET", "/api/v1/tenants/none-such", **{"Accept-Language": "en,ko;q=0.5"})
    assert "there is no tenant" in body["error"]["message"]


async def test_demo_mode_chooses_the_database(service: Service) -> None:
    name = await service.tenant()
    status, _, _ = await service.ask("GET", f"/api/v1/tenants/{name}", **{"X-Demo-Mode": "true"})
    assert status == 404
    status, body, _ = await service.ask("GET", "/api/v1/tenants/", **{"X-Demo-Mode": "yes"})
    assert status == 400
    assert is_error(body, "INVALID_DEMO_MODE")
    body = {**TENANT, "tenant_id": name}
    status, answer, _ = await service.ask("POST", "/api/v1/tenants/", body, **{"X-Demo-Mode": "true"})
    assert status in (201, 409), answer
    _, detail, _ = await service.ask("GET", f"/api/v1/tenants/{name}", **{"X-Demo-Mode": "true"})
    assert detail["is_demo"] is True


async def test_debug_information_is_given_when_asked_for(service: Service) -> None:
    name = await service.tenant()
    _, _, headers = await service.ask("GET", f"/api/v1/tenants/{name}", **{"X-Debug": "true"})
    info = json.loads(headers["X-Debug-Info"])
    assert info["route"] == "/api/v1/tenants/{tenant_id}"
    assert info["mode"] == "production"
    assert info["queries"] >= 2
    assert info["db_ms"] > 0
    _, _, headers = await service.ask("GET", "/health")
    assert "X-Debug-Info" not in headers


async def test_a_tenants_life(service: Service) -> None:
    name = await service.tenant(
        preset="medium", sla_target={"availability": "99.9%", "response_time": "200ms"}
    )
    status, body, _ = await service.ask("POST", "/api/v1/tenants/", {**TENANT, "tenant_id": name})
    assert status == 409
    assert is_error(body, "TENANT_ALREADY_EXISTS")
    assert body["error"]["details"] == {"tenant_id": name, "existing_status": "pending"}
    _, detail, _ = await service.ask("GET", f"/api/v1/tenants/{name}")
    assert detail["resources"] == {"cpu": "24000m", "memory": "32Gi", "gpu": 3, "storage": "1.0TB"}
    assert detail["sla_target"] == {"availability": "99.9%", "response_time": "200ms"}
    assert {"service_name", "service_type", "enabled", "count", "image", "resources"} == set(
        detail["services"][0]
    )
    _, page, _ = await service.ask("GET", "/api/v1/tenants/?limit=1000&preset=medium&status=pending")
    [row] = [t for t in page["tenants"] if t["tenant_id"] == name]
    assert (row["sla_availability"], row["sla_response_time"], row["cpu_limit"]) == (None, None, "24000m")
    _, rules, _ = await service.ask("GET", f"/api/v1/tenants/{name}/alerts")
    assert {r["kind"] for r in rules["alerts"]} == {"burn_rate", "budget", "no_data"}
    status, gone, _ = await service.ask("DELETE", f"/api/v1/tenants/{name}")
    assert status == 202
    assert set(gone) == {"message", "deletion_id", "estimated_time"}
    assert (await service.ask("GET", f"/api/v1/tenants/{name}"))[0] == 404
    assert (await service.ask("GET", f"/api/v1/tenants/{name}/sla"))[0] == 200
    assert await service.tenant(tenant_id=name) == name


async def test_deleting_a_tenant_ends_what_fires(service: Service) -> None:
    name = await service.tenant()
    rule = {"alert_name": "hot", "condition": "cpu_usage > 80"}
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/alerts", rule))[0] == 201
    await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"cpu_usage": 95}})
    await service.runtime.work.evaluate_alerts()
    assert (await service.ask("DELETE", f"/api/v1/tenants/{name}"))[0] == 202
    told = await service.runtime.database.fetch(
        "SELECT e.to_state, e.reason FROM alert_events e JOIN tenants t ON t.id = e.tenant"
        " WHERE t.tenant_id = $1 ORDER BY e.event_id",
        name,
    )
    assert [tuple(r) for r in told] == [("firing", "fired_at_once"), ("inactive", "rule_deleted")]


async def test_a_running_tenant_is_deleted_only_by_force(service: Service) -> None:
    name = await service.tenant()
    tenant = await service.runtime.tenants.get(name)
    await service.runtime.tenants.set_deployed(
        tenant, "kubernetes", "running", timedelta(seconds=40), timedelta(seconds=15), NOW
    )
    assert (await service.ask("DELETE", f"/api/v1/tenants/{name}"))[0] == 409
    status, gone, _ = await service.ask("DELETE", f"/api/v1/tenants/{name}?force=true")
    assert status == 202
    assert (
        "deployed by kubernetes is still there" in gone["message"]
    )  # nothing is configured that could remove it


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tenant_id": "Upper"}, "tenant_id"), ({"tenant_id": "a" * 57}, "tenant_id"),
        ({"tenant_id": "-a"}, "tenant_id"), ({"tenant_id": "a\x00b"}, "tenant_id"),
        ({"name": 5}, "name"), ({"name": ""}, "name"),
        ({"sla_target": {"availability": "100%"}}, "sla_target.availability"),
        ({"sla_target": {"availability": "0%"}}, "sla_target.availability"),
        ({"sla_target": {"availability": "NaN"}}, "sla_target.availability"),
        ({"sla_target": {"response_time": "fast"}}, "sla_target.response_time"),
        ({"service_requirements": {"chatbot": True}}, "service_requirements.chatbot"),
        ({"service_requirements": {"chatbot": "5"}}, "service_requirements.chatbot"),
        ({"service_requirements": {"teleporter": 5}}, "service_requirements.teleporter"),
        ({"service_requirements": {}}, "service_requirements"),
    ],
)  # fmt: skip
async def test_a_bad_field_is_named(service: Service, change: dict[str, Any], field: str) -> None:
    status, body, _ = await service.ask(
        "POST", "/api/v1/tenants/", {**TENANT, "tenant_id": "bad-one", **change}
    )
    assert status == 422
    assert is_error(body, "VALIDATION_FAILED")
    assert field in [f["field"] for f in body["error"]["details"]["fields"]], body


async def test_an_unknown_preset_has_its_own_code(service: Service) -> None:
    status, body, _ = await service.ask("POST", "/api/v1/tenants/", {**TENANT, "preset": "enormous"})
    assert status == 422
    assert is_error(body, "INVALID_PRESET")


async def test_pushed_samples_are_taken_one_by_one(service: Service) -> None:
    name = await service.tenant()
    body = (
        '{"timestamp": "2026-03-02T08:59:00", "metrics": {"cpu_usage": 65.5, "memory": 1, "bad": NaN, "inf": Infinity,'
        ' "text": "5", "flag": true, "huge": 1' + "0" * 400 + ', "": 1, "storage_used": 750000000000}}'
    ).encode()
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body, who="ingest")
    assert status == 202
    assert (answer["accepted"], answer["timestamp"]) == (3, "2026-03-02T08:59:00Z")
    reasons = {r["metric"]: r["reason"] for r in answer["rejected"]}
    assert reasons == {
        "bad": "not_a_number", "inf": "not_a_number", "text": "not_a_number", "flag": "not_a_number",
        "huge": "not_a_number", "": "bad_name",
    }  # fmt: skip
    _, found, _ = await service.ask("GET", f"/api/v1/tenants/{name}/monitoring?interval=1m")
    assert found["metrics"]["cpu"] == [{"timestamp": "2026-03-02T08:59:00Z", "value": 65.5}]
    assert found["metrics"]["storage"][0]["value"] == 7.5e11
    assert (found["summary"]["avg_cpu"], found["summary"]["max_memory"]) == (65.5, 1)


async def test_timestamps_out_of_range_are_rejected_and_the_rest_is_kept(service: Service) -> None:
    name = await service.tenant()

    def entry(ts: object, value: float) -> dict[str, Any]:
        return {"timestamp": ts, "metrics": {"cpu": value}}

    stamps = ["2026-03-02T09:05:01Z", "2026-02-20T00:00:00Z", "yesterday", 5, "2026-03-02T18:00:00+09:00"]
    batch = [entry(ts, i) for i, ts in enumerate(stamps)]
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", batch)
    assert status == 202
    assert answer["accepted"] == 1
    assert [r["reason"] for r in answer["rejected"]] == [
        "in_the_future",
        "too_old",
        "bad_timestamp",
        "bad_timestamp",
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [([], 422), ({}, 422), ({"metrics": []}, 422), ({"metrics": {}}, 422), ("text", 422), (5, 422), ([1], 422),
     ([{"metrics": {"a": 1}}] * 501, 413)],
)  # fmt: skip
async def test_pushes_that_are_none(service: Service, body: Any, status: int) -> None:
    name = await service.tenant()
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body))[0] == status


@pytest.mark.parametrize(
    "query",
    ["hours=0", "hours=-1", "hours=nan", "hours=x", "hours=1e9", "interval=2m", "metric_type=nonsense",
     "hours=9000&interval=1m"],
)  # fmt: skip
async def test_reads_that_make_no_sense(service: Service, query: str) -> None:
    name = await service.tenant()
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/monitoring?{query}")
    assert status == 422
    assert is_error(body, "VALIDATION_FAILED")


async def test_windows_have_every_figure(service: Service) -> None:
    name = await service.tenant(push_interval=600, push_mode="changes")
    url = f"/api/v1/tenants/{name}/monitoring"
    for minutes, up in ((60, 1), (30, 0), (24, 1), (10, 1), (0, 1)):
        ts = (NOW - timedelta(minutes=minutes)).isoformat()
        await service.ask("POST", url, {"timestamp": ts, "metrics": {"up": up}})
    _, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla?windows=1h")
    [window] = body["windows"]
    # An observation holds 25 minutes: the first one leaves a gap of 5.
    assert (window["up_minutes"], window["down_minutes"], window["gap_minutes"]) == (49, 6, 5)
    assert window["availability"] == pytest.approx(100 * 49 / 55)
    assert window["bounds"] == {"low": pytest.approx(100 * 49 / 60), "high": pytest.approx(90)}
    assert window["coverage"] == pytest.approx(100 * 55 / 60)
    assert (window["verdict"], window["status"]) == ("breached", "violated")
    assert window["error_budget"]["total_minutes"] == pytest.approx(0.3)
    assert window["error_budget"]["remaining_minutes"] == pytest.approx(-5.7)
    assert (window["failure_count"], window["recovery_time_avg"]) == (1, 360)
    _, past, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla?windows=1h&at=2026-03-02T08:35:00Z")
    assert past["windows"][0]["down_minutes"] == 5
    _, found, _ = await service.ask("GET", f"/api/v1/tenants/{name}/incidents")
    assert [(i["start"], i["down_seconds"]) for i in found["incidents"]] == [("2026-03-02T08:30:00Z", 360)]
    _, plot, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla/timeline?window=2h&step=30m")
    assert [p["availability"] for p in plot["points"]] == [None, None, 100, pytest.approx(80)]
    _, short, _ = await service.ask("GET", f"/api/v1/simulator/sla/{name}/analysis?period=24h")
    assert (short["target_sla"], short["failure_count"]) == (99.5, 1)


@pytest.mark.parametrize("query", ["windows=1y", "windows=", "at=soon", "at=2026-03-02T10:00:00Z"])
async def test_windows_that_are_not_known(service: Service, query: str) -> None:
    name = await service.tenant()
    assert (await service.ask("GET", f"/api/v1/tenants/{name}/sla?{query}"))[0] == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"condition": "cpu_usgae > 80"}, "condition"), ({"condition": "cpu_usage >"}, "condition"),
        ({"condition": "avg(cpu_usage, 5x) > 1"}, "condition"), ({"duration": "soon"}, "duration"),
        ({"duration": "30d"}, "duration"), ({"severity": "loud"}, "severity"), ({"alert_name": ""}, "alert_name"),
        ({"actions": [{"type": "webhook", "url": "http://127.0.0.1/x"}]}, "actions.0"),
        ({"actions": [{"type": "webhook", "url": "http://169.254.169.254/latest"}]}, "actions.0"),
        ({"actions": [{"type": "webhook", "url": "file:///etc/passwd"}]}, "actions.0"),
        ({"actions": [{"type": "webhook"}]}, "actions.0"),
        ({"actions": [{"type": "email", "recipients": ["nobody"]}]}, "actions.0"),
        ({"actions": [{"type": "pigeon"}]}, "actions.0.type"),
    ],
)  # fmt: skip
async def test_bad_rules_are_refused_when_saved(service: Service, change: dict[str, Any], field: str) -> None:
    name = await service.tenant()
    rule = {"alert_name": "r", "condition": "cpu_usage > 80", **change}
    status, body, _ = await service.ask("POST", f"/api/v1/tenants/{name}/alerts", rule)
    assert status == 422
    assert [f["field"] for f in body["error"]["details"]["fields"]] == [field], body


async def test_a_rules_life(service: Service) -> None:
    name = await service.tenant()
    url = f"/api/v1/tenants/{name}/alerts"
    hook = {"type": "webhook", "url": "https://hooks.example/x", "headers": {"X-Api-Key": "secret"}}
    rule = {
        "alert_name": "high_cpu_usage",
        "condition": "cpu_usage > 80",
        "duration": "5m",
        "actions": [hook],
    }
    status, created, _ = await service.ask("POST", url, rule)
    assert status == 201
    assert (created["state"], created["duration"]) == ("inactive", "300s")
    assert "secret" not in json.dumps(created)
    assert (await service.ask("POST", url, rule))[0] == 409
    assert (await service.ask("GET", f"{url}/{created['rule_id']}"))[1] == created
    await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"cpu_usage": 95}})
    await service.runtime.work.trigger.settled()
    _, active, _ = await service.ask("GET", f"{url}/active")
    assert [(a["alert_name"], a["state"]) for a in active["alerts"]] == [("high_cpu_usage", "pending")]
    status, changed, _ = await service.ask(
        "PUT", f"{url}/{created['rule_id']}", {**rule, "condition": "cpu_usage > 90"}
    )
    assert (status, changed["state"], changed["created_at"]) == (200, "inactive", created["created_at"])
    assert (await service.ask("DELETE", f"{url}/{created['rule_id']}"))[0] == 204
    assert (await service.ask("GET", f"{url}/{created['rule_id']}"))[0] == 404
    _, rules, _ = await service.ask("GET", url)
    status, _, _ = await service.ask("DELETE", f"{url}/{rules['alerts'][0]['rule_id']}")
    assert status == 409


async def test_metrics_are_exposed_and_a_deleted_tenants_series_disappear(service: Service) -> None:
    name = await service.tenant()
    push = {"metrics": {"cpu_usage": 12.5, "up": 1}}
    await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", push)
    service.clock.advance(60)
    await service.runtime.work.rolling.run_once()
    status, text, headers = await service.ask("GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    assert f'ecp_tenant_cpu_usage{{tenant_id="{name}"}} 12.5' in text
    assert f'ecp_tenant_sla_availability_ratio{{tenant_id="{name}",window="30d"}} 1.0' in text
    assert (
        f'ecp_tenant_requests_total{{code="202",method="POST",status="success",tenant_id="{name}"}} 1.0'
        in text
    )
    await service.ask("GET", "/api/v1/tenants/guessed-name")
    await service.ask("DELETE", f"/api/v1/tenants/{name}")
    await service.runtime.work.rolling.run_once()
    _, text, _ = await service.ask("GET", "/metrics")
    assert "guessed-name" not in text
    assert f'tenant_id="{name}"' not in text
