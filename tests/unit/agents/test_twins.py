"""The decoder in C does what the one in Python does, on whatever bytes."""

from __future__ import annotations

import struct
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.agents.compiling import _compiler, compile_decoder
from ecpmon.agents.protobuf import Malformed
from ecpmon.agents.taking import (
    VERSION,
    Groups,
    Known,
    Strange,
    Take,
    symbols_in_python,
    take_in_python,
    take_v2_in_python,
)
from tests.remote_write import STALE, label_block, metadata, nested, request_v2, sample, series, varint

T = 1_772_442_000_000
OLDEST, LATEST = T - 10**6, T + 10**6
LABELS = [{"__name__": name, "job": "x" * size} for name, size in (("up", 1), ("cpu", 40), ("long", 300))]
KNOWN: dict[bytes, Known] = {label_block(labels): (f"t{n % 2}", n) for n, labels in enumerate(LABELS)} | {
    b"": ("", -1)
}

times = st.sampled_from([T, T + 1, T + 15_000, OLDEST - 1, LATEST + 1, 0, 1, 2**63, 2**64 - 1, 2**35])
values = st.sampled_from([0.0, -0.0, 1.0, -1e100, 1e101, float("inf"), 5e-324]) | st.sampled_from(
    [STALE, 0x7FF8000000000001]
)
mores = st.sampled_from(
    [b"", nested(3, b""), nested(4, b"\x18\x01"), b"\x18\x01", nested(1, b"\x0a\x01z"), b"\x12"]
)
plain = st.builds(
    lambda labels, samples, more: series(labels, *samples, more=more),
    st.sampled_from([*LABELS, {"__name__": "new"}, {}]),
    st.lists(st.tuples(values, times), max_size=4),
    mores,
)
# A sample in which something else follows, as long as one with value and time is.
odd = st.sampled_from([b"\x18\x01", b"\x10\x05", b"\x00", b"\x09"]).map(
    lambda end: nested(
        1,
        label_block(LABELS[0]) + nested(2, b"\x09" + struct.pack("<d", 2.0) + b"\x10\xc0\x84\x3d"[:4] + end),
    )
)
others = st.sampled_from(
    [metadata("up"), b"\x20\x05", b"\x21" + bytes(8), b"\x25" + bytes(4), b"\x02\x00", b"\x23"]
)
bodies = st.lists(plain | odd | others, max_size=8).map(b"".join)


@st.composite
def damaged(draw: Any) -> bytes:
    """A body in which some bytes are others, or which is cut short."""
    body = bytearray(draw(bodies))
    for _ in range(draw(st.integers(0, 3)) if body else 0):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return bytes(body[: draw(st.integers(0, len(body)))] if draw(st.booleans()) else body)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if _compiler() is None:
        pytest.skip("there is no compiler here")
    told: list[str] = []
    made = compile_decoder(told.append, tmp_path_factory.mktemp("compiled") / "_taking.abi3.so")
    assert made is not None, told
    return loaded(made.file)


@pytest.fixture(scope="module")
def in_c(compiled: Any) -> Take:
    take: Take = compiled.take
    return take


