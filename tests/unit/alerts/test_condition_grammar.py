"""Conditions: what is accepted, what is refused and where, and that text and tree agree."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.alerts.grammar import MAX_DEPTH, ConditionError, known_metrics, parse
from ecpmon.alerts.syntax import (
    AggFunction,
    Aggregate,
    And,
    CompareOp,
    Comparison,
    Condition,
    Metric,
    Not,
    Number,
    Or,
    SlaFunction,
    SlaTerm,
    references,
    to_text,
)

OWN = known_metrics(["queue_depth", "대기열", "queue-depth", "and", "avg"])


def above(name: str, limit: float) -> Comparison:
    return Comparison(Metric(name), CompareOp.GT, Number(limit))


A, B, C = above("cpu_usage", 1), above("memory_usage", 2), above("error_rate", 3)
a, b, c = "cpu_usage > 1", "memory_usage > 2", "error_rate > 3"

ACCEPTED = {
    "cpu_usage > 80": above("cpu_usage", 80),
    "cpu>80": above("cpu_usage", 80),
    "  error_rate\n>=\t.5 ": Comparison(Metric("error_rate"), CompareOp.GE, Number(0.5)),
    "cpu_usage > -1.5e+2": above("cpu_usage", -150),
    "cpu_usage >-5": above("cpu_usage", -5),
    "80 < cpu_usage": Comparison(Number(80), CompareOp.LT, Metric("cpu_usage")),
    "up != 1": Comparison(Metric("up"), CompareOp.NE, Number(1)),
    "memory_usage > cpu_usage": Comparison(Metric("memory_usage"), CompareOp.GT, Metric("cpu_usage")),
    '"대기열" > 5': above("대기열", 5),
    '"queue-depth" > 5': above("queue-depth", 5),
    '"and" > 5 and avg > 5': And((above("and", 5), above("avg", 5))),
    f"{a} and {b} or {c}": Or((And((A, B)), C)),
    f"{a} or {b} AND {c}": Or((A, And((B, C)))),
    f"({a} or {b}) and {c}": And((Or((A, B)), C)),
    f"not {a} and {b}": And((Not(A), B)),
    f"not ({a} and {b})": Not(And((A, B))),
    f"{a} and ({b} and {c})": And((A, And((B, C)))),
    "avg(cpu, 5m) > 80": Comparison(
        Aggregate(AggFunction.AVG, "cpu_usage", timedelta(minutes=5)), CompareOp.GT, Number(80)
    ),
    "rate ( request_count , 1s ) == 0": Comparison(
        Aggregate(AggFunction.RATE, "request_count", timedelta(seconds=1)), CompareOp.EQ, Number(0)
    ),
    "burn_rate(1h) > 14.4": Comparison(
        SlaTerm(SlaFunction.BURN_RATE, timedelta(hours=1)), CompareOp.GT, Number(14.4)
    ),
    "budget_remaining(30d) <= 20": Comparison(
        SlaTerm(SlaFunction.BUDGET_REMAINING, timedelta(days=30)), CompareOp.LE, Number(20)
    ),
}


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(text: str) -> None:
    assert parse(text, OWN) == ACCEPTED[text]


REFUSED = [
    ("", 1, "expected a metric or a number, found the end"),
    ("cpu_usag > 80", 1, "did you mean 'cpu_usage'?"),
    ("cpu_usage > 80 and nonsense_zzz > 1", 20, "unknown metric 'nonsense_zzz'"),
    ("cpu_usage", 10, "expected a comparison"),
    ("cpu_usage >", 12, "found the end of the condition"),
    ("cpu_usage > 1e999", 13, "too large"),
    ("cpu_usage > NaN", 13, "not a finite number"),
    ("cpu_usage > -inf", 13, "unexpected character|neither a number"),
    ("cpu_usage > 8x0", 13, "neither a number nor a duration"),
    ("cpu_usage > 1.2.3", 13, "neither a number nor a duration"),
    ("cpu_usage > ８0", 13, "unexpected character"),
    ("cpu_usage > 80%", 15, "without %"),
    ("cpu_usage > 5m", 13, "is a duration"),
    ("cpu_usage = 80", 11, "=="),
    ("cpu_usage > 1 && up == 1", 15, "write 'and'"),
    ("cpu_usage > 1 || up == 1", 15, "write 'or'"),
    ("!up == 1", 1, "write 'not'"),
    ("1 > 2", 1, "two numbers"),
    ("1 < cpu_usage < 3", 15, "expected 'and', 'or' or the end"),
    ("(cpu_usage > 1", 15, "expected ')'"),
    ("cpu_usage > 1)", 14, "expected 'and', 'or' or the end"),
    ("avg(cpu_usage) > 1", 14, "expected ','"),
    ("avg(cpu_usage, 5) > 1", 16, "expected a duration"),
    ("avg(cpu_usage, 5w) > 1", 16, "expected a duration"),
    ("avg(cpu_usage, 0s) > 1", 16, "outside 1s to 1d"),
    ("avg(cpu_usage, 25h) > 1", 16, "outside 1s to 1d"),
    (f"avg(cpu_usage, {'9' * 400}d) > 1", 16, "outside"),
    ("avg(5, 5m) > 1", 5, "takes a metric"),
    ("avg(nope_zz, 5m) > 1", 5, "unknown metric"),
    ("median(cpu_usage, 5m) > 1", 1, "there is no function 'median'"),
    ("avgg(cpu_usage, 5m) > 1", 1, "did you mean 'avg'?"),
    ("burn_rate(1s) > 1", 11, "outside 1m to 30d"),
    ("budget_remaining(cpu_usage) > 1", 18, "expected a duration"),
    ('"cpu_usage > 1', 1, "not closed"),
    ('"" > 1', 1, "empty"),
    ("cpu_usage > 1; drop", 14, "unexpected character ';'"),
    ("__import__('os') > 1", 12, "unexpected character"),
    ("cpu_usage > 1 " + " " * 512, 513, "at most 512"),
    ("(" * 20 + "cpu_usage > 1" + ")" * 20, MAX_DEPTH + 2, "nested deeper"),
    ("not " * 20 + "cpu_usage > 1", 4 * (MAX_DEPTH + 1) + 1, "nested deeper"),
]


@pytest.mark.parametrize(("text", "position", "message"), REFUSED)
def test_refused_with_the_position(text: str, position: int, message: str) -> None:
    with pytest.raises(ConditionError, match=message.replace("(", r"\(").replace(")", r"\)")) as caught:
        parse(text)
    assert caught.value.position == position
    assert caught.value.details["position"] == position
    assert caught.value.details["fields"][0]["field"] == "condition"
    assert caught.value.code == "VALIDATION_FAILED"


def test_the_deepest_nesting_that_is_allowed() -> None:
    assert parse("(" * MAX_DEPTH + "cpu > 1" + ")" * MAX_DEPTH) == above("cpu_usage", 1)


def test_own_names_are_known_only_when_passed_in() -> None:
    assert parse("queue_depth > 1", OWN) == above("queue_depth", 1)
    with pytest.raises(ConditionError):
        parse("queue_depth > 1")


def test_references_say_what_to_look_up() -> None:
    refs = references(parse("avg(cpu, 5m) > 1 and (up == 0 or rate(request_count, 1h) > burn_rate(6h))"))
    assert refs.names == {"cpu_usage", "up", "request_count"}
    assert refs.metrics == {Metric("up")}
    assert refs.longest_window == timedelta(hours=1)
    assert refs.sla == {SlaTerm(SlaFunction.BURN_RATE, timedelta(hours=6))}


names = st.sampled_from(["cpu_usage", "up", "대기열", "queue-depth", "and", "avg", "queue_depth"])
seconds = st.integers(60, 86_400).map(lambda value: timedelta(seconds=value))
terms = st.one_of(
    names.map(Metric),
    st.builds(Aggregate, st.sampled_from(AggFunction), names, seconds),
    st.builds(SlaTerm, st.just(SlaFunction.BURN_RATE), seconds),
)
numbers = st.floats(allow_nan=False, allow_infinity=False).map(Number)
ops = st.sampled_from(CompareOp)
comparisons = st.one_of(
    st.builds(Comparison, terms, ops, numbers | terms), st.builds(Comparison, numbers, ops, terms)
)


def nested(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(inner.map(Not), several.map(And), several.map(Or))


@given(st.recursive(comparisons, nested, max_leaves=6))
def test_printed_conditions_parse_to_the_same_tree(condition: Condition) -> None:
    text = to_text(condition)
    if len(text) <= 512:
        assert parse(text, OWN) == condition
        assert to_text(parse(text, OWN)) == text


pieces = st.sampled_from(
    [
        "cpu",
        "and",
        "or",
        "not",
        "(",
        ")",
        ",",
        "avg(",
        "5m",
        "5",
        "-1e9",
        ">",
        "==",
        '"',
        " ",
        "é",
        "\x00",
        "\n",
    ]
)


@given(st.text() | st.lists(pieces, max_size=60).map("".join) | st.lists(pieces, max_size=60).map(" ".join))
def test_any_text_is_a_condition_or_a_condition_error(text: str) -> None:
    try:
        condition = parse(text)
    except ConditionError as error:
        position = error.position
    else:
        assert parse(to_text(condition)) == condition
        return
    assert 1 <= position <= len(text) + 1
