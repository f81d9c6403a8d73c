"""Marked instants are laid again in runs, the newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ecpmon.storage.hand_made import LONGEST_RUN, NEAR, runs_of

T0 = datetime(2026, 3, 1, tzinfo=UTC)


@given(st.sets(st.integers(0, 10_000), max_size=60))
def test_every_instant_is_in_one_run_and_runs_are_short_and_far_apart(minutes: set[int]) -> None:
    instants = {T0 + timedelta(minutes=m) for m in minutes}
    runs = runs_of(instants)
    assert [at for run in reversed(runs) for at in run] == sorted(instants)
    for run in runs:
        assert run[-1] - run[0] <= LONGEST_RUN
        assert all(later - earlier <= NEAR for earlier, later in pairwise(run))
