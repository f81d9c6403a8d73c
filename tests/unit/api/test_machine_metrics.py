"""The page of several processes: one question to each, and what comes of answers that break off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from ecpmon.api.context import ApiContext
from ecpmon.api.machine import MachineMetrics, machine_api
from ecpmon.local.machine import socket_of
from ecpmon.telemetry import Telemetry

# No process of this number can be.
OTHER = 2**22 + 1
NEVER = 1e12


def front() -> Telemetry:
    telemetry = Telemetry()
    telemetry.stop_leading()
    telemetry.tenants.usage("bank", {"cpu_usage": 10}, at=1.0, until=NEVER)
    telemetry.tenants.request("bank", "GET", 200)
    return telemetry


def leader(availability: float = 0.5) -> Telemetry:
    telemetry = Telemetry()
    telemetry.lead(7)
    for name in ("bank", "shop"):
        telemetry.tenants.sla(name, "30d", {"availability": availability})
        telemetry.tenants.request(name, "GET", 200)
    return telemetry


def served(telemetry: Telemetry, run_dir: Path) -> web.Application:
    return machine_api(cast(ApiContext, None), MachineMetrics(telemetry, run_dir))


@asynccontextmanager
async def answering(app: web.Application, run_dir: Path) -> AsyncIterator[None]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, socket_of(run_dir, OTHER)).start()
    try:
        yield
    finally:
        await runner.cleanup()
        socket_of(run_dir, OTHER).unlink(missing_ok=True)


async def page(machine: MachineMetrics, tenants: Any = None) -> list[str]:
    return b"".join(await machine.exposition(tenants)).decode().splitlines()


async def test_a_front_shows_the_leaders_text_beside_the_sum_of_all(tmp_path: Path) -> None:
    telemetry, leading = front(), leader()
    machine = MachineMetrics(telemetry, tmp_path)
    async with answering(served(leading, tmp_path), tmp_path):
        found = await page(machine)
        assert 'ecp_tenant_sla_availability_ratio{tenant_id="shop",window="30d"} 0.5' in found
        assert (
            'ecp_tenant_requests_total{code="200",method="GET",status="success",tenant_id="bank"} 2.0'
            in found
        )
        assert 'ecp_tenant_cpu_usage{tenant_id="bank"} 10.0' in found
        assert "ecpmon_leader_term 7.0" in found

        # Nothing of it is older than what the processes know.
        telemetry.tenants.usage("bank", {"cpu_usage": 11}, at=1.0, until=NEVER)
        telemetry.tenants.request("bank", "GET", 200)
        leading.tenants.sla("shop", "30d", {"availability": 0.25})
        found = await page(machine)
        assert 'ecp_tenant_sla_availability_ratio{tenant_id="shop",window="30d"} 0.25' in found
        assert (
            'ecp_tenant_requests_total{code="200",method="GET",status="success",tenant_id="bank"} 3.0'
            in found
        )
        assert 'ecp_tenant_cpu_usage{tenant_id="bank"} 11.0' in found

        assert [line for line in found if "shop" in line]
        assert not [line for line in await page(machine, {"bank"}) if "shop" in line]

        leading.stop_leading()
        assert not [line for line in await page(machine) if "sla_availability" in line]


async def test_who_leads_itself_shows_its_own(tmp_path: Path) -> None:
    async with answering(served(front(), tmp_path), tmp_path):
        found = await page(MachineMetrics(leader(), tmp_path))
    assert 'ecp_tenant_sla_availability_ratio{tenant_id="shop",window="30d"} 0.5' in found
    assert 'ecp_tenant_requests_total{code="200",method="GET",status="success",tenant_id="bank"} 2.0' in found


async def test_a_process_that_is_gone_keeps_counting(tmp_path: Path) -> None:
    machine = MachineMetrics(front(), tmp_path)
    other = MachineMetrics(front(), tmp_path)
    async with answering(machine_api(cast(ApiContext, None), other), tmp_path):
        await page(machine)
    (own,) = tmp_path.glob("*.last")  # both are this process; the other's record is under the other's number
    own.rename(tmp_path / f"{OTHER}.last")
    found = await page(machine)
    assert 'ecp_tenant_requests_total{code="200",method="GET",status="success",tenant_id="bank"} 2.0' in found
    assert 'ecp_tenant_cpu_usage{tenant_id="bank"} 10.0' in found


async def test_half_a_text_is_not_shown_but_its_part_is(tmp_path: Path) -> None:
    part = b"".join((await leader().part()).lines())

    async def told(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"X-Part-Bytes": str(len(part))})
        await response.prepare(request)
        await response.write(part)
        await response.write(b'ecp_tenant_sla_availability_ratio{tenant_id="sh')
        assert request.transport is not None
        request.transport.close()
        return response

    app = web.Application()
    app.router.add_post("/machine/told", told)
    async with answering(app, tmp_path):
        found = await page(MachineMetrics(front(), tmp_path))
    assert 'ecp_tenant_requests_total{code="200",method="GET",status="success",tenant_id="bank"} 2.0' in found
    assert not [line for line in found if "sla_availability" in line]


async def test_an_answer_that_is_none_does_not_take_the_page_away(tmp_path: Path) -> None:
    app = web.Application()  # which knows no such question
    async with answering(app, tmp_path):
        found = await page(MachineMetrics(front(), tmp_path))
    assert 'ecp_tenant_cpu_usage{tenant_id="bank"} 10.0' in found
