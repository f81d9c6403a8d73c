"""What is told ahead of its time waits for it, and is told once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ecpmon.coming import Coming
from ecpmon.model.samples import Block, Columns, Frame, Sample, SeriesKey, Shape, Source, newest_by
from ecpmon.tenantseries import TenantSeries

CPU = SeriesKey("cpu", "cpu_usage")
T0 = datetime(2026, 3, 2, 9, tzinfo=UTC)


@given(
    puts=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3000)), max_size=30),
    looks=st.lists(st.integers(0, 400), min_size=1, max_size=6),
)
def test_each_is_told_once_within_a_second_of_its_time(puts: list[tuple[str, int]], looks: list[int]) -> None:
    coming, expected, told = Coming[str, int](1_000), dict[tuple[int, str], tuple[float, int]](), set[int]()
    for number, (key, tenths) in enumerate(puts):
        coming.put(key, tenths / 10, number)
        place = (-(-tenths // 10), key)
        if place not in expected or expected[place][0] <= tenths / 10:
            expected[place] = (tenths / 10, number)
    for now in sorted(looks):
        fresh = [(at, number) for _, at, number in coming.due(now)]
        assert all(at <= now for at, _ in fresh)
        assert told.isdisjoint(number for _, number in fresh)
        told |= {number for _, number in fresh}
        assert told == {number for (second, _), (_, number) in expected.items() if second <= now}


def test_no_more_are_kept_than_there_is_room_for() -> None:
    coming = Coming[str, int](2)
    for second in range(5):
        coming.put("a", second, second)
    assert [value for *_, value in coming.due(100)] == [0, 1]
    assert not coming


def test_of_keys_that_are_gone_nothing_is_told() -> None:
    coming = Coming[str, int](10)
    coming.put("a", 1, 1)
    coming.put("b", 1, 2)
    coming.keep_only({"b"})
    assert [key for key, *_ in coming.due(5)] == ["b"]


def test_of_a_block_the_newest_is_the_last_whose_time_has_come() -> None:
    block = Block("acme", Source.PUSH, Shape((CPU,)))
    instants = [T0 + timedelta(seconds=s) for s in (30, -10, 0, 60, -5)]
    assert block.extend(instants, [[float(n)] for n in range(5)])
    come, coming = newest_by(block, T0)
    assert come is not None
    assert (come.ts, [f.ts for f in coming]) == (T0, [instants[0], instants[3]])
    frame = Frame("acme", Source.PUSH, T0, Columns(block.shape, [1.0]))
    assert newest_by(frame, T0) == (frame, ())
    assert (
        newest_by(Frame("acme", Source.PUSH, T0, (Sample(CPU, 1.0),)), T0 - timedelta(seconds=1))[0] is None
    )


def test_a_gauge_of_usage_is_told_when_its_time_has_come() -> None:
    now = [100.0]
    series = TenantSeries(lambda: now[0])
    series.usage("acme", {"cpu_usage": 10.0}, 99.0, 199.0)
    series.usage("acme", {"cpu_usage": 90.0}, 160.0, 260.0)

    def shown() -> str:
        return b"".join(series.exposition(None)).decode()

    for second, value in ((100.0, 10.0), (159.0, 10.0), (160.0, 90.0)):
        now[0] = second
        assert f'ecp_tenant_cpu_usage{{tenant_id="acme"}} {value}' in shown()
    assert list(series.usage_told()) == [{"acme": {"cpu_usage": [160.0, 90.0, 260.0]}}]


def test_a_gauge_of_a_tenant_that_is_gone_does_not_come_back() -> None:
    now = [100.0]
    series = TenantSeries(lambda: now[0])
    series.keep_only({"acme": 1})
    series.usage("acme", {"cpu_usage": 90.0}, 160.0, 260.0)
    series.keep_only({"acme": 2})
    now[0] = 200.0
    assert b"".join(series.exposition(None)) == b""
