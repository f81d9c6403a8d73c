"""The real service under the real supervisor: its loop stands still, and it is started anew."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

from ecpmon.local.parts import http_ok
from ecpmon.local.process import ChildSpec
from ecpmon.local.supervisor import Message, Supervisor
from tests.waiting import PATIENCE

# `ecpmon serve` whose clock sleeps once: as soon as the file of its first argument is there, which it removes.
STALLING = """
import pathlib, sys, time
from ecpmon import app, cli
marker, honest = pathlib.Path(sys.argv.pop(1)), app.SystemClock.now

def clock_that_sleeps(self):
    if marker.exists():
        marker.unlink()
        time.sleep(600)
    return honest(self)

app.SystemClock.now = clock_that_sleeps
cli.main()
"""


async def test_a_service_that_stands_still_is_replaced(
    migrated_dsn: str, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port, marker, messages = free_port(), tmp_path / "sleep", list[Message]()
    spec = ChildSpec(
        "api",
        (sys.executable, "-c", STALLING, str(marker), "serve"),
        tmp_path / "api.log",
        http_ok(f"http://127.0.0.1:{port}/ready"),
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("ECPMON_")},
            "ECPMON_DATABASE_URL": migrated_dsn,
            "ECPMON_ROLE": "all",
            "ECPMON_PORT": str(port),
            "ECPMON_AUTH": "none",
            "ECPMON_WATCHDOG_SECONDS": "2",
        },
        cwd=tmp_path,
    )
    supervisor = Supervisor([spec], messages.append)
    try:
        await supervisor.start("api")
        first = supervisor.pid("api")
        marker.touch()
        async with asyncio.timeout(PATIENCE):
            while len(messages) < 2:
                await asyncio.sleep(0.05)
        assert "ended by its watchdog" in messages[0].text
        assert messages[1].text == "api is running again"
        assert supervisor.pid("api") not in {None, first}
        log = spec.log_file.read_text()
        assert "the event loop has stood still for 2 s" in log
        assert "in clock_that_sleeps" in log
    finally:
        await supervisor.stop()
