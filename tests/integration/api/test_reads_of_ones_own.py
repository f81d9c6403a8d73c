"""Who may see one tenant reads that tenant's rows, however many others there are: counted, not timed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.integration.api.conftest import NOW, Service
from tests.integration.asked import tell_statements

OTHERS = 1000
HOURS = 100  # of rollups that each has
# What the tenant of the test has in each table at most, and some look-ups on the way.
FEW = HOURS + 100
FILL = (
    """INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target, sli_source)
    SELECT 'other-' || n, 'small', '{}', '{}', '{"availability": "99.5%"}', 'push'
    FROM generate_series(1, $1::int) n""",
    """INSERT INTO sla_current (tenant, window_name, as_of, status, availability, budget_remaining_seconds)
    SELECT id, w, $1::timestamptz, 'meeting', 1, 0
    FROM tenants, unnest(ARRAY['1h', '24h', '7d', '30d', '90d', 'month']) w
    ON CONFLICT DO NOTHING""",
    """INSERT INTO maintenance (maintenance_id, tenant, starts_at, duration, time_zone, reason, created_by, created_at)
    SELECT gen_random_uuid(), id, $1::timestamptz - INTERVAL '2 days', '1 hour', 'UTC', 'work', 'me', $1
    FROM tenants, generate_series(1, 5)""",
    """INSERT INTO alert_events (tenant, rule_id, alert_id, alert_name, severity, kind, from_state, to_state, at,
                              reason, message)
    SELECT id, gen_random_uuid(), gen_random_uuid(), 'cpu', 'page', 'threshold', 'pending', 'firing', $1, 'x', 'x'
    FROM tenants, generate_series(1, 10)""",
    """INSERT INTO series (tenant, data_source, metric_type, metric_name)
    SELECT id, 'push', 'response', 'response_time' FROM tenants WHERE $1::timestamptz IS NOT NULL
    ON CONFLICT DO NOTHING""",
    """INSERT INTO rollup_1h (bucket, tenant, place, series, total, low, high, points)
    SELECT $1::timestamptz - n * INTERVAL '1 hour', tenant, 0, array_agg(id ORDER BY id), array_agg(200),
           array_agg(200), array_agg(200), '{1}'
    FROM series, generate_series(1, 100) n GROUP BY tenant, n""",
)


@dataclass
class Spy:
    """The statements that the service sent, with their arguments."""

    seen: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def take(self, record: Any) -> None:
        self.seen.append((record.query, record.args))

    async def rows_read(self, service: Service) -> int:
        """How many rows of tables the selects visited; those that a filter dropped count as well."""
        visited = 0
        for query, arguments in self.seen:
            # asyncpg's own when it opens and tidies up a connection; a job's that claims what is due.
            others = any(word in query for word in ("typeinfo", "CLOSE ALL", "UPDATE"))
            if not others and query.lstrip().upper().startswith(("SELECT", "WITH", "--")):
                found = await service.runtime.database.fetchval(
                    f"EXPLAIN (ANALYZE, TIMING off, FORMAT json) {query}", *arguments
                )
                plans = json.loads(found) if isinstance(found, str) else found
                visited += sum(map(visits, nodes(plans[0]["Plan"])))
        return visited


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def visits(node: dict[str, Any]) -> int:
    # A hypertable stands above its chunks, as a custom scan.
    if "Relation Name" not in node or node["Node Type"] == "Custom Scan":
        return 0
    rows = (
        node["Actual Rows"]
        + node.get("Rows Removed by Filter", 0)
        + node.get("Rows Removed by Index Recheck", 0)
    )
    return int(rows * node["Actual Loops"])


@pytest.fixture(autouse=True)  # before any connection is opened
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    made = Spy()
    tell_statements(monkeypatch, made.take)
    return made


@pytest.fixture
async def crowd(spy: Spy, service: Service) -> AsyncIterator[str]:
    """A tenant with the token `mine` among many others, all of them with a past."""
    name = await service.tenant()
    await service.ask(
        "POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"up": 1, "response_time": 200}}
    )
    database = service.runtime.database
    try:
        await database.execute(FILL[0], OTHERS)
        for statement in FILL[1:]:
            await database.execute(statement, NOW)
        await database.execute("ANALYZE")
        await service.runtime.work.rolling.run_once()
        await service.token("mine", ["viewer"], [name])
        yield name
    finally:
        await database.execute("TRUNCATE tenants, rollup_1h CASCADE")


async def read(service: Service, spy: Spy, path: str, who: str) -> tuple[int, str]:
    """(rows read, the answer) of one request; what checks the token is not counted."""
    await service.ask("GET", path, who=who)  # connections are opened and made ready once
    spy.seen.clear()
    status, body, _ = await service.ask("GET", path, who=who)
    assert status == 200
    asked, spy.seen = spy.seen, []
    counted = Spy(asked)
    return await counted.rows_read(service), body if isinstance(body, str) else json.dumps(body)


async def test_a_viewer_of_one_tenant_pays_for_one(service: Service, spy: Spy, crowd: str) -> None:
    for path, more in (("/api/v1/sla/summary", ""), ("/api/v1/tenants/", "?limit=500"), ("/metrics", "")):
        mine, shown = await read(service, spy, path, "mine")
        assert crowd in shown, path
        assert "other-" not in shown, path
        assert 0 < mine <= FEW, path
        everything, shown = await read(service, spy, path + more, "viewer")
        assert "other-7" in shown, path
        if path != "/metrics":  # its figures are in memory
            assert everything > OTHERS, f"{path}: this test sees what is read"
    rows, shown = await read(service, spy, "/api/v1/tenants/?limit=1", "viewer")
    assert '"sla_response_time": "200ms"' in shown
    # The counts and the order are those of all tenants, of which each is one row.
    assert rows <= FEW + 3 * (OTHERS + 1), "a page is paid for, not the list"


async def test_a_live_socket_pays_for_its_tenant(service: Service, spy: Spy, crowd: str) -> None:
    service.clock.advance(10)
    url = f"{service.url}/api/v1/simulator/realtime/{crowd}"
    spy.seen.clear()
    async with service.session.ws_connect(url, headers=service.headers("mine")) as socket:
        message = await socket.receive_json(timeout=60)
    assert message["sla_data"]["availability"] == 100
    assert spy.seen
    asked, spy.seen = spy.seen, []
    assert await Spy(asked).rows_read(service) <= FEW
