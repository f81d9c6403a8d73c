"""A real simulator process as the cluster, and releases to bring out there."""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ecpmon.orchestrator.deployers.cluster import Cluster, ClusterAddress
from ecpmon.orchestrator.deployers.kubernetes import KubernetesDeployer

sys.path.append(str(Path(__file__).parent.parent / "simulator"))
sys.path.append(str(Path(__file__).parent))
from tests.integration.simulator.sim_process import Simulator

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """On the wall clock, twenty times as fast: a rollout takes about a second."""
    folder = tmp_path_factory.mktemp("cluster")
    running = Simulator(folder / "state", "--seed", "7", "--speed", "20").start()
    yield running
    running.kill()


@pytest.fixture
def tenant_id() -> str:
    """Another for each test: they share one cluster."""
    return f"acme-{next(_numbers)}"


@pytest.fixture
def address(simulator: Simulator) -> ClusterAddress:
    return ClusterAddress(url=f"http://127.0.0.1:{simulator.port}", timeout=60)


@pytest.fixture
async def cluster(address: ClusterAddress) -> AsyncIterator[Cluster]:
    """For what a test does to the cluster behind the deployer's back."""
    made = Cluster(address)
    yield made
    await made.close()


@pytest.fixture
async def kubernetes(address: ClusterAddress) -> AsyncIterator[KubernetesDeployer]:
    made = KubernetesDeployer(address, rollout_timeout=200, poll=0.1)
    yield made
    await made.close()
