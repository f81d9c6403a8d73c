"""Which windows count, whose the time is that several claim, and whom a pattern chooses."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.errors import Conflict, Forbidden
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Accounting, Category, Maintenance
from ecpmon.model.statements import Contract
from ecpmon.sla.exclusions import Lacks, check_approval, fits, lacks, selected
from ecpmon.sla.maintenance import covered, merged, occurrences, uncounted
from ecpmon.sla.statement_document import difference, document
from ecpmon.sla.statements import statement

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TENANT: Any = SimpleNamespace(tenant_id="acme", name="acme", deleted_at=None, contract_versions=())


def at(hours: float) -> datetime:
    return T0 + hours * HOUR


def window(start: float, hours: float, **more: object) -> Maintenance:
    made = Maintenance("m", at(start), hours * HOUR, "x", "kim", T0, token="production:1")
    return replace(made, **more)  # type: ignore[arg-type]


windows = st.lists(
    st.builds(
        lambda start, hours, category, entered, notice, needs, approved, daily: window(
            start, hours, category=category, created_at=at(entered), needs_approval=needs,
            notice=notice * HOUR if notice else None, approver="lee" if approved else None,
            approved_at=at(0) if approved else None, rrule="FREQ=DAILY" if daily else None,
        ),
        st.integers(-30, 300), st.integers(1, 30), st.sampled_from(Category), st.integers(-100, 300),
        st.sampled_from([0, 24, 72]), st.booleans(), st.booleans(), st.booleans(),
    ),
    max_size=6,
)  # fmt: skip


@given(windows)
def test_every_occurrence_counts_or_lacks_something_and_never_both(planned: list[Maintenance]) -> None:
    for each in planned:
        free = replace(each, needs_approval=False, notice=None)
        counting, waiting = occurrences(each, at(0), at(400)), uncounted(each, at(0), at(400))
        together = sorted([*counting, *(u.interval for u in waiting)], key=lambda i: i.start)
        assert together == occurrences(free, at(0), at(400))
        if each.approved_at is not None:
            assert not waiting
        if each.needs_approval and each.approved_at is None:
            assert not counting


@given(windows)
def test_the_minutes_of_all_categories_are_those_of_the_maintenance(planned: list[Maintenance]) -> None:
    spans = [Span(at(5), at(100), SpanState.UP), Span(at(100), at(333), SpanState.DOWN)]
    contract = Contract("1", 0.995, Accounting.EXCLUDE, "UTC", ())
    made = document(statement(TENANT, "2026-03", contract, spans, planned, at(333)))
    assert sum(made["exclusion_minutes"].values()) == pytest.approx(made["maintenance_minutes"])
    assert all(minutes > 0 for minutes in made["exclusion_minutes"].values())
    alone = [p for p in planned if p.category is Category.FORCE_MAJEURE]
    first = sum((min(i.end, at(333)) - max(i.start, at(5))) / timedelta(minutes=1)
                for i in merged(covered(alone, at(5), at(333))))  # fmt: skip
    assert made["exclusion_minutes"].get("force_majeure", 0) == pytest.approx(first)


def test_notice_is_counted_from_when_it_was_entered_to_when_it_begins() -> None:
    in_time, late = window(72, 1, notice=72 * HOUR), window(71.9, 1, notice=72 * HOUR)
    assert (lacks(in_time, in_time.start), lacks(late, late.start)) == (None, Lacks.NOTICE)
    assert lacks(replace(late, approved_at=at(80), approver="lee"), late.start) is None


def test_who_entered_it_does_not_approve_it() -> None:
    waiting = window(1, 1, needs_approval=True)
    check_approval(waiting, "lee", "production:2")
    for by, token in (("kim", "production:2"), ("lee", "production:1"), ("kim", None)):
        with pytest.raises(Forbidden, match="somebody else"):
            check_approval(waiting, by, token)
    with pytest.raises(Conflict, match="nothing to approve"):
        check_approval(window(1, 1), "lee", "production:2")


@given(st.text("ab-*", max_size=12), st.text("ab-", max_size=12))
def test_a_pattern_is_that_of_a_shell_with_stars_only(pattern: str, name: str) -> None:
    assert fits(pattern, name) is fnmatch.fnmatchcase(name, pattern)


def test_a_pattern_of_many_stars_is_decided_at_once() -> None:
    assert not fits("a*" * 40 + "b", "a" * 90)


def test_all_that_is_said_has_to_hold() -> None:
    assert selected(None, None, "acme")
    assert selected({"acme"}, "ac*", "acme")
    assert not selected({"acme"}, "b*", "acme")
    assert not selected({"other"}, "ac*", "acme")


def test_a_statement_of_an_earlier_release_differs_only_where_a_figure_does() -> None:
    spans, contract = (
        [Span(at(0), at(100), SpanState.UP)],
        Contract("1", 0.995, Accounting.EXCLUDE, "UTC", ()),
    )
    now = document(statement(TENANT, "2026-03", contract, spans, [window(1, 1)], at(100)))
    new = {"exclusion_minutes", "uncounted_exclusions"}
    before = {k: v for k, v in now.items() if k not in new}
    before["exclusions"] = [
        {k: v for k, v in e.items() if k not in ("category", "approved_at")} for e in before["exclusions"]
    ]
    assert difference(before, now) == {}
    other = document(
        statement(TENANT, "2026-03", contract, spans, [window(1, 1, category=Category.CUSTOMER)], at(100))
    )
    assert difference(before, other).keys() == {"exclusion_minutes", "exclusions"}
