"""Running sums told as lines are the running sums, whatever they are."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from ecpmon.sla.counters import MINUTES
from ecpmon.storage.lines import lines_of, sums_of

MOST = 4 * 10**18
wild = st.lists(st.integers(-MOST, MOST), min_size=MINUTES, max_size=MINUTES)
tame = st.lists(
    st.one_of(st.just(0), st.integers(0, 200), st.just(60_000_000)), min_size=MINUTES, max_size=MINUTES
).map(lambda minutes: list(accumulate(minutes)))
sums = st.one_of(tame, tame, wild)


@given(sums, sums, sums)
def test_a_row_says_what_it_was_made_of(good: list[int], total: list[int], observed: list[int]) -> None:
    row = lines_of(good, total, observed)._asdict()
    assert sums_of(row) == (good, total, observed)
    for name in ("total", "bad", "observed"):
        off = row[f"{name}_off"]
        assert off is None or (len(off) > 1 and (len(off) - 1) // off[0] <= row["minutes"])


def test_what_stays_on_the_line_takes_no_bytes_and_minutes_that_add_nothing_none_either() -> None:
    steady = [60_000_000 * k for k in range(1, 61)]
    assert lines_of(steady, steady, steady) == (60, 60_000_000, None, 0, None, 60_000_000, None)
    assert lines_of([0] * 60, [0] * 60, [0] * 60) == (0, 0, None, 0, None, 0, None)
    begun = [min(k, 7) * 100 for k in range(1, 61)]
    assert lines_of(begun, begun, begun)[:3] == (7, 100, None)
    few = [100 * k + k % 3 for k in range(1, 61)]
    assert 0 < len(lines_of(few, few, steady).total_off or b"") <= 1 + 60
    begun = [*steady[:40], *[steady[39] + 25_000_000] * 20]
    assert lines_of(begun, begun, begun)[:3] == (
        41,
        60_000_000,
        b"\x04" + (-35_000_000).to_bytes(4, signed=True),
    )


def test_an_hour_that_is_counted_minute_by_minute_grows_with_its_minutes() -> None:
    """So that what is written anew every minute is little."""
    counts = [100 + (k * 7919) % 100 for k in range(60)]

    def taken(minutes: int) -> int:
        total = list(accumulate([*counts[:minutes], *[0] * (60 - minutes)]))
        lines = lines_of(total, total, total)
        return sum(len(off or b"") for off in (lines.total_off, lines.bad_off, lines.observed_off))

    assert taken(1) == 0
    assert taken(10) <= 2 * (1 + 10 * 2)
    assert taken(60) <= 2 * (1 + 60 * 2)
