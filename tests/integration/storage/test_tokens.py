"""Tokens in the database: grants are numbers, bounds hold, use is noted coarsely."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from ecpmon.errors import LimitReached, NotFound, ValidationFailed
from ecpmon.ports.tokens import Caller, Issued, NewToken
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import discover, migrate
from ecpmon.storage.tokens import PgTokenStore
from tests.integration.conftest import T0, MakeTenant

ROOT = Caller("root", frozenset({"admin"}), None)
DAY = timedelta(days=1)


@pytest.fixture
def store(database: Database) -> PgTokenStore:
    return PgTokenStore(database, max_per_tenant=3)


async def issue(store: PgTokenStore, *tenants: str, by: Caller = ROOT, **more: Any) -> Issued:
    return await store.issue(NewToken("t", ["viewer"], tenants, **more), by, T0)


async def found(store: PgTokenStore, issued: Issued, now: datetime = T0) -> Caller:
    caller = await store.find(issued.secret, now)
    assert caller is not None
    return caller


async def test_names_become_the_numbers_of_the_tenants_that_bore_them_while_the_token_was_there(
    make_database: Callable[[], str],
) -> None:
    database, files = Database(make_database()), discover()
    before = [m for m in files if m.version < 21]
    await migrate(database, before)

    async def tenant(name: str, created: int, deleted: int | None) -> int:
        number: int = await database.fetchval(
            "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target, created_at,"
            " deleted_at) VALUES ($1, 'micro', '{}', '{}', '{}', $2, $3) RETURNING id",
            name, T0 + created * DAY, None if deleted is None else T0 + deleted * DAY,
        )  # fmt: skip
        return number

    async def token(name: str, day: int, access: list[str], role: str = "viewer") -> None:
        await database.execute(
            "INSERT INTO api_tokens (name, token_hash, roles, tenant_access, created_at) VALUES ($1, $2, $3, $4, $5)",
            name, name.encode().ljust(32), [role], access, T0 + day * DAY,
        )  # fmt: skip

    await tenant("acme", 0, 2)
    second = await tenant("acme", 3, 6)
    third = await tenant("acme", 7, None)
    other = await tenant("other", 5, None)
    await token("for-the-second", 4, ["acme", "other"])
    await token("for-the-third", 8, ["acme", "acme"])
    await token("before-any", 1, ["other", "never"])
    await token("maker", 8, ["acme", "never"], "tenant_admin")
    await token("all", 1, ["*"])
    await migrate(database, files)
    held = await database.fetch(
        "SELECT name, array(SELECT tenant FROM token_grants WHERE token = t.id ORDER BY 1) AS numbers,"
        " all_tenants, may_create, lost_access, (SELECT count(*) FROM token_secrets WHERE token = t.id) AS secrets"
        " FROM api_tokens t ORDER BY id"
    )
    assert [tuple(r) for r in held] == [
        ("for-the-second", [second, other], False, [], [], 1),
        ("for-the-third", [third], False, [], [], 1),
        ("before-any", [other], False, [], ["never"], 1),
        ("maker", [third], False, ["acme", "never"], ["never"], 1),
        ("all", [], True, [], [], 1),
    ]
    await database.close()


async def test_what_does_not_look_like_a_token_of_ours_costs_no_query() -> None:
    store = PgTokenStore(Database("postgresql://nobody@127.0.0.1:1/none"))
    for weak in (
        "",
        "ecp_",
        "password",
        "ecp_" + "x" * 42,
        "ecp_" + "x" * 44,
        "ecp_" + "ü" * 43,
        "\x00" * 47,
    ):
        assert await store.find(weak, T0) is None


async def test_a_token_ends_when_it_expires(store: PgTokenStore, make_tenant: MakeTenant) -> None:
    tenant = await make_tenant()
    issued = await issue(store, tenant.tenant_id, expires_at=T0 + DAY)
    assert (await found(store, issued)).expires_at == T0 + DAY
    assert await store.find(issued.secret, T0 + DAY) is None


async def test_who_reaches_some_tenants_grants_no_more_and_learns_of_no_others(
    store: PgTokenStore, make_tenant: MakeTenant
) -> None:
    mine, theirs = await make_tenant(), await make_tenant()
    boss = await found(store, await issue(store, mine.tenant_id, may_create=["new-one"]))
    within = [
        await issue(store, mine.tenant_id),
        await issue(store, mine.tenant_id, by=boss, may_create=["new-one"]),
    ]
    beyond = [
        await issue(store, theirs.tenant_id),
        await issue(store, may_create=["another"]),
        await store.issue(NewToken("all", ["viewer"], None), ROOT, T0),
    ]
    refused = []
    for name in (theirs.tenant_id, "there-is-none"):
        with pytest.raises(ValidationFailed) as caught:
            await issue(store, mine.tenant_id, name, by=boss)
        refused.append(str(caught.value).replace(name, "X"))
    assert refused[0] == refused[1]
    listed, total = await store.page(boss, 0, 10, T0)
    assert boss.token is not None
    own = boss.token.token_id
    assert [i.token_id for i in listed] == [within[1].token_id, within[0].token_id, own]
    assert (total, listed[0].created_by) == (3, own)
    assert await store.page(boss, 3, 10, T0) == ([], 3)
    for issued in beyond:
        with pytest.raises(NotFound):
            await store.revoke(issued.token_id, boss, T0)
        with pytest.raises(NotFound):
            await store.rotate(issued.token_id, boss, T0, overlap=DAY)
        assert await store.find(issued.secret, T0)


async def test_nobody_gets_a_secret_that_outlives_his_own(
    store: PgTokenStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    boss = await found(store, await issue(store, tenant.tenant_id, expires_at=T0 + DAY))
    lasting = await issue(store, tenant.tenant_id)
    for expires_at in (None, T0 + 2 * DAY):
        with pytest.raises(ValidationFailed, match="outlive"):
            await issue(store, tenant.tenant_id, by=boss, expires_at=expires_at)
    with pytest.raises(ValidationFailed, match="outlive"):
        await store.rotate(lasting.token_id, boss, T0, overlap=DAY)
    assert await store.find(lasting.secret, T0 + 2 * DAY)
    await store.rotate(lasting.token_id, boss, T0, overlap=DAY, expires_at=T0 + DAY)


async def test_a_tenant_has_no_more_tokens_than_are_allowed_however_many_ask_at_once(
    store: PgTokenStore, make_tenant: MakeTenant
) -> None:
    tenant = await make_tenant()
    asked = await asyncio.gather(*(issue(store, tenant.tenant_id) for _ in range(6)), return_exceptions=True)
    made = [a for a in asked if isinstance(a, Issued)]
    assert len(made) == 3
    assert [type(a) for a in asked if not isinstance(a, Issued)] == [LimitReached] * 3
    await store.revoke(made[0].token_id, ROOT, T0)
    await issue(store, tenant.tenant_id)


async def test_short_lived_tokens_cannot_be_made_without_end(
    store: PgTokenStore, make_tenant: MakeTenant
) -> None:
    name = (await make_tenant()).tenant_id
    for _ in range(30):
        await issue(store, name, expires_at=T0)  # over at once
    with pytest.raises(LimitReached, match="within a day") as caught:
        await issue(store, name, expires_at=T0)
    assert caught.value.details == {"limit": "tokens_per_day", "most": 30}
    await issue(store, (await make_tenant()).tenant_id, expires_at=T0)
    await store.issue(NewToken("later", ["viewer"], [name]), ROOT, T0 + DAY)


async def test_of_replaced_secrets_only_the_last_works_and_only_for_the_overlap(
    store: PgTokenStore, make_tenant: MakeTenant
) -> None:
    first = await issue(store, (await make_tenant()).tenant_id)
    second = await store.rotate(first.token_id, ROOT, T0, overlap=timedelta(hours=1))
    assert (await found(store, first)).expires_at == T0 + timedelta(hours=1)
    third = await store.rotate(first.token_id, ROOT, T0, overlap=timedelta(hours=1))
    assert [bool(await store.find(i.secret, T0)) for i in (first, second, third)] == [False, True, True]
    later = T0 + timedelta(hours=1)
    assert [bool(await store.find(i.secret, later)) for i in (first, second, third)] == [False, False, True]


async def test_last_use_is_written_at_most_once_a_minute(database: Database, make_tenant: MakeTenant) -> None:
    one, another = PgTokenStore(database), PgTokenStore(database)
    issued = await issue(one, (await make_tenant()).tenant_id)

    async def last_used() -> datetime | None:
        value: datetime | None = await database.fetchval(
            "SELECT last_used_at FROM api_tokens WHERE id = $1", issued.token_id
        )
        return value

    await found(one, issued)
    assert await last_used() is None
    await one.write_use()
    assert await last_used() == T0
    await found(another, issued, T0 + timedelta(seconds=59))
    await another.write_use()
    assert await last_used() == T0
    await found(another, issued, T0 + timedelta(seconds=60))
    await another.write_use()
    assert await last_used() == T0 + timedelta(seconds=60)


async def test_last_use_waits_while_the_database_is_away(
    database: Database, store: PgTokenStore, make_tenant: MakeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await issue(store, (await make_tenant()).tenant_id)
    await found(store, issued)
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setattr(store, "_database", away)
    with pytest.raises(Exception, match="does not answer"):
        await store.write_use()
    monkeypatch.setattr(store, "_database", database)
    await store.write_use()
    used = "SELECT last_used_at FROM api_tokens WHERE id = $1"
    assert await database.fetchval(used, issued.token_id) == T0
    await away.close()


async def test_tokens_that_are_over_are_forgotten_in_the_end(
    database: Database, store: PgTokenStore, make_tenant: MakeTenant
) -> None:
    name = (await make_tenant()).tenant_id
    revoked, expired, lasting = (
        await issue(store, name), await issue(store, name, expires_at=T0), await issue(store, name)
    )  # fmt: skip
    await store.revoke(revoked.token_id, ROOT, T0)
    await store.revoke(revoked.token_id, ROOT, T0 + DAY)  # again changes nothing
    ids = [revoked.token_id, expired.token_id, lasting.token_id]
    left = "SELECT array_agg(id ORDER BY id) FROM api_tokens WHERE id = ANY($1::bigint[])"
    await store.forget(T0)
    assert await database.fetchval(left, ids) == ids
    await store.forget(T0 + timedelta(seconds=1))
    assert await database.fetchval(left, ids) == [lasting.token_id]
