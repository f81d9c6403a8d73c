"""Hours of objectives are lines and distances from them: SQL and Python read the same; older ones are taken over."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from itertools import accumulate

from ecpmon.storage.database import Database
from ecpmon.storage.lines import lines_of
from ecpmon.storage.migrations import discover, migrate
from tests.integration.conftest import T0

HOUR = timedelta(hours=1)
Hour = tuple[list[int], list[int], list[int]]
THROUGH = """
SELECT array_agg(line_through(k, $1, $2, $3) ORDER BY k) FROM generate_series(-1, 61) AS k
"""
MINUTES = "SELECT * FROM objective_minutes ORDER BY objective, minute"


def hours(draw: random.Random) -> list[Hour]:
    """Good, total, observed: of every width, of none, and some that end early."""
    found = [([0] * 60, [0] * 60, [0] * 60)]
    for most in (0, 1, 3, 300, 70_000, 10**8, 10**15):
        for lasting in (1, 7, 59, 60):
            total = [draw.randint(0, most) for _ in range(lasting)] + [0] * (60 - lasting)
            good = [draw.randint(0, count) for count in total]
            seen = [60_000_000 if k < lasting else 0 for k in range(60)]
            if draw.random() < 0.5:
                seen[0] = 37_123_456
            found.append((list(accumulate(good)), list(accumulate(total)), list(accumulate(seen))))
    return found


async def test_sql_reads_and_makes_the_same_lines(database: Database) -> None:
    wild = [(4 * 10**18) * (-1) ** k for k in range(60)]
    given = [*hours(random.Random(15)), (wild, [-each for each in wild], [0] * 60)]
    async with database.connection() as connection:
        for good, total, observed in given:
            lines = lines_of(good, total, observed)
            bad = [whole - part for whole, part in zip(total, good, strict=True)]
            for sums, step, off in (
                (total, lines.total_step, lines.total_off),
                (bad, lines.bad_step, lines.bad_off),
                (observed, lines.observed_step, lines.observed_off),
            ):
                read = await connection.fetchval(THROUGH, lines.minutes, step, off)
                assert read == [0, 0, *sums, sums[-1]]
                made = await connection.fetchrow(
                    "SELECT * FROM as_line($1::bigint[], $2)", sums, lines.minutes
                )
                assert tuple(made) == (step, off)


async def test_hours_of_arrays_are_taken_over(make_database: Callable[[], str]) -> None:
    database, files = Database(make_database()), discover()
    await migrate(database, files[: next(i for i, f in enumerate(files) if f.name == "objective_lines")])
    await database.execute(
        "INSERT INTO tenants (tenant_id, preset, service_requirements, resources, sla_target)"
        " VALUES ('t', 'small', '{}', '{}', '{\"availability\": \"99.5%\"}')"
    )
    key = await database.fetchval(
        "INSERT INTO objectives (tenant, name, inherited, indicator, definition, created_at)"
        " SELECT id, 'requests', false, '{}', '{\"target\": 0.5}', now() FROM tenants RETURNING id"
    )
    for number, (good, total, observed) in enumerate(hours(random.Random(4))):
        bridged = [number] * 60 if number % 5 == 0 else None
        await database.execute(
            "INSERT INTO objective_hours (objective, hour, good, total, observed, good_before, total_before,"
            " observed_before, bridged, bridged_before, resets_before) VALUES ($1, $2, $3, $4, $5, 1, 2, 3, $6, 4, 5)",
            key, T0 + number * HOUR, good, total, observed, bridged,
        )  # fmt: skip
    before = await database.fetch(MINUTES)
    assert len(before) > 700
    await migrate(database)
    assert await database.fetch(MINUTES) == before
    kept = await database.fetch(
        "SELECT DISTINCT good_before, total_before, observed_before, bridged_before, resets_before FROM objective_hours"
    )
    assert [tuple(row) for row in kept] == [(1, 2, 3, 4, 5)]
    await database.close()
