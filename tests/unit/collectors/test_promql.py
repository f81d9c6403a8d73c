"""Which selectors an expression reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.collectors.promql import one_of, quoted, selectors

SELECTORS = [
    ("up", ["up"]),
    ("min by (tenant_id) (ready)", ["ready"]),
    ("min(ready) by (tenant_id)", ["ready"]),
    ("sum by(a)(b)", ["b"]),
    ("sum without (up) (b)", ["b"]),
    ('1000 * max by (t, service) (x{a="}b",c=~"d"})', ['x{a="}b",c=~"d"}']),
    ('sum(rate(h{a="b"}[5m] offset 1m)) / on (a) group_left (up) c or 0 * d', ['h{a="b"} offset 1m', "c", "d"]),
    ("a @ end() + b", ["b"]),
    ("a @ 1790000000 + b", ["b"]),
    ("max_over_time((a > 2)[5m:1m])", ["a"]),
    ("time() - timestamp(z)", ["z"]),
    ("vector(1)", []),
    ("# up\na # b{\n + -c", ["a", "c"]),
    ("a + a", ["a"]),
    ("job:a:rate5m / on () group_right () b", ["job:a:rate5m", "b"]),
    ("a > bool 1 and b unless c", ["a", "b", "c"]),
    ("a == +Inf or b == NaN", ["a", "b"]),
    ('{__name__="a",b="c"} or {"d.e",f="g"}', ['{__name__="a",b="c"}', '{"d.e",f="g"}']),
    ("quantile(0.9, a) + count_values('up', b)", ["a", "b"]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), SELECTORS, ids=[e for e, _ in SELECTORS])
def test_the_selectors_of_an_expression_are_found(expression: str, expected: list[str]) -> None:
    assert [s.text for s in selectors(expression)] == expected


@pytest.mark.parametrize(
    "expression", ["a{", "a)", '"', "(a]", "a ? b", '{job="x"}', "a offset", "a offset x", "rate(a[5m)"]
)
def test_what_is_no_promql_is_refused(expression: str) -> None:
    with pytest.raises(ValueError):
        selectors(expression)


def test_the_age_of_what_is_read_from_before_begins_then() -> None:
    [found] = selectors("a offset 1h30m")
    assert found.age_by(["t", "s"]) == "max by (t, s) (timestamp(a offset 1h30m)) + 5400"


@given(st.text())
def test_any_label_value_is_one_string_of_a_selector(value: str) -> None:
    assert [s.text for s in selectors(f"a{{b={quoted(value)}}} + c")] == [f"a{{b={quoted(value)}}}", "c"]


@given(st.lists(st.text(alphabet='ab.|*+(){}[]^$\\ "\n-é', min_size=1, max_size=5), min_size=1, max_size=4))
def test_alternatives_match_themselves_and_nothing_else(values: list[str]) -> None:
    pattern = one_of(values)
    # What means something to RE2 is written by its number: nothing else is left but what stands for itself, and `|`.
    import re

    parts = pattern.split("|")
    assert len(parts) == len(values)
    for part, value in zip(parts, values, strict=True):
        literal = re.sub(r"\\x\{([0-9a-f]+)\}", lambda m: chr(int(m.group(1), 16)), part)
        assert literal == value
        assert re.fullmatch(r"(?:\\x\{[0-9a-f]+\}|[^.|*+?()\[\]{}^$\\\n])*", part)


def test_names_that_are_not_classic_are_quoted_where_labels_are_listed() -> None:
    [found] = selectors('{"http.server.requests",tenant_id!=""}')
    assert found.age_by(("tenant_id", "k8s.pod")) == (
        'max by (tenant_id, "k8s.pod") (timestamp({"http.server.requests",tenant_id!=""}))'
    )
