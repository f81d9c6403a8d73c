"""What one tenant's operator can see and change of others through the simulator, which all tenants share.

The simulator is a real process on a clock of its own; its truth says who was down.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api.conftest import Service
from tests.integration.simulator.sim_process import SERVICE, Simulator

FAILURES = "/api/v1/simulator/failures"
SEVERE = {"severity": 1.0, "duration_seconds": 30 * 86_400.0}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    folder: Path = tmp_path_factory.mktemp("walls") / "state"
    running = Simulator(folder, "--manual-clock", "--seed", "7").start()
    yield running
    running.kill()


@pytest.fixture
def service_settings(simulator: Simulator) -> dict[str, Any]:
    return {"simulator_url": f"http://127.0.0.1:{simulator.port}"}


class Two:
    """Tenants alpha and beta, up in the simulator on the same nodes; `operator` may see alpha only."""

    def __init__(self, service: Service, simulator: Simulator, alpha: str, beta: str) -> None:
        self.service, self.simulator, self.alpha, self.beta = service, simulator, alpha, beta

    @classmethod
    async def made(cls, service: Service, simulator: Simulator) -> Two:
        two = cls(service, simulator, await service.tenant(), await service.tenant())
        for who, roles, tenants in (
            ("operator", ["operator"], [two.alpha]), ("alphas-admin", ["admin"], [two.alpha]),
            ("every-operator", ["operator", "tenant_admin"], None), ("watcher", ["viewer"], [two.alpha]),
        ):  # fmt: skip
            await service.token(who, roles, tenants)
        for name in (two.alpha, two.beta):
            # More than one pod per node and service: everybody is everywhere.
            simulator.deploy(name, {**SERVICE, "replicas": 4, "cpu_millicores": 100, "gpu": 0})
        simulator.advance(60)
        return two

    async def ask(self, method: str, path: str, body: Any = None, who: str = "operator") -> tuple[int, Any]:
        status, answer, _ = await self.service.ask(method, path, body, who=who)
        return status, answer

    def down_seconds(self, tenant_id: str) -> float:
        return float(self.simulator.ok("GET", f"/api/v1/truth/{tenant_id}")["down_seconds"])

    def nodes_ready(self) -> bool:
        return all(n["ready"] for n in self.simulator.ok("GET", "/api/v1/metrics/system")["nodes"])


@pytest.fixture
async def two(service: Service, simulator: Simulator) -> Two:
    return await Two.made(service, simulator)


@pytest.mark.parametrize("who", ["operator", "alphas-admin", "every-operator"])
async def test_no_failure_that_a_tenants_operator_orders_takes_another_tenant_down(
    two: Two, who: str
) -> None:
    _, listed = await two.ask("GET", f"{FAILURES}/types", who=who)
    kinds = {t["failure_type"]: t["reach"] for t in listed["failure_types"]}
    assert [k for k, reach in kinds.items() if reach == "cluster"] == ["node_down"]
    for kind, reach in kinds.items():
        order = {"failure_type": kind, **SEVERE}
        status, answer = await two.ask("POST", f"{FAILURES}/{two.alpha}/trigger", order, who)
        if reach == "cluster":
            assert (status, answer["error"]["code"]) == (403, "FORBIDDEN")
            assert "administrators" in answer["error"]["message"]
        else:
            assert status == 202, answer
    two.simulator.advance(3600)
    assert two.down_seconds(two.alpha) > 3500
    assert two.down_seconds(two.beta) == 0
    assert two.nodes_ready()
    status, answer = await two.ask("DELETE", f"{FAILURES}/{two.alpha}", who=who)
    assert (status, len(answer["ended"])) == (200, len(kinds) - 1)


async def test_what_administrators_of_all_tenants_broke_no_tenants_operator_ends(two: Two) -> None:
    order = {"failure_type": "node_down", "severity": 1.0, "duration_seconds": 600.0}
    status, made = await two.ask("POST", f"{FAILURES}/{two.alpha}/trigger", order, "admin")
    assert status == 202
    assert made["affected"]["nodes"]
    assert not two.nodes_ready()
    status, answer = await two.ask("DELETE", f"{FAILURES}/{two.alpha}")
    assert (status, answer["ended"]) == (200, [])
    assert not two.nodes_ready()
    status, answer = await two.ask("DELETE", f"{FAILURES}/{two.alpha}", who="admin")
    assert (status, len(answer["ended"])) == (200, 1)
    assert two.nodes_ready()


async def test_anothers_failures_can_neither_be_ordered_nor_ended(two: Two) -> None:
    order = {"failure_type": "full_outage", **SEVERE}
    assert (await two.ask("POST", f"{FAILURES}/{two.beta}/trigger", order))[0] == 404
    assert (await two.ask("POST", f"{FAILURES}/{two.beta}/trigger", order, "admin"))[0] == 202
    assert (await two.ask("DELETE", f"{FAILURES}/{two.beta}"))[0] == 404
    listed = two.simulator.ok("GET", f"/api/v1/failures/{two.beta}")["failures"]
    assert [f["failure_type"] for f in listed] == ["full_outage"]
    await two.ask("DELETE", f"{FAILURES}/{two.beta}", who="admin")


async def test_a_failure_that_is_unknown_is_refused_by_the_name_of_its_field(two: Two) -> None:
    order = {"failure_type": "an_earthquake", "duration_seconds": 60.0}
    status, answer = await two.ask("POST", f"{FAILURES}/{two.alpha}/trigger", order)
    fields = [f["field"] for f in answer["error"]["details"]["fields"]]
    assert (status, fields) == (422, ["failure_type"]), answer


async def test_the_failures_of_a_tenant_are_bounded_and_fill_nobody_elses_share(two: Two) -> None:
    order = {"failure_type": "cpu_spike", "duration_seconds": 60.0}
    steps = [{"at": 1, "failure_type": "cpu_spike"} for _ in range(199)]
    two.simulator.ok("POST", f"/api/v1/scenarios/{two.alpha}", {"steps": steps})
    path = f"{FAILURES}/{two.alpha}/trigger"
    assert (await two.ask("POST", path, order))[0] == 202
    status, answer = await two.ask("POST", path, order)
    assert (status, answer["error"]["code"]) == (409, "CONFLICT")
    assert (await two.ask("POST", f"{FAILURES}/{two.beta}/trigger", order, "admin"))[0] == 202
    assert (await two.ask("DELETE", f"{FAILURES}/{two.alpha}"))[0] == 200
    assert (await two.ask("POST", path, order))[0] == 202


def apart_from_time(cluster: dict[str, Any]) -> dict[str, Any]:
    """Without what grows by itself: what is on one's own disks."""
    used = {name: value for name, value in cluster["used"].items() if name != "storage_bytes"}
    return {**cluster, "timestamp": None, "used": used}


