"""Credits and differences by hand."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Accounting, Interval
from ecpmon.model.statements import Contract, CreditTier, Exclusion
from ecpmon.model.tenants import ContractVersion, SlaTarget
from ecpmon.sla.statement_document import difference, document
from ecpmon.sla.statements import credit, digest, statement
from ecpmon.statements.figures import percent
from ecpmon.statements.render import to_html
from ecpmon.statements.terms import load_terms

T0 = datetime(2026, 3, 1, tzinfo=UTC)
TIERS = (CreditTier(None, 0.05), CreditTier(0.95, 0.25), CreditTier(0.99, 0.10))
CONTRACT = Contract("v1", 0.995, Accounting.EXCLUDE, "UTC", TIERS)


@pytest.mark.parametrize(
    ("availability", "expected"),
    [(None, None), (1.0, 0.0), (0.995, 0.0), (0.99499999, 0.05), (0.99, 0.05), (0.9899, 0.10), (0.94, 0.25),
     (0.0, 0.25)],
)  # fmt: skip
def test_the_lowest_tier_that_is_missed_counts(availability: float | None, expected: float | None) -> None:
    assert credit(availability, CONTRACT) == expected


def test_the_shipped_tiers_are_readable() -> None:
    assert load_terms().tiers[-1] == CreditTier(None, 0.05)


def test_exactly_at_a_limit_there_is_no_credit() -> None:
    # 99.9 / 100 is a little more than 0.999 in floats.
    text = "version: x\ntiers:\n  - {below_percent: target, credit_percent: 10}\n" + "".join(
        f"  - {{below_percent: {p}, credit_percent: 10}}\n" for p in (99.9, 99.99, 99.95, 99.5, 99.0, 95.0)
    )
    of_target, *tiers = load_terms(text).tiers
    for tier in tiers:
        assert tier.below is not None
        hours = round(tier.below * 10_000)
        strict = Contract("x", 0.99999, Accounting.EXCLUDE, "UTC", (tier,))
        kept = Contract("x", tier.below, Accounting.EXCLUDE, "UTC", (of_target,))
        for contract in (strict, kept):
            assert credit(hours / 10_000, contract) == 0
            assert credit((hours - 1) / 10_000, contract) == 0.1


def test_a_difference_names_what_changed_and_nothing_else() -> None:
    before = {"a": 1, "b": 2, "list": [1, 2], "digest": "x"}
    assert difference(before, {"a": 1, "b": 3, "list": [2, 3], "digest": "y"}) == {
        "b": {"old": 2, "new": 3},
        "list": {"removed": [1], "added": [3]},
    }


def test_what_a_later_release_says_besides_is_no_correction() -> None:
    """Closed statements of earlier releases have days without their eligible minutes."""
    old = {"days": [{"date": "2026-03-01", "down": 0}, {"date": "2026-03-02", "down": 0}]}
    new = {
        "days": [
            {"date": "2026-03-01", "down": 0, "eligible": 1440},
            {"date": "2026-03-02", "down": 5, "eligible": 1440},
        ]
    }
    assert difference(old, new) == {"days": {"removed": [old["days"][1]], "added": [new["days"][1]]}}
    assert difference({"days": old["days"][:1]}, {"days": new["days"][:1]}) == {}
    assert difference({"gaps": []}, {"gaps": [{"a": 1}]}) == {"gaps": {"removed": [], "added": [{"a": 1}]}}


@pytest.mark.parametrize(
    ("value", "shown"), [(99.99996, "99.999 %"), (100.0, "100 %"), (None, "–"), (99.5, "99.500 %")]
)
def test_percentages_are_never_rounded_up(value: float | None, shown: str) -> None:
    assert percent(value) == shown


def test_days_begin_at_midnight_though_the_first_midnight_was_skipped() -> None:
    # Paraguay began summer time on October 1, 2023: that day began at 01:00 and had 23 hours.
    start, end = datetime(2023, 10, 1, 4, tzinfo=UTC), datetime(2023, 11, 1, 3, tzinfo=UTC)
    contract = Contract("v1", 0.995, Accounting.EXCLUDE, "America/Asuncion", TIERS)
    tenant: Any = SimpleNamespace(tenant_id="acme", name="acme", deleted_at=None, contract_versions=())
    found = statement(tenant, "2023-10", contract, [Span(start, end, SpanState.UP)], [], end)
    assert [d.tally.eligible / 3600 for d in found.days] == [23.0, *[24.0] * 30]


def test_a_change_that_was_seen_after_the_month_may_have_been_in_it() -> None:
    start, end = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    seen = end + timedelta(seconds=20)
    spans = [
        Span(start, seen, SpanState.UP),
        Span(seen, seen + timedelta(hours=1), SpanState.DOWN, doubt=60.0),
    ]
    tenant: Any = SimpleNamespace(tenant_id="acme", name="acme", deleted_at=None, contract_versions=())
    found = statement(tenant, "2026-06", CONTRACT, spans, [], end + timedelta(days=1)).result
    month = (end - start).total_seconds()
    assert (found.tally.down, found.high, found.low) == (0, 1.0, pytest.approx(1 - 40 / month, abs=1e-12))


def test_an_incident_across_a_month_is_whole_in_both_and_counts_in_each() -> None:
    may, june, july = (datetime(2026, n, 1, tzinfo=UTC) for n in (5, 6, 7))
    down, up = june - timedelta(hours=1), june + timedelta(hours=2)
    spans = [Span(may, down, SpanState.UP), Span(down, up, SpanState.DOWN), Span(up, july, SpanState.UP)]
    tenant: Any = SimpleNamespace(tenant_id="acme", name="acme", deleted_at=None, contract_versions=())
    for month, minutes, counted in (("2026-05", 60, (down, june)), ("2026-06", 120, (june, up))):
        found = statement(tenant, month, CONTRACT, spans, [], july)
        [told] = document(found)["incidents"]
        assert (told["start"], told["end"]) == ("2026-05-31T23:00:00Z", "2026-06-01T02:00:00Z")
        assert (told["down_minutes"], told["recovery_minutes"], told["ongoing"]) == (minutes, 180, False)
        assert found.incidents[0].counted == Interval(*counted)
        assert (found.result.failure_count, found.result.recovery_time_avg) == (1, 3 * 3600)
        assert found.result.tally.down == minutes * 60
    # While it lasts nobody knows its end, and that it goes on is no reason for another revision.
    known = [down + timedelta(hours=n) for n in (2, 3)]
    first, second = (
        statement(tenant, "2026-05", CONTRACT, [spans[0], Span(down, at, SpanState.DOWN)], [], at)
        for at in known
    )
    [told] = document(first)["incidents"]
    assert (told["end"], told["ongoing"], told["recovery_minutes"]) == (None, True, None)
    assert (first.result.recovery_time_avg, first.digest) == (None, second.digest)
    assert first.digest != statement(tenant, "2026-05", CONTRACT, spans, [], july).digest


def test_an_outage_lasts_as_long_in_both_months_though_their_hours_differ() -> None:
    may, june, july = (datetime(2026, n, 1, tzinfo=UTC) for n in (5, 6, 7))
    # May counts office hours only (it ends on a Sunday), June every hour.
    office = {"weekly": {"fri": ["08:00-18:00"], "mon": ["08:00-18:00"]}}
    down, up = june - timedelta(hours=60), june + timedelta(hours=2)
    spans = [Span(may, down, SpanState.UP), Span(down, up, SpanState.DOWN), Span(up, july, SpanState.UP)]
    versions = [
        ContractVersion(n, at, SlaTarget(), Accounting.EXCLUDE, "UTC", None, own, at, "kim")
        for n, at, own in ((1, may, office), (2, june, None))
    ]
    tenant: Any = SimpleNamespace(
        tenant_id="acme", name="acme", deleted_at=None, key=1, contract_versions=tuple(versions)
    )
    for month, own, minutes in (("2026-05", office, 6 * 60), ("2026-06", None, 2 * 60)):
        found = statement(tenant, month, replace(CONTRACT, hours=own), spans, [], july)
        [incident] = found.incidents
        # Six hours of Friday, none of the weekend, two of Monday.
        assert (incident.down_seconds / 60, incident.recovery_seconds / 60) == (minutes, 8 * 60)
        assert found.result.recovery_time_avg == 8 * 3600


def test_the_first_day_of_a_month_that_began_by_an_earlier_zone_has_its_row_from_the_beginning() -> None:
    # By UTC June has begun; in Los Angeles, which it is told in, it is May for seven hours more.
    june = datetime(2026, 6, 1, tzinfo=UTC)
    contract = replace(CONTRACT, time_zone="America/Los_Angeles", begins=june)
    tenant: Any = SimpleNamespace(tenant_id="acme", name="acme", deleted_at=None, contract_versions=())
    for hours, days in ((3, [180.0]), (7, [420.0]), (8, [480.0]), (31, [31 * 60.0]), (32, [31 * 60.0, 60.0])):
        now = june + timedelta(hours=hours)
        found = statement(tenant, "2026-06", contract, [Span(june, now, SpanState.UP)], [], now)
        assert [d.tally.eligible / 60 for d in found.days] == days
        assert found.days[0].day == date(2026, 6, 1)
        assert sum(days) * 60 == found.result.tally.eligible
        assert sum(d.seconds for d in found.to_come) == found.result.to_come


def test_time_that_nobody_measured_is_shown_in_the_credit() -> None:
    start, end = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    down, gap = start + timedelta(hours=4), start + timedelta(hours=4 + 24)
    spans = [Span(start, down, SpanState.DOWN), Span(down, gap, SpanState.GAP, "not_pushed")]
    spans += [Span(gap, end, SpanState.UP)]
    tenant: Any = SimpleNamespace(tenant_id="acme", name="acme", deleted_at=None, contract_versions=())
    closed = {"revision": 1, "closed_at": "2026-07-03T00:00:00Z", "restates": {}}
    shown = {**document(statement(tenant, "2026-06", CONTRACT, spans, [], end)), **closed}
    # 4 of 696 measured hours: 99.425 %. With the gap up 99.44 %, with the gap down 96.1 %.
    assert (shown["verdict"], shown["credit_percent"]) == ("breached", 5.0)
    assert shown["credit_bounds"] == {"low": 5.0, "high": 10.0}
    assert "5 % of the monthly fee, by the measured time; 5 – 10 %" in to_html(shown)
    always = [Span(start, end, SpanState.UP)]
    whole = {**document(statement(tenant, "2026-06", CONTRACT, always, [], end)), **closed}
    assert "0 % of the monthly fee<" in to_html(whole)
    # A statement of an earlier release has no such range.
    assert "5 % of the monthly fee<" in to_html({k: v for k, v in shown.items() if k != "credit_bounds"})


@pytest.mark.parametrize("count", [0, 1, 500, 501, 1203])
def test_the_digest_is_of_one_json_document_however_many_spans_there_are(count: int) -> None:
    """Closed statements hold the digest: it must not depend on how it is computed."""
    spans = [
        Span(T0 + timedelta(seconds=n), T0 + timedelta(seconds=n + 1), SpanState.DOWN, share=0.25 + n % 2 / 2)
        for n in range(count)
    ]
    contract = Contract("1", 0.999, Accounting.EXCLUDE, "UTC", (CreditTier(None, 0.1),))
    exclusions = [Exclusion(Interval(T0, T0 + timedelta(hours=1)), "a „reason“", "b", T0)]
    inputs = {
        "tenant": "t",
        "month": "2026-03",
        "contract": ["1", "0.999", "exclude", "UTC", [["0.999", "0.1"]]],
        "spans": [[s.start.isoformat(), s.end.isoformat(), s.state, s.reason, s.down_share] for s in spans],
        "exclusions": [[T0.isoformat(), (T0 + timedelta(hours=1)).isoformat(), "a „reason“", "b"]],
    }
    whole = json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()
    assert digest("t", "2026-03", contract, spans, exclusions) == hashlib.sha256(whole).hexdigest()
