"""What is packed is told by the same bits."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from hypothesis import example, given
from hypothesis import strategies as st

from ecpmon.storage.packs import MOST_INSTANTS, MOST_SERIES, Part, merged, parts_of, whole_numbers

HOUR = 3_600_000_000
decimals = st.builds(lambda n, d: n / 10**d, st.integers(-(10**9), 10**9), st.integers(0, 6))
values = st.one_of(decimals, st.floats(), st.just(-0.0), st.integers(-(2**60), 2**60).map(float))
frames = st.lists(
    st.tuples(st.integers(0, 20), st.lists(st.tuples(st.integers(1, 6), values), max_size=6)), max_size=40
)


def told(part: Part) -> Iterator[tuple[tuple[int, int], bytes]]:
    """As `packed.samples` puts them together."""
    for i in range(part.instants):
        at = part.first + part.step * i + (part.jitter[i] if part.jitter else 0)
        for k, series in enumerate(part.series):
            place = k * part.instants + i
            distance = sum(
                256**n * int.from_bytes(digits[place : place + 1], signed=True)
                for n, digits in enumerate(part.digits)
            )
            value = (part.base[k] + part.slope[k] * i + distance) / part.divisor[k]
            yield (series, at), struct.pack("d", value)
        for k, series in enumerate(part.as_told):
            yield (series, at), struct.pack("d", part.told[k * part.instants + i])


@given(frames)
@example([(n, [(1, n / 10), (2, float(n * 5 + n % 3)), (3, 1.0)]) for n in range(40)])
@example([(0, [(1, 1e300)]), (1, [(1, float("nan"))]), (2, [(1, float("inf"))])])
@example([(n, [(1, n % 2 * float(2**31))]) for n in range(4)])
def test_every_sample_is_packed_once_with_its_bits_the_last_of_an_instant(
    given_frames: list[tuple[int, list[tuple[int, float]]]],
) -> None:
    columns = merged(
        (at * 7_000_001, [s for s, _ in said], [v for _, v in said]) for at, said in given_frames
    )
    last = {
        (series, at * 7_000_001): struct.pack("d", value)
        for at, said in given_frames
        for series, value in said
    }
    found = [sample for part in parts_of(columns) for sample in told(part)]
    assert len(found) == len(last)
    assert dict(found) == last


def test_what_hardly_changes_needs_no_digit_and_a_counter_one() -> None:
    columns = {
        1: {n * 10_000_000: 42.5 for n in range(360)},
        2: {n * 10_000_000: float(10**12 + 977 * n + n % 7) for n in range(360)},
    }
    [part] = parts_of(columns)
    assert (part.planes, part.jitter, part.step) == (1, None, 10_000_000)
    assert set(part.digits[0][:360]) == {0}
    assert part.slope[1] == 977


def test_a_part_is_bounded_in_series_and_instants() -> None:
    wide = {n: {0: 1.0} for n in range(MOST_SERIES + 1)}
    assert [len(p.series) for p in parts_of(wide)] == [MOST_SERIES, 1]
    long = {1: dict.fromkeys(range(MOST_INSTANTS + 1), 1.0)}
    assert [p.instants for p in parts_of(long)] == [MOST_INSTANTS, 1]


def test_what_is_no_decimal_is_stored_as_it_was_told() -> None:
    assert whole_numbers([0.1, 0.2, 0.1 + 0.2]) is None
    assert whole_numbers([-0.0, 1.0]) is None
    assert whole_numbers([0.25, 100.0]) == ([25, 10_000], 100.0)
