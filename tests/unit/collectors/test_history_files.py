"""Files of others are read for what they say, or refused with the line."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.collectors.history.files import Csv, Promtool, UnreadableLine, prometheus, victoria
from ecpmon.collectors.history.runs import Gathering, Naming, Run, interval_of
from ecpmon.model.samples import SeriesKey

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = 60_000
BEGIN = round((NOW - timedelta(days=1)).timestamp() * 1000)


def test_a_line_of_victoriametrics_is_a_run() -> None:
    line = b'{"metric":{"__name__":"up","tenant":"a"},"values":[1,0.5,null],"timestamps":[1,2,3]}\n'
    run = victoria(line)
    assert run is not None
    assert (run.labels, list(run.at), run.values[:2]) == (
        {"__name__": "up", "tenant": "a"},
        [1, 2, 3],
        [1, 0.5],
    )
    assert math.isnan(run.values[2])
    assert victoria(b"\n") is None


@pytest.mark.parametrize(
    ("line", "run"),
    [
        (b'{__name__="up", job="x"} 1 1700000000123', Run({"__name__": "up", "job": "x"}, (1700000000123,), (1.0,))),
        (
            b'up{j="a\\"b\\\\c\\nd}"} 1.5 1700000000.123',
            Run({"__name__": "up", "j": 'a"b\\c\nd}'}, (1700000000123,), (1.5,)),
        ),
        (b"up 2e3 1700000000", Run({"__name__": "up"}, (1700000000000,), (2000.0,))),
        (b"# EOF", None),
    ],
)  # fmt: skip
def test_lines_of_promtool_are_read_in_both_forms(line: bytes, run: Run | None) -> None:
    assert Promtool()(line) == run


@pytest.mark.parametrize("read", [victoria, Promtool()])
@pytest.mark.parametrize("line", [b"nonsense", b'{"metric":1}', b"up{job=x} 1 2", b"up one 2", b"\xff\xfe"])
def test_what_cannot_be_read_is_refused_and_quoted(read: object, line: bytes) -> None:
    with pytest.raises(UnreadableLine, match="no line of"):
        read(line)  # type: ignore[operator]


def test_csv_is_long_or_wide() -> None:
    long = Csv(b"timestamp,tenant,metric_name,metric_value\r\n")
    assert long(b'2026-10-31T00:00:00Z,a,"cpu",1.5\r\n') == Run(
        {"__name__": "cpu", "tenant": "a"}, (BEGIN,), (1.5,)
    )
    wide = Csv(b"\xef\xbb\xbftime,up,response_time\n")
    assert wide(b"1793404800,1,\n") == [Run({"__name__": "up"}, (1793404800000,), (1.0,))]
    for head in (b"up,response_time", b"timestamp,metric_name"):
        with pytest.raises(UnreadableLine, match="head"):
            Csv(head)
    with pytest.raises(UnreadableLine, match="row"):
        wide(b"1,2")


def test_an_answer_of_prometheus_is_read() -> None:
    answer = {"data": {"result": [{"metric": {"__name__": "up"}, "values": [[1.5, "1"], [2, "NaN"]]}]}}
    [run] = prometheus(answer)
    assert (run.labels, run.at) == ({"__name__": "up"}, [1500, 2000])
    with pytest.raises(UnreadableLine):
        list(prometheus({"data": {"result": [{"metric": {}}]}}))


def test_lines_of_the_same_series_share_their_labels_however_they_are_written() -> None:
    read = Promtool()
    lines = [
        b'{__name__="up", p="a b # c"} 1 1700000000123',
        b'{__name__="up", p="a b # c"} NaN 1700000000124\n',
    ]
    first, second = [run for line in lines if (run := read(line)) is not None]
    assert first.labels is second.labels
    assert second.labels == {"__name__": "up", "p": "a b # c"}
    assert math.isnan(second.values[0])
    with pytest.raises(UnreadableLine):
        read(b'{__name__="up", p="a b # c"} one 1700000000125')
    table = Csv(b"timestamp,metric,value,zone")
    rows = [table(b"1700000000123,cpu,1,z\n"), table(b'1700000000124,cpu,2,"z"\n')]
    assert [run.labels for run in rows if isinstance(run, Run)] == [{"__name__": "cpu", "zone": "z"}] * 2


def test_runs_of_a_series_are_one_column_and_of_an_instant_the_later_value_counts() -> None:
    gathering = Gathering(Naming(tenant="a"), NOW)
    for at, values in (([0, 1], [1.0, 2.0]), ([2, 3], [3.0, 4.0]), ([1], [9.0])):
        gathering.add(Run({"__name__": "x"}, [BEGIN + n for n in at], values))
    [one] = gathering.taken()
    assert (list(one.at), list(one.columns[0])) == (
        [BEGIN, BEGIN + 1, BEGIN + 2, BEGIN + 3],
        [1.0, 9.0, 3.0, 4.0],
    )


def test_series_of_the_same_instants_become_one_shape_of_their_tenant() -> None:
    naming = Naming(tenant_label="tenant", renamed={"probe_success": "up"})
    gathering = Gathering(naming, NOW, {"a", "b"}.__contains__)
    at = [BEGIN + n * MINUTE for n in range(3)]
    for tenant, name in (("a", "probe_success"), ("a", "cpu"), ("b", "cpu"), ("nobody", "cpu")):
        gathering.add(Run({"__name__": name, "tenant": tenant, "job": "x"}, at, [1.0, 2.0, 3.0]))
    gathering.add(
        Run(
            {"__name__": "cpu", "tenant": "b", "zone": "z"},
            [BEGIN, BEGIN + 86_500_000, BEGIN],
            [5.0, 5.0, 7.0],
        )
    )
    gathering.add(Run({"__name__": "cpu", "tenant": "b"}, [BEGIN], [math.nan]))
    gathering.add(Run({"__name__": "cpu", "tenant": "b"}, [2**64 - 1], [1.0]))
    gathering.add(Run({"__name__": "cpu", "tenant": "b"}, [], []))
    assert gathering.size == 10
    taken = gathering.taken()
    assert [(a.tenant_id, [k.metric_name for k in a.keys], len(a.at)) for a in taken] == [
        ("a", ["cpu_usage", "up"], 3),
        ("b", ["cpu_usage"], 3),
        ("b", ["cpu_usage"], 1),
    ]
    assert taken[2].keys == (SeriesKey("cpu", "cpu_usage", (("zone", "z"),)),)
    assert [list(column) for column in taken[2].columns] == [[7.0]]
    assert list(taken[0].at) == at
    left = gathering.left
    assert (left.nobodys, left.out_of_time, left.no_number, gathering.taken()) == (3, 2, 1, [])
    assert interval_of([Run({}, at, [1, 2, 3])]) == timedelta(minutes=1)