def loaded(file: Path) -> Any:
    loader = ExtensionFileLoader("_taking", str(file))
    spec = spec_from_loader("_taking", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def outcome(take: Take, body: bytes, at_once: int) -> Any:
    """What is taken and told, up to where it is no message; zeros and NaN by their bits."""
    groups, strange, at = Groups(), Strange(), 0
    try:
        while at < len(body):
            at = take(body, at, at_once, KNOWN, OLDEST, LATEST, groups, strange)
    except Malformed:
        return None
    told = {key: (numbers, [struct.pack("<d", v) for v in found]) for key, (numbers, found) in groups.items()}
    return told, strange, at


@settings(max_examples=200, deadline=None)
@given(body=bodies | damaged() | st.binary(max_size=60), at_once=st.sampled_from([1, 2, 1000]))
def test_they_take_and_tell_the_same(in_c: Take, body: bytes, at_once: int) -> None:
    assert outcome(in_c, body, at_once) == outcome(take_in_python, body, at_once)


references = st.lists(st.sampled_from([0, 1, 2, 3, 4, 7, 300]), max_size=5)
second_series = st.builds(
    lambda refs, samples, more: nested(
        5,
        nested(1, b"".join(map(varint, refs)))
        + b"".join(nested(2, sample(*each)) for each in samples)
        + more,
    ),
    st.sampled_from([[1, 2, 3, 4], [1, 2]]) | references,
    st.lists(st.tuples(values, times), max_size=3),
    mores | st.sampled_from([nested(5, b"\x08\x01"), b"\x30\x05", b"\x30", b"\x0a\x01\x00"]),
)
symbols = [b"", b"__name__", b"up", b"job", b"x"]
second = st.lists(second_series | others | st.binary(max_size=3), max_size=6).map(
    lambda parts: b"".join([*(nested(4, each) for each in symbols), *parts])
)


def outcome_v2(read: Any, take: Any, body: bytes, at_once: int) -> Any:
    groups, strange, found, at = Groups(), Strange(), list[bytes](), 0
    try:
        while at < len(body):
            at = read(body, at, at_once, found)
        at = 0
        while at < len(body):
            at = take(body, at, at_once, found, KNOWN, OLDEST, LATEST, groups, strange)
    except Malformed:
        return None
    told = {key: (numbers, [struct.pack("<d", v) for v in own]) for key, (numbers, own) in groups.items()}
    return told, strange, found


@settings(max_examples=200, deadline=None)
@given(body=second | st.binary(max_size=40), at_once=st.sampled_from([1, 2, 1000]))
def test_they_take_and_tell_the_same_of_version_two(compiled: Any, body: bytes, at_once: int) -> None:
    theirs = outcome_v2(symbols_in_python, take_v2_in_python, body, at_once)
    assert outcome_v2(compiled.symbols, compiled.take_v2, body, at_once) == theirs


def test_of_version_two_what_is_known_from_version_one_is_taken(compiled: Any) -> None:
    body = request_v2((LABELS[0], [(1.0, T), (0.0, T + 1)], nested(5, b"\x08\x01")))
    for read, take in ((symbols_in_python, take_v2_in_python), (compiled.symbols, compiled.take_v2)):
        told, strange, _ = outcome_v2(read, take, body, 10)
        assert told == {("t0", T + n): ([0], [struct.pack("<d", 1.0 - n)]) for n in (0, 1)}
        assert strange == []


@pytest.mark.parametrize("length", [1, 126, 127, 128, 129, 16_383, 16_384, 16_385])
def test_lengths_of_one_two_and_three_bytes(in_c: Take, length: int) -> None:
    body = nested(1, nested(9, b"x" * length)) + series(LABELS[1], (1.0, T))
    found = outcome(in_c, body, 10)
    assert found == outcome(take_in_python, body, 10)
    assert found[0] == {("t1", T): ([1], [struct.pack("<d", 1.0)])}
    for cut in range(1, 5):
        assert outcome(in_c, body[:cut], 10) is outcome(take_in_python, body[:cut], 10) is None


def test_what_is_no_body_is_no_crash(in_c: Take) -> None:
    with pytest.raises(ValueError, match="outside"):
        in_c(b"abc", 4, 1, {}, 0, 1, {}, [])
    with pytest.raises(ValueError, match="outside"):
        in_c(b"abc", -1, 1, {}, 0, 1, {}, [])
    with pytest.raises(TypeError):
        in_c(series(LABELS[0], (1.0, T)), 0, 1, {label_block(LABELS[0]): 7}, 0, 2 * T, {}, [])  # type: ignore[dict-item]
    assert varint(5) == b"\x05"


def test_what_is_compiled_says_of_which_source_it_is(compiled: Any) -> None:
    assert compiled.VERSION == VERSION


def test_without_a_compiler_or_where_none_is_wanted_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setenv("ECPMON_PURE", "1")
    assert compile_decoder(told.append, tmp_path / "x.so") is None
    monkeypatch.delenv("ECPMON_PURE")
    monkeypatch.setenv("CC", "false")
    assert compile_decoder(told.append, tmp_path / "x.so") is None
    assert len(told) == 1
    assert "decoded in Python" in told[0]
    assert [*tmp_path.iterdir()] == []


def test_a_compiler_that_cannot_be_run_is_told_and_ends_no_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", str(tmp_path / "no-such-compiler"))
    monkeypatch.delenv("ECPMON_PURE", raising=False)
    told: list[str] = []
    assert compile_decoder(told.append, tmp_path / "_taking.abi3.so") is None
    assert "no-such-compiler" in told[0]
    assert list(tmp_path.iterdir()) == []
