"""Tokens through the API: made, listed, replaced and revoked by who holds at least as much."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.integration.api.conftest import Service

pytestmark = pytest.mark.demo

TOKENS = "/api/v1/tokens"


async def made(service: Service, who: str, by: str = "admin", **body: Any) -> dict[str, Any]:
    """A token that was made through the API, for `ask(who=…)`."""
    document = {"name": who, "roles": ["viewer"], "tenant_access": ["*"], **body}
    status, answer, headers = await service.ask("POST", TOKENS, document, who=by)
    assert status == 201, answer
    assert headers["Cache-Control"] == "no-store"
    service.tokens[who] = answer["token"]
    found: dict[str, Any] = answer
    return found


async def status_of(service: Service, who: str, path: str = "/api/v1/tenants/") -> int:
    return (await service.ask("GET", path, who=who))[0]


async def listed(service: Service, who: str = "admin") -> dict[int, dict[str, Any]]:
    _, body, _ = await service.ask("GET", f"{TOKENS}?limit=1000", who=who)
    return {t["id"]: t for t in body["tokens"]}


async def test_a_token_is_made_used_listed_and_revoked(service: Service) -> None:
    name = await service.tenant()
    token = await made(service, "grafana", tenant_access=[name], expires_in=86_400)
    assert token["expires_at"] == "2026-03-03T09:00:00Z"
    assert await status_of(service, "grafana", f"/api/v1/tenants/{name}") == 200
    await service.runtime.tokens.write_use()
    shown = (await listed(service))[token["id"]]
    assert shown | {"created_by": None} == {
        "id": token["id"], "name": "grafana", "status": "active", "roles": ["viewer"], "tenant_access": [name],
        "deleted_tenants": [], "may_create": [], "lost_access": [], "created_at": "2026-03-02T09:00:00Z",
        "created_by": None, "expires_at": "2026-03-03T09:00:00Z", "revoked_at": None,
        "last_used_at": "2026-03-02T09:00:00Z", "old_secret_until": None,
    }  # fmt: skip
    assert (await listed(service))[shown["created_by"]]["name"] == "admin"
    assert (await service.ask("DELETE", f"{TOKENS}/{token['id']}"))[0] == 204
    assert await status_of(service, "grafana") == 401
    assert (await listed(service))[token["id"]]["status"] == "revoked"
    assert (await service.ask("DELETE", f"{TOKENS}/{token['id']}"))[0] == 204


async def test_a_token_ends_by_itself(service: Service) -> None:
    token = await made(service, "short", expires_in=60)
    assert await status_of(service, "short") == 200
    service.clock.advance(60)
    assert await status_of(service, "short") == 401
    assert (await listed(service))[token["id"]]["status"] == "expired"
    assert (await service.ask("POST", f"{TOKENS}/{token['id']}/rotate"))[0] == 409


async def test_a_rotated_token_works_with_both_secrets_for_the_overlap(service: Service) -> None:
    token = await made(service, "old")
    url = f"{TOKENS}/{token['id']}/rotate"
    status, answer, headers = await service.ask("POST", url, {"overlap_seconds": 600})
    assert (status, answer["old_secret_until"], headers["Cache-Control"]) == (
        200, "2026-03-02T09:10:00Z", "no-store",
    )  # fmt: skip
    service.tokens["new"] = answer["token"]
    assert (await listed(service))[token["id"]]["old_secret_until"] == "2026-03-02T09:10:00Z"
    assert [await status_of(service, w) for w in ("old", "new")] == [200, 200]
    service.clock.advance(600)
    assert [await status_of(service, w) for w in ("old", "new")] == [401, 200]
    status, answer, _ = await service.ask("POST", url, {"overlap_seconds": 0, "expires_in": 60})
    service.tokens["newest"] = answer["token"]
    assert [await status_of(service, w) for w in ("new", "newest")] == [401, 200]
    service.clock.advance(60)
    assert await status_of(service, "newest") == 401


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name", "roles", "tenant_access"]),
        ({"name": "", "roles": [], "tenant_access": []}, ["name", "roles"]),
        ({"name": "a\n", "roles": ["king"], "tenant_access": ["*"]}, ["name", "roles.0"]),
        ({"name": "a\x00", "roles": ["viewer"], "tenant_access": ["*"]}, ["name"]),
        ({"name": "\ud800", "roles": ["viewer"], "tenant_access": ["*"]}, ["name"]),
        ({"name": "x", "roles": ["viewer"], "tenant_access": ["*", "a"]}, ["tenant_access"]),
        ({"name": "x", "roles": ["viewer"], "tenant_access": ["No Name"]}, ["tenant_access.0"]),
        ({"name": "x", "roles": ["viewer"], "tenant_access": ["no-such-tenant"]}, ["tenant_access"]),
        ({"name": "x", "roles": ["viewer"], "tenant_access": ["*"], "expires_in": 0}, ["expires_in"]),
        ({"name": "x", "roles": ["viewer"], "tenant_access": ["*"], "expires_in": 1e300}, ["expires_in"]),
        ({"name": "x", "roles": ["viewer"], "tenant_access": ["*"], "expires_in": 10**30}, ["expires_in"]),
        ({"name": "x", "roles": ["viewer"], "tenant_access": ["*"], "secret": "mine"}, ["secret"]),
        ({"name": "x", "roles": ["viewer"], "tenant_access": [], "may_create": ["*"]}, ["may_create.0"]),
        ({"name": "x", "roles": ["viewer"], "tenant_access": ["*"], "may_create": ["one"]}, ["may_create"]),
    ],
)
async def test_what_is_wrong_with_a_token_is_named(
    service: Service, body: dict[str, Any], fields: list[str]
) -> None:
    status, answer, _ = await service.ask("POST", TOKENS, body)
    assert (status, answer["error"]["code"]) == (422, "VALIDATION_FAILED")
    assert [f["field"] for f in answer["error"]["details"]["fields"]] == fields


async def test_who_holds_some_tenants_gives_no_more_than_these(service: Service) -> None:
    mine, theirs = await service.tenant(), await service.tenant()
    await made(service, "boss", roles=["admin"], tenant_access=[mine], expires_in=3_600)
    for body, field in (
        ({"tenant_access": ["*"]}, "tenant_access"),
        ({"tenant_access": [theirs]}, "tenant_access"),
        ({"tenant_access": [mine, theirs]}, "tenant_access"),
        ({"tenant_access": []}, "tenant_access"),
        ({"tenant_access": [mine], "may_create": ["new-one"]}, "may_create"),
        ({"tenant_access": [mine], "expires_in": 3_601}, "expires_in"),
    ):
        document = {"name": "x", "roles": ["viewer"], **body}
        status, answer, _ = await service.ask("POST", TOKENS, document, who="boss")
        assert (status, answer["error"]["details"]["fields"][0]["field"]) == (422, field), body
    hand = await made(service, "hand", by="boss", tenant_access=[mine])
    assert hand["expires_at"] == "2026-03-02T10:00:00Z"  # as long as the one that made it
    assert await status_of(service, "hand", f"/api/v1/tenants/{mine}") == 200
    assert await status_of(service, "hand", f"/api/v1/tenants/{theirs}") == 404


async def test_tokens_out_of_reach_do_not_exist(service: Service) -> None:
    mine, theirs = await service.tenant(), await service.tenant()
    await made(service, "boss", roles=["admin"], tenant_access=[mine])
    own = await made(service, "own", tenant_access=[mine])
    beyond = [
        await made(service, "other", tenant_access=[theirs]),
        await made(service, "both", tenant_access=[mine, theirs]),
        await made(service, "all"),
        await made(service, "founder", tenant_access=[], may_create=["new-one"]),
        {"id": 10**18},
    ]
    for who in ("boss", "outsider"):
        for token in beyond if who == "boss" else [*beyond, own]:
            url = f"{TOKENS}/{token['id']}"
            told = [
                await service.ask("DELETE", url, who=who),
                await service.ask("POST", f"{url}/rotate", {"overlap_seconds": 0}, who=who),
            ]
            assert [(s, b["error"]["code"]) for s, b, _ in told] == [(404, "NOT_FOUND")] * 2
    for who in ("other", "both", "all", "founder", "own"):
        assert await status_of(service, who) == 200
    assert {t["name"] for t in (await listed(service, "boss")).values()} == {"boss", "own"}
    assert {t["name"] for t in (await listed(service, "outsider")).values()} == {"outsider"}
    assert (await service.ask("DELETE", f"{TOKENS}/{own['id']}", who="boss"))[0] == 204


async def test_a_token_is_not_prolonged_by_itself(service: Service) -> None:
    token = await made(service, "boss", roles=["admin"], expires_in=3_600)
    url = f"{TOKENS}/{token['id']}/rotate"
    longer = await service.ask("POST", url, {"expires_in": 7_200}, who="boss")
    assert (longer[0], longer[1]["error"]["details"]["fields"][0]["field"]) == (422, "expires_in")
    lasting = await made(service, "lasting")
    assert (await service.ask("POST", f"{TOKENS}/{lasting['id']}/rotate", who="boss"))[0] == 422
    assert (await service.ask("POST", url, who="boss"))[1]["expires_at"] == "2026-03-02T10:00:00Z"


async def test_only_admins_handle_tokens(service: Service) -> None:
    await made(service, "manager", roles=["tenant_admin", "operator", "ingest", "viewer"])
    for method, path in (
        ("GET", TOKENS),
        ("POST", TOKENS),
        ("DELETE", f"{TOKENS}/1"),
        ("POST", f"{TOKENS}/1/rotate"),
    ):
        status, body, _ = await service.ask(method, path, who="manager")
        assert (status, body["error"]["code"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999999999999999999", "1.5", "%D9%A1", "1%00"])
async def test_what_is_no_number_is_no_token(service: Service, number: str) -> None:
    assert (await service.ask("DELETE", f"{TOKENS}/{number}"))[0] == 404


async def test_tokens_of_the_demo_database_are_its_own(service: Service) -> None:
    demo = {"X-Demo-Mode": "true"}
    body = {"name": "d", "roles": ["admin"], "tenant_access": ["*"]}
    status, answer, _ = await service.ask("POST", TOKENS, body, **demo)
    assert status == 201
    service.tokens["demo"] = answer["token"]
    assert (await service.ask("GET", TOKENS, who="demo", **demo))[0] == 200
    assert (await service.ask("GET", TOKENS, who="demo"))[0] == 401
    # A number of the demo database names nothing, or another token, in the other.
    assert (await service.ask("DELETE", f"{TOKENS}/{answer['id']}", **demo))[0] == 204
    assert (await service.ask("GET", TOKENS, who="demo", **demo))[0] == 401


async def test_what_is_done_to_tokens_is_logged_without_secrets(service: Service) -> None:
    with capture_logs() as lines:
        token = await made(service, "x")
        await service.ask("POST", f"{TOKENS}/{token['id']}/rotate")
        await service.ask("DELETE", f"{TOKENS}/{token['id']}")
    told = [line for line in lines if line["event"].startswith("token_")]
    assert [line["event"] for line in told] == ["token_created", "token_rotated", "token_revoked"]
    assert {(line["token"], line["by"]) for line in told} == {(token["id"], "admin")}
    assert "ecp_" not in str(told)


async def test_a_tenant_has_a_bounded_number_of_tokens(service: Service) -> None:
    name = await service.tenant()
    await made(service, "boss", roles=["admin"], tenant_access=[name])
    service.runtime.tokens._max_per_tenant = 3
    for _ in range(2):
        await made(service, "x", by="boss", tenant_access=[name])
    body = {"name": "x", "roles": ["viewer"], "tenant_access": [name]}
    status, answer, _ = await service.ask("POST", TOKENS, body, who="boss")
    assert (status, answer["error"]["code"]) == (409, "LIMIT_REACHED")
    assert answer["error"]["details"] == {"limit": "tokens", "most": 3}
    assert f"tenant '{name}' has 3 tokens" in answer["error"]["message"]
    _, metrics, _ = await service.ask("GET", "/metrics")
    assert 'ecpmon_refusals_total{limit="tokens"} 1.0' in metrics
