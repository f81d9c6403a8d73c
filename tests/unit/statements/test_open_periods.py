"""A period that is not over: verdict, target, budget and credit are those of all of it, if nothing more goes down.

The window, the statement in every shape, and what a customer gets from the CSV alone say the same.
"""

from __future__ import annotations

import csv
import io
import random
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pypdf
import pytest

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.model.maintenance import Accounting, Maintenance
from ecpmon.model.statements import Contract, CreditTier
from ecpmon.model.tenants import Language
from ecpmon.model.windows import WindowResult
from ecpmon.sla import hours, windows
from ecpmon.sla.combined import combined
from ecpmon.sla.maintenance import covered, merged, zone
from ecpmon.sla.parts import Part, Terms
from ecpmon.sla.statement_document import coming_document, document
from ecpmon.sla.statements import month_period, months_of, statement
from ecpmon.statements.look import Look
from ecpmon.statements.pdf import to_pdf
from ecpmon.statements.render import to_csv, to_html

ACME: Any = SimpleNamespace(tenant_id="acme", name="acme", deleted_at=None, contract_versions=())
TIERS = (CreditTier(None, 0.05), CreditTier(0.99, 0.10), CreditTier(0.95, 0.25))
OFFICE = {
    "weekly": {"mon": ["08:00-12:00", "13:00-18:00"], "fri": ["22:00-06:00"]},
    "holidays": ["2026-03-30"],
}
HOUR = timedelta(hours=1)


