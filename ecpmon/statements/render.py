"""A statement as CSV and HTML. Pure; `data` is what `sla.statement_document.document` gives.

What a statement of an earlier release does not say, and what a later one says besides, is left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any, Final

from ecpmon.sla.hours import stored, words
from ecpmon.sla.maintenance import zone
from ecpmon.statements.figures import (
    credit,
    credit_tiers,
    digits_of,
    incidents,
    minutes,
    number,
    percent,
)
from ecpmon.statements.hours import hours_line
from ecpmon.statements.look import Look, read_logo
from ecpmon.statements.plot import COLOURS, Column, columns, kinds
from ecpmon.statements.words import Words

# (heading, columns, rows)
Section = tuple[str, list[str], list[list[str]]]


def moment(data: Mapping[str, Any], at: str | None) -> str:
    """An instant as it was on the contract's clock, which the days follow: `2026-10-25 02:30:00+01:00`."""
    if at is None:
        return "–"
    local = datetime.fromisoformat(at).astimezone(zone(data["contract"]["time_zone"]))
    return local.isoformat(sep=" ", timespec="milliseconds" if local.microsecond else "seconds")


def is_open(data: Mapping[str, Any]) -> bool:
    """Whether its period is not over: what it says is how it stands so far."""
    as_of = data.get("as_of")
    if data["state"] != "preliminary" or as_of is None:
        return False
    return datetime.fromisoformat(as_of) < datetime.fromisoformat(data["period"]["end"])


def verdict_sentence(data: Mapping[str, Any], say: Words) -> str:
    return say(f"{data['verdict']}_so_far" if is_open(data) else data["verdict"])


def title(data: Mapping[str, Any], say: Words) -> str:
    return say("title", period=data.get("of") or data["month"], name=data["name"])


def state_line(data: Mapping[str, Any], say: Words) -> str:
    if is_open(data):
        return say("so_far", as_of=moment(data, data["as_of"]))
    if data["state"] == "preliminary":
        return say("preliminary")
    line = say("closed", revision=data["revision"], closed_at=moment(data, data["closed_at"]))
    return f"{line} {say('restates')}" if data.get("restates") else line


def facts(data: Mapping[str, Any], say: Words) -> list[tuple[str, str]]:
    """The figures on the first page, as label and text."""

    def measured(word: str) -> str:
        return say("label_so_far", label=say(word)) if is_open(data) else say(word)

    def judged(word: str) -> str:
        return say(f"{word}_so_far" if is_open(data) else word)

    bounds, budget, digits = data["bounds"], data["error_budget"], digits_of(data)
    times = [
        (word, data.get(f"{word}_minutes")) for word in ("eligible", "down", "gap", "maintenance", "outside")
    ]
    left = {name: minutes(budget[f"{name}_minutes"], say) for name in ("remaining", "total")}
    return [
        (measured("availability"), percent(data["availability"], digits)),
        (say("target"), percent(data["contract"]["target"], digits)),
        (say("bounds"), f"{percent(bounds['low'], digits)} / {percent(bounds['high'], digits)}"),
        (measured("coverage"), percent(data["coverage"])),
        *((measured(word), minutes(value, say)) for word, value in times if value is not None),
        *((measured(f"of_{kind}"), minutes(value, say)) for kind, value in _kinds(data)),
        *(
            [(say("to_come"), minutes(rest, say))]
            if (rest := data.get("to_come_minutes")) is not None
            else []
        ),
        (judged("budget_left"), say("of", part=left["remaining"], whole=left["total"])),
        *((measured(word), text) for word, text in incidents(data, say)),
        (judged("credit"), credit(data, say)),
        *credit_tiers(data, say),
        (say("contract"), _terms(data, say)),
        *([(say("service_hours"), line)] if (line := hours_line(data, say)) is not None else []),
    ]


