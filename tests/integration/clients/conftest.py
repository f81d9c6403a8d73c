"""The real application and a simulator, each on a loop of its own, for clients that are programs of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from aiohttp import web
from pydantic import SecretStr

from ecpmon.app import RUNTIMES, create_app
from ecpmon.client import ECPClient
from ecpmon.settings import Settings
from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.server import create_app as create_simulator
from ecpmon.simulator.snapshot import SnapshotStore
from tests.fuzz.served import Served
from tests.waiting import PATIENCE

_numbers = itertools.count(1)


@dataclass
class Application:
    """`base_url` is what the source documents have as `http://localhost:8001/api/v1`."""

    url: str
    simulator_url: str
    served: Served
    dsn: str
    demo_dsn: str

    @property
    def base_url(self) -> str:
        return f"{self.url}/api/v1"

    def name(self) -> str:
        """A tenant's that nobody has yet."""
        return f"client-{next(_numbers)}"

    def tenant(self, *, is_demo: bool = False) -> str:
        """A new tenant, which pushes."""
        name = self.name()
        with ECPClient(self.base_url, is_demo) as client:
            client.create_tenant(
                {
                    "tenant_id": name,
                    "name": name,
                    "service_requirements": {"chatbot": 10},
                    "sli_source": "push",
                }
            )
        return name


@pytest.fixture(scope="package")
def application(
    make_migrated: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Application]:
    async def make_simulator() -> web.Application:
        options = EngineOptions(seed=1, speed=300.0, manual_clock=False, nodes=4)
        return create_simulator(open_engine(SnapshotStore(tmp_path_factory.mktemp("simulator")), options))

    with Served(make_simulator) as simulator:
        dsn, demo_dsn = make_migrated(), make_migrated()
        settings = Settings(
            database_url=SecretStr(dsn),
            demo_database_url=SecretStr(demo_dsn),
            simulator_url=simulator.url,
            auth="none",
            webhook_allow_loopback=True,
            work_deadline=PATIENCE,
        )

        async def make() -> web.Application:
            return await create_app(settings, run_jobs=False)

        with Served(make) as served:
            for runtime in served.app[RUNTIMES]:
                served.run(runtime.lease.keep())
            yield Application(served.url, simulator.url, served, dsn, demo_dsn)
