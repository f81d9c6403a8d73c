"""PUT on a tenant: partial, re-sized, told what it means; what was promised before is not rewritten."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecpmon.storage.faults import DatabaseRefused
from tests.integration.api.conftest import NOW, Service
from tests.integration.api.test_statements import a_march, report

TARGET = {"availability": "99.9%", "response_time": "200ms"}


async def put(service: Service, name: str, body: Any, expected: int = 200, **headers: str) -> dict[str, Any]:
    status, answer, _ = await service.ask("PUT", f"/api/v1/tenants/{name}", body, **headers)
    assert status == expected, answer
    found: dict[str, Any] = answer
    return found


async def detail(service: Service, name: str) -> dict[str, Any]:
    status, answer, _ = await service.ask("GET", f"/api/v1/tenants/{name}")
    assert status == 200
    found: dict[str, Any] = answer
    return found


async def test_only_what_is_given_changes(service: Service) -> None:
    name = await service.tenant(sla_target=TARGET, description="old")
    before = await detail(service, name)
    answer = await put(service, name, {"name": "새 이름"})
    assert (answer["name"], answer["changes"], answer["redeploy_needed"]) == ("새 이름", [], False)
    after = await detail(service, name)
    different = {k for k in after if after[k] != before[k]}
    assert different == {"name", "updated_at"}
    await put(service, name, {"description": None})
    assert (await detail(service, name))["description"] is None
    assert (await put(service, name, {}))["changes"] == []


async def test_more_sessions_are_sized_and_their_meaning_is_told(service: Service) -> None:
    name = await service.tenant(service_requirements={"chatbot": 50}, preset="micro")
    answer = await put(service, name, {"service_requirements": {"chatbot": 400, "advisor": 10}})
    assert {"service": "chatbot", "field": "replicas", "from": 2, "to": 9, "effect": "scale"} in answer[
        "changes"
    ]
    [advisor] = [c for c in answer["changes"] if c["service"] == "advisor"]
    assert (advisor["field"], advisor["from"], advisor["effect"]) == ("replicas", 0, "create")
    # The present preset is kept while it is large enough, and left when it is not.
    assert answer["preset"] == answer["recommended_preset"] != "micro"
    assert (await detail(service, name))["resources"] == answer["estimated_resources"]
    back = await put(service, name, {"service_requirements": {"chatbot": 50, "advisor": None}})
    assert {c["effect"] for c in back["changes"]} == {"scale", "remove"}
    assert (back["preset"], back["recommended_preset"]) == (answer["preset"], "micro")
    assert (await put(service, name, {"preset": None}))["preset"] == "micro"


async def test_services_that_are_not_named_stay_and_null_takes_one_away(service: Service) -> None:
    """One more session for one service was the end of all others, though nobody had said so."""
    had = {"chatbot": 50, "callbot": 20, "advisor": 5}
    name = await service.tenant(service_requirements=had)
    answer = await put(service, name, {"service_requirements": {"chatbot": 51}})
    assert answer["service_requirements"] == {**had, "chatbot": 51}
    assert {c["service"] for c in answer["changes"]} <= {"chatbot"}
    assert (await put(service, name, {"service_requirements": {}}))["changes"] == []
    gone = {"service_requirements": {"callbot": None, "chatbot": 51}}
    answer = await put(service, name, gone)
    assert answer["service_requirements"] == {"chatbot": 51, "advisor": 5}
    [removed] = [c for c in answer["changes"] if c["effect"] == "remove"]
    assert (removed["service"], removed["field"], removed["to"]) == ("callbot", "replicas", 0)
    # Who asks again, not having heard the answer, asks for nothing more.
    assert (await put(service, name, gone))["changes"] == []
    assert (await detail(service, name))["service_requirements"] == {"chatbot": 51, "advisor": 5}
    last = await put(service, name, {"service_requirements": {"chatbot": None, "advisor": None}}, 422)
    assert [f["field"] for f in last["error"]["details"]["fields"]] == ["service_requirements"]
    assert (await detail(service, name))["service_requirements"] == {"chatbot": 51, "advisor": 5}


async def test_sizes_that_are_not_named_stay_and_null_is_the_catalogues(service: Service) -> None:
    name = await service.tenant(service_requirements={"chatbot": 50, "callbot": 20})
    had = {
        "chatbot": {"cpu_request": "300m", "memory_request": "600Mi"},
        "callbot": {"memory_request": "1100Mi"},
    }
    await put(service, name, {"service_resources": had})
    answer = await put(service, name, {"service_resources": {"chatbot": {"cpu_request": "310m"}}})
    assert answer["service_resources"] == {
        **had,
        "chatbot": {"cpu_request": "310m", "memory_request": "600Mi"},
    }
    assert [(c["service"], c["field"], c["from"], c["to"]) for c in answer["changes"]] == [
        ("chatbot", "cpu_request", "300m", "310m")
    ]
    assert (await put(service, name, {"service_resources": {}}))["changes"] == []
    answer = await put(service, name, {"service_resources": {"chatbot": {"memory_request": None}}})
    assert answer["service_resources"] == {**had, "chatbot": {"cpu_request": "310m"}}
    assert [(c["field"], c["to"]) for c in answer["changes"]] == [("memory_request", "512Mi")]
    answer = await put(service, name, {"service_resources": {"callbot": None}})
    assert answer["service_resources"] == {"chatbot": {"cpu_request": "310m"}}
    lower = {"service_resources": {"chatbot": {"cpu_request": None}}, "acknowledge_autoscaling": True}
    assert (await put(service, name, lower))["service_resources"] == {}


async def test_whose_word_counts_can_be_changed_and_the_past_stays(service: Service) -> None:
    """Also for one whose place of deployment said it so far; the audit log tells of it."""
    name = await service.tenant()
    key = (await service.runtime.tenants.get(name)).key
    query = "SELECT source, valid_from FROM evidence_regimes WHERE tenant = $1 ORDER BY valid_from"
    assert [r["source"] for r in await service.runtime.database.fetch(query, key)] == ["push"]
    service.clock.set(service.clock.now() + timedelta(minutes=1))
    assert (await put(service, name, {"sli_source": "prometheus"}))["sli_source"] == "prometheus"
    assert (await detail(service, name))["sli_source"] == "prometheus"
    rows = await service.runtime.database.fetch(query, key)
    assert [r["source"] for r in rows] == ["push", "prometheus"]
    assert rows[1]["valid_from"] == service.clock.now()
    await put(service, name, {"name": "the same"})
    assert len(await service.runtime.database.fetch(query, key)) == 2
    _, log, _ = await service.ask("GET", f"/api/v1/tenants/{name}/audit")
    assert any("sli_source" in (row.get("after") or {}) for row in log["entries"]), log
    await put(service, name, {"sli_source": "guess"}, 422)


@pytest.mark.parametrize("lower", [{"cpu_request": "100m"}, {"cpu_limit": "500m"}])
async def test_less_cpu_under_an_autoscaler_must_be_meant(service: Service, lower: dict[str, str]) -> None:
    name = await service.tenant(service_requirements={"chatbot": 50})
    body = {"service_resources": {"chatbot": lower}}
    error = (await put(service, name, body, 422))["error"]
    assert error["details"]["fields"][0]["field"] == "acknowledge_autoscaling"
    await put(service, name, {**body, "acknowledge_autoscaling": True})


async def test_a_target_is_merged(service: Service) -> None:
    name = await service.tenant(sla_target=TARGET)
    await put(service, name, {"sla_target": {"availability": "99.5%"}})
    assert (await detail(service, name))["sla_target"] == {"availability": "99.5%", "response_time": "200ms"}
    await put(service, name, {"sla_target": {"response_time": None}})
    assert (await detail(service, name))["sla_target"] == {"availability": "99.5%"}


async def test_a_new_target_leaves_the_past_as_it_was(service: Service) -> None:
    name = await a_march(service, sla_target={"availability": "99%"})
    service.clock.set(datetime(2026, 4, 5, tzinfo=UTC))
    closed = await report(service, name)
    assert (closed["contract"]["target"], closed["verdict"], closed["revisions"]) == (99, "met", 1)
    await put(service, name, {"sla_target": {"availability": "99.9%"}})
    again = await report(service, name)
    assert (again["revisions"], again["contract"]["target"], again["digest"]) == (1, 99, closed["digest"])
    tenant = await service.runtime.tenants.get(name)
    assert not await service.runtime.statements.restate(tenant, "2026-03", service.clock.now())
    # From now on: the live figures at once, statements with the month that begins under it.
    url = f"/api/v1/tenants/{name}/sla?windows=30d"
    assert (await service.ask("GET", url))[1]["target"] == 99.9
    assert (await service.ask("GET", url + "&at=2026-04-04T00:00:00Z"))[1]["target"] == 99
    as_of = service.runtime.tenants.as_of
    shown = [
        (await as_of(tenant, datetime(2026, month, 1, tzinfo=UTC))).sla_target.availability
        for month in (3, 4, 5)
    ]
    assert shown == ["99%", "99%", "99.9%"]


async def test_a_change_by_hand_keeps_the_target_too(service: Service) -> None:
    name = await service.tenant(sla_target={"availability": "99%"})
    sql = """UPDATE tenants SET sla_target = '{"availability": "98%"}' WHERE tenant_id = $1"""
    await service.runtime.database.execute(sql, name)
    tenant = await service.runtime.tenants.get(name)
    assert (await service.runtime.tenants.as_of(tenant, NOW)).sla_target.availability == "99%"


async def test_two_at_once_do_not_mix(service: Service) -> None:
    name = await service.tenant()
    _, _, headers = await service.ask("GET", f"/api/v1/tenants/{name}")
    tag = headers["ETag"]
    await put(service, name, {"name": "first"}, **{"If-Match": tag})
    refused = await put(service, name, {"name": "second"}, 409, **{"If-Match": tag})
    assert refused["error"]["code"] == "CONFLICT"
    assert (await detail(service, name))["name"] == "first"
    _, _, headers = await service.ask("GET", f"/api/v1/tenants/{name}")
    await put(service, name, {"name": "third"}, **{"If-Match": headers["ETag"]})
    answers = await asyncio.gather(
        *(service.ask("PUT", f"/api/v1/tenants/{name}", {"name": f"n{i}"}) for i in range(6))
    )
    won = [body["name"] for status, body, _ in answers if status == 200]
    assert {status for status, _, _ in answers} <= {200, 409}
    assert (await detail(service, name))["name"] in won


async def test_what_was_right_sized_replaces_the_catalogue(service: Service) -> None:
    name = await service.tenant(service_requirements={"chatbot": 50})
    more = {"service_resources": {"chatbot": {"cpu_request": "300m", "memory_request": "600Mi"}}}
    answer = await put(service, name, more)
    assert {(c["field"], c["from"], c["to"], c["effect"]) for c in answer["changes"]} == {
        ("cpu_request", "200m", "300m", "rollout"),
        ("memory_request", "512Mi", "600Mi", "rollout"),
    }
    assert answer["restarts_pods"] == ["chatbot"]
    [chatbot] = [s for s in (await detail(service, name))["services"] if s["service_name"] == "chatbot"]
    assert chatbot["resources"] == {"cpu_request": "300m", "memory_request": "600Mi"}
    # It stays when something else changes, and goes when that is asked for.
    answer = await put(service, name, {"service_requirements": {"chatbot": 100}})
    assert {c["field"] for c in answer["changes"]} == {"replicas"}
    lower = await put(service, name, {"service_resources": None}, 422)
    assert "HorizontalPodAutoscaler" in lower["error"]["message"]
    answer = await put(service, name, {"service_resources": None, "acknowledge_autoscaling": True})
    assert answer["service_resources"] == {}


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"name": ""}, "VALIDATION_FAILED", "name"), ({"name": None}, "VALIDATION_FAILED", "name"),
        ({"name": 5}, "VALIDATION_FAILED", "name"), ({"colour": "red"}, "VALIDATION_FAILED", "colour"),
        ({"tenant_id": "other"}, "VALIDATION_FAILED", "tenant_id"), ([], "VALIDATION_FAILED", ""),
        ({"description": "x" * 2001}, "VALIDATION_FAILED", "description"),
        ({"preset": "huge"}, "INVALID_PRESET", None), ({"preset": 1}, "VALIDATION_FAILED", "preset"),
        ({"service_requirements": {"chatbot": None}}, "VALIDATION_FAILED", "service_requirements"),
        ({"service_requirements": None}, "VALIDATION_FAILED", "service_requirements"),
        ({"service_requirements": {"nope": 1}}, "VALIDATION_FAILED", "service_requirements.nope"),
        ({"service_requirements": {"chatbot": 0}}, "VALIDATION_FAILED", "service_requirements.chatbot"),
        ({"service_requirements": {"chatbot": "10"}}, "VALIDATION_FAILED", "service_requirements.chatbot"),
        ({"service_requirements": {"chatbot": 900_000}}, "INSUFFICIENT_RESOURCES", None),
        ({"service_requirements": {"chatbot": 400}, "preset": "micro"}, "INSUFFICIENT_RESOURCES", None),
        ({"sla_target": {"availability": "100%"}}, "VALIDATION_FAILED", "sla_target.availability"),
        ({"sla_target": {"availability": None}}, "VALIDATION_FAILED", "sla_target.availability"),
        ({"sla_target": {"response_time": "1ms"}}, "VALIDATION_FAILED", "sla_target.response_time"),
        ({"sla_target": None}, "VALIDATION_FAILED", "sla_target"),
        ({"service_resources": {"nope": {}}}, "VALIDATION_FAILED", "service_resources.nope"),
        ({"service_resources": {"chatbot": {"cpu_request": "2"}}}, "VALIDATION_FAILED",
         "service_resources.chatbot.cpu_request"),
        ({"service_resources": {"chatbot": {"cpu_request": "5000m"}}}, "VALIDATION_FAILED",
         "service_resources.chatbot"),
        ({"service_resources": {"chatbot": {"image": "x"}}}, "VALIDATION_FAILED",
         "service_resources.chatbot.image"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named_and_nothing_changes(
    service: Service, body: Any, code: str, field: str | None
) -> None:
    name = await service.tenant()
    before = await detail(service, name)
    error = (await put(service, name, body, 422))["error"]
    assert error["code"] == code
    assert field is None or field in [f["field"] for f in error["details"]["fields"]]
    assert await detail(service, name) == before


async def test_a_service_with_a_weight_stays(service: Service) -> None:
    weights = {"chatbot": 2.0, "callbot": 1.0}
    name = await service.tenant(
        service_requirements={"chatbot": 10, "callbot": 10}, component_weights=weights
    )
    refused = await put(service, name, {"service_requirements": {"callbot": None}}, 422)
    assert "callbot" in refused["error"]["message"]
    more = {"service_requirements": {"chatbot": 20, "advisor": 5}}
    assert (await put(service, name, more))["service_requirements"] == {
        "chatbot": 20,
        "callbot": 10,
        "advisor": 5,
    }
    assert (await detail(service, name))["component_weights"] == weights


async def test_changes_are_told_against_what_is_deployed(service: Service) -> None:
    name = await service.tenant(service_requirements={"chatbot": 50})
    store, holds = service.runtime.tenants, timedelta(seconds=40)
    await store.set_deployed(await store.get(name), "kubernetes", "running", holds, timedelta(), NOW)
    body = {"service_resources": {"chatbot": {"cpu_request": "300m"}}}
    first = await put(service, name, body)
    assert (first["compared_with"], first["redeploy_needed"]) == ("deployment", True)
    # Not deployed yet, so it is still to come, beside what follows.
    second = await put(service, name, {"service_requirements": {"chatbot": 100}})
    assert {(c["field"], c["from"], c["to"]) for c in second["changes"]} == {
        ("cpu_request", "200m", "300m"), ("replicas", 2, 3),
    }  # fmt: skip
    assert (await put(service, name, {"name": "x"}))["changes"] == second["changes"]
    await store.set_deployed(await store.get(name), "kubernetes", "running", holds, timedelta(), NOW)
    third = await put(service, name, {"name": "y"})
    assert (third["changes"], third["redeploy_needed"]) == ([], False)
    back = {
        "service_requirements": {"chatbot": 50},
        "service_resources": None,
        "acknowledge_autoscaling": True,
    }
    assert {c["to"] for c in (await put(service, name, back))["changes"]} == {"200m", 2}
    await store.set_deployed(await store.get(name), None, "pending", holds, timedelta(), NOW)
    assert (await put(service, name, {}))["compared_with"] == "tenant"


async def test_a_tenant_made_by_hand_can_be_renamed_and_mended(service: Service) -> None:
    """Somebody inserted it with a preset that is too small, and with a service that nobody knows."""
    sql = """INSERT INTO tenants (tenant_id, name, preset, service_requirements, resources, sla_target)
             VALUES ($1, 'x', 'micro', $2, '{}', '{}')"""
    for name, requirements in (("hand-small", {"chatbot": 500}), ("hand-odd", {"fax": 3})):
        await service.runtime.database.execute("DELETE FROM tenants WHERE tenant_id = $1", name)
        await service.runtime.database.execute(sql, name, requirements)
        answer = await put(service, name, {"name": "renamed"})
        assert (answer["name"], answer["changes"], answer["estimated_cost"]) == ("renamed", [], None)
        if "fax" in requirements:
            error = (await put(service, name, {"service_requirements": {"chatbot": 50}}, 422))["error"]
            assert [f["field"] for f in error["details"]["fields"]] == ["service_requirements.fax"]
        answer = await put(service, name, {"service_requirements": {"chatbot": 50, "fax": None}})
        assert (answer["service_requirements"], answer["preset"]) == ({"chatbot": 50}, "micro")
        assert answer["estimated_cost"].endswith("/month")
        assert answer["changes"]


@pytest.mark.parametrize("odd", [[], {"chatbot": "big"}, {"chatbot": ["x"]}, {"chatbot": {"cpu_request": 5}}])
async def test_the_database_refuses_resources_that_nobody_can_read(service: Service, odd: Any) -> None:
    name = await service.tenant()
    with pytest.raises(DatabaseRefused):
        await service.runtime.database.execute(
            "UPDATE tenants SET service_resources = $2 WHERE tenant_id = $1", name, odd
        )


async def test_labels_are_merged_and_null_takes_them_away(service: Service) -> None:
    name = await service.tenant(labels={"region": "seoul", "team": "결제"})
    assert (await detail(service, name))["labels"] == {"region": "seoul", "team": "결제"}
    answer = await put(
        service, name, {"labels": {"team": None, "ecp.ai/tier": "gold", "gone": None, "note": ""}}
    )
    assert answer["labels"] == {"region": "seoul", "ecp.ai/tier": "gold", "note": ""}
    assert (await put(service, name, {"name": "x"}))["labels"] == answer["labels"]
    many = {f"label-{n}": "x" for n in range(29)}
    assert len((await put(service, name, {"labels": many}))["labels"]) == 32
    error = (await put(service, name, {"labels": {"one-more": "x"}}, 422))["error"]
    assert [f["field"] for f in error["details"]["fields"]] == ["labels"]
    told = await service.runtime.database.fetchrow(
        "SELECT before, after FROM audit_log WHERE subject = $1 AND action = 'tenant.changed' ORDER BY id LIMIT 1",
        name,
    )
    assert told["before"] == {"labels": {"region": "seoul", "team": "결제"}}
    assert told["after"] == {"labels": answer["labels"]}
    assert (await put(service, name, {"labels": None}))["labels"] == {}


@pytest.mark.parametrize(
    "labels",
    [{"": "x"}, {"a" * 64: "x"}, {"-a": "x"}, {"a b": "x"}, {"a": "x" * 101}, {"a": "x\ny"}, {"a": 1}, ["a"],
     {f"n{n}": "x" for n in range(65)}],
)  # fmt: skip
async def test_labels_that_nobody_could_read_are_refused(service: Service, labels: Any) -> None:
    name = await service.tenant()
    error = (await put(service, name, {"labels": labels}, 422))["error"]
    assert {f["field"].split(".")[0] for f in error["details"]["fields"]} == {"labels"}
    body = {"tenant_id": "bad-labels", "name": "x", "service_requirements": {"chatbot": 1}, "labels": labels}
    status, answer, _ = await service.ask("POST", "/api/v1/tenants/", body)
    assert (status, answer["error"]["code"]) == (422, "VALIDATION_FAILED")


async def test_a_deleted_tenant_is_gone(service: Service) -> None:
    name = await service.tenant()
    await service.ask("DELETE", f"/api/v1/tenants/{name}")
    await put(service, name, {"name": "x"}, 404)
