"""History of a real Prometheus, by its API and by a dump of its files: sample by sample what it has."""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecpmon.app import importing
from ecpmon.app.importing import Wanted, import_file, import_prometheus
from ecpmon.collectors.history.runs import Left, Naming
from ecpmon.local.packages import Binaries
from ecpmon.model.availability import SpanState
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from tests.scraped import PrometheusServer

MakeTenant = Callable[..., Awaitable[Tenant]]
MINUTES = 150
DOWN = range(60, 75)
BEGIN = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
SELECTOR = '{job="acme"}'
# What is hard to write: quotes, what Go escapes, and what it does not.
PATH = 'a"b\\c\td\x07é\u200b✓'
# Series by metric and label, without what says where they were scraped.
Truth = dict[tuple[str, str, datetime], float]


def value(name: str, minute: int) -> float:
    return {"up": float(minute not in DOWN), "done_total": 7.0 * minute, "rt": minute / 8}[name]


def truth() -> Truth:
    return {
        (
            "up" if name == "up" else name,
            PATH if name == "rt" else "",
            BEGIN + timedelta(minutes=minute),
        ): value(name, minute)
        for name in ("up", "done_total", "rt")
        for minute in range(MINUTES)
    }


def page() -> str:
    """As OpenMetrics has it, with times."""
    escaped = PATH.replace("\\", "\\\\").replace('"', '\\"')
    lines = []
    for name in ("up", "done_total", "rt"):
        kind = "counter" if name == "done_total" else "gauge"
        lines.append(f"# TYPE {name.removesuffix('_total')} {kind}")
        label = f',path="{escaped}"' if name == "rt" else ""
        for minute in range(MINUTES):
            at = BEGIN.timestamp() + 60 * minute
            lines.append(f'{name}{{job="acme",instance="i:1"{label}}} {value(name, minute)} {at:.3f}')
    return "\n".join((*lines, "# EOF", ""))


@pytest.fixture(scope="module")
def folder(stack_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the blocks of that page."""
    made = tmp_path_factory.mktemp("history")
    (made / "page.txt").write_text(page())
    argv = [
        stack_binaries.promtool,
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        made / "page.txt",
        made / "tsdb",
    ]
    subprocess.run(argv, check=True, capture_output=True)
    (made / "tsdb" / "wal").mkdir()  # a snapshot has none, and without one promtool dumps nothing
    return made


@pytest.fixture(scope="module")
def prometheus(
    stack_binaries: Binaries, folder: Path, free_port: Callable[[], int]
) -> Iterator[PrometheusServer]:
    server = PrometheusServer(stack_binaries.prometheus, folder, free_port(), "scrape_configs: []\n")
    server.start()
    yield server
    server.kill()


def quietly(stored: int, share: float, left: Left) -> None:
    assert left.total == 0


async def becomes_history(database: Database, tenant: Tenant) -> None:
    rows = await database.fetch(
        "SELECT metric_name, coalesce(labels->>'path', '') AS path, \"timestamp\" AS at, metric_value AS value"
        " FROM monitoring_data WHERE tenant_id = $1",
        tenant.tenant_id,
    )
    assert {(r["metric_name"], r["path"], r["at"]): r["value"] for r in rows} == truth()
    end = BEGIN + timedelta(minutes=MINUTES)
    spans = await PgAvailabilityStore(database).timeline(tenant, BEGIN, end)
    assert [(s.start, s.end) for s in spans if s.state is SpanState.DOWN] == [
        (BEGIN + timedelta(minutes=DOWN.start), BEGIN + timedelta(minutes=DOWN.stop))
    ]
    assert not [s for s in spans if s.state is SpanState.GAP]


async def young(database: Database, make_tenant: MakeTenant) -> Tenant:
    """Younger than the history."""
    tenant = await make_tenant(source=Source.PUSH)
    await database.execute("UPDATE tenants SET created_at = now() WHERE id = $1", tenant.key)
    newest = "valid_from = (SELECT max(valid_from) FROM evidence_regimes WHERE tenant = $1)"
    await database.execute(f"DELETE FROM evidence_regimes WHERE tenant = $1 AND NOT ({newest})", tenant.key)
    await database.execute("UPDATE evidence_regimes SET valid_from = now() WHERE tenant = $1", tenant.key)
    return tenant


async def test_by_its_api_also_when_it_is_ended_in_the_midst(
    database: Database, migrated_dsn: str, make_tenant: MakeTenant, prometheus: PrometheusServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    tenant = await young(database, make_tenant)
    wanted, end = Wanted(Naming(tenant=tenant.tenant_id)), BEGIN + timedelta(minutes=MINUTES)
    asked = migrated_dsn, prometheus.url, SELECTOR, BEGIN - timedelta(seconds=1), end, wanted
    monkeypatch.setattr(importing, "GATHERED", 100)

    def dies(stored: int, share: float, left: Left) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await import_prometheus(*asked, dies)
    assert (
        0
        < await database.fetchval("SELECT samples FROM imports ORDER BY started_at DESC LIMIT 1")
        < 3 * MINUTES
    )
    await import_prometheus(*asked, quietly)
    await becomes_history(database, tenant)


@pytest.mark.parametrize("command", ["dump", "dump-openmetrics"])
async def test_by_a_dump_of_its_files(
    database: Database, migrated_dsn: str, make_tenant: MakeTenant, folder: Path, stack_binaries: Binaries,
    command: str,
) -> None:  # fmt: skip
    tenant = await young(database, make_tenant)
    argv = [stack_binaries.promtool, "tsdb", command, f"--match={SELECTOR}", f"--sandbox-dir-root={folder}",
            folder / "tsdb"]  # fmt: skip
    path = folder / f"{command}.txt"
    path.write_bytes(subprocess.run(argv, check=True, capture_output=True).stdout)
    assert await import_file(
        migrated_dsn, path, "promtool", Wanted(Naming(tenant=tenant.tenant_id)), quietly
    ) == len(truth())
    await becomes_history(database, tenant)