@pytest.mark.parametrize("who", ["operator", "watcher"])
async def test_of_the_cluster_a_tenant_sees_its_capacity_and_its_own_use(two: Two, who: str) -> None:
    _, mine = await two.ask("GET", "/api/v1/simulator/status", who=who)
    _, everything = await two.ask("GET", "/api/v1/simulator/status", who="admin")
    seen, whole = mine["cluster"], everything["cluster"]
    assert seen["capacity"] == whole["capacity"]
    assert (seen["tenants"], sum(seen["pods"].values())) == (1, 4)
    assert seen["used"]["cpu_millicores"] == 400
    assert sum(n["used"]["cpu_millicores"] for n in seen["nodes"]) == 400
    assert seen["utilization"]["cpu_millicores"] < whole["utilization"]["cpu_millicores"]
    assert whole["tenants"] >= 2
    # What beta does shows nowhere.
    two.simulator.deploy(two.beta, {**SERVICE, "replicas": 8})
    two.simulator.advance(60)
    _, later = await two.ask("GET", "/api/v1/simulator/status", who=who)
    assert apart_from_time(later["cluster"]) == apart_from_time(seen)
    _, system = await two.ask("GET", "/api/v1/monitoring/system", who=who)
    assert (system["total_tenants"], system["used_resources"]["cpu"]) == (1, "400m")
    _, board = await two.ask("GET", "/api/v1/operations/dashboard", who=who)
    assert board["resource_usage"] == {
        name: system[name] for name in ("total_resources", "used_resources", "utilization")
    }
    assert board["system_status"]["components"]["kubernetes"] == {"status": "healthy", "nodes_ready": "4/4"}


async def test_deploying_and_breaking_ones_own_tenant_leaves_others_alone(two: Two) -> None:
    path = f"/api/v1/simulator/deploy/{two.alpha}"
    status, answer = await two.ask("POST", path, {"failure_scenarios": True})
    assert status == 200, answer
    two.simulator.advance(300)
    assert two.down_seconds(two.alpha) > 0
    assert two.down_seconds(two.beta) == 0
    assert (await two.ask("POST", f"/api/v1/simulator/deploy/{two.beta}", {}))[0] == 404
