"""Alpha does its worst; its neighbour beta must not notice.

In `make test` each attack lasts a few seconds and all is one process, in which nothing can be left to another; in
`make test-long` it lasts 20 s, there are fronts and a worker, as `ecpmon serve` starts them, and beta's latency is
held against its own without an attack.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.isolation.attacks import ATTACKS
from tests.acceptance.isolation.neighbour import Neighbour, neighbour
from tests.acceptance.isolation.serving import ALPHA, BETA, Serving, serving

SHORT, LONG = 3.0, 20.0
MOST_MEMORY = 300 * 2**20
CHECKOUT = Path(__file__).parents[2]


# A real alpha has processors of its own: what it spends to attack is not to be taken from whom it attacks. With nice it
# would still keep a processor for some milliseconds from whoever wakes up. Where the kernel shares processors among
# sessions (`sched_autogroup`), both count within a session only: then alpha has one to itself, which comes last.
ELSEWHERE = (
    "setsid", "-w", "sh", "-c", 'echo 19 > /proc/self/autogroup; exec chrt --idle 0 "$@"', "alpha",
)  # fmt: skip


async def attack(service: Serving, name: str, seconds: float, through: tuple[str, ...]) -> dict[str, int]:
    """How often alpha got which answer. `through`: what starts alpha itself."""
    environ = os.environ | {"ATTACK_URL": service.url, "ATTACK_TOKEN": service.tokens[ALPHA]}
    process = await asyncio.create_subprocess_exec(
        *through, sys.executable, "-m", "tests.acceptance.isolation.attacks", name, str(seconds),
        env=environ, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0
    answers = json.loads(out)
    print(*(f"  {call}: {said}" for call, said in answers["said"].items()), sep="\n")
    statuses: dict[str, int] = answers["statuses"]
    return statuses


async def under_attack(
    service: Serving, beta: Neighbour, name: str, seconds: float, through: tuple[str, ...] = ()
) -> list[float]:
    """What must hold for beta while alpha is at work; the seconds that beta's pushes took."""
    before = len(beta.pushes)
    attacking = asyncio.create_task(attack(service, name, seconds, through))
    took = await beta.alerted()
    statuses = await attacking
    pushes = beta.pushes[before:]
    latencies = sorted(p[2] for p in pushes)
    print(f"{name}: alpha got {statuses}; beta pushed {len(pushes)}, alerted in {took:.2f} s,", end=" ")
    print(f"p50 {1e3 * latencies[len(latencies) // 2]:.0f} max {1e3 * latencies[-1]:.0f} ms", end=" ")
    print(f"memory {service.memory() / 2**20:.0f} MiB")
    assert sum(statuses.values()), "the attack did nothing"
    assert not {s for s in statuses if s.startswith("5") and s != "503"}, "alpha got an error of the server"
    assert {p[1] for p in pushes} == {202}, "a push of beta's was refused"
    return latencies


async def nothing_is_missing(service: Serving, beta: Neighbour) -> None:
    acknowledged = [at for at, status, _ in beta.pushes if status == 202]
    rows = await service.database.fetch(
        "SELECT DISTINCT timestamp FROM monitoring_data WHERE tenant_id = $1 AND metric_name = 'up'", BETA
    )
    stored = {r["timestamp"] for r in rows}
    assert not [at for at in acknowledged if at not in stored]
    status, answer = await service.ask("GET", f"/api/v1/tenants/{BETA}/sla?windows=1h", who=BETA)
    [window] = answer["windows"]
    assert (status, window["gap_minutes"], window["down_minutes"], window["coverage"]) == (200, 0, 0, 100.0)
    assert (await service.ask("GET", "/ready"))[0] == 200


@pytest.mark.timeout(900)
async def test_no_attack_of_alpha_s_is_felt_by_beta(
    make_database: Callable[[], str], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with (
        serving(make_database(), tmp_path, free_port(), "all") as service,
        neighbour(service, free_port()) as beta,
    ):
        await beta.alerted()
        for name in ATTACKS:
            await under_attack(service, beta, name, SHORT)
        await nothing_is_missing(service, beta)
        assert service.memory() < MOST_MEMORY
        assert "Traceback" not in service.log.read_text(encoding="utf-8", errors="replace")


@pytest.mark.quiet
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ATTACKS)
async def test_beta_is_as_fast_under_attack_as_in_peace(
    name: str, make_database: Callable[[], str], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with (
        serving(make_database(), tmp_path, free_port(), "supervised") as service,
        neighbour(service, free_port(), every=0.02) as beta,
    ):
        await beta.alerted()
        beta.pushes.clear()
        await asyncio.sleep(LONG)
        peace = sorted(p[2] for p in beta.pushes)
        war = await under_attack(service, beta, name, LONG, through=ELSEWHERE)
        await nothing_is_missing(service, beta)
        assert service.memory() < MOST_MEMORY
        own, felt = (taken[int(len(taken) * 0.99)] for taken in (peace, war))
        print(f"{name}: beta's p99 {1e3 * own:.0f} ms in peace, {1e3 * felt:.0f} under attack")
        assert felt < 3 * own
