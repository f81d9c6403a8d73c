"""The whole service over real databases, with tokens; jobs are turned by hand."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from ecpmon.api.context import CONTEXT
from ecpmon.app import RUNTIMES, create_app
from ecpmon.app.backend import BackendRuntime
from ecpmon.ports.tokens import Caller, Issued, NewToken
from ecpmon.serving import Runner
from ecpmon.settings import Settings
from ecpmon.storage.bus import BusState
from tests.acceptance.world import ManualClock
from tests.waiting import PATIENCE, until

_numbers = itertools.count(1)
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OPERATOR = Caller("a test", frozenset({"admin"}), None)


@dataclass
class Service:
    url: str
    session: aiohttp.ClientSession
    runtime: BackendRuntime
    clock: ManualClock
    app: web.Application
    tokens: dict[str, str]

    def headers(self, who: str | None, **more: str) -> dict[str, str]:
        return {**({"Authorization": f"Bearer {self.tokens[who]}"} if who else {}), **more}

    async def ask(
        self, method: str, path: str, body: Any = None, *, who: str | None = "admin", **headers: str
    ) -> tuple[int, Any, Any]:
        """(status, JSON or text, headers)."""
        data = {"json": body} if not isinstance(body, bytes) else {"data": body}
        async with self.session.request(
            method,
            self.url + path,
            headers=self.headers(who, **headers),
            **(data if body is not None else {}),
        ) as answer:
            text = await answer.text()
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, await answer.json() if is_json else text, answer.headers

    async def token(
        self, who: str, roles: list[str], tenants: list[str] | None = None, **more: Any
    ) -> Issued:
        """A token that `ask(who=…)` shows; `tenants` None: for all of them."""
        new = NewToken(who, roles, tenants, **more)
        issued = await self.runtime.tokens.issue(new, OPERATOR, self.clock.now())
        self.tokens[who] = issued.secret
        return issued

    async def tenant(self, **more: Any) -> str:
        """A new tenant of its own."""
        name = more.pop("tenant_id", f"api-{next(_numbers)}")
        body = {"tenant_id": name, "name": name, "service_requirements": {"chatbot": 10}, **more}
        status, answer, _ = await self.ask("POST", "/api/v1/tenants/", body)
        assert status == 201, answer
        return name


@pytest.fixture(scope="module")
def api_dsns(request: pytest.FixtureRequest, make_migrated: Callable[[], str]) -> dict[str, SecretStr]:
    """The databases of a file, by their settings. A demo database costs each service as much as the other one, so there
    is one where it is asked for."""
    names = ["database_url", *(["demo_database_url"] if request.node.get_closest_marker("demo") else [])]
    return {name: SecretStr(make_migrated()) for name in names}


@pytest.fixture(scope="module")
def usual_tokens(api_dsns: dict[str, SecretStr]) -> dict[str, str]:
    """Who -> secret: made by the first service of a file, and shown by all of them."""
    return {}


@pytest.fixture
def service_settings() -> dict[str, Any]:
    """What a module's service has beyond the usual settings."""
    return {}


@pytest.fixture
async def service(
    api_dsns: dict[str, SecretStr],
    usual_tokens: dict[str, str],
    free_port: Callable[[], int],
    service_settings: dict[str, Any],
) -> AsyncIterator[Service]:
    usual: dict[str, Any] = {
        **api_dsns,
        "max_body_bytes": 200_000,
        "max_batch": 500,
        "metrics_max_age": 0,
        "webhook_secret": SecretStr("x" * 32),
        "work_deadline": PATIENCE,
    }
    settings = Settings(**usual | service_settings)
    clock = ManualClock(NOW)
    app = await create_app(settings, clock, run_jobs=False)
    runner = Runner(app, access_log=None, shutdown_timeout=2)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        session = await stack.enter_async_context(aiohttp.ClientSession())
        made = Service(f"http://127.0.0.1:{port}", session, app[RUNTIMES][0], clock, app, {})
        if not usual_tokens:
            await issue_usual(made)
            usual_tokens.update(made.tokens)
        made.tokens.update(usual_tokens)
        for runtime in app[RUNTIMES]:  # a job of a leader's does nothing before
            await until(lambda r=runtime: leads(r), "it leads")  # type: ignore[misc]
        yield made


async def issue_usual(service: Service) -> None:
    """Those that every test finds. What a test ends or changes are tokens of its own."""
    await service.token("admin", ["admin"])
    await service.token("outsider", ["admin"], tenants=[], may_create=["somebody-elses"])
    await service.token("viewer", ["viewer"])
    await service.token("ingest", ["ingest"])
    await service.token("expired", ["admin"], expires_at=NOW)
    service.tokens["wrong"] = "ecp_" + "x" * 43


async def leads(runtime: BackendRuntime) -> bool:
    return runtime.jobs._lease.claim is not None


@asynccontextmanager
async def another(service: Service, port: int, **other: Any) -> AsyncIterator[Service]:
    """A second process, as far as the database can tell. `other`: settings that are not the first's."""
    settings = service.app[CONTEXT].settings.model_copy(update=other)
    app = await create_app(settings, service.clock, run_jobs=False)
    runner = Runner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    made = Service(
        f"http://127.0.0.1:{port}", service.session, app[RUNTIMES][0], service.clock, app, service.tokens
    )
    yield made
    await runner.cleanup()


@pytest.fixture
async def elsewhere(service: Service, free_port: Callable[[], int]) -> AsyncIterator[Service]:
    async with another(service, free_port()) as made:
        for each in (service, made):
            await until(lambda each=each: listens(each), "it listens")  # type: ignore[misc]
        yield made


async def listens(service: Service) -> bool:
    return service.runtime.listening.reader.state is BusState.LISTENING
