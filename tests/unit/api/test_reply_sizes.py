"""What an error reply says does not grow with what was sent."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import World, ask, fields_of, make_app

from ecpmon.api import alerts, maintenance, objectives, tenant_update, tenants, tokens
from ecpmon.api.alertmanager import message_of
from ecpmon.errors import MAX_FIELDS, MAX_MESSAGE, ValidationFailed
from ecpmon.model.tenants import MAX_SERVICES, SlaTarget
from ecpmon.orchestrator.catalogue import default_catalogue
from ecpmon.orchestrator.sizing import plan_tenant
from ecpmon.orchestrator.tuning import tuned
from ecpmon.wire import dumps

MOST = 64 * 1024
MANY = {f"service-{n}": 1 for n in range(9_000)}
SOME = {f"service-{n}": 1 for n in range(MAX_SERVICES)}
LONG = "\x01é" * 15_000
TENANT = {"tenant_id": "x", "name": "x"}
ROUTES = [
    ("POST", "/api/v1/tenants/calculate-resources", "service_requirements", {}),
    ("POST", "/api/v1/tenants/", "service_requirements", TENANT),
    ("POST", "/api/v1/tenants/", "component_weights", {**TENANT, "service_requirements": {"chatbot": 1}}),
    ("PUT", "/api/v1/tenants/acme", "service_requirements", {}),
    ("PUT", "/api/v1/tenants/acme", "service_resources", {}),
    ("POST", "/api/v1/tenants/acme/maintenance", "reason", {}),
    ("POST", "/api/v1/tokens", "tenant_access", {}),
    ("POST", "/api/v1/alerts/rules/acme", "actions", {}),
    ("PUT", "/api/v1/tenants/acme/objectives", "objectives", {}),
]


@pytest.fixture
async def client(aiohttp_client: Any) -> Any:
    world = World()
    world.tenants.add("acme", service_requirements={"chatbot": 10})
    modules = [alerts, maintenance, objectives, tenant_update, tenants, tokens]
    return await aiohttp_client(make_app(modules, world))


@pytest.mark.parametrize(("method", "path", "field", "rest"), ROUTES)
@pytest.mark.parametrize(
    "value",
    [MANY, list(MANY), SOME, {n: {LONG[: 500 + i]: i} for i, n in enumerate(SOME)}, {LONG: LONG}, LONG, [[LONG]]],
    ids=["many", "list", "some", "wide", "long", "text", "nested"],
)  # fmt: skip
async def test_what_is_wrong_with_much_is_said_in_little(
    client: Any, method: str, path: str, field: str, rest: dict[str, Any], value: Any
) -> None:
    async with client.request(method, path, json={**rest, field: value}) as answer:
        said = await answer.read()
        assert answer.status in (404, 405, 422), said[:500]
    assert len(said) <= MOST


@pytest.mark.parametrize(("method", "path", "field", "rest"), ROUTES[:5])
async def test_too_many_services_are_one_bad_field(
    client: Any, method: str, path: str, field: str, rest: dict[str, Any]
) -> None:
    status, body = await ask(client, method, path, {**rest, field: MANY})
    assert (status, fields_of(body["error"])) == (422, [field])


def test_a_catalogue_is_not_repeated_for_every_unknown_service() -> None:
    for asked in (
        lambda: plan_tenant(MANY, SlaTarget(), None),
        lambda: tuned(default_catalogue(), {name: {} for name in MANY}),
    ):
        with pytest.raises(ValidationFailed) as refused:
            asked()
        assert len(refused.value.details["fields"]) == 1
    with pytest.raises(ValidationFailed) as refused:
        plan_tenant(SOME, SlaTarget(), None)
    shown = refused.value.details
    assert 1 < len(shown["fields"]) <= MAX_FIELDS
    assert len(shown["fields"]) + shown["more"] == MAX_SERVICES
    assert refused.value.message.endswith(f"and {MAX_SERVICES - 5} more")


@pytest.mark.parametrize("count", [0, 1, 50, 51, 49_000])
@pytest.mark.parametrize("text", ["x", LONG])
def test_a_refusal_holds_the_first_fields_and_counts_the_others(count: int, text: str) -> None:
    first = [{"field": f"{n}.{text}", "message": text} for n in range(min(count, 60))]
    error = ValidationFailed(text, fields=first + [{"field": "x", "message": "x"}] * (count - len(first)))
    shown = error.details["fields"]
    assert len(error.message) <= MAX_MESSAGE
    assert min(count, 1) <= len(shown) <= MAX_FIELDS
    assert len(shown) + error.details.get("more", 0) == count
    assert [f["field"].partition(".")[0] for f in shown] == [str(n) for n in range(len(shown))]
    assert len(dumps({"message": error.message, "details": error.details})) <= MOST


async def test_alerts_that_cannot_be_taken_are_named_briefly() -> None:
    alert = {"status": "firing", "labels": {LONG: 1}, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "a"}
    with pytest.raises(ValidationFailed) as refused:
        await message_of(dumps({"version": "4", "alerts": [alert] * 30}))
    assert len(dumps(refused.value.details)) <= MOST


async def test_what_is_nested_too_deep_is_said_in_our_words(client: Any) -> None:
    deep = b"[" * 90_000
    status, body = await ask(client, "POST", "/api/v1/tenants/calculate-resources", deep)
    assert (status, body["error"]["message"]) == (400, "the body is not JSON: nested too deep")
    number = b'{"a": ' + b"9" * 5_000 + b"}"
    status, body = await ask(client, "POST", "/api/v1/tenants/calculate-resources", number)
    assert (status, body["error"]["message"]) == (400, "the body is not JSON: a number has too many digits")


async def test_wide_objects_in_wide_objects_are_one_bad_field(client: Any) -> None:
    wide = {f"service-{n}": {f"key-{k}": 1 for k in range(200)} for n in range(200)}
    status, answer = await ask(client, "PUT", "/api/v1/tenants/acme", {"service_resources": wide})
    error = answer["error"]
    assert (status, error["details"]["fields"][0]["message"]) == (422, "has more than 10000 members in all")
