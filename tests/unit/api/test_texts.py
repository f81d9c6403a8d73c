"""Texts and whole numbers that nothing behind us can hold are found, wherever they stand in a document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.api.texts import MAX_DEPTH, check_document, mended
from ecpmon.errors import ValidationFailed

TEXTS = st.text(st.characters(codec=None) | st.characters(categories=("Cs",)) | st.just("\x00"), max_size=5)
NUMBERS = st.integers(-(2**66), 2**66) | st.sampled_from((2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64))
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.floats() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


def fits(value: Any) -> bool:
    """Written anew, the slow way: by what PostgreSQL would say."""
    if isinstance(value, dict):
        return all(fits(k) and fits(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(fits, value))
    if isinstance(value, str):
        return "\x00" not in value and value.encode("utf-8", "ignore").decode() == value
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@given(DOCUMENTS)
def test_a_document_is_refused_exactly_when_something_in_it_cannot_be_stored(document: Any) -> None:
    if fits(document):
        check_document(document)
    else:
        with pytest.raises(ValidationFailed) as refused:
            check_document(document)
        assert refused.value.message.encode("utf-8")


@given(DOCUMENTS)
def test_what_was_mended_has_no_text_that_cannot_be_stored(document: Any) -> None:
    said = json.dumps(mended(document))
    assert "\\u0000" not in said.replace("\\\\", "")
    assert json.loads(said.encode()) is not ...
    json.dumps(mended(document), ensure_ascii=False).encode("utf-8")


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"a": {"b": [1, {"c": "\ud800"}]}}, "a.b.1.c"), ({"a": {"x\x00": 1}}, "a.x\x00"), ([1, 2**63], "1"),
        ({"replicas": 99999999999999999999999}, "replicas"), ({"a": -(2**63) - 1}, "a"), ("\ud800", ""),
    ],
)  # fmt: skip
def test_the_refusal_names_the_place(document: Any, field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        check_document(document)
    assert refused.value.details["fields"][0]["field"] == field


@pytest.mark.parametrize("check", [check_document, mended])
def test_a_document_without_a_bottom_is_refused(check: Any) -> None:
    document: Any = "\x00"
    for _ in range(MAX_DEPTH + 800):
        document = [document]
    with pytest.raises(ValidationFailed, match="nested deeper"):
        check(document)
