"""A front's heavy answers come from processes of their own (ADR 0013), as `ecpmon serve` starts them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ecpmon.compute.nursery import NICE
from tests.integration.serving import Serving
from tests.integration.test_machine import children, machine, of_role, push, send, tenant
from tests.waiting import until


async def body_of(found: Serving, path: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(found.url + path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


def niceness(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])


async def ask_for_everything(found: Serving, name: str) -> None:
    """All kinds of answers that are computed apart."""
    one, month = f"/api/v1/tenants/{name}", f"{datetime.now(UTC):%Y-%m}"
    begins = {
        "json": b"{",
        "csv": b"tenant_id",
        "html": b"<!doctype html>",
        "pdf": b"%PDF",
    }
    for shape, begin in begins.items():
        assert (await body_of(found, f"{one}/sla/report?month={month}&format={shape}")).startswith(begin)
    for path in (
        "sla?windows=1h,30d",
        "sla/timeline?window=30d&step=1h",
        "incidents",
        "manifest",
        "maintenance",
    ):
        assert await body_of(found, f"{one}/{path}")
    assert await body_of(found, f"{one}/objectives?format=openslo")
    tried: dict[str, Any] = {"policy": "page", "step": "5m"}
    assert (await send(found, "POST", f"{one}/alerts/test", tried))[0] == 200
    assert (await send(found, "POST", f"{one}/alerts/test", {"condition": "avg(load, 5m) > 1"}))[0] == 200
    asked = {"tenant_id": name, "manifest_content": (await body_of(found, f"{one}/manifest")).decode()}
    status, told = await send(found, "POST", "/api/v1/tenants/validate-manifest", asked)
    assert (status, told["valid"]) == (200, True)


@pytest.mark.timeout(180)
async def test_heavy_answers_are_computed_by_processes_that_are_replaced_and_end_with_their_front(
    make_migrated: Callable[[], str], free_port: Callable[[], int]
) -> None:
    async with machine(make_migrated(), free_port(), fronts=1) as found:
        await tenant(found, "alpha")
        await push(found, "alpha", up=1, load=2)
        # Daily, so that figures are worked out over very many occurrences.
        start = datetime.now(UTC) + timedelta(minutes=5)
        rule = {"start": start.isoformat(), "duration": "30s", "rrule": "FREQ=DAILY", "reason": "planned"}
        [front] = of_role(found.process.pid, "front")
        [nursery] = children(front)
        assert not children(nursery)
        assert (await send(found, "POST", "/api/v1/tenants/alpha/maintenance", rule))[0] == 201
        await ask_for_everything(found, "alpha")
        [first] = children(nursery)
        assert niceness(first) == min(niceness(front) + NICE, 19)

        os.kill(first, signal.SIGKILL)

        async def noticed() -> bool:
            page = (await body_of(found, "/metrics")).decode()
            return 'ecpmon_compute_processes_ended_total{why="ended"} 1.0' in page

        await until(noticed, "the front knows that its process is gone")
        await ask_for_everything(found, "alpha")
        [second] = children(nursery)
        assert second != first

        os.kill(front, signal.SIGKILL)

        async def gone() -> bool:
            return not any(Path(f"/proc/{pid}").exists() for pid in (nursery, second))

        await until(gone, "nothing outlives the front")
