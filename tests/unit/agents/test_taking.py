"""Remote write 1.0 and 2.0 taken apart: what is taken, what is left out and why, and what is no message at all."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from ecpmon.agents.arriving import Arriving
from ecpmon.agents.bodies import take_first, take_second
from ecpmon.agents.memory import Memory, Whose
from ecpmon.agents.protobuf import Malformed
from ecpmon.model.ingest import Batch, screen
from tests.remote_write import STALE, histogram, metadata, nested, request_v2, sample, series, varint

T = 1_772_442_000_000
UP = {"__name__": "up", "tenant_id": "a", "job": "x"}
CPU = {"__name__": "cpu", "tenant_id": "a"}


def arriving(memory: Memory | None = None, whose: Whose | None = None) -> Arriving:
    return Arriving(memory or Memory(), whose or Whose(), "tenant_id", T - 10**9, T + 300_000)


def taken(body: bytes, into: Arriving | None = None, take: Any = take_first) -> Arriving:
    into = into or arriving()
    for _ in take(body, into):
        pass
    return into


def told(found: Arriving) -> dict[tuple[str, int], dict[str, float]]:
    keys = found.memory.keys
    return {
        key: {
            ",".join((keys[n].metric_name, *(f"{name}={text}" for name, text in keys[n].labels))): value
            for n, value in zip(numbers, values, strict=True)
        }
        for key, (numbers, values) in found.groups.items()
        if key[0]
    }


def left(found: Arriving) -> dict[str, int]:
    return {why.value: count for why, count in found.left_out.items() if count}


def test_samples_are_told_by_tenant_and_instant_and_the_tenants_label_is_no_label() -> None:
    body = series(UP, (1.0, T), (0.0, T + 15_000)) + series(CPU, (12.5, T)) + metadata("up")
    assert told(taken(body)) == {
        ("a", T): {"up,job=x": 1.0, "cpu_usage": 12.5},
        ("a", T + 15_000): {"up,job=x": 0.0},
    }


def test_what_is_known_is_taken_as_what_is_new_was() -> None:
    memory = Memory()
    body = series(UP, (1.0, T), (0.0, T + 15_000)) + series(CPU, (12.5, T))
    first = taken(body, arriving(memory))
    assert told(taken(body, arriving(memory))) == told(first)
    assert {tenant for tenant, _ in memory.known(Whose()).values()} == {"a"}
    again = series(UP, (0.0, T + 1)) + series(CPU, (-0.0, 0), (5e-324, T))
    assert told(taken(again, arriving(memory))) == {
        ("a", T + 1): {"up,job=x": 0.0},
        ("a", T): {"cpu_usage": 5e-324},
    }


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (STALE, "stale"), (0x7FF8000000000001, "not_a_number"), (math.inf, "not_a_number"), (-math.inf, "not_a_number"),
        (1e101, "out_of_range"),
    ],
)  # fmt: skip
def test_a_value_that_says_nothing_is_left_out_by_why_and_counts_as_taken(value: Any, why: str) -> None:
    memory = Memory()
    for _ in range(2):  # the second time the series is known
        found = taken(series(CPU, (value, T), (1.0, T + 1)), arriving(memory))
        assert (left(found), found.samples, found.refused) == ({why: 1}, 2, 0)
        assert told(found) == {("a", T + 1): {"cpu_usage": 1.0}}


def test_of_all_that_is_taken_nothing_is_left_that_no_database_of_ours_may_hold() -> None:
    """So that nobody looks at it again (`Batch.sound`)."""
    memory, values = Memory(), (math.nan, math.inf, -1e101, 1e100, 1.0)
    samples = [(value, T + n + off) for n, value in enumerate(values) for off in (0, 10**9, -(10**10))]
    tenant: Any = SimpleNamespace(tenant_id="a", key=1)
    for _ in range(2):  # the second time the series are known
        found = taken(series(UP, *samples) + series(CPU, *samples), arriving(memory))
        batch = Batch(frames=tuple(found.entries({"a": tenant})))
        assert screen(batch).rejected is None
        assert sum(entry.size for entry in batch.frames) == 2 * 2 == found.size


def test_what_lies_outside_of_the_times_that_are_kept_is_refused() -> None:
    memory = Memory()
    for _ in range(2):
        found = taken(series(CPU, (1.0, T - 10**9 - 1), (1.0, T + 300_001), (2.0, T)), arriving(memory))
        assert (left(found), found.refused, found.samples) == ({"too_old": 1, "in_the_future": 1}, 2, 1)
        assert told(found) == {("a", T): {"cpu_usage": 2.0}}


@pytest.mark.parametrize(
    "labels",
    [
        [("tenant_id", "a")], [("__name__", "x" * 101), ("tenant_id", "a")],
        [("__name__", "x"), ("l", "1"), ("l", "2"), ("tenant_id", "a")],
        [("__name__", "x"), ("", "1"), ("tenant_id", "a")], [("__name__", "x"), ("l", "y" * 1_100), ("tenant_id", "a")],
        [("__name__", "x\x00"), ("tenant_id", "a")],
    ],
)  # fmt: skip
def test_what_has_no_name_that_can_be_stored_is_refused(labels: list[tuple[str, str]]) -> None:
    found = taken(series(labels, (1.0, T), (1.0, T + 1)) + series(CPU, (1.0, T)))
    assert (left(found), found.refused, found.size) == ({"bad_name": 2}, 2, 1)


def test_series_of_nobody_are_left_out_also_when_they_are_known() -> None:
    memory = Memory()
    for _ in range(2):
        found = taken(series({"__name__": "go_threads"}, (1.0, T)) + series(CPU, (1.0, T)), arriving(memory))
        found.keep({"a": None})  # type: ignore[dict-item]
        assert (left(found), found.refused, found.samples, found.size) == ({"no_tenant": 1}, 0, 2, 1)


def test_a_request_names_the_tenant_before_labels_do_and_these_before_the_senders_own() -> None:
    memory, body = Memory(), series(CPU, (1.0, T)) + series({"__name__": "cpu"}, (2.0, T))
    for _ in range(2):
        assert told(taken(body, arriving(memory, Whose(named="b")))) == {("b", T): {"cpu_usage": 2.0}}
        assert told(taken(body, arriving(memory, Whose(usual="c")))) == {
            ("a", T): {"cpu_usage": 1.0},
            ("c", T): {"cpu_usage": 2.0},
        }
        assert told(taken(body, arriving(memory))) == {("a", T): {"cpu_usage": 1.0}}


def test_exemplars_are_counted_and_cost_no_sample() -> None:
    found = taken(series(CPU, (1.0, T), more=nested(3, b"")))
    assert (left(found), found.size, found.refused) == ({"exemplar": 1}, 1, 0)


def test_a_native_histogram_becomes_its_count_and_what_is_within_powers_of_two() -> None:
    # Schema 0: buckets (0.5, 1], (1, 2], (2, 4] with 1, 3 and 2 observations.
    one = histogram(T, 6, 0, [(0, 3)], [1, 2, -1])
    found = told(taken(series({"__name__": "rt", "tenant_id": "a"}, more=nested(4, one))))[("a", T)]
    assert found["rt_count"] == 6
    assert [found[f"rt_bucket,le={le}"] for le in ("0.5", "1", "2", "4", "128")] == [0, 1, 4, 6, 6]


def test_custom_buckets_are_told_by_their_bounds_and_refused_without_these() -> None:
    labels = {"__name__": "rt", "tenant_id": "a"}
    with_bounds = histogram(T, 3, -53, [(0, 2)], [1, 1], custom=[0.1, 0.3])
    found = taken(series(labels, more=nested(4, with_bounds)))
    assert told(found)[("a", T)] == {"rt_count": 3, "rt_bucket,le=0.1": 1, "rt_bucket,le=0.3": 3}
    bare = taken(series(labels, (1.0, T), more=nested(4, histogram(T, 3, -53, [(0, 2)], [1, 1]))))
    assert (left(bare), bare.histograms, bare.histograms_refused, bare.size) == ({"histogram": 1}, 1, 1, 1)


def test_a_histogram_that_ended_is_stale() -> None:
    ended = histogram(T, 0, 0, [], [], total=STALE)
    found = taken(series({"__name__": "rt", "tenant_id": "a"}, more=nested(4, ended)))
    assert (left(found), found.size) == ({"stale": 1}, 0)


DONE = {"__name__": "done_total", "tenant_id": "a", "job": "x"}


def bucket(le: str) -> dict[str, str]:
    return {"__name__": "rt_bucket", "tenant_id": "a", "le": le}


@pytest.mark.parametrize("known", [False, True])
def test_what_says_when_it_began_to_count_says_so_beside_it(known: bool) -> None:
    memory = Memory()
    if known:
        taken(series(DONE, (0.0, T - 1)) + series(bucket("1"), (0.0, T - 1)), arriving(memory))
    began = b"\x30" + varint(T - 5_000)
    each = nested(2, sample(4.0, T) + b"\x18" + varint(T - 7_000))
    native = nested(3, histogram(T, 6, 0, [(0, 3)], [1, 2, -1]) + varint(17 << 3) + varint(T - 8_000))
    body = request_v2(
        (DONE, [(3.0, T)], began),
        (bucket("1"), [(1.0, T)], began),
        (bucket("2"), [(2.0, T)], began),
        ({**DONE, "job": "y"}, [], each),
        ({"__name__": "native", "tenant_id": "a"}, [], native),
    )
    found = taken(body, arriving(memory), take_second)
    said = {name: value for name, value in told(found)["a", T].items() if "_created" in name}
    assert said == {
        "done_created,job=x": T / 1000 - 5,
        "rt_created": T / 1000 - 5,
        "done_created,job=y": T / 1000 - 7,
        "native_created": T / 1000 - 8,
    }
    assert (found.samples, found.histograms) == (4, 1), "what was sent is no more"


@pytest.mark.parametrize("began", [0, T, T - 1, T + 5, 2**64 - 5])
def test_who_does_not_know_when_it_began_says_nothing(began: int) -> None:
    body = request_v2((DONE, [(3.0, T)], b"\x30" + varint(began)))
    assert told(taken(body, take=take_second)) == {("a", T): {"done_total,job=x": 3.0}}


def test_version_two_says_the_same_by_symbols() -> None:
    memory = Memory()
    first = taken(series(UP, (1.0, T)) + series(CPU, (2.0, T)), arriving(memory))
    body = request_v2((UP, [(1.0, T)], nested(5, b"\x08\x01")), (CPU, [(2.0, T)], nested(4, b"")))
    found = taken(body, arriving(memory), take_second)
    assert told(found) == told(first)
    assert (left(found), found.samples) == ({"exemplar": 1}, 2)
    assert len(memory.known(Whose())) == 2, "it is known by the same bytes"


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a", b"\x0a\x05\x0a", b"\x0a\x02\x12\x05", b"\x0b\x00", b"\xff" * 11, b"\x02\x00",
        series(CPU)[:-1], nested(1, nested(1, nested(1, b"\xff"))  + nested(2, b"\x10\x01")),
        nested(1, nested(2, b"\x09\x00")), nested(1, b"\x08\x01" + b"\x0a"),
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused_whole(body: bytes) -> None:
    with pytest.raises(Malformed):
        taken(series(CPU, (1.0, T)) + body)


@pytest.mark.parametrize(
    "body",
    [
        nested(4, b"x"), nested(4, b"") + nested(5, nested(1, b"\x00")),
        nested(4, b"") + nested(5, nested(1, b"\x01\x02")),
    ],
)  # fmt: skip
def test_references_to_symbols_that_are_not_there_are_no_message(body: bytes) -> None:
    with pytest.raises(Malformed):
        taken(body, take=take_second)


def test_of_one_tenant_so_many_series_are_remembered_and_the_rest_is_taken_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ecpmon.agents.memory.PER_TENANT", 3)
    memory = Memory()
    body = b"".join(series({"__name__": f"m{n}", "tenant_id": "a"}, (1.0, T)) for n in range(9))
    for _ in range(2):
        assert len(told(taken(body, arriving(memory)))[("a", T)]) == 9
    assert len(memory.known(Whose())) == 3
