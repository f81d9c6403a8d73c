"""What the audit log holds is bounded, whatever was sent, and says what was left out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ecpmon.ports.audit import ITSELF, Actor, acting, as_actor
from ecpmon.storage.audit import MOST, bounded, changes
from ecpmon.wire import dumps

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9_000),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=2_000), values, max_size=40))
def test_no_document_is_larger_than_the_bound(document: dict[str, Any]) -> None:
    assert len(dumps(bounded(document))) <= MOST


def test_what_is_small_is_kept_as_it_is_and_of_what_is_large_the_size() -> None:
    small = {"name": "a", "at": datetime(2026, 3, 1, tzinfo=UTC)}
    assert bounded(small) == {"name": "a", "at": "2026-03-01T00:00:00Z"}
    assert bounded({**small, "text": "x" * 40_000}) == {
        "name": "a",
        "at": "2026-03-01T00:00:00Z",
        "text": {"omitted_bytes": 40_002},
    }
    assert bounded(None) is None


def test_only_what_differs_is_told() -> None:
    assert changes({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == ({"b": 2}, {"b": 3, "c": 4})


def test_who_acts_is_who_was_named_and_the_service_again_afterwards() -> None:
    with as_actor(Actor("kim")):
        assert acting.get().name == "kim"
    assert acting.get() == ITSELF
