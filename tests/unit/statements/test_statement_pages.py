"""Statements as people see them: the words, the plot, and a CSV that every figure follows from."""

from __future__ import annotations

import csv
import io
import random
import string
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.model.maintenance import Accounting, Maintenance
from ecpmon.model.statements import Contract, CreditTier
from ecpmon.model.tenants import Language
from ecpmon.sla.combined import combined
from ecpmon.sla.statement_document import document
from ecpmon.sla.statements import month_period, statement
from ecpmon.statements.look import Look, UnusableLogo, read_logo
from ecpmon.statements.plot import columns, kinds
from ecpmon.statements.render import state_line, to_csv, to_html, verdict_sentence
from ecpmon.statements.words import WORDS, Words

TIERS = (CreditTier(None, 0.05), CreditTier(0.99, 0.10), CreditTier(0.95, 0.25))
TENANT: Any = SimpleNamespace(tenant_id="acme", name="acme", deleted_at=None)
CLOSED = {"revision": 1, "closed_at": "2026-12-03T00:00:00Z", "restates": None}
HOUR = timedelta(hours=1)


def contract(
    zone: str = "UTC", accounting: Accounting = Accounting.EXCLUDE, target: float = 0.995
) -> Contract:
    return Contract("v1", target, accounting, zone, TIERS)


def made(
    month: str, spans: list[Span], terms: Contract, planned: list[Maintenance] | None = None
) -> dict[str, Any]:
    now = month_period(month, terms.time_zone).end + timedelta(days=4)
    return {**document(statement(TENANT, month, terms, spans, planned or [], now)), **CLOSED}


def always_up(month: str, zone: str) -> list[Span]:
    period = month_period(month, zone)
    return [Span(period.start, period.end, SpanState.UP)]


def test_every_language_has_every_word_with_the_same_values() -> None:
    def fields(text: str) -> list[str]:
        return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)

    english = WORDS[Language.EN]
    assert set(WORDS) == set(Language)
    for words in WORDS.values():
        assert {k: fields(v) for k, v in words.items()} == {k: fields(v) for k, v in english.items()}
    korean = WORDS[Language.KO]
    assert [k for k, v in korean.items() if not any("가" <= letter <= "힣" for letter in v)] == []


@pytest.mark.parametrize(
    ("month", "zone", "day", "minutes"),
    [
        ("2026-10", "Europe/Berlin", "2026-10-25", 1500),
        ("2026-03", "Europe/Berlin", "2026-03-29", 1380),
        ("2026-03", "Asia/Seoul", "2026-03-29", 1440),
        ("2026-04", "Australia/Lord_Howe", "2026-04-05", 1470),
    ],
)
def test_a_day_has_the_minutes_that_it_had(month: str, zone: str, day: str, minutes: float) -> None:
    data = made(month, always_up(month, zone), contract(zone))
    assert {d["date"]: d["eligible_minutes"] for d in data["days"]}[day] == minutes
    assert sum(d["eligible_minutes"] for d in data["days"]) == data["eligible_minutes"]
    rows = {r["date"]: r for r in csv.DictReader(io.StringIO(to_csv(data)))}
    assert float(rows[day]["eligible_minutes"]) == minutes
    assert f"{minutes:,.1f} min" in to_html(data)


