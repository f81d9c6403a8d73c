"""What is read on a page can be compared, added up and paid by: nothing is cut until two figures look alike."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pypdf
import pytest

from ecpmon.model.availability import Span, SpanState
from ecpmon.model.maintenance import Accounting
from ecpmon.model.statements import Contract, CreditTier
from ecpmon.model.tenants import Language
from ecpmon.sla.combined import combined
from ecpmon.sla.statement_document import document
from ecpmon.sla.statements import month_period, statement
from ecpmon.statements.figures import minutes, percent
from ecpmon.statements.look import Look
from ecpmon.statements.pdf import to_pdf
from ecpmon.statements.render import facts, tables, to_html
from ecpmon.statements.words import Words

ACME: Any = SimpleNamespace(tenant_id="acme", name="acme", deleted_at=None, contract_versions=())
CLOSED = {"revision": 1, "closed_at": "2026-12-03T00:00:00Z", "restates": None}
TIERS = (CreditTier(None, 0.05), CreditTier(0.99, 0.10), CreditTier(0.95, 0.25))
ENGLISH = Words(Language.EN)


def a_month(month: str, contract: Contract, down: float, before: timedelta = timedelta(0)) -> dict[str, Any]:
    """Down for so many seconds, from `before` its first day on."""
    period = month_period(month, contract.time_zone)
    begins = period.start - before
    up = begins + timedelta(seconds=down)
    spans = [Span(begins, up, SpanState.DOWN), Span(up, period.end, SpanState.UP)]
    return {**document(statement(ACME, month, contract, spans, [], period.end)), **CLOSED}


def shown(data: dict[str, Any]) -> dict[str, str]:
    return dict(facts(data, ENGLISH))


@pytest.mark.parametrize(
    ("target", "down", "availability", "verdict"),
    [
        ("99.9995 %", 20, "99.9992 %", "breached"),
        ("99.9995 %", 12.96, "99.9995 %", "met"),
        ("99.9999 %", 3, "99.9998 %", "breached"),
        ("99.999999 %", 0.03, "99.999998 %", "breached"),
        ("99.500 %", 36 * 60, "99.916 %", "met"),
    ],
)
def test_an_availability_below_the_target_is_seen_to_be_below_it(
    target: str, down: float, availability: str, verdict: str
) -> None:
    contract = Contract("1", round(float(target.split()[0]) / 100, 12), Accounting.EXCLUDE, "UTC", TIERS)
    data = a_month("2026-06", contract, down)
    assert data["verdict"] == verdict
    assert (shown(data)["Target"], shown(data)["Availability"]) == (target, availability)


@pytest.mark.parametrize("target", [0.5, 0.95, 0.99, 0.995, 0.9995, 0.99999, 0.999995, 0.9999995])
def test_what_floats_take_away_from_a_target_is_not_cut_off(target: float) -> None:
    text = percent(100 * target, 6)
    assert float(text.removesuffix(" %")) == round(100 * target, 8)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0"), (2 / 60, "0.033"), (-0.03, "-0.03"), (-0.0001, "0.0"), (44.64, "44.64"), (1440.0, "1,440.0"),
     (0.05, "0.05"), (20.5, "20.5")],
)  # fmt: skip
def test_short_outages_are_told_in_minutes_too(value: float, text: str) -> None:
    assert minutes(value, ENGLISH) == f"{text} min"


def test_the_day_on_which_a_contract_began_is_that_of_its_own_clock() -> None:
    begins = datetime(2026, 5, 31, 15, tzinfo=UTC)
    contract = Contract("2", 0.995, Accounting.EXCLUDE, "Asia/Seoul", TIERS, begins, "saas-2026-1")
    assert "version 2 since 2026-06-01" in shown(a_month("2026-06", contract, 0))["Contract"]


def credit_by(page: dict[str, str]) -> float:
    """As whoever reads the page works it out."""
    measured, target = (float(page[name].split()[0]) for name in ("Availability", "Target"))
    tiers = re.findall(r"below (\S+) %: (\S+) %", page["Credits"])
    return (
        max((float(c) for below, c in tiers if measured < float(below)), default=0)
        if measured < target
        else 0
    )


@pytest.mark.parametrize("down", [0, 3.6, 4 * 3600, 9 * 3600, 3 * 86_400])
@pytest.mark.parametrize("target", [0.999995, 0.995, 0.98, 0.9])
def test_the_credit_follows_from_the_page(target: float, down: float) -> None:
    data = a_month("2026-06", Contract("1", target, Accounting.EXCLUDE, "UTC", TIERS), down)
    page = shown(data)
    assert page["Credit"].startswith(f"{credit_by(page):g} % of")
    pdf = pypdf.PdfReader(io.BytesIO(to_pdf(data)))
    assert page["Credits"] in " ".join("".join(p.extract_text() for p in pdf.pages).split())
    assert "요금 감면 기준" in to_html(data, Look(Language.KO))


def test_a_quarter_names_the_credits_of_each_of_its_months() -> None:
    others = (CreditTier(None, 0.5),)
    months = [
        a_month(month, Contract(version, 0.995, Accounting.EXCLUDE, "UTC", tiers), 0)
        for month, version, tiers in (
            ("2026-04", "1", TIERS),
            ("2026-05", "1", TIERS),
            ("2026-06", "2", others),
        )
    ]
    page = shown({**combined("2026-Q2", months, "2026-07-01T00:00:00Z"), **CLOSED})
    assert page["Credits, 2026-04, 2026-05"] == "below 99.5 %: 5 %; below 99 %: 10 %; below 95 %: 25 %"
    assert page["Credits, 2026-06"] == "below 99.5 %: 50 %"


def test_an_outage_over_the_end_of_a_month_says_how_long_it_was_in_all() -> None:
    contract = Contract("1", 0.995, Accounting.EXCLUDE, "UTC", TIERS)
    data = a_month("2026-06", contract, 3 * 3600, before=timedelta(hours=1))
    page = shown(data)
    assert page["Mean down time of an incident"] == "180.0 min"
    assert page["Incidents"] == "1 (outages with less than 60 s of up time between them are one)"
    [(_, heads, rows)] = [t for t in tables(data, ENGLISH) if t[0] == "Incidents"]
    assert (heads[-2:], rows[0][-2:]) == (["Down", "Down in all"], ["120.0 min", "180.0 min"])
    whole = a_month("2026-06", contract, 3 * 3600)
    assert [t[1] for t in tables(whole, ENGLISH) if t[0] == "Incidents"] == [["Start", "End", "Down"]]