def _kinds(data: Mapping[str, Any]) -> list[tuple[str, float]]:
    """What each kind of exclusion took, where there is another kind than maintenance."""
    found = data.get("exclusion_minutes", {})
    return list(found.items()) if found.keys() - {"maintenance"} else []


def _terms(data: Mapping[str, Any], say: Words) -> str:
    contract = data["contract"]
    accounting, version = say.known(contract["maintenance_accounting"]), contract["version"]
    # Statements of earlier releases say nothing of versions.
    if contract.get("valid_from") is not None:
        since = moment(data, contract["valid_from"])[:10]
        version = say("contract_version", version=version, since=since, credits=contract["credit_terms"])
    return say(
        "contract_terms",
        version=version,
        accounting=accounting,
        time_zone=contract["time_zone"],
    )


def tables(data: Mapping[str, Any], say: Words) -> list[Section]:
    """The evidence."""

    def lasting(entry: Mapping[str, Any]) -> list[str]:
        return [moment(data, entry["start"]), moment(data, entry["end"])]

    gaps = [[*lasting(g), minutes(g["minutes"], say), say.known(g["reason"])] for g in data["gaps"]]
    return [
        *_months(data, say),
        _incidents(data, say),
        _exclusions(data, say),
        *_uncounted(data, say),
        (say("unmeasured"), [say("start"), say("end"), say("length"), say("blind")], gaps),
        *_imported(data, say),
        *_withdrawn(data, say),
        _days(data, say),
    ]


def _incidents(data: Mapping[str, Any], say: Words) -> Section:
    """Whole, with what lies within the period; and beside it all of their down time, where that is another."""
    heads = [say(h) for h in ("start", "end", "down")]
    found = [(i["down_minutes"], i.get("recovery_minutes"), i) for i in data["incidents"]]
    rows = [[moment(data, i["start"]), moment(data, i["end"]), minutes(down, say)] for down, _, i in found]
    if any(whole is not None and round(whole - down, 6) for down, whole, _ in found):
        heads.append(say("down_in_all"))
        rows = [
            [*row, "–" if whole is None else minutes(whole, say)]
            for row, (_, whole, _) in zip(rows, found, strict=True)
        ]
    return say("incidents"), heads, rows


def _months(data: Mapping[str, Any], say: Words) -> list[Section]:
    """Of a quarter or a year: what each month came to, and what is promised for those to come."""
    heads, digits = [say(h) for h in ("month", "availability", "target", "down", "credit")], digits_of(data)
    rows = [
        [
            m["month"],
            percent(m["availability"], digits),
            percent(m["contract"]["target"], digits),
            minutes(m["down_minutes"], say),
            credit(m, say),
        ]
        for m in data.get("months", ())
    ]
    if rows:
        ahead = ((m["month"], m["contract"]["target"]) for m in data.get("months_to_come", ()))
        rows += ([month, "–", percent(target, digits), "–", "–"] for month, target in ahead)
    return [(say("months"), heads, rows)] if rows else []


def _exclusions(data: Mapping[str, Any], say: Words) -> Section:
    heads = ["start", "end", "approved_by", "reason"]
    rows = [
        [moment(data, e["start"]), moment(data, e["end"]), e["approved_by"], e["reason"]]
        for e in data["exclusions"]
    ]
    if any(e.get("category") for e in data["exclusions"]):
        heads.append("category")
        rows = [
            [*row, say.known(e.get("category") or "–")]
            for row, e in zip(rows, data["exclusions"], strict=True)
        ]
    return say("exclusions"), [say(h) for h in heads], rows


def _imported(data: Mapping[str, Any], say: Words) -> list[Section]:
    """Only where something was."""
    rows = [[moment(data, each["start"]), moment(data, each["end"])] for each in data.get("imported", ())]
    return [(say("imported"), [say("start"), say("end")], rows)] if rows else []


