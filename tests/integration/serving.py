"""`ecpmon serve` as a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.processes import bound
from tests.waiting import until


@dataclass
class Serving:
    url: str
    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> tuple[int, Any, Any]:
        """(status, JSON or text, headers)."""
        async with self.session.get(self.url + path, headers=headers) as answer:
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, await (answer.json() if is_json else answer.text()), answer.headers


@asynccontextmanager
async def serving(
    dsn: str, port: int, *, stderr: int | None = None, is_ready: bool = True, **settings: str
) -> AsyncIterator[Serving]:
    """Running and ready, without authentication; its log goes to the file descriptor `stderr`, -1: closed.

    `is_ready` False: just begun, for what is not ready by itself.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ECPMON_")}
    ours = {
        "ECPMON_ROLE": "all",
        "ECPMON_DATABASE_URL": dsn,
        "ECPMON_PORT": str(port),
        "ECPMON_AUTH": "none",
        **settings,
    }
    argv = [sys.executable, "-m", "ecpmon", "serve"]
    if stderr == -1:
        argv = ["sh", "-c", 'exec "$@" 2>&-', "sh", *argv]
    process = await asyncio.create_subprocess_exec(
        *bound(argv),
        env=inherited | ours,
        stdout=asyncio.subprocess.PIPE,
        stderr=None if stderr == -1 else stderr,
    )
    async with aiohttp.ClientSession() as session:
        found = Serving(f"http://127.0.0.1:{port}", process, session)
        try:
            if is_ready:
                await until_ready(found)
            yield found
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def until_ready(found: Serving) -> None:
    async def answers() -> bool:
        assert found.process.returncode is None, f"it ended with {found.process.returncode}"
        try:
            return (await found.get("/ready"))[0] == 200
        except aiohttp.ClientError:
            return False

    await until(answers, "the service is ready")
