"""What goes over the wire can always be written, and is what was meant as far as JSON in UTF-8 can say it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.wire import dumps, encodable, error_document, is_storable, rfc3339, storable

# Any code point at all, halves of surrogate pairs among them.
TEXTS = st.text(st.characters(codec=None) | st.characters(categories=("Cs",)), max_size=20)
TIMES = st.datetimes(
    timezones=st.sampled_from((UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))))
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(10**400), 10**400), st.floats(), TEXTS, TIMES,
    st.binary(max_size=5), st.builds(object),
)  # fmt: skip
KEYS = st.one_of(TEXTS, st.integers(), st.none(), TIMES)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4) | st.tuples(inner),
    max_leaves=20,
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def _no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


@given(ANYTHING)
def test_anything_can_be_written(document: Any) -> None:
    written = dumps(document)
    assert json.loads(written.decode("utf-8"), parse_constant=_no_constant) is not ...


@given(PLAIN)
def test_what_json_can_hold_is_written_as_it_is(document: Any) -> None:
    assert orjson.loads(dumps(document)) == document


@given(ANYTHING, TEXTS, TEXTS, st.datetimes(timezones=st.just(UTC)))
def test_an_error_can_be_written_whatever_it_is_about(
    details: Any, message: str, name: str, at: datetime
) -> None:
    document = json.loads(dumps(error_document("CODE", message, {name: details}, at, "req-1")))
    assert document["error"].keys() == {"code", "message", "details", "timestamp", "request_id"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a\ud800b", '"a\ufffdb"'), ("\udcff", '"\ufffd"'), (2**64, "18446744073709551616.0"), (10**400, "null"),
        (float("nan"), "null"), ({"\ud83d": 1, 2: "x"}, '{"\ufffd":1,"2":"x"}'), ({"a": {1}}, '{"a":[1]}'),
        (datetime(1, 1, 1, tzinfo=UTC), '"0001-01-01T00:00:00Z"'),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), '"0001-01-01 00:00:00+14:00"'),
    ],
)  # fmt: skip
def test_what_json_cannot_hold_is_shown_as_well_as_it_can_be(value: Any, written: str) -> None:
    assert json.loads(dumps(value)) == json.loads(written)


def test_what_is_nested_without_end_is_cut() -> None:
    document: Any = []
    document.append(document)
    assert len(dumps(document)) < 1_000
    for _ in range(5_000):
        document = {"a": document}
    assert len(dumps(document)) < 2_000


@given(TEXTS)
def test_a_text_that_is_storable_stays_as_it_is_and_others_become_so(text: str) -> None:
    assert (storable(text) == text) is is_storable(text)
    assert is_storable(storable(text))
    assert len(encodable(text).encode("utf-8").decode()) == len(text)


def test_times_are_rfc_3339() -> None:
    at = datetime(2026, 1, 20, 23, 30, 0, 250_000, tzinfo=timezone(timedelta(hours=9)))
    assert rfc3339(at) == "2026-01-20T14:30:00.250000Z"
