"""Answers say what is left of what the caller is counted by (draft-ietf-httpapi-ratelimit-headers-10)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from socket_world import World

from ecpmon.api.buckets import Buckets
from ecpmon.api.limits import LIMITS, REQUEST_BURST
from ecpmon.errors import RateLimited

VIEWER = {"Authorization": "Bearer viewer"}
SUM = "/api/v1/tenants/calculate-resources"
POLICY = '"requests";q=1000;w=5'


async def asked(
    world: World, body: Any, headers: dict[str, str] = VIEWER
) -> tuple[int, str | None, str | None]:
    answer = await world.client.post(SUM, json=body, headers=headers)
    return answer.status, answer.headers.get("RateLimit-Policy"), answer.headers.get("RateLimit")


async def test_every_answer_to_a_caller_says_what_he_has_left(world: World) -> None:
    body = {"service_requirements": {"chatbot": 10}}
    assert await asked(world, body) == (200, POLICY, '"requests";r=999;t=1')
    assert await asked(world, {}) == (422, POLICY, '"requests";r=998;t=1')
    world.now += timedelta(seconds=1)
    assert await asked(world, body) == (200, POLICY, '"requests";r=999;t=1')


async def test_who_has_nothing_left_is_told_when_there_is_more(world: World) -> None:
    [share] = {f"caller address:{address}" for address in ("127.0.0.1",)}
    await asked(world, {})
    world.client.app[LIMITS].requests.charge(share, REQUEST_BURST + 399, world.now)
    answer = await world.client.post(SUM, json={}, headers=VIEWER)
    assert (answer.status, answer.headers["RateLimit-Policy"]) == (429, POLICY)
    assert answer.headers["RateLimit"] == '"requests";r=0;t=3'
    assert answer.headers["Retry-After"] == "3"


async def test_nobody_is_told_what_is_left_of_anothers(world: World) -> None:
    assert await asked(world, {}, {"Authorization": "Bearer nobody's"}) == (401, None, None)
    answer = await world.client.get("/health")
    assert "RateLimit" not in answer.headers


@pytest.mark.parametrize(
    ("buckets", "policy"),
    [
        (Buckets("requests", 200, 1_000), POLICY),
        (Buckets("bytes", 2**24, 2**26, unit="content-bytes"), '"bytes";q=67108864;w=4;qu="content-bytes"'),
        (Buckets("samples", 120_000.5, 480_002.0, unit="samples"), '"samples";q=480002;w=4;qu="samples"'),
        (Buckets("unknown tokens", 5, 50), '"unknown_tokens";q=50;w=10'),
        (Buckets("slow", 0.001, 0.5), '"slow";q=0;w=500'),
    ],
)
def test_a_policy_is_how_much_there_is_and_how_long_until_all_of_it_is_there_again(
    buckets: Buckets, policy: str
) -> None:
    assert buckets.policy == policy


def test_what_was_overspent_is_nothing_left_and_the_refusal_says_so_too(world: World) -> None:
    buckets = Buckets("samples", 10, 20, unit="samples")
    assert buckets.left("k", world.now) == '"samples";r=20'
    buckets.charge("k", 120, world.now)
    assert buckets.left("k", world.now) == '"samples";r=0;t=11'
    with pytest.raises(RateLimited) as error:
        buckets.check("k", world.now)
    assert error.value.limits == ('"samples";q=20;w=2;qu="samples"', '"samples";r=0;t=11')
    assert error.value.retry_after == 11