def _uncounted(data: Mapping[str, Any], say: Words) -> list[Section]:
    """Only where there are any; statements of earlier releases do not say."""
    fields = ("start", "end", "category", "lacks", "reason")
    rows = [
        [
            moment(data, e["start"]),
            moment(data, e["end"]),
            say.known(e["category"]),
            say.known(str(e["lacks"])),
            e["reason"],
        ]
        for e in data.get("uncounted_exclusions", ())
    ]
    return [(say("uncounted_exclusions"), [say(f) for f in fields], rows)] if rows else []


def _withdrawn(data: Mapping[str, Any], say: Words) -> list[Section]:
    """Only where there are any; statements of earlier releases do not say."""
    rows = [
        [moment(data, w["start"]), w["withdrawn_by"], moment(data, w["withdrawn_at"]), w["reason"]]
        for w in data.get("withdrawn", ())
    ]
    heads = [say(h) for h in ("start", "withdrawn_by", "withdrawn_at", "reason")]
    return [(say("withdrawn"), heads, rows)] if rows else []


def _days(data: Mapping[str, Any], say: Words) -> Section:
    words = ["eligible", "down", "gap", "maintenance"]
    if any(d.get("outside_minutes") for d in data["days"]):
        words.append("outside")
    rows, digits = [], digits_of(data)
    for d in data["days"]:
        times = [d.get(f"{word}_minutes") for word in words]
        shown = ["–" if value is None else minutes(value, say) for value in times]
        rows.append([d["date"], percent(d["availability"], digits), *shown])
    return say("per_day"), [say("day"), say("availability"), *(say(word) for word in words)], rows


_OF_A_DAY: Final = (
    "eligible_minutes",
    "down_minutes",
    "gap_minutes",
    "maintenance_minutes",
    "outside_minutes",
)
# What was there before comes first, so that who reads by position goes on.
_CSV: Final = (
    "tenant_id",
    "date",
    "availability_percent",
    "down_minutes",
    "gap_minutes",
    "maintenance_minutes",
    "digest",
    "eligible_minutes",
    "outside_minutes",
    "target_percent",
    "credit_tiers",
    "service_hours",
    "to_come_minutes",
)


def to_csv(data: Mapping[str, Any]) -> str:
    """One row per day, numbers unrounded: with the terms, so that every figure follows from this file alone.

    `credit_tiers` is `BELOW:CREDIT` in percent, parted by blanks; `service_hours` is empty where every hour
    counts. While the period is not over, the days to come have rows too, with what of them will be eligible in
    `to_come_minutes`. A spreadsheet must not take a name for a formula.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, _CSV, extrasaction="ignore", restval="")
    writer.writeheader()
    always = {"tenant_id": data["tenant_id"], "digest": data["digest"]}
    # A quarter's months may have been promised otherwise.
    told = (*data.get("months", ()), *data.get("months_to_come", ()))
    months = {m["month"]: _terms_in_csv(m["contract"]) for m in told}
    own = _terms_in_csv(data["contract"])
    for day in _with_days_to_come(data):
        availability = "" if day["availability"] is None else day["availability"]
        terms = months.get(day["date"][:7], own)
        writer.writerow({**day, **always, **terms, "availability_percent": availability})
    return out.getvalue()


def _with_days_to_come(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The days of the statement, each with what of it is yet to come, and those that have not begun."""
    found = [{"outside_minutes": 0.0, "to_come_minutes": 0.0, **day} for day in data["days"]]
    for day in data.get("days_to_come", ()):
        rest = {"date": day["date"], "to_come_minutes": day["eligible_minutes"]}
        if found and found[-1]["date"] == day["date"] and not found[-1]["to_come_minutes"]:
            found[-1].update(rest)
        else:
            found.append({"availability": None, **dict.fromkeys(_OF_A_DAY, 0.0), **rest})
    return found


def _terms_in_csv(contract: Mapping[str, Any]) -> dict[str, str]:
    tiers = (f"{number(t['below'])}:{number(t['credit_percent'])}" for t in contract.get("credit_tiers", ()))
    hours = contract.get("hours")
    return {
        "target_percent": number(contract["target"]),
        "credit_tiers": " ".join(tiers),
        "service_hours": "" if hours is None else words(stored(hours)),
    }


