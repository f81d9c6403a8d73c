"""The service is killed with -9 in the middle of a deployment; its successor finishes it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.integration.simulator.sim_process import Simulator
from tests.processes import bound
from tests.waiting import PATIENCE


class Api:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(method, self._url + path, json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def until(self, path: str, holds: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(PATIENCE):
            while not holds(found := await self.call("GET", path)):
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def serving(folder: Path, **settings: str) -> AsyncIterator[Api]:
    """A service process, killed with -9 at the end."""
    mine = {"ECPMON_ROLE": "all"} | {f"ECPMON_{name.upper()}": value for name, value in settings.items()}
    with (folder / "service.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *bound([sys.executable, "-m", "ecpmon", "serve"]),
            env={**os.environ, **mine}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{settings['port']}"
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        async with session.get(f"{url}/health") as answer:
                            if answer.status == 200:
                                break
                    except aiohttp.ClientConnectionError:
                        assert process.returncode is None, (folder / "service.log").read_text()
                    await asyncio.sleep(0.05)
            yield Api(session, url)
    finally:
        process.kill()
        await process.wait()


async def test_a_deployment_survives_the_death_of_its_process(
    make_migrated: Callable[[], str], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    # Its clock stands still: the rollout is not over before the service is killed in the middle of it.
    simulator = Simulator(tmp_path / "simulator", "--seed", "7", "--manual-clock").start()
    dsn = make_migrated()
    settings = {
        "database_url": dsn,
        "port": str(free_port()),
        "auth": "none",
        "simulator_url": f"http://127.0.0.1:{simulator.port}",
        "deployment_takeover": "3",
    }
    tenant = {"tenant_id": "acme", "name": "Acme", "service_requirements": {"callbot": 25, "chatbot": 50}}
    path = "/api/v1/tenants/acme/deployment-status"
    try:
        async with serving(tmp_path, **settings) as api:
            await api.call("POST", "/api/v1/tenants/", tenant)
            begun = await api.call("POST", "/api/v1/tenants/acme/deploy", {"method": "simulator"})
            await api.until(path, lambda found: found["phase"] == "scaling-services")
        simulator.advance(600)
        async with serving(tmp_path, **settings) as api:
            found = await api.until(path, lambda found: found["finished_at"] is not None)
        assert (found["status"], found["deployment_id"]) == ("completed", begun["deployment_id"])
        said = [line["message"] for line in found["logs"]]
        assert said.count("rendering and validating the manifest") == 2
        # As new as before the first try, however far that one came.
        assert {o["status"] for o in found["created_resources"]} == {"created"}
        ready = [o["replicas"].split("/") for o in found["created_resources"] if o["type"] == "Deployment"]
        assert ready
        assert all(have == want for have, want in ready)
    finally:
        simulator.kill()
