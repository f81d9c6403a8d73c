"""A block is what its frames are, and holds nothing that is not stored."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.model.ingest import Batch, cost_of, screen
from ecpmon.model.samples import Block, Columns, Frame, SeriesKey, Shape, Shapes, Source
from ecpmon.storage.rows import Placed, buckets, encoded
from ecpmon.storage.series import Row

T0 = datetime(2026, 3, 1, tzinfo=UTC)
SHAPE = Shape((SeriesKey("cpu", "cpu_usage"), SeriesKey("sla", "up"), SeriesKey("custom", "queue")))


def block(*rows: list[float], step: int = 10) -> Block:
    made = Block("acme", Source.PUSH, SHAPE, 7)
    assert made.extend([T0 + timedelta(seconds=step * n) for n in range(len(rows))], rows)
    return made


def test_a_block_is_its_frames() -> None:
    made = block([1, 1, 0.5], [2, 0, 1e100])
    own = [*made.frames()]
    assert own == [
        Frame("acme", Source.PUSH, T0, Columns(SHAPE, [1.0, 1.0, 0.5]), 7),
        Frame("acme", Source.PUSH, T0 + timedelta(seconds=10), Columns(SHAPE, [2.0, 0.0, 1e100]), 7),
    ]
    assert all(type(value) is float for frame in own for value in frame.samples.values)  # type: ignore[attr-defined]
    assert (made.size, cost_of(made)) == (6, sum(map(cost_of, own)))
    assert [*made.part(1, 2).frames()] == own[1:]
    assert screen(Batch((made,))).batch.frames == (made,)


@pytest.mark.parametrize("bad", [True, "1", None, [1], math.nan, math.inf, 1.1e100, -1.1e100, 10**101])
def test_what_is_not_stored_gets_into_no_block(bad: object) -> None:
    made = block([1, 1, 1])
    later = [T0 + timedelta(seconds=n) for n in (1, 2)]
    assert not made.extend(later, [[1, 1, 1], [1, bad, 1]])  # type: ignore[list-item]
    assert len(made) == 1
    assert not made.extend([datetime(2200, 1, 1, tzinfo=UTC)], [[1, 1, 1]])
    assert not made.extend([datetime(1969, 12, 31, tzinfo=UTC)], [[1, 1, 1]])
    assert len(made) == 1


def test_the_newest_of_a_block_is_the_latest_instant_and_of_two_the_later_one() -> None:
    made = Block("acme", Source.PUSH, SHAPE)
    instants = [T0, T0 + timedelta(seconds=9), T0 + timedelta(seconds=9), T0 + timedelta(seconds=1)]
    assert made.extend(instants, [[n, 1, 0] for n in range(4)])
    assert (made.newest.ts, made.newest.samples[0].value) == (instants[1], 2)
    assert (made.frame(-1).ts, made.frame(-1).samples[0].value) == (instants[3], 3)


@pytest.mark.parametrize("numbers", [(4, 5, 6), (4, None, 6), (None, None, None)])
def test_the_rows_of_a_block_are_those_of_its_frames(numbers: tuple[int | None, ...]) -> None:
    made, row = block([1, 1, 0.5], [2, 0, -3], [7, 1, 9], step=200), Row(SHAPE, numbers)

    def body(*entries: Frame | Block) -> tuple[bytes, object]:
        placed = [Placed(entry, 7, Shapes()) for entry in entries]
        for each in placed:
            each.row = row
        touched: set[tuple[int, int]] = set()
        return b"".join(encoded(placed, touched)), buckets(touched)

    whole = body(made)
    assert whole == body(*made.frames())
    starts = {T0, T0 + timedelta(minutes=5)} if row.taken else set()
    assert whole[1] == {(7, start) for start in starts}
