"""History of others becomes samples, rollups and SLA history, however often an import is ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from ecpmon.app import importing
from ecpmon.app.importing import Wanted, import_file
from ecpmon.collectors.history.files import UnreadableLine
from ecpmon.collectors.history.runs import Left, Naming
from ecpmon.errors import BadRequest
from ecpmon.model.availability import SpanState
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.storage.availability import PgAvailabilityStore
from ecpmon.storage.database import Database
from ecpmon.storage.statements import PgStatementStore

MakeTenant = Callable[..., Awaitable[Tenant]]
BEGIN = datetime(2026, 1, 10, tzinfo=UTC)
MINUTES = 6 * 60
DOWN = range(120, 150)


def tell(stored: int, share: float, left: Left) -> None:
    assert stored >= 0
    assert 0 <= share <= 1
    assert left.total == 0


def up(minute: int) -> float:
    return 0.0 if minute in DOWN else 1.0


def at(minute: int) -> int:
    return round(BEGIN.timestamp() * 1000) + minute * 60_000


def as_victoria() -> bytes:
    lines = []
    for name in ("up", "cpu"):
        for first in range(0, MINUTES, 60):
            minutes = range(first, first + 60)
            values = [up(m) if name == "up" else m / 10 for m in minutes]
            line = {
                "metric": {"__name__": name, "job": "x"},
                "values": values,
                "timestamps": [*map(at, minutes)],
            }
            lines.append(orjson.dumps(line) + b"\n")
    return b"".join(lines)


def as_promtool() -> bytes:
    return "".join(
        f'{{__name__="{name}", job="x", instance="i:1"}} {up(m) if name == "up" else m / 10} {at(m)}\n'
        for name in ("up", "cpu")
        for m in range(MINUTES)
    ).encode()


def as_csv() -> bytes:
    rows = (f"{at(m) / 1000:.3f},{up(m)},{m / 10}\n" for m in range(MINUTES))
    return ("timestamp,up,cpu\n" + "".join(rows)).encode()


@pytest.mark.parametrize(
    ("kind", "content"), [("victoria", as_victoria()), ("promtool", as_promtool()), ("csv", as_csv())],
    ids=["victoria", "promtool", "csv"],
)  # fmt: skip
async def test_an_import_that_is_ended_goes_on_and_gives_the_same_history_as_one_that_is_not(
    database: Database, migrated_dsn: str, make_tenant: MakeTenant, tmp_path: Path, kind: str, content: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    tenant = await make_tenant(source=Source.PUSH)
    await database.execute("UPDATE tenants SET created_at = now() WHERE id = $1", tenant.key)
    await database.execute(
        "DELETE FROM evidence_regimes WHERE tenant = $1 AND valid_from < $2", tenant.key, BEGIN
    )
    path, wanted = tmp_path / f"{kind}.txt", Wanted(Naming(tenant=tenant.tenant_id))
    path.write_bytes(content)
    monkeypatch.setattr(importing, "_READ", 5_000)
    monkeypatch.setattr(importing, "GATHERED", 100)

    def dies(stored: int, share: float, left: Left) -> None:
        if stored >= 150:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await import_file(migrated_dsn, path, kind, wanted, dies)
    got = await database.fetchval("SELECT samples FROM imports ORDER BY started_at DESC LIMIT 1")
    assert 150 <= got < 2 * MINUTES
    assert await import_file(migrated_dsn, path, kind, wanted, tell) == 2 * MINUTES
    assert await import_file(migrated_dsn, path, kind, wanted, tell) == 2 * MINUTES
    rows = await database.fetch(
        "SELECT metric_name, timestamp, metric_value FROM monitoring_data WHERE tenant_id = $1",
        tenant.tenant_id,
    )
    assert {tuple(r) for r in rows} == {
        (name, BEGIN + timedelta(minutes=m), value)
        for m in range(MINUTES)
        for name, value in (("up", up(m)), ("cpu_usage", m / 10))
    }
    end = BEGIN + timedelta(minutes=MINUTES)
    spans = await PgAvailabilityStore(database).timeline(tenant, BEGIN, end, reasons=True)
    states = [(s.state, s.start, s.end) for s in spans]
    assert states[1] == (
        SpanState.DOWN, BEGIN + timedelta(minutes=DOWN.start), BEGIN + timedelta(minutes=DOWN.stop)
    )  # fmt: skip
    assert [state for state, *_ in states][:3] == [SpanState.UP, SpanState.DOWN, SpanState.UP]
    hours = await database.fetchval(
        "SELECT sum(count) FROM metrics_1h WHERE tenant_id = $1 AND metric_name = 'up'", tenant.tenant_id
    )
    assert hours == MINUTES
    imported = await PgStatementStore(database).imported(tenant)
    assert (imported[0].start, imported[-1].end) == (BEGIN, end - timedelta(minutes=1))


async def test_an_import_that_came_to_its_end_is_done_again_for_whose_tenant_was_made_since(
    database: Database, migrated_dsn: str, make_tenant: MakeTenant, tmp_path: Path
) -> None:
    content, left = b"", list[int]()
    names = [(await make_tenant(source=Source.PUSH)).tenant_id, "made-since"]
    for name in names:
        line = {"metric": {"__name__": "cpu", "whose": name}, "values": [1, 2], "timestamps": [at(0), at(1)]}
        content += orjson.dumps(line) + b"\n"
    path, wanted = tmp_path / "both.jsonl", Wanted(Naming(tenant_label="whose"))
    path.write_bytes(content)

    async def done() -> int:
        return await import_file(
            migrated_dsn, path, "victoria", wanted, lambda *told: left.append(told[2].total)
        )

    assert await done() == 2
    await make_tenant(tenant_id="made-since", source=Source.PUSH)
    assert await done() == 4
    assert (left[0], left[-1]) == (2, 0)
    rows = await database.fetch(
        "SELECT tenant_id, count(*) FROM monitoring_data WHERE tenant_id = ANY($1) GROUP BY 1", names
    )
    assert {r[0]: r[1] for r in rows} == dict.fromkeys(names, 2)


async def test_a_line_that_cannot_be_read_is_told_with_its_place(
    database: Database, migrated_dsn: str, make_tenant: MakeTenant, tmp_path: Path
) -> None:
    tenant = await make_tenant(source=Source.PUSH)
    path = tmp_path / "broken.csv"
    path.write_bytes(as_csv() + b"nonsense\n")
    with pytest.raises(UnreadableLine, match=f"at byte {len(as_csv())}"):
        await import_file(migrated_dsn, path, "csv", Wanted(Naming(tenant=tenant.tenant_id)), tell)


async def test_whose_tenant_is_not_there_is_told_before_anything_is_read(
    database: Database, migrated_dsn: str, tmp_path: Path
) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(b"timestamp,up\n")
    with pytest.raises(BadRequest, match="there is no tenant nobody"):
        await import_file(migrated_dsn, path, "csv", Wanted(Naming(tenant="nobody")), tell)
