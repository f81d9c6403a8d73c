"""Objectives over the API: definitions as JSON and OpenSLO, counts by push, figures, metrics."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml

from ecpmon.model.ingest import Batch
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from tests.integration.api.conftest import NOW, Service

CHECKOUT = {
    "kind": "requests",
    "target": 0.9,
    "total": {"metric": "checkout_total"},
    "good": {"metric": "checkout_ok_total"},
    "windows": ["1h", "24h"],
}


def path(tenant: str, rest: str = "") -> str:
    return f"/api/v1/tenants/{tenant}/objectives{rest}"


async def push(service: Service, tenant: str, at: datetime, **metrics: float) -> None:
    body = {"timestamp": at.isoformat(), "metrics": metrics}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{tenant}/monitoring", body)
    assert (status, answer["rejected"]) == (202, [])


async def counted(service: Service, tenant: str) -> None:
    """An hour of 10 requests a minute, of which every tenth minute has 5 errors; slow in its second half."""
    errors = 0
    for i in range(61):
        errors += 5 if i and i % 10 == 0 else 0
        at = NOW - timedelta(minutes=60 - i)
        slow = 700 if i >= 30 else 100
        await push(service, tenant, at, requests_total=1000 + 10 * i, errors_total=errors, response_time=slow)
    await service.runtime.work.objectives.roll()


async def test_every_tenant_has_the_defaults_and_their_figures(service: Service) -> None:
    tenant = await service.tenant()
    status, answer, _ = await service.ask("GET", path(tenant))
    assert status == 200
    assert [(o["name"], o["inherited"]) for o in answer["objectives"]] == [
        ("latency", True),
        ("requests", True),
    ]
    await counted(service, tenant)
    _, answer, _ = await service.ask("GET", path(tenant, "/requests/status?windows=1h"))
    (hour,) = answer["windows"]
    # The minute that has just begun is not over; the reading at the window's first instant counts nothing.
    assert (hour["good"], hour["bad"], hour["total"]) == (565, 25, 590)
    assert hour["ratio"] == pytest.approx(100 * 565 / 590)
    assert (hour["coverage"], hour["verdict"], hour["status"]) == (100, "breached", "violated")
    assert hour["error_budget"]["total"] == pytest.approx(2.95)
    assert hour["error_budget"]["remaining"] == pytest.approx(2.95 - 25)
    _, answer, _ = await service.ask("GET", path(tenant, "/latency/status?windows=1h"))
    assert answer["unit"] == "seconds"
    (hour,) = answer["windows"]
    assert (hour["good"], hour["total"], hour["ratio"]) == (1800, 3600, 50)


async def test_errors_by_a_label_that_nobody_counts_by_are_unknown_and_not_none(service: Service) -> None:
    tenant = await service.tenant()
    bad = {"metric": "requests_total", "labels": {"code": "503"}}
    spec = {"kind": "requests", "target": 0.9, "total": {"metric": "requests_total"}, "bad": bad}
    assert (await service.ask("PUT", path(tenant, "/by-code"), spec))[0] == 201
    await counted(service, tenant)
    _, answer, _ = await service.ask("GET", path(tenant, "/by-code/status?windows=1h"))
    [hour] = answer["windows"]
    assert (hour["ratio"], hour["verdict"], hour["status"]) == (None, "undetermined", "no_data")


async def test_an_objective_says_since_when_its_counters_cannot_be_used(service: Service) -> None:
    tenant, other = await service.tenant(), await service.tenant()
    why = "the labels of the counter errors_total do not tell its series apart"
    first, last = NOW - timedelta(minutes=9), NOW - timedelta(minutes=7)
    troubles = {(tenant, "counter errors_total"): why, (tenant, "metric cpu_usage"): "else"}
    await service.runtime.faults.note(Source.PROMETHEUS, troubles, first, last)
    old = {(tenant, "counter requests_total"): "old"}
    await service.runtime.faults.note(
        Source.PROMETHEUS, old, NOW - timedelta(hours=3), NOW - timedelta(hours=2)
    )

    async def suspect(name: str, rest: str) -> Any:
        status, answer, _ = await service.ask("GET", path(name, f"/{rest}"))
        assert status == 200
        return answer["suspect"]

    [told] = await suspect(tenant, "requests/status?windows=1h")
    assert (told["source"], told["subject"], told["reason"]) == ("prometheus", "counter errors_total", why)
    assert [datetime.fromisoformat(told[at]) for at in ("first_at", "last_at")] == [first, last]
    assert len(await suspect(tenant, "requests/status?windows=1h,24h")) == 2
    assert await suspect(tenant, "latency/status") == []
    assert await suspect(other, "requests/status") == []


async def test_a_threshold_that_a_native_histogram_was_not_read_at_is_refused_with_the_nearest(
    service: Service,
) -> None:
    tenant = await service.tenant()
    # As the collector has read it: its count, and what is within powers of two.
    seen = {
        ("waits_count", ()): 10.0,
        ("waits_bucket", (("le", "0.125"),)): 4.0,
        ("waits_bucket", (("le", "0.25"),)): 9.0,
    }
    samples = tuple(
        Sample(SeriesKey("custom", name, labels), value) for (name, labels), value in seen.items()
    )
    frame = Frame(tenant, Source.PROMETHEUS, NOW - timedelta(minutes=1), samples)
    await service.runtime.ingest.commit([Batch((frame,))])
    fast = {"kind": "latency", "target": 0.9, "source": "prometheus", "histogram": "waits", "unit": "s"}
    status, answer, _ = await service.ask("PUT", path(tenant, "/fast"), {**fast, "threshold_ms": 200.0})
    assert status == 422
    [field] = answer["error"]["details"]["fields"]
    assert field["field"] == "threshold_ms"
    assert field["message"] == "is no bound of the histogram; the nearest are 125 and 250 (ms)"
    status, answer, _ = await service.ask("PUT", path(tenant, "/fast"), {**fast, "threshold_ms": 250.0})
    assert status in (200, 201), answer
    assert {role: found["series"] for role, found in answer["matches"].items()} == {"total": 1, "good": 1}
    # What was wrong with it is told by the name that it has in the rules.
    why = "0.2 is no bound of the native histogram"
    await service.runtime.faults.note(Source.PROMETHEUS, {(tenant, "counter waits"): why}, NOW, NOW)
    _, answer, _ = await service.ask("GET", path(tenant, "/fast/status?windows=1h"))
    assert [told["reason"] for told in answer["suspect"]] == [why]


async def test_metrics_stand_beside_those_of_availability(service: Service) -> None:
    tenant = await service.tenant()
    await counted(service, tenant)
    _, text, _ = await service.ask("GET", "/metrics")
    labels = f'{{objective="latency",tenant_id="{tenant}",window="1h"}}'
    line = next(
        x for x in text.splitlines()
        if x.startswith("ecp_tenant_objective_ratio{") and tenant in x and "latency" in x and '"1h"' in x
    )  # fmt: skip
    assert line.endswith(" 0.5"), labels
    await service.ask("DELETE", f"/api/v1/tenants/{tenant}?force=true")
    await service.runtime.work.objectives.roll()
    _, text, _ = await service.ask("GET", "/metrics")
    assert not [x for x in text.splitlines() if x.startswith("ecp_tenant_objective_") and tenant in x]


async def test_objectives_are_evaluated_when_something_has_changed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, idle = await service.tenant(), await service.tenant()
    objectives = service.runtime.work.objectives
    evaluated, evaluate = list[str](), type(objectives)._evaluate

    async def noted(self: Any, tenants: Any, now: datetime) -> Any:
        evaluated.extend(t.tenant_id for t in tenants if t.tenant_id in (tenant, idle))
        return await evaluate(self, tenants, now)

    monkeypatch.setattr(type(objectives), "_evaluate", noted)

    async def turn() -> list[str]:
        evaluated.clear()
        await objectives.roll()
        return sorted(evaluated)

    await counted(service, tenant)
    # What the defaults that were given to them change is seen once.
    await turn()
    assert await turn() == []
    await push(service, tenant, NOW - timedelta(minutes=3, seconds=30), response_time=100)
    assert await turn() == [tenant]
    assert (await service.ask("PUT", path(idle, "/checkout"), CHECKOUT))[0] == 201
    assert await turn() == [idle]
    service.clock.advance(60)
    assert await turn() == [tenant]
    assert await turn() == []


async def test_late_data_and_maintenance_move_the_figures(service: Service) -> None:
    tenant = await service.tenant()
    await counted(service, tenant)
    await push(
        service, tenant, NOW - timedelta(minutes=30, seconds=30), errors_total=25
    )  # a restart, seen late
    await service.runtime.work.objectives.roll()
    _, answer, _ = await service.ask("GET", path(tenant, "/requests/status?windows=1h"))
    # 10 to 25, then a restart and 15 again, where there had been 5 from 10 to 15.
    assert answer["windows"][0]["bad"] == 25 - 5 + 15 + 15
    plan = {
        "start": (NOW - timedelta(minutes=31)).isoformat(),
        "end": (NOW - timedelta(minutes=29)).isoformat(),
        "reason": "upgrade",
    }
    assert (await service.ask("POST", f"/api/v1/tenants/{tenant}/maintenance", plan))[0] == 201
    _, answer, _ = await service.ask("GET", path(tenant, "/requests/status?windows=1h"))
    assert answer["windows"][0]["eligible_minutes"] == 58
    assert answer["windows"][0]["total"] == 570


async def test_a_tenants_own_objective(service: Service) -> None:
    tenant = await service.tenant()
    status, answer, _ = await service.ask("PUT", path(tenant, "/checkout"), CHECKOUT)
    assert (status, answer["inherited"], answer["name"]) == (201, False, "checkout")
    status, shown, _ = await service.ask("GET", path(tenant, "/checkout"))
    assert (status, shown) == (200, answer)
    # What is shown can be sent back.
    assert (await service.ask("PUT", path(tenant, "/checkout"), shown))[0] == 200
    for i in range(5):
        at = NOW - timedelta(minutes=5 - i)
        await push(service, tenant, at, checkout_total=10 * i, checkout_ok_total=9 * i)
    await service.runtime.work.objectives.roll()
    _, answer, _ = await service.ask("GET", path(tenant, "/checkout/status"))
    assert [(w["window"], w["good"], w["total"]) for w in answer["windows"]] == [
        ("1h", 36, 40),
        ("24h", 36, 40),
    ]
    assert (await service.ask("DELETE", path(tenant, "/checkout")))[0] == 204
    assert (await service.ask("GET", path(tenant, "/checkout")))[0] == 404
    assert (await service.ask("DELETE", path(tenant, "/checkout")))[0] == 404
    # A default cannot be taken away, but be replaced and come back.
    assert (await service.ask("DELETE", path(tenant, "/requests")))[0] == 409
    assert (await service.ask("PUT", path(tenant, "/requests"), CHECKOUT))[0] == 200
    assert (await service.ask("DELETE", path(tenant, "/requests")))[0] == 204
    _, shown, _ = await service.ask("GET", path(tenant, "/requests"))
    assert (shown["inherited"], shown["total"]["metric"]) == (True, "requests_total")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"target": 1}, "target"), ({"target": 0}, "target"), ({"target": "99%"}, "target"),
        ({"windows": ["5m"]}, "windows"), ({"good": None}, ""), ({"surprise": 1}, "surprise"),
        ({"name": "other"}, "name"),
    ],
)  # fmt: skip
async def test_bad_definitions_are_refused_by_field(
    service: Service, change: dict[str, Any], field: str
) -> None:
    tenant = await service.tenant()
    status, answer, _ = await service.ask("PUT", path(tenant, "/checkout"), {**CHECKOUT, **change})
    assert (status, answer["error"]["code"]) == (422, "VALIDATION_FAILED")
    assert answer["error"]["details"]["fields"][0]["field"] == field
    assert (await service.ask("GET", path(tenant, "/checkout")))[0] == 404


async def test_what_an_objective_finds_is_said_when_it_is_saved(service: Service) -> None:
    tenant = await service.tenant()
    _, answer, _ = await service.ask("PUT", path(tenant, "/checkout"), CHECKOUT)
    assert answer["matches"] == {"total": {"series": 0, "first": []}, "good": {"series": 0, "first": []}}
    assert answer["hints"] == ["no series is checkout_total: nothing is counted"]
    await push(service, tenant, NOW - timedelta(minutes=2), checkout_total=1, checkout_ok_total=1)
    _, answer, _ = await service.ask("GET", path(tenant, "/checkout"))
    assert answer["matches"]["good"] == {"series": 1, "first": ["checkout_ok_total"]}
    assert answer["hints"] == []
    _, answer, _ = await service.ask("GET", path(tenant))
    assert [len(o["hints"]) for o in answer["objectives"] if o["name"] == "latency"] == [1]


async def test_what_nothing_that_is_pushed_as_json_can_match_is_said_when_it_is_saved(
    service: Service,
) -> None:
    tenant = await service.tenant()
    labelled = {**CHECKOUT, "good": {"metric": "checkout_total", "labels": {"code": {"re": "2.."}}}}
    status, answer, _ = await service.ask("PUT", path(tenant, "/checkout"), labelled)
    assert (status, answer["good"]["labels"]) == (201, {"code": {"re": "2.."}})
    assert answer["hints"] == ["what is pushed as JSON carries no labels: only what agents send can match"]
    # Another source has labels.
    status, answer, _ = await service.ask(
        "PUT", path(tenant, "/checkout"), {**labelled, "source": "prometheus"}
    )
    assert (status, answer["hints"]) == (200, ["no series is checkout_total: nothing is counted"])
    bad = {**labelled, "source": "prometheus", "good": {"metric": "x", "labels": {"code": {"re": "("}}}}
    status, answer, _ = await service.ask("PUT", path(tenant, "/checkout"), bad)
    assert status == 422
    assert answer["error"]["details"]["fields"][0]["field"].startswith("good.labels.code")


async def test_errors_that_nobody_counts_are_no_perfection(service: Service) -> None:
    tenant = await service.tenant()
    for i in range(30):
        await push(service, tenant, NOW - timedelta(minutes=30 - i), requests_total=10 * i)
    await service.runtime.work.objectives.roll()
    _, answer, _ = await service.ask("GET", path(tenant, "/requests/status?windows=1h"))
    (hour,) = answer["windows"]
    assert (hour["ratio"], hour["status"], hour["verdict"]) == (None, "no_data", "undetermined")
    assert (hour["burn_rate"], hour["bounds"]) == (None, {"low": None, "high": None})
    await push(service, tenant, NOW - timedelta(seconds=30), requests_total=300, errors_total=1)
    await service.runtime.work.objectives.roll()
    service.clock.advance(60)
    _, answer, _ = await service.ask("GET", path(tenant, "/requests/status?windows=1h"))
    (hour,) = answer["windows"]
    assert (hour["bad"], hour["total"], hour["assumed_resets"]) == (1, 300, 0)


async def test_odd_questions_are_refused(service: Service) -> None:
    tenant = await service.tenant()
    for rest in (
        "?format=xml",
        "/requests?format=pdf",
        "/requests/status?windows=5m",
        "/requests/status?windows=",
    ):
        assert (await service.ask("GET", path(tenant, rest)))[0] == 422, rest
    for body in (b"[]", b'{"objectives": 3}', b'{"objectives": [], "more": 1}', b'{"objectives": [3]}'):
        status, _, _ = await service.ask("PUT", path(tenant), body, **{"Content-Type": "application/json"})
        assert status == 422, body
    doubled = {"objectives": [{**CHECKOUT, "name": "a"}, {**CHECKOUT, "name": "a"}]}
    assert (await service.ask("PUT", path(tenant), doubled))[0] == 422
    crowd = {"objectives": [{**CHECKOUT, "name": f"o-{i}"} for i in range(60)]}
    assert (await service.ask("PUT", path(tenant), crowd))[0] == 409


async def yaml_put(service: Service, where: str, text: str, who: str = "admin") -> tuple[int, Any]:
    status, answer, _ = await service.ask(
        "PUT", where, text.encode(), who=who, **{"Content-Type": "application/yaml"}
    )
    return status, answer


async def test_openslo_goes_round(service: Service) -> None:
    tenant = await service.tenant(sla_target={"availability": "99.9%"})
    await service.ask("PUT", path(tenant, "/checkout"), CHECKOUT)
    status, text, headers = await service.ask("GET", path(tenant, "?format=openslo"))
    assert (status, headers["Content-Type"].split(";")[0]) == (200, "application/yaml")
    found = list(yaml.safe_load_all(text))
    assert [d["metadata"]["name"] for d in found] == ["availability", "checkout", "latency", "requests"]
    assert found[0]["spec"]["objectives"][0]["target"] == 0.999
    _, before, _ = await service.ask("GET", path(tenant))
    assert await yaml_put(service, path(tenant), text) == (200, before)
    # To another tenant, as it stands: refused, because it names its service.
    other = await service.tenant()
    status, answer = await yaml_put(service, path(other), text)
    assert (status, answer["error"]["details"]["fields"][0]["field"]) == (422, "[0].spec.service")
    # Availability is changed with the tenant, not here.
    status, answer = await yaml_put(service, path(tenant), text.replace("0.999", "0.99"))
    assert (status, answer["error"]["details"]["fields"][0]["field"]) == (422, "availability")
    # An empty file takes nothing away.
    for empty in ("", "null\n", "---\n"):
        assert (await yaml_put(service, path(tenant), empty))[0] == 422
    assert (await service.ask("GET", path(tenant)))[1] == before
    # Only what is in the stream is the tenant's own afterwards.
    assert (await yaml_put(service, path(tenant), yaml.safe_dump(found[0])))[0] == 200
    _, after, _ = await service.ask("GET", path(tenant))
    assert [o["name"] for o in after["objectives"]] == ["latency", "requests"]


async def test_one_slo_by_its_name(service: Service) -> None:
    tenant = await service.tenant()
    await service.ask("PUT", path(tenant, "/checkout"), CHECKOUT)
    _, text, _ = await service.ask("GET", path(tenant, "/checkout?format=openslo"))
    assert (await service.ask("DELETE", path(tenant, "/checkout")))[0] == 204
    assert (await yaml_put(service, path(tenant, "/other"), text))[0] == 422
    status, answer = await yaml_put(service, path(tenant, "/checkout"), text)
    assert (status, answer["good"]) == (201, {"metric": "checkout_ok_total", "labels": {}})


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("a: &a [1]\nb: *a", 422),
        ("#" * 190_000 + "\nkind: SLO", 422),
        ("x" * 250_000, 413),
        ("kind: SLO", 422),
        ("- 1", 422),
        ("a: [", 422),
    ],
)
async def test_hostile_yaml_is_refused(service: Service, text: str, status: int) -> None:
    tenant = await service.tenant()
    got, answer = await yaml_put(service, path(tenant), text)
    assert got == status, answer


async def test_bytes_that_are_no_text(service: Service) -> None:
    tenant = await service.tenant()
    status, _, _ = await service.ask("PUT", path(tenant), b"\xff\xfe", **{"Content-Type": "text/yaml"})
    assert status == 400


async def test_anothers_objectives_do_not_exist(service: Service) -> None:
    tenant = await service.tenant()
    await service.ask("PUT", path(tenant, "/checkout"), CHECKOUT)
    for method, rest in (
        ("GET", ""), ("GET", "?format=openslo"), ("GET", "/checkout"), ("GET", "/checkout/status"),
        ("PUT", "/checkout"), ("PUT", ""), ("DELETE", "/checkout"),
    ):  # fmt: skip
        status, answer, _ = await service.ask(method, path(tenant, rest), CHECKOUT, who="outsider")
        assert (status, answer["error"]["code"]) == (404, "TENANT_NOT_FOUND"), (method, rest)
    # Names of one tenant mean nothing to another.
    other = await service.tenant()
    assert (await service.ask("GET", path(other, "/checkout/status")))[0] == 404
    assert (await service.ask("DELETE", path(other, "/checkout")))[0] == 404
    assert (await service.ask("GET", path(tenant, "/checkout")))[0] == 200


async def test_who_may_look_may_not_define(service: Service) -> None:
    tenant = await service.tenant()
    assert (await service.ask("GET", path(tenant), who="viewer"))[0] == 200
    assert (await service.ask("PUT", path(tenant, "/checkout"), CHECKOUT, who="viewer"))[0] == 403
    assert (await service.ask("DELETE", path(tenant, "/requests"), who="viewer"))[0] == 403
