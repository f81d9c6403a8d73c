"""A pushed body is taken apart entry by entry, and says what is wrong with it as `json` would."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.api import entries
from ecpmon.api.entries import MAX_ENTRY, Element, entries_of, members_of, small_entries
from ecpmon.errors import BadRequest, PayloadTooLarge

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
ENTRIES = st.dictionaries(st.text(), VALUES, max_size=5)


def taken(body: bytes) -> list[Any]:
    async def run() -> list[Any]:
        return [entry async for entries in entries_of(body) for entry in entries]

    found = asyncio.run(run())
    quickly = small_entries(body)
    assert quickly is None or same(quickly, found)
    return found


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)  # NaN is not equal to itself


@given(
    st.lists(ENTRIES, max_size=8),
    st.sampled_from([None, 1]),
    st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
)
def test_the_entries_of_a_list_are_what_json_says(document: list[Any], indent: int | None, code: str) -> None:
    body = json.dumps(document, indent=indent).encode(code)
    assert same(taken(body), document)


@given(VALUES.filter(lambda value: not isinstance(value, list)))
def test_another_value_is_the_only_entry(document: Any) -> None:
    assert same(taken(json.dumps(document).encode()), [document])


@given(st.lists(ENTRIES, min_size=1, max_size=8), st.integers(0, 10_000), st.sampled_from(b'[]{},:"x1'))
def test_what_json_refuses_is_refused(document: list[Any], where: int, byte: int) -> None:
    body = bytearray(json.dumps(document).encode())
    body[where % len(body)] = byte
    try:
        expected = json.loads(bytes(body))
    except ValueError:
        with pytest.raises(BadRequest, match="not JSON"):
            taken(bytes(body))
    else:
        assert same(taken(bytes(body)), expected if isinstance(expected, list) else [expected])


@pytest.mark.parametrize("window", [64, 65, 66, 67, 68, 90, 128])
def test_entries_are_found_wherever_a_window_ends(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MAX_ENTRY", 32)
    monkeypatch.setattr(entries, "_WINDOW", window)
    monkeypatch.setattr(entries, "_RUN", window)
    document = [{"a": n, "b": 'x"]},' * (n % 3), "c": n if n % 5 else math.inf} for n in range(200)]
    assert taken(json.dumps(document).encode()) == document


@pytest.mark.parametrize("spaces", [b"", b" " * 3 * MAX_ENTRY])
def test_an_entry_larger_than_what_can_be_parsed_at_once_is_refused(spaces: bytes) -> None:
    small = json.dumps({"metrics": {"cpu": 1}}).encode()
    large = json.dumps({"metrics": {f"name-{n}": n for n in range(60_000)}}).encode()
    assert len(taken(b"[" + small + spaces + b"," + small + b"]")) == 2
    for body in (large, b"[" + small + b"," + spaces + large + b"," + small + b"]"):
        with pytest.raises(PayloadTooLarge, match="an entry is larger"):
            taken(body)


def test_a_fault_far_inside_is_told_with_its_place() -> None:
    good = json.dumps({"metrics": {"cpu": 1}})
    body = "[" + f"{good}," * 100_000 + '{"metrics": nonsense}' + f",{good}" * 10 + "]"
    with pytest.raises(BadRequest, match=f"character {body.index('nonsense')}"):
        taken(body.encode())


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[1", b"[1,", b"[1,]", b"[]x", b"{} {}", b"[" * 100_000, b"\xff", b"[1 2]"]
)
def test_no_json(body: bytes) -> None:
    with pytest.raises(BadRequest, match="not JSON"):
        taken(body)


def test_others_run_while_a_large_body_is_taken_apart() -> None:
    body = (
        b"[" + b",".join([json.dumps({"metrics": {f"m{n}": n for n in range(9)}}).encode()] * 20_000) + b"]"
    )

    async def run() -> int:
        turns, done = 0, False

        async def neighbour() -> None:
            nonlocal turns
            while not done:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(neighbour())
        assert len([e async for entries in entries_of(body) for e in entries]) == 20_000
        done = True
        await task
        return turns

    assert asyncio.run(run()) > 3


def members(body: bytes) -> tuple[Any, list[Any]]:
    """The object as its members tell it, `items` from its elements; and the elements' places."""

    async def run() -> tuple[Any, list[Any]]:
        found: dict[str | None, Any] = {}
        places = []
        async for part in members_of(body, "items"):
            if isinstance(part, Element):
                found[part.name].append(part.value)
                places.append(part.place)
            else:
                found[part.name] = part.value
        return found, places

    return asyncio.run(run())


MESSAGES = st.dictionaries(st.text(), VALUES, max_size=4)


@given(MESSAGES, st.none() | st.lists(ENTRIES, max_size=6) | VALUES, MESSAGES, st.sampled_from([None, 1]))
def test_the_members_of_an_object_are_what_json_says(
    before: dict[str, Any], items: Any, after: dict[str, Any], indent: int | None
) -> None:
    document = {**before, "items": items, **{k: v for k, v in after.items() if k not in before}}
    found, places = members(json.dumps(document, indent=indent).encode())
    assert same(found, json.loads(json.dumps(document)))
    whole = found["items"]
    assert places == (list(range(len(whole))) if isinstance(whole, list) else [])


@given(
    MESSAGES, st.lists(ENTRIES, min_size=1, max_size=4), st.integers(0, 10_000), st.sampled_from(b'[]{},:"x1')
)
def test_an_object_that_json_refuses_is_refused(
    before: dict[str, Any], items: list[Any], where: int, byte: int
) -> None:
    body = bytearray(json.dumps({**before, "items": items}).encode())
    body[where % len(body)] = byte
    try:
        json.loads(bytes(body))
    except ValueError:
        with pytest.raises(BadRequest, match="not JSON"):
            members(bytes(body))
    else:
        members(bytes(body))


@pytest.mark.parametrize("window", [64, 65, 67, 90, 128])
def test_members_are_found_wherever_a_window_ends(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MAX_ENTRY", 32)
    monkeypatch.setattr(entries, "_WINDOW", window)
    document: dict[str, Any] = {f"m{n}": "}" * (n % 30) for n in range(50)}
    document |= {"items": [{"a": n} for n in range(100)], "last": [1, 2]}
    assert members(json.dumps(document).encode())[0] == document


@pytest.mark.parametrize("document", [[], [1], "text", 5, None])
def test_what_is_no_object_has_one_member_without_a_name(document: Any) -> None:
    assert members(json.dumps(document).encode())[0] == {None: document}


def test_an_empty_object_has_no_members() -> None:
    assert members(b" { } ") == ({}, [])
