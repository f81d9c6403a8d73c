"""The engine against the truth: exact for pushes, within one observation interval per edge for polling."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.acceptance.accuracy import PUSHED, Scenario
from tests.acceptance.rows import table
from tests.acceptance.world import INTERVAL, World

# The clocks of Berlin go forward at 01:00 UTC, in the middle of the scenario.
START = datetime(2026, 3, 29, 0, 40, tzinfo=UTC)


async def test_the_error_is_within_its_bound(
    make_migrated: Callable[[], str], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    async with World(make_migrated(), tmp_path, free_port, START) as world:
        rows = await Scenario(world, minutes=45, seed=7).run()
    print(table(rows))
    assert any(r.down_true > 100 for r in rows)
    assert any(r.gap > 60 for r in rows)
    for row in rows:
        if row.tenant == PUSHED:
            assert row.error < 1e-3, row
        else:
            assert row.error <= INTERVAL * row.edges, row
        assert row.outside_bounds < 1e-3, row
