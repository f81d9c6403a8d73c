"""Who changed what is in the log with the change, and stays there."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from ecpmon.api.addresses import PROXIES
from ecpmon.storage.audit import AuditLog
from ecpmon.storage.faults import DatabaseRefused
from tests.integration.api.conftest import NOW, Service


async def log_of(service: Service, since: int = 0) -> list[Any]:
    return await service.runtime.database.fetch("SELECT * FROM audit_log WHERE id > $1 ORDER BY id", since)


async def last(service: Service) -> int:
    return int(await service.runtime.database.fetchval("SELECT coalesce(max(id), 0) FROM audit_log"))


async def test_a_change_of_a_tenant_is_logged_with_who_made_it_from_where_and_what_it_was(
    service: Service,
) -> None:
    since = await last(service)
    issued = await service.token("kim", ["admin"])
    name = await service.tenant()
    url = f"/api/v1/tenants/{name}"
    status, _, headers = await service.ask("PUT", url, {"description": "ours"}, who="kim")
    assert status == 200
    assert (await service.ask("DELETE", url, who="kim"))[0] == 202
    rows = [r for r in await log_of(service, since) if r["action"].startswith("tenant.")]
    assert [r["action"] for r in rows] == ["tenant.created", "tenant.changed", "tenant.deleted"]
    assert [r["actor"] for r in rows] == ["admin", "kim", "kim"]
    created, changed, deleted = rows
    assert {r["subject"] for r in rows} == {name}
    assert len({r["tenant"] for r in rows}) == 1
    assert created["before"] is None
    assert created["after"]["service_requirements"] == {"chatbot": 10}
    assert (changed["before"], changed["after"]) == ({"description": None}, {"description": "ours"})
    assert (changed["at"], changed["address"]) == (NOW, "127.0.0.1")
    assert changed["token"] == f"production:{issued.token_id}"
    assert changed["request_id"] == headers["X-Request-ID"]
    assert (deleted["before"]["description"], deleted["after"]) == ("ours", None)


async def test_a_header_does_not_say_where_somebody_is(service: Service) -> None:
    since = await last(service)
    body = {"tenant_id": "audit-forwarded", "name": "x", "service_requirements": {"chatbot": 10}}
    forged = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9"}
    assert (await service.ask("POST", "/api/v1/tenants/", body, **forged))[0] == 201
    rows = await log_of(service, since)
    assert {r["address"] for r in rows if r["actor"] == "admin"} == {"127.0.0.1"}


async def test_what_was_refused_is_not_logged(service: Service) -> None:
    name = await service.tenant()
    since = await last(service)
    _, _, headers = await service.ask("GET", f"/api/v1/tenants/{name}")
    assert (await service.ask("PUT", f"/api/v1/tenants/{name}", {"name": "one"}))[0] == 200
    late = {"If-Match": headers["ETag"]}
    assert (await service.ask("PUT", f"/api/v1/tenants/{name}", {"name": "two"}, **late))[0] >= 400
    body = {"tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}}
    assert (await service.ask("POST", "/api/v1/tenants/", body))[0] == 409
    gone = f"/api/v1/tenants/{name}/maintenance/00000000-0000-0000-0000-000000000000"
    assert (await service.ask("DELETE", gone))[0] == 404
    assert [r["action"] for r in await log_of(service, since)] == ["tenant.changed"]


async def test_tokens_are_logged_without_their_secrets(service: Service) -> None:
    since = await last(service)
    body = {"name": "pipeline", "roles": ["ingest"], "tenant_access": ["*"]}
    _, made, _ = await service.ask("POST", "/api/v1/tokens", body)
    url = f"/api/v1/tokens/{made['id']}"
    _, rotated, _ = await service.ask("POST", f"{url}/rotate", {"overlap_seconds": 60})
    assert (await service.ask("DELETE", url))[0] == 204
    assert (await service.ask("DELETE", url))[0] == 204  # again, and nothing happens
    rows = await log_of(service, since)
    assert [r["action"] for r in rows] == ["token.created", "token.rotated", "token.revoked"]
    assert {r["subject"] for r in rows} == {f"token {made['id']}"}
    assert rows[0]["after"]["roles"] == ["ingest"]
    text = str([dict(r) for r in rows])
    assert made["token"] not in text
    assert rotated["token"] not in text


async def test_what_people_change_of_a_tenants_rules_is_logged(service: Service) -> None:
    name = await service.tenant()
    since, url = await last(service), f"/api/v1/tenants/{name}"
    rule = {"alert_name": "busy", "condition": "cpu_usage > 80", "severity": "warning", "actions": []}
    _, made, _ = await service.ask("POST", f"{url}/alerts", rule)
    assert (await service.ask("DELETE", f"{url}/alerts/{made['rule_id']}"))[0] == 204
    window = {"start": "2026-03-03T08:30:00Z", "duration": "1h", "rrule": "FREQ=DAILY", "reason": "patches"}
    for query in ("?keep_past=true", ""):
        _, added, _ = await service.ask("POST", f"{url}/maintenance", window)
        assert (await service.ask("DELETE", f"{url}/maintenance/{added['id']}{query}"))[0] == 204
    for _ in range(2):
        assert (await service.ask("POST", f"{url}/webhook-key", {}))[0] == 201
    told = {"status": "completed", "deployed_at": "2026-03-02T08:00:00Z"}
    assert (await service.ask("POST", f"{url}/deployment-status", told))[0] == 200
    rows = await log_of(service, since)
    assert [r["action"] for r in rows if r["actor"] == "admin"] == [
        "alert_rule.created", "alert_rule.deleted", "maintenance.added", "maintenance.ended", "maintenance.added",
        "maintenance.removed", "webhook_key.shown", "webhook_key.rotated", "deployment.reported",
    ]  # fmt: skip
    assert (rows[-1]["at"], rows[-1]["after"]["at"]) == (NOW, "2026-03-02T08:00:00Z")
    ended = rows[3]
    assert (ended["before"]["until"], ended["after"]["until"]) == (None, "2026-03-02T09:00:00Z")
    assert (ended["before"]["duration"], ended["before"]["reason"]) == (3600, "patches")


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_log SET actor = 'nobody'", "DELETE FROM audit_log", "TRUNCATE audit_log"],
)
async def test_a_row_is_never_changed_or_taken_away(service: Service, statement: str) -> None:
    await service.tenant()
    before = await log_of(service)
    with pytest.raises(DatabaseRefused, match="only added to"):
        await service.runtime.database.execute(statement)
    assert await log_of(service) == before


async def test_retention_takes_away_what_is_old_and_nothing_else(service: Service) -> None:
    await service.tenant()
    young = await log_of(service)
    await service.runtime.database.execute(
        "INSERT INTO audit_log (at, actor, action, subject) VALUES ($1, 'kim', 'tenant.created', 'old')",
        NOW - timedelta(days=761),
    )
    await AuditLog(service.runtime.database).forget(NOW - timedelta(days=760))
    assert await log_of(service) == young
    with pytest.raises(DatabaseRefused, match="only added to"):
        await service.runtime.database.execute("DELETE FROM audit_log")


async def test_a_proxy_that_is_named_says_where_somebody_is(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.app[PROXIES], "_networks", (ip_network("127.0.0.0/8"),))
    since = await last(service)
    body = {"tenant_id": "audit-proxied", "name": "x", "service_requirements": {"chatbot": 10}}
    said = {"X-Forwarded-For": "198.51.100.7, 203.0.113.9", "X-Real-IP": "198.51.100.7"}
    assert (await service.ask("POST", "/api/v1/tenants/", body, **said))[0] == 201
    assert {r["address"] for r in await log_of(service, since) if r["actor"] == "admin"} == {"203.0.113.9"}