def recomputed(text: str) -> dict[str, float]:
    """What a customer gets from the file alone: availability, budget and credit in percent and minutes."""
    rows = list(csv.DictReader(io.StringIO(text)))
    eligible, down, gap = (
        sum(float(r[f"{name}_minutes"]) for r in rows) for name in ("eligible", "down", "gap")
    )
    availability = 100 * (eligible - down - gap) / (eligible - gap)
    target = float(rows[0]["target_percent"])
    tiers = [tuple(map(float, tier.split(":"))) for tier in rows[0]["credit_tiers"].split()]
    total = (100 - target) / 100 * eligible
    # 1e-9 %: what adding up numbers of 17 digits costs.
    missed = [credit for below, credit in tiers if availability < below - 1e-9]
    kept = availability >= target - 1e-9
    return {
        "availability": availability,
        "total": total,
        "remaining": total - down,
        "credit": 0.0 if kept else max(missed, default=0.0),
    }


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("accounting", list(Accounting))
def test_availability_budget_and_credit_follow_from_the_csv_alone(seed: int, accounting: Accounting) -> None:
    dice = random.Random(seed)
    month, zone = dice.choice(
        [("2026-10", "Europe/Berlin"), ("2026-03", "America/New_York"), ("2026-02", "UTC")]
    )
    period = month_period(month, zone)
    spans, at = [], period.start + timedelta(seconds=dice.choice([0, 0, 100_000]))
    while at < period.end:
        state = dice.choices(
            list(SpanState), [dice.choice([1, 0.05]) if s is SpanState.DOWN else 1 for s in SpanState]
        )[0]
        until = min(
            at + timedelta(microseconds=dice.randrange(1, 10 ** dice.choice([8, 11, 12]))), period.end
        )
        share = dice.choice([1.0, 0.25]) if state is SpanState.DOWN else 1.0
        spans.append(Span(at, until, state, GapReason.NOT_PUSHED if state is SpanState.GAP else None, share))
        at = until
    planned = [
        Maintenance(
            maintenance_id=str(n),
            start=period.start + dice.random() * (period.end - period.start),
            duration=dice.random() * 30 * HOUR,
            reason="upgrade",
            created_by="kim",
            created_at=period.start,
        )
        for n in range(dice.randrange(3))
    ]
    data = made(month, spans, contract(zone, accounting, dice.choice([0.995, 0.9, 0.999])), planned)
    found = recomputed(to_csv(data))
    assert data["availability"] is not None, "of each of these seeds something is measured"
    assert found["availability"] == pytest.approx(data["availability"], abs=1e-9)
    assert found["total"] == pytest.approx(data["error_budget"]["total_minutes"], abs=1e-6)
    assert found["remaining"] == pytest.approx(data["error_budget"]["remaining_minutes"], abs=1e-6)
    assert found["credit"] == data["credit_percent"]


def test_of_a_quarter_each_row_has_the_terms_of_its_month() -> None:
    months, targets = ("2026-07", "2026-08", "2026-09"), (0.995, 0.9, 0.999)
    found = []
    for month, target in zip(months, targets, strict=True):
        period = month_period(month, "UTC")
        down = period.start + 40 * HOUR
        spans = [Span(period.start, down, SpanState.DOWN), Span(down, period.end, SpanState.UP)]
        found.append(made(month, spans, contract(target=target)))
    whole = {**combined("2026-Q3", found, "2026-10-01T00:00:00Z"), **CLOSED}
    header, *lines = to_csv(whole).splitlines()
    parts = [recomputed("\n".join([header, *(x for x in lines if f",{month}-" in x)])) for month in months]
    assert [p["credit"] for p in parts] == [25.0, 0.0, 25.0]
    assert sum(p["credit"] for p in parts) == whole["credit_percent"]
    assert sum(p["total"] for p in parts) == pytest.approx(whole["error_budget"]["total_minutes"], abs=1e-6)
    page = to_html(whole)
    for told in ("Per month", "SLA statement 2026-Q3", "90.000 %", "99.900 %"):
        assert told in page


def test_an_open_month_says_so_far_and_one_that_waits_to_be_closed_does_not() -> None:
    data: Mapping[str, Any] = made("2026-03", always_up("2026-03", "UTC"), contract())
    english, korean = Words(Language.EN), Words(Language.KO)
    inside = {**data, "state": "preliminary", "as_of": "2026-03-17T08:00:00Z"}
    after = {**data, "state": "preliminary", "as_of": "2026-04-02T08:00:00Z"}
    assert verdict_sentence(inside, english).startswith("So far the SLA is met: ")
    assert state_line(inside, english).startswith("So far, as of 2026-03-17 08:00:00+00:00")
    assert "Availability so far" in to_html(inside)
    assert state_line(inside, korean).startswith("현재까지(2026-03-17 08:00:00+00:00 기준)")
    assert "현재까지 가용률" in to_html(inside, Look(Language.KO))
    for other in (after, data):
        assert verdict_sentence(other, english) == "The SLA was met."
        assert "o far" not in to_html(other)
        assert "현재까지" not in to_html(other, Look(Language.KO))
    assert state_line(after, korean).startswith("잠정")


