"""Real senders write to the real service while it is started anew, killed and frozen: nothing is lost, and they say so.

What is compared is what the sender itself has stored, sample by sample.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import asyncpg
import pytest

from ecpmon.local.packages import Binaries
from tests.integration.serving import Serving, serving
from tests.scraped import PrometheusServer, Target
from tests.waiting import until

PAGE = """\
# TYPE requests_total counter
requests_total{tenant_id="acme",code="200"} {n}
requests_total{tenant_id="acme",code="500"} 3
temperature{tenant_id="acme"} 0
quantile_of_nothing{tenant_id="acme"} NaN
nobodys{a="b"} 1
"""
CONFIG = """\
global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}
scrape_configs:
  - {{job_name: acme, static_configs: [{{targets: ["127.0.0.1:{target}"]}}]}}
remote_write:
  - url: http://127.0.0.1:{ours}/api/v1/write
    remote_timeout: 1s
    queue_config: {{batch_send_deadline: 200ms, min_backoff: 30ms, max_backoff: 200ms}}
    metadata_config: {{send_interval: 1s}}
"""
NAMES = "requests_total|temperature"
# What a sender counts of what it could not bring.
FAILURES = (
    "samples_failed_total",
    "histograms_failed_total",
    "metadata_failed_total",
    "samples_dropped_total",
)
Samples = dict[tuple[str, str], set[tuple[int, float]]]


@pytest.fixture
def target(free_port: Callable[[], int]) -> Iterator[Target]:
    target = Target(free_port(), PAGE)
    target.start()
    yield target
    target.stop()


@pytest.fixture
def ours(free_port: Callable[[], int]) -> int:
    return free_port()


@pytest.fixture
def dsn(make_migrated: Callable[[], str]) -> str:
    """A database of this test alone: senders of either protocol bring the same series."""
    return make_migrated()


@pytest.fixture
def remote_write() -> str:
    """What else is said of how it writes, as YAML."""
    return ""


@pytest.fixture
def prometheus(
    stack_binaries: Binaries,
    tmp_path: Path,
    free_port: Callable[[], int],
    target: Target,
    ours: int,
    remote_write: str,
) -> Iterator[PrometheusServer]:
    config = CONFIG.format(target=target.port, ours=ours) + remote_write
    server = PrometheusServer(stack_binaries.prometheus, tmp_path, free_port(), config)
    yield server
    server.kill()


async def has_stored(prometheus: PrometheusServer, session: aiohttp.ClientSession) -> Samples:
    """Every sample, by metric and code."""
    query = quote(f'{{__name__=~"{NAMES}"}}[1d]')
    async with session.get(f"{prometheus.url}/api/v1/query?query={query}") as answer:
        found = (await answer.json())["data"]["result"]
    return {
        (each["metric"]["__name__"], each["metric"].get("code", "")): {
            (round(at * 1000), float(value)) for at, value in each["values"]
        }
        for each in found
    }


async def we_have(dsn: str) -> Samples:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            'SELECT metric_name, labels, metric_value, (extract(epoch FROM "timestamp") * 1000)::bigint AS ms'
            " FROM monitoring_data WHERE tenant_id = 'acme'"
        )
    finally:
        await connection.close()
    found: Samples = {}
    for row in rows:
        if re.fullmatch(NAMES, row["metric_name"]):
            code = json.loads(row["labels"]).get("code", "")
            found.setdefault((row["metric_name"], code), set()).add((row["ms"], row["metric_value"]))
    return found


async def counted(url: str, session: aiohttp.ClientSession, names: tuple[str, ...]) -> dict[str, float]:
    """Sums of a sender's own series whose names end in one of these."""
    async with session.get(f"{url}/metrics") as answer:
        page = await answer.text()
    found = dict.fromkeys(names, 0.0)
    for line in page.splitlines():
        for name in names:
            if re.match(rf"\w*{name}(\{{|\s)", line) and "remote" in line:
                found[name] += float(line.rpartition(" ")[2])
    return found


async def newest(dsn: str) -> int:
    """Milliseconds since 1970 of what we have; 0: nothing."""
    return max((ms for samples in (await we_have(dsn)).values() for ms, _ in samples), default=0)


async def goes_on(dsn: str) -> None:
    """Until something is here that was scraped after now."""
    now = int(time.time() * 1000)

    async def it_does() -> bool:
        return await newest(dsn) > now

    await until(it_does, "samples arrive")


async def through(dsn: str, ours: int, prometheus: PrometheusServer, frozen: float) -> None:
    """The life of our service: ended, killed, frozen for so many seconds; after each it goes on."""
    async with serving(dsn, ours) as found:
        await make(found)
        prometheus.start()
        await goes_on(dsn)
    async with serving(dsn, ours) as found:
        await goes_on(dsn)
        found.process.kill()
    async with serving(dsn, ours) as found:
        await goes_on(dsn)
        found.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(frozen)
        found.process.send_signal(signal.SIGCONT)
        await goes_on(dsn)


async def make(found: Serving) -> None:
    body = {"tenant_id": "acme", "name": "Acme", "service_requirements": {"chatbot": 10}}
    async with found.session.post(f"{found.url}/api/v1/tenants/", json=body) as answer:
        assert answer.status == 201, await answer.text()


async def check(dsn: str, prometheus: PrometheusServer) -> None:
    """Before the newest that we have both have the same, and the sender has nothing to complain of."""
    async with aiohttp.ClientSession() as session:
        until_ms = await newest(dsn) - 1
        theirs, own = await has_stored(prometheus, session), await we_have(dsn)
        assert (
            theirs.keys()
            == own.keys()
            == {("requests_total", "200"), ("requests_total", "500"), ("temperature", "")}
        )
        for key, samples in theirs.items():
            expected = {sample for sample in samples if sample[0] <= until_ms}
            assert len(expected) > 10
            assert {sample for sample in own[key] if sample[0] <= until_ms} == expected, key
        assert not any((await counted(prometheus.url, session, FAILURES)).values())


async def test_prometheus_loses_nothing_while_we_are_ended_killed_and_frozen(
    dsn: str, prometheus: PrometheusServer, ours: int
) -> None:
    await through(dsn, ours, prometheus, frozen=3)
    await check(dsn, prometheus)


@pytest.mark.long
@pytest.mark.timeout(2 * 3600)
async def test_prometheus_loses_nothing_in_an_hour(dsn: str, prometheus: PrometheusServer, ours: int) -> None:
    began = int(time.time() * 1000)
    await through(dsn, ours, prometheus, frozen=60)
    async with serving(dsn, ours):
        while time.time() * 1000 < began + 3_600_000:
            await asyncio.sleep(30)
            await goes_on(dsn)
    await check(dsn, prometheus)