def told(data: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {**data, "state": "preliminary", "as_of": now.isoformat()}


def of_month(
    month: str, contract: Contract, spans: list[Span], planned: list[Maintenance], now: datetime
) -> dict[str, Any]:
    return told(document(statement(ACME, month, contract, spans, planned, now)), now)


def of_quarter(
    contracts: Mapping[str, Contract], spans: list[Span], planned: list[Maintenance], now: datetime
) -> dict[str, Any]:
    begun = {m: c for m, c in contracts.items() if month_period(m, c.time_zone).start < now}
    months = [of_month(m, c, spans, planned, now) for m, c in begun.items()]
    ahead = [coming_document(m, c, planned) for m, c in contracts.items() if m not in begun]
    last, contract = list(contracts.items())[-1]
    end = month_period(last, contract.time_zone).end.isoformat().replace("+00:00", "Z")
    return told(combined("2026-Q1", months, end, ahead=ahead, final=False), now)


def part_of(month: str, contract: Contract, planned: list[Maintenance]) -> Part:
    whole, local = month_period(month, contract.time_zone), zone(contract.time_zone)
    never = []
    if contract.hours is not None:
        never = hours.outside(hours.stored(contract.hours), local, whole.start, whole.end)
    off = merged([*covered(planned, whole.start, whole.end), *never])
    return Part(
        whole.start, whole.end, contract.target, Terms(off, contract.accounting, local, outside=never)
    )


def recomputed(text: str) -> dict[str, float]:
    """From the file alone, as docs/sla.md says: minutes, and the credit of each month in percent, added up."""
    rows = list(csv.DictReader(io.StringIO(text)))
    total = down = credit = 0.0
    months: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        months[row["date"][:7]].append(row)
    for of in months.values():
        [(target, tiers)] = {(float(r["target_percent"]), r["credit_tiers"]) for r in of}
        eligible, spent, gap, rest = (
            sum(float(r[f"{name}_minutes"]) for r in of) for name in ("eligible", "down", "gap", "to_come")
        )
        total, down = total + (100 - target) / 100 * (eligible + rest), down + spent
        if eligible > gap:
            availability = 100 * (eligible - spent - gap + rest) / (eligible - gap + rest)
            missed = [
                float(paid)
                for below, paid in (tier.split(":") for tier in tiers.split())
                if availability < float(below) - 1e-9
            ]
            credit += 0.0 if availability >= target - 1e-9 else max(missed, default=0.0)
    if not any(float(r["eligible_minutes"]) for r in rows):
        total = 0.0  # until something was eligible there is no budget
    return {"total": total, "remaining": total - down, "credit": credit}


def agree(window: WindowResult, data: Mapping[str, Any]) -> None:
    budget = data["error_budget"]
    assert budget["total_minutes"] == pytest.approx(window.budget.total / 60, abs=1e-6)
    assert budget["remaining_minutes"] == pytest.approx(window.budget.remaining / 60, abs=1e-6)
    assert data["to_come_minutes"] == pytest.approx(window.to_come / 60, abs=1e-6)
    assert data["contract"]["target"] == pytest.approx(100 * window.target, abs=1e-9)
    assert data["verdict"] == window.verdict
    if data["verdict"] != "undetermined":
        assert (data["verdict"] == "breached") == (budget["remaining_minutes"] < 0)


def a_timeline(dice: random.Random, start: datetime, now: datetime) -> list[Span]:
    spans, at = list[Span](), start + timedelta(seconds=dice.choice([0, 0, 100_000, 3_000_000]))
    calm = dice.choice([1, 0.02])
    while at < now:
        state = dice.choices(list(SpanState), [1 if s is SpanState.UP else calm for s in SpanState])[0]
        until = min(at + timedelta(microseconds=dice.randrange(1, 10 ** dice.choice([8, 11, 12]))), now)
        spans.append(Span(at, until, state, GapReason.NOT_PUSHED if state is SpanState.GAP else None))
        at = until
    return spans


@pytest.mark.parametrize("seed", range(60))
def test_the_window_the_statement_and_the_csv_say_the_same_of_an_open_period(seed: int) -> None:
    dice = random.Random(seed)
    name, same = dice.choice(["UTC", "Asia/Seoul", "Europe/Berlin"]), dice.random() < 0.3
    targets = [0.995] * 3 if same else [dice.choice([0.9, 0.95, 0.999, 0.9995]) for _ in range(3)]
    contracts = {
        month: Contract(
            str(n),
            target,
            dice.choice(list(Accounting)),
            name,
            TIERS,
            hours=dice.choice([None, None, OFFICE]),
        )
        for n, (month, target) in enumerate(zip(months_of("2026-Q1"), targets, strict=True))
    }
    start, end = month_period("2026-01", name).start, month_period("2026-03", name).end
    now = start + timedelta(microseconds=dice.randrange(1, (end - start) // timedelta(microseconds=1)))
    planned = [
        Maintenance(
            str(n), start + dice.random() * (end - start), dice.random() * 30 * HOUR, "x", "kim", start
        )
        for n in range(dice.randrange(4))
    ]
    spans = a_timeline(dice, start, now)
    parts = {month: part_of(month, contract, planned) for month, contract in contracts.items()}
    whole = of_quarter(contracts, spans, planned, now)
    agree(windows.evaluate_parts("quarter", spans, list(parts.values()), now), whole)
    month = max(m for m, part in parts.items() if part.start < now)
    open_month = of_month(month, contracts[month], spans, planned, now)
    agree(windows.evaluate_parts("month", spans, [parts[month]], now), open_month)
    for data in (whole, open_month):
        found = recomputed(to_csv(data))
        assert found["total"] == pytest.approx(data["error_budget"]["total_minutes"], abs=1e-6)
        assert found["remaining"] == pytest.approx(data["error_budget"]["remaining_minutes"], abs=1e-6)
        assert found["credit"] == pytest.approx(data["credit_percent"] or 0.0)


# At 99.9 %, March 2026 has 44.64 minutes.
@pytest.mark.parametrize(
    ("down", "unknown", "verdict", "credit", "sentence"),
    [
        (30, 0, "met", 0, "So far the SLA is met: the down time is within"),
        (44.64, 0, "met", 0, "So far the SLA is met: the down time is within"),
        (45, 0, "breached", 5, "So far the SLA is not met: the down time is over"),
        (30, 60, "undetermined", 0, "So far not determined: whether the down time is within"),
    ],
)
def test_down_time_is_measured_by_what_the_whole_period_allows(
    down: float, unknown: float, verdict: str, credit: float, sentence: str
) -> None:
    contract = Contract("1", 0.999, Accounting.EXCLUDE, "UTC", TIERS)
    start, now = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    first, second = start + timedelta(minutes=down), start + timedelta(minutes=down + unknown)
    spans = [Span(start, first, SpanState.DOWN)]
    spans += [Span(first, second, SpanState.GAP, GapReason.NOT_PUSHED)] if unknown else []
    data = of_month("2026-03", contract, [*spans, Span(second, now, SpanState.UP)], [], now)
    assert data["availability"] < 99
    assert (data["verdict"], data["credit_percent"], data["to_come_minutes"]) == (verdict, credit, 30 * 1440)
    assert data["error_budget"]["total_minutes"] == pytest.approx(44.64)
    assert data["error_budget"]["remaining_minutes"] == pytest.approx(44.64 - down)
    page, pdf = to_html(data), pypdf.PdfReader(io.BytesIO(to_pdf(data)))
    words = " ".join("".join(p.extract_text() for p in pdf.pages).split())
    left = {30: "14.64", 44.64: "0.0", 45: "-0.36"}[down]
    for text in (page, words):
        assert sentence in text
        assert f"{left} min of 44.64 min" in text
        assert "43,200.0 min" in text
        assert "Credit, if nothing more goes down" in text
    assert "추가 장애가 없을 때의 요금 감면" in to_html(data, Look(Language.KO))


def test_a_quarter_shows_the_months_to_come_with_what_is_promised_for_them() -> None:
    strict, loose = (Contract(v, t, Accounting.EXCLUDE, "UTC", TIERS) for v, t in (("2", 0.999), ("1", 0.99)))
    contracts = dict(zip(months_of("2026-Q1"), (loose, strict, strict), strict=True))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    targets = []
    for now in (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 2, 15, 6, tzinfo=UTC)):
        data = of_quarter(contracts, [Span(start, now, SpanState.UP)], [], now)
        targets.append(data["contract"]["target"])
        assert [v["months"] for v in data["contract"]["versions"]] == [["2026-01"], ["2026-02", "2026-03"]]
        assert len(list(csv.DictReader(io.StringIO(to_csv(data))))) == 90
        assert "<td>2026-03</td><td>–</td><td>99.900 %</td>" in to_html(data)
    # What the budgets of all its months make together, on every day of the quarter.
    assert targets == [pytest.approx(100 * (1 - (0.01 * 31 + 0.001 * 59) / 90))] * 2


def test_what_is_over_says_nothing_of_what_is_to_come() -> None:
    contract = Contract("1", 0.999, Accounting.EXCLUDE, "UTC", TIERS)
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    month = document(statement(ACME, "2026-03", contract, [Span(start, end, SpanState.UP)], [], end))
    whole = combined("2026-Q1", [month], "2026-04-01T00:00:00Z")
    for data in (month, whole):
        assert not {"to_come_minutes", "days_to_come", "months_to_come"} & data.keys()
        rows = list(csv.DictReader(io.StringIO(to_csv({**data, "state": "final"}))))
        assert [float(r["to_come_minutes"]) for r in rows] == [0.0] * 31
