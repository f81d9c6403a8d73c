"""The issuer is asked seldom, whatever is sent to us, and while it is away its keys go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from ecpmon.errors import IdentityProviderUnavailable, Unauthorized
from ecpmon.identity import issuer as module
from ecpmon.identity.issuer import REST, Issuer, Source
from ecpmon.identity.keys import Header
from tests.openid import Provider, providing, public_jwk
from tests.waiting import PATIENCE

ONE, TWO, UNKNOWN = (Header(kid, "ES256") for kid in ("one", "two", "unknown"))


@dataclass
class World:
    provider: Provider
    issuer: Issuer
    instant: datetime = datetime(2026, 3, 2, 9, tzinfo=UTC)
    lost: int = 0
    answered: list[bool] = field(default_factory=list)

    def now(self) -> datetime:
        return self.instant

    def wait(self, span: timedelta) -> None:
        self.instant += span

    def note_loss(self) -> None:
        self.lost += 1

    @property
    def fetches(self) -> int:
        return self.provider.asked["/jwks"]


@pytest.fixture
async def world(free_port: Callable[[], int]) -> AsyncIterator[World]:
    async with providing(free_port()) as provider, aiohttp.ClientSession() as session:
        made = World(provider, None)  # type: ignore[arg-type]
        made.issuer = Issuer(session, Source(provider.issuer), made.now)
        made.issuer.on_loss, made.issuer.on_fetch = made.note_loss, made.answered.append
        yield made
        await made.issuer.close()


async def refused(world: World, header: Header = UNKNOWN) -> type[Exception]:
    with pytest.raises((Unauthorized, IdentityProviderUnavailable)) as error:
        await world.issuer.key_for(header)
    return error.type


async def test_keys_are_fetched_when_one_is_needed_and_once_for_all_who_wait(world: World) -> None:
    found = await asyncio.gather(*(world.issuer.key_for(ONE) for _ in range(100)))
    assert {key.kid for key in found} == {"one"}
    assert world.fetches == 1
    assert world.issuer.told()["keys"] == 1


async def test_a_rotated_key_is_found_and_a_withdrawn_one_is_lost(world: World) -> None:
    await world.issuer.key_for(ONE)
    world.provider.published = {"one": ("ES256", 0), "two": ("ES256", 1)}
    world.wait(REST)
    assert (await world.issuer.key_for(TWO)).kid == "two"
    assert world.lost == 0
    del world.provider.published["one"]
    world.wait(world.issuer.source.refresh)
    await world.issuer.refresh()
    assert world.lost == 1
    assert await refused(world, ONE) is Unauthorized


async def test_a_flood_of_unknown_keys_asks_the_issuer_once_in_a_while(world: World) -> None:
    for _ in range(3):
        kinds = await asyncio.gather(*(refused(world, Header(f"k{n}", "ES256")) for n in range(200)))
        assert set(kinds) == {Unauthorized}
        world.wait(REST)
    assert world.fetches == 3
    assert (await world.issuer.key_for(ONE)).kid == "one"
    assert world.fetches == 3


async def test_while_the_issuer_is_away_its_keys_go_on_for_as_long_as_is_set(world: World) -> None:
    await world.issuer.key_for(ONE)
    world.provider.status = 500
    world.wait(world.issuer.source.refresh)
    await world.issuer.refresh()
    assert world.issuer.away
    assert world.issuer.told() | {"fetched_at": 0} == {
        "ok": True, "issuer": world.provider.issuer, "answers": False, "keys": 1, "fetched_at": 0,
        "error": "answered with status 500",
    }  # fmt: skip
    assert (await world.issuer.key_for(ONE)).kid == "one"
    # Whether it has another key by now, nobody knows.
    assert await refused(world, TWO) is IdentityProviderUnavailable
    world.wait(world.issuer.source.max_age)
    assert await refused(world, ONE) is IdentityProviderUnavailable
    world.provider.status = 200
    world.wait(REST)
    assert (await world.issuer.key_for(ONE)).kid == "one"
    assert (world.issuer.away, world.answered[0], world.answered[-1]) == (False, True, True)
    assert False in world.answered


async def test_nobody_whose_key_is_held_waits_for_an_issuer_that_hangs(world: World) -> None:
    await world.issuer.key_for(ONE)
    world.provider.hangs = asyncio.Event()
    world.wait(REST)
    async with asyncio.timeout(PATIENCE):
        waiting = asyncio.create_task(refused(world))
        while world.fetches < 1 or world.provider.asked.total() < 3:
            await asyncio.sleep(0.01)
        assert (await world.issuer.key_for(ONE)).kid == "one"
        assert not waiting.done()
        world.provider.hangs.set()
        assert await waiting is Unauthorized


async def test_who_does_not_answer_in_time_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    world.provider.hangs = asyncio.Event()
    assert await refused(world, ONE) is IdentityProviderUnavailable
    assert world.issuer.told()["error"] == "no answer within 0.05 s"
    world.provider.hangs.set()


async def test_keys_come_from_the_issuer_itself_and_from_no_unsafe_place(world: World) -> None:
    for discovery, keys in (
        ({"issuer": "https://another.example", "jwks_uri": f"{world.provider.issuer}/jwks"}, None),
        ({"issuer": world.provider.issuer, "jwks_uri": "http://192.0.2.1/jwks"}, None),
        ({"issuer": world.provider.issuer, "jwks_uri": "file:///etc/passwd"}, None),
        ({"issuer": world.provider.issuer, "jwks_uri": 7}, None),
        (["no object"], None),
        (None, {"keys": []}),
        (None, {"keys": [public_jwk("ES256", kid="x" * 300_000)]}),
    ):
        world.provider.discovery, world.provider.keys = discovery, keys
        assert await refused(world, ONE) is IdentityProviderUnavailable
        world.wait(REST)
    world.provider.status = 302
    assert await refused(world, ONE) is IdentityProviderUnavailable
    assert world.issuer.told()["error"] == "answered with status 302"


async def test_with_the_place_of_its_keys_given_nothing_is_discovered(world: World) -> None:
    source = Source("https://id.example", jwks_url=f"{world.provider.issuer}/jwks")
    issuer = Issuer(world.issuer._session, source, world.now)
    assert (await issuer.key_for(ONE)).kid == "one"
    assert set(world.provider.asked) == {"/jwks"}


async def test_a_clock_that_was_set_back_keeps_nobody_from_asking(world: World) -> None:
    await world.issuer.key_for(ONE)
    world.wait(-timedelta(days=400))
    await world.issuer.refresh()
    assert world.fetches == 2
