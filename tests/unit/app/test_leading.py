"""Who begins to lead has its jobs turned; who stops leading shows nothing that only a leader knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest

from ecpmon.app import leading
from ecpmon.app.leading import Leading
from ecpmon.model.leadership import Claim
from ecpmon.telemetry import Telemetry
from tests.waiting import PATIENCE


class FakeLease:
    """Gives the claim that is free to it when it is asked to keep it."""

    def __init__(self) -> None:
        self.free: int | None = None
        self.claim: Claim | None = None
        self.broken = False
        self.asked = 0

    @property
    def held(self) -> bool:
        return self.claim is not None

    @property
    def presumed(self) -> bool:
        return self.held

    async def keep(self) -> bool:
        self.asked += 1
        if self.broken:
            raise ZeroDivisionError
        self.claim = None if self.free is None else Claim("leader", self.free, UUID(int=1))
        return self.held

    async def release(self) -> None:
        self.claim = self.free = None


def shown(telemetry: Telemetry) -> str:
    """The samples."""
    lines = b"".join(telemetry.exposition(None)).decode().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def fill(telemetry: Telemetry) -> None:
    """What jobs of a leader's put there, and what every process does."""
    telemetry.tenants.sla("acme", "30d", {"availability": 1.0})
    telemetry.tenants.objectives({"acme": {("latency", "30d"): {"ratio": 1.0}}})
    telemetry.tenants.maintenance("acme", on=True)
    telemetry.outbox_pending.set(7)
    telemetry.show_quarantined({"alerts": 1})
    telemetry.pull_lag.labels("simulator").set(3)
    telemetry.tenants.request("acme", "GET", 200)


OF_LEADERS = (
    "ecp_tenant_sla_", "ecp_tenant_objective_", "ecp_tenant_maintenance", "ecpmon_outbox_pending",
    "ecpmon_quarantined", "ecpmon_pull_lag", "ecp_active_tenants", "ecpmon_leader_term",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "RENEWAL", 0.01)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.001)


async def test_the_metrics_of_a_leader_come_and_go_with_its_term() -> None:
    lease, telemetry, terms = FakeLease(), Telemetry(), list[Claim | None]()
    made = Leading(lease, telemetry)  # type: ignore[arg-type]
    made.start(lambda: terms.append(lease.claim))
    fill(telemetry)
    assert [name for name in OF_LEADERS if name in shown(telemetry)] == [], "a follower from its start on"
    lease.free = 4
    await until(lambda: len(terms) == 1)
    fill(telemetry)
    assert [name for name in OF_LEADERS if name not in shown(telemetry)] == []
    assert "ecpmon_leader 1.0" in shown(telemetry)
    assert "ecpmon_leader_term 4.0" in shown(telemetry)
    lease.free = None
    await until(lambda: "ecp_tenant_sla_" not in shown(telemetry))
    assert [name for name in OF_LEADERS if name in shown(telemetry)] == []
    assert "ecpmon_leader 0.0" in shown(telemetry)
    assert "ecp_tenant_requests_total" in shown(telemetry), "what this process counted stays"
    lease.free = 6
    await until(lambda: len(terms) == 2)
    assert "ecp_tenant_sla_" not in shown(telemetry), "of the former term nothing is left"
    assert "ecpmon_leader_takeovers_total 2.0" in shown(telemetry)
    await made.stop()
    assert lease.claim is None
    assert "ecpmon_leader_term" not in shown(telemetry)


async def test_who_is_about_to_stop_keeps_what_it_has_and_takes_over_no_more() -> None:
    lease, terms = FakeLease(), list[Claim | None]()
    lease.free = 1
    made = Leading(lease, None)  # type: ignore[arg-type]
    made.start(lambda: terms.append(lease.claim))
    await until(lambda: len(terms) == 1)
    made.wind_down()
    kept = lease.asked
    await until(lambda: lease.asked > kept + 2)
    lease.free = None
    assert made._task is not None
    await asyncio.wait_for(made._task, PATIENCE)
    lease.free = 2
    await made.stop()
    assert len(terms) == 1


async def test_a_bug_in_asking_does_not_end_the_asking() -> None:
    lease, terms = FakeLease(), list[Claim | None]()
    lease.broken = True
    made = Leading(lease, None)  # type: ignore[arg-type]
    made.start(lambda: terms.append(lease.claim))
    await until(lambda: lease.asked > 2)
    lease.broken, lease.free = False, 1
    await until(lambda: len(terms) == 1)
    await made.stop()
