"""The log of who changed what is read page by page, by whom it is for, and by nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from ecpmon.ports.audit import Actor, as_actor
from ecpmon.storage import audit
from ecpmon.storage.audit import record
from tests.integration.api.conftest import NOW, Service

ALL = "/api/v1/audit"


async def pages(service: Service, path: str, who: str = "admin", **query: Any) -> list[list[dict[str, Any]]]:
    """Every page, from the first to the last."""
    found, cursor = [], {}
    while True:
        asked = "&".join(f"{name}={value}" for name, value in (query | cursor).items())
        status, body, _ = await service.ask("GET", f"{path}?{asked}", who=who)
        assert status == 200, body
        found.append(body["entries"])
        if body["next_cursor"] is None:
            return found
        cursor = {"cursor": body["next_cursor"]}


async def written(
    service: Service, tenant_id: str, *subjects: str, size: int = 10, actor: str = "kim"
) -> None:
    """Rows about a tenant, one a second."""
    number = (await service.runtime.tenants.get(tenant_id)).key
    async with service.runtime.database.transaction() as connection:
        with as_actor(Actor(actor)):
            for subject in subjects:
                service.clock.advance(1)
                about = {"tenant": number, "after": {"text": "x" * size}}
                await record(connection, service.clock.now(), "tenant.changed", subject, **about)


def subjects(found: Sequence[Sequence[dict[str, Any]]]) -> list[str]:
    return [entry["subject"] for page in found for entry in page]


async def test_an_entry_says_who_did_what_to_what_from_where(service: Service) -> None:
    issued = await service.token("kim", ["tenant_admin"])
    name = await service.tenant()
    _, _, headers = await service.ask("PUT", f"/api/v1/tenants/{name}", {"description": "ours"}, who="kim")
    [[changed, created]] = await pages(service, f"/api/v1/tenants/{name}/audit", who="kim")
    assert changed | {"id": 0} == {
        "id": 0, "at": "2026-03-02T09:00:00Z", "actor": "kim", "issuer": None,
        "token": f"production:{issued.token_id}", "address": "127.0.0.1", "request_id": headers["X-Request-ID"],
        "tenant_id": name, "action": "tenant.changed", "subject": name, "before": {"description": None},
        "after": {"description": "ours"},
    }  # fmt: skip
    assert (created["action"], created["actor"], created["before"]) == ("tenant.created", "admin", None)
    assert created["id"] < changed["id"]


async def test_pages_hold_every_entry_once_whatever_is_written_meanwhile(service: Service) -> None:
    name = await service.tenant()
    rows = [f"row {n}" for n in range(7)]
    await written(service, name, *rows)
    path = f"/api/v1/tenants/{name}/audit"
    assert subjects(await pages(service, path, limit=3)) == [*rows[::-1], name]
    _, first, _ = await service.ask("GET", f"{path}?limit=3")
    await written(service, name, "later")
    _, second, _ = await service.ask("GET", f"{path}?limit=3&cursor={first['next_cursor']}")
    assert subjects([first["entries"], second["entries"]]) == rows[:0:-1]


async def test_it_is_filtered_by_who_what_and_when(service: Service) -> None:
    name = await service.tenant()
    await written(service, name, "one", "two", actor="kim & co")
    await written(service, name, "three", actor="lee")
    path = f"/api/v1/tenants/{name}/audit"

    async def found(**query: Any) -> list[str]:
        return subjects(await pages(service, path, **query))

    assert await found(actor="kim%20%26%20co") == ["two", "one"]
    assert await found(actor="KIM%20%26%20co") == []
    assert await found(action="tenant.created") == [name]
    assert await found(action="tenant.changed", actor="lee") == ["three"]
    # `from` is in it, `to` is not.
    second = f"{NOW + timedelta(seconds=2):%Y-%m-%dT%H:%M:%SZ}"
    assert await found(**{"from": second}) == ["three", "two"]
    assert await found(to=second) == ["one", name]


async def test_who_holds_every_tenant_sees_all_and_others_what_is_about_theirs(service: Service) -> None:
    mine, theirs = await service.tenant(), await service.tenant()
    await service.token("mine", ["admin"], [mine])
    await service.ask("POST", "/api/v1/tokens", {"name": "x", "roles": ["viewer"], "tenant_access": ["*"]})
    everything = subjects(await pages(service, ALL))
    assert {mine, theirs} < set(everything)
    assert any(subject.startswith("token ") for subject in everything)
    assert subjects(await pages(service, ALL, who="mine")) == [mine]
    assert subjects(await pages(service, ALL, who="outsider")) == []
    # Of a deleted tenant as well, and of the next of its name only to whom that is.
    assert (await service.ask("DELETE", f"/api/v1/tenants/{mine}", who="mine"))[0] == 202
    await service.tenant(tenant_id=mine, description="the next")
    for path in (ALL, f"/api/v1/tenants/{mine}/audit"):
        [[deleted, created]] = await pages(service, path, who="mine")
        assert (deleted["action"], created["action"]) == ("tenant.deleted", "tenant.created")
        assert created["after"]["description"] is None


async def test_who_does_not_answer_for_a_tenant_reads_nothing(service: Service) -> None:
    name = await service.tenant()
    for role, statuses in (
        ("viewer", [403, 403]), ("ingest", [403, 403]), ("operator", [403, 403]), ("tenant_admin", [403, 200]),
    ):  # fmt: skip
        await service.token("kim", [role], [name])
        paths = (ALL, f"/api/v1/tenants/{name}/audit")
        assert [(await service.ask("GET", path, who="kim"))[0] for path in paths] == statuses, role


async def test_a_page_is_bounded_by_what_it_tells_and_what_it_looks_at(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await service.tenant()
    rows = [f"row {n}" for n in range(6)]
    await written(service, name, *rows, size=15_000)
    path = f"/api/v1/tenants/{name}/audit"
    monkeypatch.setattr(audit, "MOST_TOLD", 40_000)
    large = await pages(service, path)
    assert [len(page) for page in large] == [2, 2, 3]
    assert subjects(large) == [*rows[::-1], name]
    monkeypatch.setattr(audit, "MOST_TOLD", 1)  # an entry that is larger than that is told all the same
    assert [len(page) for page in await pages(service, path)] == [1] * 7
    monkeypatch.setattr(audit, "LOOKS", 2)
    found = await pages(service, path, actor="admin")
    assert [len(page) for page in found] == [0, 0, 0, 1]
    for where in (path, ALL):
        assert name in subjects(await pages(service, where, action="tenant.created"))


BAD = [
    ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("from=yesterday", "from"),
    ("to=9999-12-31", "to"), ("from=2026-03-02&to=2026-03-02", "from"), ("actor=" + "x" * 201, "actor"),
    ("cursor=", "cursor"), ("cursor=x", "cursor"), ("cursor=%C3%BC", "cursor"), ("cursor=OTk5", "cursor"),
    ("cursor=OTk5OTk5OTk5OTk5OTk5OTkuMQ", "cursor"), ("cursor=MS45OTk5OTk5OTk5OTk5OTk5OTk5", "cursor"),
]  # fmt: skip


async def test_bad_input_is_named(service: Service) -> None:
    for query, field in BAD:
        status, body, _ = await service.ask("GET", f"{ALL}?{query}")
        assert (status, body["error"]["code"]) == (422, "VALIDATION_FAILED"), query
        assert [f["field"] for f in body["error"]["details"]["fields"]] == [field], query
