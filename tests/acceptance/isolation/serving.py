"""`ecpmon serve`, with the tenants alpha (hostile) and beta (its neighbour)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from ecpmon.ports.tokens import Caller, NewToken
from ecpmon.storage.database import Database
from ecpmon.storage.migrations import migrate
from ecpmon.storage.tokens import PgTokenStore
from tests.acceptance.live import until
from tests.processes import bound

ALPHA, BETA = "alpha", "beta"
OPERATOR = Caller("a test", frozenset({"admin"}), None)


@dataclass
class Serving:
    url: str
    pid: int
    log: Path
    database: Database
    tokens: dict[str, str]

    def headers(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[who]}"}

    def memory(self) -> int:
        """The most that any of the service's processes ever held, in bytes."""
        return max(map(_most_held, _family(self.pid)))

    async def ask(self, method: str, path: str, who: str = "admin", **given: Any) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
            session.request(method, self.url + path, headers=self.headers(who), **given) as answer,
        ):
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, await answer.json() if is_json else await answer.text()


def _family(pid: int) -> Iterator[int]:
    """It and all that descend from it; one that computes may end meanwhile."""
    yield pid
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            yield from _family(int(child))


def _most_held(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    held = status.partition("VmHWM:")[2].split()
    return int(held[0]) * 1024 if held else 0


@asynccontextmanager
async def serving(dsn: str, folder: Path, port: int, role: str) -> AsyncIterator[Serving]:
    """With authentication, webhooks to loopback allowed, and nothing to pull from. `role`: see ECPMON_ROLE."""
    database = Database(dsn, max_connections=2)
    await migrate(database)
    log = folder / "serve.log"
    environ = {k: v for k, v in os.environ.items() if not k.startswith("ECPMON_")} | {
        "ECPMON_ROLE": role, "ECPMON_DATABASE_URL": dsn, "ECPMON_PORT": str(port), "ECPMON_AUTH": "tokens",
        "ECPMON_WEBHOOK_ALLOW_LOOPBACK": "true", "ECPMON_WEBHOOK_SECRET": "k" * 32,
        # Whoever goes up and down all the time is told so each time.
        "ECPMON_FLAP_FIRINGS": "0",
    }  # fmt: skip
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *bound([sys.executable, "-m", "ecpmon", "serve"]), env=environ, stdout=out, stderr=out
        )
    made = Serving(f"http://127.0.0.1:{port}", process.pid, log, database, {})
    try:
        await until(lambda: _answers(made), 60, "the service is ready")
        await _people(made)
        yield made
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await database.close()


async def _answers(made: Serving) -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{made.url}/ready") as answer:
        return answer.status == 200


async def _people(made: Serving) -> None:
    store, now = PgTokenStore(made.database), datetime.now(UTC)
    made.tokens["admin"] = (await store.issue(NewToken("admin", ["admin"], None), OPERATOR, now)).secret
    for tenant in (ALPHA, BETA):
        body = {
            "tenant_id": tenant, "name": tenant, "service_requirements": {"chatbot": 10},
            "sli_source": "push", "push_interval": 2,
        }  # fmt: skip
        status, answer = await made.ask("POST", "/api/v1/tenants/", json=body)
        assert status == 201, answer
        made.tokens[tenant] = (
            await store.issue(NewToken(tenant, ["operator"], [tenant]), OPERATOR, now)
        ).secret
