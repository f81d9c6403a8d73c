"""Quarters and years are what their months say together: every figure, by one contract or by several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecpmon.errors import ValidationFailed
from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.model.maintenance import Accounting, Maintenance
from ecpmon.model.statements import Contract, CreditTier
from ecpmon.sla import windows
from ecpmon.sla.combined import combined, digest_of
from ecpmon.sla.maintenance import covered
from ecpmon.sla.spans import coalesce
from ecpmon.sla.statement_document import coming_document, document
from ecpmon.sla.statements import months_of, statement
from ecpmon.sla.windows import Terms

JULY, OCTOBER = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
NOW = OCTOBER + timedelta(days=10)
HOUR = timedelta(hours=1)
CONTRACT = Contract("1", 0.995, Accounting.EXCLUDE, "UTC", (CreditTier(None, 0.1), CreditTier(0.9, 0.25)))
ACME: Any = SimpleNamespace(tenant_id="acme", name="acme", deleted_at=None, contract_versions=())


def planned(start: datetime, hours: float) -> Maintenance:
    return Maintenance("id", start, hours * HOUR, "patches", "kim", JULY)


def of_months(
    spans: Sequence[Span], off: Sequence[Maintenance], contracts: Sequence[Contract], now: datetime = NOW
) -> dict[str, Any]:
    made = [
        document(statement(ACME, month, contract, spans, off, now))
        for month, contract in zip(months_of("2026-Q3"), contracts, strict=True)
    ]
    return combined("2026-Q3", made, "2026-10-01T00:00:00Z")


def near(value: float | None) -> Any:
    return None if value is None else pytest.approx(value, abs=1e-6)


HOURS = st.integers(-100, 2300)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(HOURS, min_size=2, max_size=14, unique=True).map(sorted),
    st.lists(st.sampled_from(SpanState), min_size=14, max_size=14),
    st.lists(st.tuples(HOURS, st.integers(1, 60)), max_size=3, unique_by=lambda x: x[0]),
    st.sampled_from(Accounting),
    st.sampled_from([0.0, 300.0]),
)
def test_a_quarter_of_one_contract_is_as_if_it_had_been_looked_at_at_once(
    edges: list[int],
    states: list[SpanState],
    off: list[tuple[int, int]],
    rule: Accounting,
    doubt: float,
) -> None:
    points = [JULY + h * HOUR for h in edges]
    spans = coalesce(
        Span(a, b, s, GapReason.NOT_PUSHED if s is SpanState.GAP else None, doubt=doubt if n else 0.0)
        for n, ((a, b), s) in enumerate(zip(pairwise(points), states, strict=False))
    )
    if spans[-1].end < NOW:
        spans = coalesce([*spans, Span(spans[-1].end, NOW, SpanState.UP)])
    plans = [planned(JULY + h * HOUR, hours) for h, hours in off]
    contract = replace(CONTRACT, accounting=rule)
    told = of_months(spans, plans, [contract] * 3)
    terms = Terms(covered(plans, JULY - timedelta(days=30), NOW), rule)
    whole = windows.evaluate("q", spans, JULY, OCTOBER, contract.target, None, terms, None, NOW)
    assert told["verdict"] == whole.verdict
    assert told["contract"]["target"] == 99.5
    assert [told[f"{key}_minutes"] for key in ("eligible", "down", "gap", "maintenance")] == [
        near(seconds / 60)
        for seconds in (whole.tally.eligible, whole.tally.down, whole.tally.gap, whole.tally.maintenance)
    ]
    figures = [
        told["availability"], told["availability_other_accounting"], told["coverage"], told["bounds"]["low"],
        told["bounds"]["high"],
    ]  # fmt: skip
    expected = [
        whole.availability, whole.availability_other_accounting, whole.coverage, whole.low, whole.high,
    ]  # fmt: skip
    assert figures == [near(None if e is None else 100 * e) for e in expected]
    assert told["error_budget"]["total_minutes"] == near(whole.budget.total / 60)
    assert told["error_budget"]["remaining_minutes"] == near(whole.budget.remaining / 60)
    assert told["failure_count"] == whole.failure_count
    assert told["recovery_time_avg"] == near(whole.recovery_time_avg)
    assert sum(i["down_minutes"] for i in told["incidents"]) == near(whole.tally.down / 60)
    # What the end of a month cuts is whole again.
    assert all(a["end"] < b["start"] for a, b in pairwise(told["gaps"])) or off
    assert len(told["exclusions"]) == sum(bool(covered([p], JULY, OCTOBER)) for p in plans)


def down_for(hours: Sequence[float]) -> list[Span]:
    """Down for so long in the middle of July, August and September."""
    spans, cursor = [], JULY
    for month, each in enumerate(hours):
        start = datetime(2026, 7 + month, 15, tzinfo=UTC)
        spans += [Span(cursor, start, SpanState.UP), Span(start, start + each * HOUR, SpanState.DOWN)]
        cursor = start + each * HOUR
    return coalesce([*spans, Span(cursor, NOW, SpanState.UP)])


@pytest.mark.parametrize(
    ("hours", "verdicts", "verdict"),
    # 3.72 h in July, 0.744 in August, 3.6 in September: 8.064 in all.
    [((3.7, 0.7, 3.5), ["met"] * 3, "met"), ((0, 8, 0), ["met", "breached", "met"], "met"),
     ((0, 8.1, 0), ["met", "breached", "met"], "breached"), ((3.72, 0.744, 3.6), ["met"] * 3, "met")],
)  # fmt: skip
def test_a_quarter_of_several_contracts_is_judged_by_the_sum_of_its_months_budgets(
    hours: tuple[float, ...], verdicts: list[str], verdict: str
) -> None:
    strict = replace(CONTRACT, version="2", target=0.999)
    told = of_months(down_for(hours), [], [CONTRACT, strict, CONTRACT])
    assert [m["verdict"] for m in told["months"]] == verdicts
    assert told["verdict"] == verdict
    assert told["error_budget"]["total_minutes"] == pytest.approx(8.064 * 60)
    assert told["error_budget"]["total_minutes"] == sum(
        m["error_budget"]["total_minutes"] for m in told["months"]
    )
    assert told["contract"]["target"] == pytest.approx(100 * (1 - 8.064 / (92 * 24)))
    assert [(v["months"], v["contract"]["version"]) for v in told["contract"]["versions"]] == [
        (["2026-07"], "1"), (["2026-08"], "2"), (["2026-09"], "1"),
    ]  # fmt: skip


def test_credits_are_the_sum_of_the_months_as_contracts_pay_by_the_month() -> None:
    # 96 % in August is a tenth of that month's fee, 87 % in September a quarter; the quarter as a whole is at 94 %.
    told = of_months(down_for((0, 30, 96)), [], [CONTRACT] * 3)
    assert [m["credit_percent"] for m in told["months"]] == [0, 10, 25]
    assert (told["credit_percent"], told["credit_bounds"]) == (35, {"low": 35, "high": 35})
    nothing = of_months([], [], [CONTRACT] * 3)
    assert (nothing["credit_percent"], nothing["availability"], nothing["verdict"]) == (
        None,
        None,
        "undetermined",
    )


def test_months_that_have_not_begun_add_their_budget() -> None:
    now = datetime(2026, 8, 11, tzinfo=UTC)
    made = [
        document(statement(ACME, month, CONTRACT, [Span(JULY, now, SpanState.UP)], [], now))
        for month in ("2026-07", "2026-08")
    ]
    ahead = coming_document("2026-09", CONTRACT, [])
    told = combined("2026-Q3", made, "2026-10-01T00:00:00Z", ahead=[ahead], final=False)
    assert (told["state"], told["month"], told["of"]) == ("preliminary", None, "2026-Q3")
    assert told["error_budget"]["total_minutes"] == pytest.approx(0.005 * 92 * 1440)
    assert told["eligible_minutes"] == 41 * 1440


def test_the_digest_is_of_the_months() -> None:
    told = of_months(down_for((1, 1, 1)), [], [CONTRACT] * 3)
    assert told["digest"] == digest_of("acme", "2026-Q3", [(m["month"], m["digest"]) for m in told["months"]])
    other = of_months(down_for((1, 1, 1.5)), [], [CONTRACT] * 3)
    assert other["digest"] != told["digest"]


def test_a_statement_of_an_earlier_release_is_taken_as_it_is() -> None:
    spans = coalesce(
        [
            Span(JULY, datetime(2026, 7, 31, 23, tzinfo=UTC), SpanState.UP),
            Span(datetime(2026, 7, 31, 23, tzinfo=UTC), datetime(2026, 8, 1, 2, tzinfo=UTC), SpanState.DOWN),
            Span(datetime(2026, 8, 1, 2, tzinfo=UTC), NOW, SpanState.UP),
        ]
    )
    made = [document(statement(ACME, m, CONTRACT, spans, [], NOW)) for m in months_of("2026-Q3")]
    old = {
        k: v
        for k, v in made[0].items()
        if k not in ("of", "deleted_at", "flap_limit_seconds", "credit_bounds")
    }
    old["incidents"] = [
        {"start": "2026-07-31T23:00:00Z", "end": "2026-08-01T00:00:00Z", "down_minutes": 60.0}
    ]
    told = combined("2026-Q3", [old, *made[1:]], "2026-10-01T00:00:00Z")
    [incident] = told["incidents"]
    assert incident == combined("2026-Q3", made, "2026-10-01T00:00:00Z")["incidents"][0]


@pytest.mark.parametrize(
    "name",
    ["2026-Q5", "2026-q1", "26", "1999", "2201-Q1", "2026-13", "2026-Q", "", "\u0662\u0660\u0662\u0666"],
)
def test_what_is_no_period(name: str) -> None:
    with pytest.raises(ValidationFailed, match="period: must be a month, a quarter or a year"):
        months_of(name)


def test_periods_have_their_months() -> None:
    assert months_of("2026-Q4") == ["2026-10", "2026-11", "2026-12"]
    assert months_of("2026") == [f"2026-{n:02}" for n in range(1, 13)]
    assert months_of("2026-07") == ["2026-07"]
