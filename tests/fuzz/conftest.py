"""The whole service and a real simulator, each on a loop of its own; tenants that have something of everything."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from ecpmon.app import RUNTIMES, create_app
from ecpmon.app.backend import BackendRuntime
from ecpmon.model.operating import DeploymentSettings, MonitoringSettings
from ecpmon.ports.tokens import Caller, NewToken
from ecpmon.settings import Settings
from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.server import create_app as create_simulator
from ecpmon.simulator.snapshot import SnapshotStore
from tests.acceptance.world import ManualClock
from tests.fuzz.served import Served, Watched, watching

_numbers = itertools.count(1)
NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass
class Service:
    """`known`: path and query parameter -> values that exist."""

    served: Served
    watched: Watched
    clock: ManualClock
    token: str
    token_id: int

    @property
    def runtime(self) -> BackendRuntime:
        return self.served.app[RUNTIMES][0]

    def ask(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        got, answer = self.served.ask(method, path, body, self.token)
        assert status is None or got == status, (method, path, got, answer)
        return answer

    def get(self, path: str) -> bytes:
        """A request that reads, as it stands on the wire."""
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {self.token}"
        return head.encode() + b"\r\n\r\n"

    def tenant(self, name: str = "") -> dict[str, list[str]]:
        """A tenant with all that there is of one; what its parameters are."""
        name = name or f"fuzz-{next(_numbers)}"
        tenant = {"tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}}
        self.ask("POST", "/api/v1/tenants/", tenant, status=201)
        base = f"/api/v1/tenants/{name}"
        rule = {"alert_name": "hot", "condition": "cpu_usage > 80"}
        plan = {
            "start": "2026-04-03T09:00:00Z",
            "duration": "1h",
            "reason": "upgrade",
            "rrule": "FREQ=WEEKLY",
        }
        slo = {"kind": "latency", "target": 0.9, "threshold_ms": 200}
        rule_id = self.ask("POST", f"{base}/alerts", rule, status=201)["rule_id"]
        maintenance_id = self.ask("POST", f"{base}/maintenance", plan, status=201)["id"]
        many = {**plan, "time_zone": "UTC", "key": name, "tenants": {"tenant_ids": [name]}}
        request_id = self.ask("POST", "/api/v1/exclusions", many, status=201)["request_id"]
        hush = {"duration": "1h", "reason": "upgrade", "tenants": {"tenant_ids": [name]}, "alerts": ["hot*"]}
        silence_id = self.ask("POST", "/api/v1/silences", hush, status=201)["silence_id"]
        self.ask("PUT", f"{base}/objectives/fast", slo, status=201)
        self.ask("PUT", f"{base}/evidence-profile", {"profile": "vllm", "match": {"job": "llm"}}, status=200)
        told = self.ask("POST", f"{base}/deployment-status", {"status": "failed"}, status=200)
        push = {"metrics": {"cpu_usage": 12.5, "up": 1, "response_time": 120}}
        token = {"name": name, "roles": ["viewer"], "tenant_access": [name]}
        token_id = self.ask("POST", "/api/v1/tokens", token, status=201)["id"]
        self.ask("POST", f"{base}/monitoring", push, status=202)
        self.ask("PUT", f"{base}/status-page", {"public": True}, status=200)
        link = self.ask("POST", f"{base}/status-page/links", {"label": "desk"}, status=201)
        return {
            "tenant_id": [name],
            "rule_id": [rule_id, NOBODY],
            "maintenance_id": [maintenance_id, NOBODY],
            "silence_id": [silence_id, NOBODY],
            "request_id": [request_id, NOBODY],
            "objective": ["fast", "slow"],
            "name": ["fast"],
            "profile": ["vllm", "mosec"],
            "deployment_id": [told["deployment_id"]],
            "token_id": [str(token_id), "0"],
            "link_id": [str(link["id"]), "0"],
            "page": [link["url"].rpartition("/")[2], name],
            "statement": ["2026-02.pdf", "2026-Q1.csv"],
            "file": ["docs.js"],
        }

    def as_configured(self) -> None:
        """Nothing is set over HTTP: what one test stored there concerns every tenant, and so every other test."""
        unset: dict[str, Any] = {
            "deployment": dict.fromkeys(DeploymentSettings.model_fields),
            "monitoring": dict.fromkeys(MonitoringSettings.model_fields),
        }
        self.ask("PUT", "/api/v1/settings", unset, status=200)


@contextmanager
def simulator(folder: Path) -> Iterator[Served]:
    """A simulator whose clock stands still, with the cluster of demo mode."""

    async def make() -> web.Application:
        options = EngineOptions(seed=1, speed=1.0, manual_clock=True, nodes=4)
        engines = (open_engine(SnapshotStore(each), options) for each in (folder, folder / "demo"))
        return create_simulator(*engines)

    with Served(make) as served:
        yield served


@pytest.fixture(scope="package")
def fuzz_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with simulator(tmp_path_factory.mktemp("fuzz-simulator")) as served:
        yield served


@contextmanager
def serving(
    make_migrated: Callable[[], str],
    simulator: Served,
    around: Callable[[ManualClock], Any] | None = None,
    **more: Any,
) -> Iterator[Service]:
    """`around`: a middleware about everything, by the service's clock; `more`: settings."""
    dsns = make_migrated(), make_migrated()
    clock = ManualClock()
    settings = Settings(
        database_url=SecretStr(dsns[0]),
        demo_database_url=SecretStr(dsns[1]),
        simulator_url=simulator.url,
        webhook_secret=SecretStr("x" * 32),
        smtp_host="mail.example",
        **{"max_body_bytes": 1_000_000, **more},
    )

    async def make() -> web.Application:
        app = await create_app(settings, clock, run_jobs=False)
        if around is not None:
            app.middlewares.insert(0, around(clock))
        return app

    with watching() as watched, Served(make) as served:
        for each in served.app[RUNTIMES]:
            served.run(each.lease.keep())
        runtime = served.app[RUNTIMES][0]
        new = NewToken("fuzz", ("admin",), None)
        issued = served.run(
            runtime.tokens.issue(new, Caller("a test", frozenset({"admin"}), None), clock.now())
        )
        yield Service(served, watched, clock, issued.secret, issued.token_id)


@pytest.fixture(scope="package")
def fuzz_service(make_migrated: Callable[[], str], fuzz_simulator: Served) -> Iterator[Service]:
    with serving(make_migrated, fuzz_simulator) as service:
        yield service


async def settle(runtime: BackendRuntime) -> None:
    """Every job turned twice, so that one that only marks work finds it."""
    for _ in range(2):
        await runtime.lease.keep()
        await runtime.jobs.run_all()
        await asyncio.sleep(0)
