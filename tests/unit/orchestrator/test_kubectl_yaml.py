"""YAML as kubectl reads it."""

from __future__ import annotations

from typing import Any

import pytest

from ecpmon.orchestrator.validation.kubectl_yaml import Limits, TooMuch, read_stream


def read(text: str) -> Any:
    stream = read_stream(text, Limits())
    assert stream.broken is None, stream.broken
    return stream.documents[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:22", "22:22"), ("2026-01-01", "2026-01-01"), ("=", "="), ("1.5", 1.5), ("7", 7), ("-7", -7),
        ("+7", 7), ("0x1F", 31), ("0o644", 420), ("0644", 420), ("0b11", 3), ("1_000", 1000), ("1e3", 1000),
        ("3.0", 3), (".5", 0.5), ("08", 8), ("1e400", "1e400"), ("y", True), ("on", True), ("NO", False), ("~", None),
        ("", None), ("nULL", "nULL"), ("'7'", "7"), ("!!str 7", "7"), ("! 7", "7"), ("!!int '7'", 7),
        ("!!float 7", 7.0), ("!!binary aGk=", "hi"), ("99999999999999999999", 10**20),
        ("1.2.3", "1.2.3"), ("<<", None), ("[<<]", ["<<"]), ("{1: a, true: b, null: c, 1.5: d}",
        {"1": "a", "true": "b", "null": "c", "1.5": "d"}),
    ],
)  # fmt: skip
def test_a_scalar_is_what_it_is_to_kubectl(text: str, value: Any) -> None:
    found = read(f"a: {text}")["a"] if text != "<<" else read("<<")
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        "a: !!bool maybe", "a: !!int x", "a: !!float x", "a: !!timestamp [x]", "a: !!python/name:os.system", "a: .nan",
        "a: -.inf", "a: &a [*a]", "a: *b", "? [a]\n: b", "<<: 3", "a: !!binary é", "%YAML 1.1",
        "a: \x07", "a: '\ud800'",
    ],
)  # fmt: skip
def test_what_json_cannot_say_is_malformed(text: str) -> None:
    assert read_stream(text, Limits()).broken


def test_merges_give_way_to_what_is_said() -> None:
    assert read("a: &a {u: 1, v: 1}\nb: &b {v: 2, w: 2}\nc: {<<: [*a, *b], u: 3}")["c"] == {
        "u": 3, "v": 1, "w": 2,
    }  # fmt: skip


def test_of_a_key_that_occurs_twice_the_last_one_counts_and_its_place_is_told() -> None:
    stream = read_stream("a: 1\n---\nspec:\n  - {b: 1, c: 2, b: 3}", Limits())
    assert stream.documents[1] == {"spec": [{"b": 3, "c": 2}]}
    assert stream.doubled == [(1, "spec.0.b")]


def test_what_stands_before_a_fault_is_read() -> None:
    stream = read_stream("a: 1\n---\nb: [", Limits())
    assert stream.documents == [{"a": 1}]
    assert "line " in str(stream.broken)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: &a [1,1]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]", "values"),
        ("a: &a [[1]]\nb: &b [[*a]]\nc: [*b]", "levels"),
        ("a: &a [[],[],[]]\nb: [*a,*a,*a]", "collections"),
        ("[&a ,&b ,&c ,&d ,&e ,&f ,&g ,&h ,&i ,&j ,&k ,&l ,&m ,&n ,&o ,&p ]", "collections"),
        ("--- 1\n--- 2\n--- 3", "documents"),
        ("[&a 1,*a,*a,*a,*a]", "aliases"),
    ],
)
def test_an_alias_counts_as_all_that_it_stands_for(text: str, what: str) -> None:
    limits = Limits(documents=2, depth=5, aliases=3, values=20, collections=16)
    with pytest.raises(TooMuch) as refused:
        read_stream(text, Limits(documents=2, depth=5, aliases=20, values=20) if what == "values" else limits)
    assert refused.value.what == what