_STYLE: Final = """
body{font:15px/1.45 system-ui,"Noto Sans KR",sans-serif;margin:2.5rem auto;max-width:54rem;padding:0 1.2rem}
body{color:#1d2733}img.logo{float:right;max-height:3.5rem;max-width:14rem}
h1{font-size:1.55rem;margin-bottom:.1rem}h2{font-size:1.1rem;margin-top:2rem}p.state{color:#5a6775;margin-top:0}
p.verdict{font-size:1.15rem;padding:.7rem 1rem;border-left:5px solid #888;background:#f4f6f8}
p.met{border-color:#1b8a4b}p.breached{border-color:#c0392b}p.undetermined{border-color:#c98a00}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #e1e6eb}
th{font-weight:600;color:#44515e}td:not(:first-child){font-variant-numeric:tabular-nums}
svg.plot{width:100%;height:auto}p.legend{color:#44515e;font-size:.85rem}p.legend i{display:inline-block;width:.8em}
p.legend i{height:.8em;margin:0 .3em 0 1em}
footer{margin-top:2.5rem;color:#5a6775;font-size:.8rem;word-break:break-all}
"""


def to_html(data: Mapping[str, Any], look: Look | None = None) -> str:
    """A page that stands by itself. Everything that came from people is escaped. Raises UnusableLogo."""
    look = look or Look()
    say = Words(look.language)
    rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in facts(data, say))
    sections = "".join(_section(*table, say) for table in tables(data, say))
    heading, logo = escape(title(data, say)), ""
    if look.logo:
        logo = f'<img class="logo" alt="{escape(look.operator)}" src="{read_logo(look.logo).url}">'
    issuer = f"<p>{escape(say('issued_by', operator=look.operator))}</p>" if look.operator else ""
    return (
        f'<!doctype html><html lang="{look.language.value}"><head><meta charset="utf-8"><title>{heading}</title>'
        f"<style>{_STYLE}</style></head><body>{logo}<h1>{heading}</h1>"
        f'<p class="state">{escape(state_line(data, say))}</p>{issuer}'
        f'<p class="verdict {data["verdict"]}">{escape(verdict_sentence(data, say))}</p>'
        f"<table>{rows}</table>{_plot(data, say)}{sections}"
        f"<footer>{escape(say('digest'))}: {data['digest']}</footer></body></html>"
    )


def _plot(data: Mapping[str, Any], say: Words) -> str:
    """The days as columns; what each was is told where one points at it."""
    found = columns(data["days"], data["contract"]["maintenance_accounting"])
    if not any(column.parts for column in found):
        return ""
    wide = 720 / len(found)
    drawn = "".join(_column(column, n * wide, wide) for n, column in enumerate(found))
    legend = "".join(f'<i style="background:{COLOURS[k]}"></i>{escape(say(k))}' for k in kinds(found))
    name = escape(say("plot"))
    return (
        f'<h2>{name}</h2><svg class="plot" viewBox="0 0 720 90" role="img" aria-label="{name}">{drawn}</svg>'
        f'<p class="legend">{legend}</p>'
    )


def _column(column: Column, left: float, wide: float) -> str:
    told = f"<title>{escape(column.day)}: {percent(column.availability)}</title>"
    parts = "".join(
        f'<rect x="{left + wide * 0.08:.2f}" y="{90 * (1 - p.bottom - p.height):.2f}" width="{wide * 0.84:.2f}"'
        f' height="{90 * p.height:.2f}" fill="{COLOURS[p.kind]}"/>'
        for p in column.parts
    )
    return f"<g>{told}{parts}</g>"


def _section(heading: str, columns: list[str], rows: list[list[str]], say: Words) -> str:
    if not rows:
        return f"<h2>{escape(heading)}</h2><p>{escape(say('none'))}</p>"
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<h2>{escape(heading)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