def test_instants_are_on_the_clock_that_the_days_follow() -> None:
    period = month_period("2026-10", "Europe/Berlin")
    change = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    spans = [
        Span(period.start, change, SpanState.UP),
        Span(change, change + HOUR, SpanState.DOWN),
        Span(change + HOUR, period.end, SpanState.UP),
    ]
    planned = Maintenance("1", period.start, HOUR, "down", "kim", period.start)
    page = to_html(made("2026-10", spans, contract("Europe/Berlin"), [planned]))
    assert "<td>2026-10-25 02:30:00+02:00</td><td>2026-10-25 02:30:00+01:00</td>" in page
    # What people typed stays as they did, though it be one of our words.
    assert "<td>kim</td><td>down</td>" in page


def test_a_column_is_what_the_day_was_and_a_minute_of_down_time_is_seen() -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    at, minute = start + 30 * HOUR, timedelta(minutes=1)
    spans = [
        Span(start + HOUR, at, SpanState.UP),
        Span(at, at + minute, SpanState.DOWN),
        Span(at + minute, at + 4 * HOUR, SpanState.GAP, GapReason.NOT_PUSHED),
        Span(at + 4 * HOUR, start + timedelta(days=30), SpanState.UP),
    ]
    days = made("2026-06", spans, contract())["days"]
    found = columns(days)
    assert [[p.kind for p in c.parts] for c in found[:3]] == [["up"], ["up", "gap", "down"], ["up"]]
    for column in found:
        assert sum(p.height for p in column.parts) == pytest.approx(1)
        assert all(p.height >= 0.05 for p in column.parts)
    assert kinds(found) == ["up", "gap", "down"]
    # Of an earlier release: a row does not say what was eligible.
    older = columns([{k: v for k, v in d.items() if k != "eligible_minutes"} for d in days])
    assert [[p.kind for p in c.parts] for c in older[:3]] == [["up"], ["up", "gap", "down"], ["up"]]


def test_a_statement_of_an_earlier_release_is_still_printed() -> None:
    data = made("2026-10", always_up("2026-10", "Europe/Berlin"), contract("Europe/Berlin"))
    days = [{k: v for k, v in d.items() if k != "eligible_minutes"} for d in data["days"]]
    older = {k: v for k, v in data.items() if k not in ("withdrawn", "credit_bounds")} | {"days": days}
    assert "2026-10-25" in to_html(older)
    row = list(csv.DictReader(io.StringIO(to_csv(older))))[24]
    assert (row["date"], row["eligible_minutes"], row["digest"]) == ("2026-10-25", "", data["digest"])


def test_the_operators_name_and_logo_stand_at_the_top(tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20"/></svg>'
    )
    data = made("2026-03", always_up("2026-03", "UTC"), contract())
    page = to_html(data, Look(operator="Contact <Cloud> & Co", logo=logo))
    assert "Issued by Contact &lt;Cloud&gt; &amp; Co" in page
    assert '<img class="logo" alt="Contact &lt;Cloud&gt; &amp; Co" src="data:image/svg+xml;base64,' in page
    assert "발행: 회사" in to_html(data, Look(Language.KO, "회사"))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.png", b"no picture", "neither a PNG nor an SVG"),
        ("b.png", b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\xff\xff\0\0\0\1", "pixels"),
        ("c.png", b"\x89PNG\r\n\x1a\n", "pixels"),
        ("d.svg", b"<svg>" + b" " * 300_000, "larger than 256 KiB"),
        ("e.svg", b"<!DOCTYPE x [<!ENTITY a 'b'>]><svg/>", "neither"),
    ],
)
def test_what_is_no_small_picture_is_no_logo(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnusableLogo, match=why):
        read_logo(path)
    with pytest.raises(UnusableLogo, match="cannot be read"):
        read_logo(tmp_path / "nowhere.png")
