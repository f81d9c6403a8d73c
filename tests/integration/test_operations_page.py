"""docs/operations.md: its command and its configuration, as they stand, with a real Prometheus."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
import yaml

from ecpmon.local.packages import Binaries
from tests.integration.serving import Serving, serving
from tests.processes import bound
from tests.waiting import until

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
TARGETS, COMMAND, CONFIG = (block.partition("\n")[2] for block in PAGE.split("```")[1::2])


@pytest.fixture
async def service(migrated_dsn: str, free_port: Callable[[], int]) -> AsyncIterator[Serving]:
    async with serving(migrated_dsn, free_port(), ECPMON_AUTH="tokens") as found:
        yield found


@pytest.fixture
async def prometheus(
    service: Serving,
    migrated_dsn: str,
    tmp_path: Path,
    stack_binaries: Binaries,
    free_port: Callable[[], int],
) -> AsyncIterator[str]:
    """The URL of a Prometheus that runs the page's configuration, only faster."""
    ecpmon, *arguments = shlex.split(COMMAND.partition(">")[0])
    assert ecpmon == "ecpmon"
    made = subprocess.run(
        [sys.executable, "-m", "ecpmon", *arguments], env=os.environ | {"ECPMON_DATABASE_URL": migrated_dsn},
        capture_output=True, check=True,
    )  # fmt: skip
    (tmp_path / COMMAND.partition(">")[2].strip()).write_bytes(made.stdout)
    address = service.url.removeprefix("http://")
    config, targets = (yaml.safe_load(text.replace("127.0.0.1:8001", address)) for text in (CONFIG, TARGETS))
    config["scrape_configs"] += targets["scrape_configs"]
    config["global"] = {"scrape_interval": "1s"}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *bound([
                stack_binaries.prometheus, f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
            ]),
            stdout=log, stderr=log, cwd=tmp_path,
        )  # fmt: skip
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    await process.wait()


async def test_prometheus_scrapes_with_the_token_of_the_page(service: Serving, prometheus: str) -> None:
    assert (await service.get("/metrics"))[0] == 401

    async def value(query: str) -> str | None:
        try:
            async with service.session.get(f"{prometheus}/api/v1/query?query={quote(query)}") as answer:
                found = (await answer.json())["data"]["result"] if answer.status == 200 else []
        except aiohttp.ClientError:
            return None
        return found[0]["value"][1] if found else None

    async def scraped() -> bool:
        return await value("up") == "1" and await value("ecpmon_leader") == "1"

    await until(scraped, "Prometheus has what ecpmon says about itself")
