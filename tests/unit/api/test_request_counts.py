"""Requests are counted by tenant: by tenants that there are, never by names that somebody guessed."""

from __future__ import annotations

from typing import Any

import pytest
from socket_world import World

from ecpmon.api.context import CONTEXT
from ecpmon.api.limits import LIMITS
from ecpmon.ports.tokens import Caller, TokenRef

GRANTED = Caller(
    "g",
    frozenset({"viewer"}),
    frozenset({1, 5}),
    frozenset({"acme", "gone"}),
    former=frozenset({"gone"}),
    token=TokenRef("production", 3, 3),
)


def counted(world: World) -> set[str]:
    return set(world.client.app[CONTEXT].telemetry.tenants._requests)


async def refused(world: World, tenant_id: str, token: str = "viewer") -> None:
    """A request that is answered 429 before anybody looks for the tenant."""
    key = "caller production:3" if token == "granted" else "caller address:127.0.0.1"
    world.client.app[LIMITS].body_bytes.charge(key, 10**12, world.now)
    headers = {"Authorization": f"Bearer {token}"}
    async with world.client.get(f"/api/v1/tenants/{tenant_id}/sla", headers=headers) as answer:
        assert answer.status == 429, await answer.text()


async def test_a_guessed_name_makes_no_series_however_its_request_ends(world: World) -> None:
    for number in range(50):
        await refused(world, f"guess-{number}")
    assert counted(world) == set()


async def test_a_tenant_that_there_is_is_counted(world: World) -> None:
    world.client.app[CONTEXT].telemetry.tenants.keep_only({"acme": 1})
    await refused(world, "acme")
    await refused(world, "guess")
    assert counted(world) == {"acme"}


async def test_a_tenant_that_the_caller_was_granted_is_counted_unless_it_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find(*_: Any) -> Caller:
        return GRANTED

    monkeypatch.setattr(world, "find", find)
    await refused(world, "acme", "granted")
    await refused(world, "gone", "granted")
    assert counted(world) == {"acme"}
