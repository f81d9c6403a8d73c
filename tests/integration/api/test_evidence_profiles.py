"""Evidence profiles over the API: shipped, chosen, refused, kept with when they held."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.integration.api.conftest import Service

CHOICE = {"profile": "vllm", "match": {"job": "vllm-acme"}}


async def own(service: Service, method: str, tenant: str, body: Any = None) -> tuple[int, Any]:
    status, answer, _ = await service.ask(method, f"/api/v1/tenants/{tenant}/evidence-profile", body)
    return status, answer


async def test_the_shipped_profiles_are_listed_with_units_and_warnings(service: Service) -> None:
    status, answer, _ = await service.ask("GET", "/api/v1/evidence-profiles")
    assert status == 200
    listed = {p["name"]: p for p in answer["profiles"]}
    assert listed["vllm"]["latency"]["unit"] == "s"
    assert 0.25 in listed["vllm"]["latency"]["bounds"]
    assert listed["bentoml"]["parameters"]["endpoints"]["required"]
    assert [o["name"] for o in listed["triton"]["objectives"]] == ["requests"]
    assert all(p["warnings"] for p in answer["profiles"])
    status, answer, _ = await service.ask("GET", "/api/v1/evidence-profiles/mosec")
    assert "code=~" in answer["expressions"]["errors_total"]
    status, answer, _ = await service.ask("GET", "/api/v1/evidence-profiles/nobody")
    assert (status, answer["error"]["code"]) == (404, "NOT_FOUND")


async def test_a_tenants_profile_is_kept_with_when_it_held(service: Service) -> None:
    tenant, other = await service.tenant(), await service.tenant()
    status, answer = await own(service, "GET", tenant)
    assert (status, answer["selection"], answer["history"]) == (200, None, [])
    status, answer = await own(service, "PUT", tenant, CHOICE)
    assert status == 200
    assert answer["selection"]["match"] == {"job": "vllm-acme"}
    assert 'job=~"vllm-acme"' in answer["asked"]["errors_total"]
    assert "single instances" in answer["warnings"][0]  # its evidence is what it pushes
    service.clock.advance(60)
    status, answer = await own(service, "PUT", tenant, {**CHOICE, "profile": "mosec"})
    service.clock.advance(60)
    assert (await own(service, "DELETE", tenant))[0] == 204
    _, answer = await own(service, "GET", tenant)
    assert answer["selection"] is None
    assert answer["asked"] == {}
    assert [h["selection"] and h["selection"]["profile"] for h in answer["history"]] == [
        None,
        "mosec",
        "vllm",
    ]
    newest, second, first = answer["history"]
    assert (first["valid_to"], second["valid_to"], newest["valid_to"]) == (
        second["valid_from"], newest["valid_from"], None,
    )  # fmt: skip
    chosen = await service.runtime.profiles.chosen()
    assert [c.selection and c.selection.profile for c in chosen if c.tenant_id == tenant] == [
        "vllm",
        "mosec",
        None,
    ]
    assert (await own(service, "GET", other))[1]["history"] == []


async def test_a_tenant_is_made_with_a_profile_or_not_at_all(service: Service) -> None:
    body = {
        "tenant_id": "made-with-one", "name": "Made", "service_requirements": {"chatbot": 10},
        "sli_source": "prometheus", "evidence_profile": {**CHOICE, "threshold": 0.2},
    }  # fmt: skip
    status, answer, _ = await service.ask("POST", "/api/v1/tenants/", body)
    assert (status, answer["error"]["code"]) == (422, "VALIDATION_FAILED")
    assert [f["field"] for f in answer["error"]["details"]["fields"]] == ["evidence_profile.threshold"]
    assert (await service.ask("GET", "/api/v1/tenants/made-with-one"))[0] == 404
    status, answer, _ = await service.ask("POST", "/api/v1/tenants/", {**body, "evidence_profile": CHOICE})
    assert status == 201
    made = datetime.fromisoformat(answer["created_at"])
    # So no instant of it is measured by what holds for all.
    chosen = [c for c in await service.runtime.profiles.chosen() if c.tenant_id == "made-with-one"]
    assert [(c.valid_from, c.selection and c.selection.document()["match"]) for c in chosen] == [
        (made, CHOICE["match"])
    ]
    _, answer = await own(service, "GET", "made-with-one")
    assert answer["selection"]["profile"] == "vllm"


async def test_a_choice_that_cannot_be_asked_is_refused_and_nothing_changes(service: Service) -> None:
    tenant = await service.tenant()
    for body, field in (
        ({**CHOICE, "profile": "nobody"}, "profile"),
        ({**CHOICE, "threshold": 0.2}, "threshold"),
        ({**CHOICE, "parameters": {"handlers": "("}}, "parameters.handlers"),
        ({**CHOICE, "match": {}}, "match"),
        ({**CHOICE, "match": {"a b": "c"}}, "match.a b.[key]"),
        ({**CHOICE, "nothing": 1}, "nothing"),
        ({"profile": "vllm"}, "match"),
    ):
        status, answer = await own(service, "PUT", tenant, body)
        assert (status, answer["error"]["code"]) == (422, "VALIDATION_FAILED")
        assert [f["field"] for f in answer["error"]["details"]["fields"]] == [field]
    assert (await own(service, "GET", tenant))[1]["history"] == []
