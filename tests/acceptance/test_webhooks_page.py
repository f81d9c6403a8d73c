"""docs/webhooks.md: its commands and its verification programs, run as they stand on deliveries of the service."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.world import Delivery, World
from tests.waiting import until

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
PROGRAMS = {"python": (sys.executable, "-c"), "bash": ("bash", "-c"), "perl": ("perl", "-e")}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


async def genuine(language: str, secret: str, delivery: Delivery, **changed: str) -> bool:
    """What the page's program in that language says of a delivery."""
    [program] = blocks(language)
    given = {
        k.upper().replace("-", "_"): v
        for k, v in delivery.headers.items()
        if k.lower().startswith("webhook-")
    }
    process = await asyncio.create_subprocess_exec(
        *PROGRAMS[language], program, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "WEBHOOK_SECRET": secret, **given, **changed},
    )  # fmt: skip
    _, errors = await process.communicate(delivery.body)
    assert errors == b"", errors.decode()
    assert process.returncode in (0, 1)
    return process.returncode == 0


async def shell(world: World, command: str, **more: str) -> list[str]:
    """Run a block of the page; the secret in $KEY and what it printed."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", f'set -e\n{command}\nprintf "\\n%s" "$KEY"', stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "API": world.api, "TENANT": "signed", "KEY": '{"secret": ""}', **more},
    )  # fmt: skip
    printed, _ = await process.communicate()
    assert process.returncode == 0
    *shown, key = printed.decode().strip().split("\n")
    return [json.loads(key)["secret"], *shown]


async def delivered(world: World, value: float, count: int) -> Delivery:
    """Push until the rule has something to tell, and wait for it."""
    await world.call("POST", "/api/v1/tenants/signed/monitoring", {"metrics": {"cpu_usage": value}})
    return (await world.receiver.wait_for(lambda seen: len(seen) >= count))[-1]


@pytest.fixture
def signed_world(world_of: Callable[..., World]) -> World:
    # The programs look at the real clock.
    return world_of(start=datetime.now(UTC).replace(microsecond=0))


async def test_every_program_accepts_what_was_delivered_and_refuses_everything_else(
    signed_world: World,
) -> None:
    async with signed_world as world:
        await world.add_tenant("signed", deploy=False)
        rule = {
            "alert_name": "CPU 사용률", "condition": "cpu_usage > 80",
            "actions": [{"type": "webhook", "url": world.receiver.url}],
        }  # fmt: skip
        await world.call("POST", "/api/v1/tenants/signed/alerts", rule, 201)
        first = await delivered(world, 90, 1)
        show, rotate, _ = blocks("sh")
        old = (await shell(world, show))[0]
        new, metadata = await shell(world, rotate)
        assert len(json.loads(metadata)["older"]) == 1
        world.clock.advance(1)
        second = await delivered(world, 10, 2)
        expired = str(int(first.headers["webhook-timestamp"]) - 400)
        for language in PROGRAMS:
            assert await genuine(language, old, first)
            assert await genuine(language, old, second)
            assert await genuine(language, new, second)
            refused = [
                await genuine(language, new, first),
                await genuine(language, old, Delivery("", first.headers, first.body + b"\n", {})),
                await genuine(language, old, first, WEBHOOK_ID="another"),
                await genuine(language, old, first, WEBHOOK_TIMESTAMP=expired),
                await genuine(language, old, first, WEBHOOK_TIMESTAMP="x[$(touch hacked)]"),
                await genuine(language, old, first, WEBHOOK_SIGNATURE="v1, * 한글"),
                await genuine(language, old, first, WEBHOOK_SIGNATURE=""),
            ]
            assert refused == [False] * len(refused), language
        assert not Path("hacked").exists()


async def test_what_is_old_is_refused_though_it_was_signed(signed_world: World) -> None:
    async with signed_world as world:
        world.clock.advance(-400)
        await world.add_tenant("signed", deploy=False)
        rule = {
            "alert_name": "r", "condition": "cpu_usage > 80",
            "actions": [{"type": "webhook", "url": world.receiver.url}],
        }  # fmt: skip
        await world.call("POST", "/api/v1/tenants/signed/alerts", rule, 201)
        sent = await delivered(world, 90, 1)
        secret = (await world.call("POST", "/api/v1/tenants/signed/webhook-key", status=201))["secret"]
        assert not any([await genuine(language, secret, sent) for language in PROGRAMS])


async def test_what_was_given_up_arrives_when_it_is_sent_again_under_its_old_id(world: World) -> None:
    await world.add_tenant("signed", deploy=False)
    rule = {
        "alert_name": "r", "condition": "cpu_usage > 80",
        "actions": [{"type": "webhook", "url": world.receiver.url}],
    }  # fmt: skip
    await world.call("POST", "/api/v1/tenants/signed/alerts", rule, 201)
    world.receiver.answers = [400]
    await world.call("POST", "/api/v1/tenants/signed/monitoring", {"metrics": {"cpu_usage": 90}})
    found: list[dict[str, Any]] = []

    async def parked() -> bool:
        found[:] = (await world.call("GET", "/api/v1/tenants/signed/alerts/deliveries"))["deliveries"]
        return [d["status"] for d in found] == ["parked"]

    await until(parked, "the delivery is given up")
    [delivery] = found
    assert (delivery["last_reason"], delivery["last_status"]) == ("rejected", 400)
    *_, resend = blocks("sh")
    _, printed = await shell(world, resend, ID=str(delivery["notification_id"]))
    assert [r["note"] for r in json.loads(printed)["resends"]] == ["the receiver was mended"]
    [sent] = await world.receiver.wait_for(lambda seen: len(seen) >= 1)
    assert sent.headers["webhook-id"] == delivery["webhook_id"]
    assert sent.document["status"] == "firing"
