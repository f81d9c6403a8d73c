"""A statement as CSV and HTML. Pure; `data` is what `sla.statements.document` gives."""

from __future__ import annotations

import csv
import io
import math
from html import escape
from typing import Any, Final

_VERDICTS: Final = {
    "met": "The SLA was met.",
    "breached": "The SLA was not met.",
    "undetermined": "Not determined: the answer depends on time that nobody measured.",
}

_BLIND: Final = {
    "target_failed": "the target did not answer",
    "collector_down": "the monitor was not there",
    "not_pushed": "nothing was sent",
}


def percent(value: float | None, digits: int = 3) -> str:
    """Cut, never rounded up: 99.9996 is not shown as 100."""
    if value is None:
        return "–"
    if value >= 100:
        return "100 %"
    scale = 10**digits
    return f"{math.floor(value * scale + 1e-9) / scale:.{digits}f} %"


def minutes(value: float) -> str:
    return f"{value:,.1f} min"


def verdict_sentence(data: dict[str, Any]) -> str:
    return _VERDICTS[data["verdict"]]


def title(data: dict[str, Any]) -> str:
    return f"SLA statement {data.get('of') or data['month']} – {data['name']}"


def state_line(data: dict[str, Any]) -> str:
    if data["state"] == "preliminary":
        return "Preliminary: this month is not closed yet."
    line = f"Revision {data['revision']}, closed {data['closed_at']}."
    return f"{line} Restates the revision before it." if data.get("restates") else line


def facts(data: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures on the first page, as label and text."""
    bounds, budget, contract = data["bounds"], data["error_budget"], data["contract"]
    return [
        ("Availability", percent(data["availability"])),
        ("Target", percent(contract["target"])),
        ("If every unmeasured minute was down / up", f"{percent(bounds['low'])} / {percent(bounds['high'])}"),
        ("Measured", percent(data["coverage"])),
        ("Down", minutes(data["down_minutes"])),
        ("Not measured", minutes(data["gap_minutes"])),
        ("Maintenance", minutes(data["maintenance_minutes"])),
        (
            "Error budget left",
            f"{minutes(budget['remaining_minutes'])} of {minutes(budget['total_minutes'])}",
        ),
        ("Incidents", str(data["failure_count"])),
        ("Credit", _credit(data)),
        (
            "Contract",
            f"{contract['version']}, maintenance {contract['maintenance_accounting']}, {contract['time_zone']}",
        ),
    ]


def _withdrawn(data: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Only where there are any; statements of earlier releases do not say."""
    rows = [
        [w["start"], w["withdrawn_by"], w["withdrawn_at"], w["reason"]] for w in data.get("withdrawn", ())
    ]
    return [("Withdrawn exclusions", ["Start", "Withdrawn by", "Withdrawn", "Reason"], rows)] if rows else []


def _credit(data: dict[str, Any]) -> str:
    """With the range, where time that nobody measured decides; statements of earlier releases have none."""
    measured, bounds = data["credit_percent"], data.get("credit_bounds")
    if measured is None:
        return "–"
    told = f"{measured:g} % of the monthly fee"
    if bounds is None or bounds["low"] == bounds["high"]:
        return told
    return f"{told}, by the measured time; {bounds['low']:g} – {bounds['high']:g} % by what the rest was"


def tables(data: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """(heading, columns, rows) of the evidence."""
    return [
        (
            "Incidents",
            ["Start", "End", "Down"],
            [[i["start"], i["end"] or "–", minutes(i["down_minutes"])] for i in data["incidents"]],
        ),
        (
            "Exclusions",
            ["Start", "End", "Approved by", "Reason"],
            [[e["start"], e["end"], e["approved_by"], e["reason"]] for e in data["exclusions"]],
        ),
        (
            "Time nobody measured",
            ["Start", "End", "Length", "Who was blind"],
            [
                [g["start"], g["end"], minutes(g["minutes"]), _BLIND.get(g["reason"], g["reason"])]
                for g in data["gaps"]
            ],
        ),
        *_withdrawn(data),
        (
            "Per day",
            ["Day", "Availability", "Down", "Not measured", "Maintenance"],
            [
                [
                    d["date"], percent(d["availability"]), minutes(d["down_minutes"]), minutes(d["gap_minutes"]),
                    minutes(d["maintenance_minutes"]),
                ]
                for d in data["days"]
            ],
        ),
    ]  # fmt: skip


def to_csv(data: dict[str, Any]) -> str:
    """One row per day, numbers unrounded; a spreadsheet must not take a name for a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        [
            "tenant_id",
            "date",
            "availability_percent",
            "down_minutes",
            "gap_minutes",
            "maintenance_minutes",
            "digest",
        ]
    )
    for day in data["days"]:
        writer.writerow(
            [
                data["tenant_id"], day["date"], "" if day["availability"] is None else day["availability"],
                day["down_minutes"], day["gap_minutes"], day["maintenance_minutes"], data["digest"],
            ]
        )  # fmt: skip
    return out.getvalue()


_STYLE: Final = """
body{font:15px/1.45 system-ui,"Noto Sans KR",sans-serif;margin:2.5rem auto;max-width:54rem;padding:0 1.2rem}
body{color:#1d2733}
h1{font-size:1.55rem;margin-bottom:.1rem}h2{font-size:1.1rem;margin-top:2rem}p.state{color:#5a6775;margin-top:0}
p.verdict{font-size:1.15rem;padding:.7rem 1rem;border-left:5px solid #888;background:#f4f6f8}
p.met{border-color:#1b8a4b}p.breached{border-color:#c0392b}p.undetermined{border-color:#c98a00}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #e1e6eb}
th{font-weight:600;color:#44515e}td:not(:first-child){font-variant-numeric:tabular-nums}
footer{margin-top:2.5rem;color:#5a6775;font-size:.8rem;word-break:break-all}
"""


def to_html(data: dict[str, Any]) -> str:
    """A page that stands by itself. Everything that came from people is escaped."""
    rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in facts(data))
    sections = "".join(_section(*table) for table in tables(data))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title(data))}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title(data))}</h1>"
        f'<p class="state">{escape(state_line(data))}</p>'
        f'<p class="verdict {data["verdict"]}">{escape(verdict_sentence(data))}</p>'
        f"<table>{rows}</table>{sections}"
        f"<footer>Digest of the inputs (SHA-256): {data['digest']}</footer></body></html>"
    )


def _section(heading: str, columns: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return f"<h2>{escape(heading)}</h2><p>None.</p>"
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<h2>{escape(heading)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
