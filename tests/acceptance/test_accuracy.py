"""The engine against the truth: exact for pushes, within one observation interval per edge for polling."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ecpmon.model.tenants import STALENESS_FACTOR
from tests.acceptance.accuracy import AGENTS, AHEAD, EVERY, PUSHED, SAMPLED, SCRAPED, WEIGHED, measured
from tests.acceptance.world import INTERVAL

# The clocks of Berlin go forward at 01:00 UTC, in the middle of the scenario.
START = datetime(2026, 3, 29, 0, 40, tzinfo=UTC)


EXACT = {PUSHED, AHEAD, f"{AHEAD}, before its time"}
# That the scenario makes: the service, and then the simulator, is not there.
GAPS = 2
# Seconds between two looks at a tenant.
LOOKS = {SAMPLED: EVERY, AGENTS: EVERY, WEIGHED: EVERY, SCRAPED: 15}


async def test_the_error_is_within_its_bound(
    make_migrated: Callable[[], str], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    found = await measured(make_migrated(), tmp_path, free_port, START, minutes=45, seed=7)
    print(found.tables())
    for counted in found.counts:
        # Those of a series that was born with the first of them as well.
        assert counted.bad_counted == counted.bad_true > 0, counted
        assert counted.outside_bounds < 1e-3, counted
    rows = found.rows
    assert all(r.down_unseen == pytest.approx(45) and 80 < r.gap < 150 for r in rows if r.tenant == WEIGHED)
    assert any(r.down_true > 100 for r in rows)
    assert any(r.gap > 60 for r in rows)
    for row in rows:
        if row.tenant in EXACT:
            assert row.error < 1e-3, row
        else:
            assert row.error <= LOOKS.get(row.tenant, INTERVAL) * row.edges, row
        assert row.outside_bounds < 1e-3, row
        # At an edge half of what the longest silence between two looks would leave; a state is held before a gap.
        look = 0 if row.tenant in EXACT else LOOKS.get(row.tenant, INTERVAL)
        assert row.width <= row.gap + 1.25 * look * row.edges + STALENESS_FACTOR * look * GAPS, row
