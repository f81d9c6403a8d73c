"""The statement of a quarter or a year: what the statements of its months say, together. Pure.

It is made of their documents (`sla.statement_document.document`), so that it says nothing that they do not. Each
month keeps the contract that it was made under: budgets are added up, and whether the target was met is judged by
what the months together allow, those to come of a period that is not over included. Contracts pay by the month, so
credits are listed and added up in percent of one month's fee.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ecpmon.model.windows import Verdict
from ecpmon.sla.budgets import allowed
from ecpmon.sla.parts import shared_target
from ecpmon.sla.statement_document import DIGITS

Document = Mapping[str, Any]
# Of the documents, and added up.
_MINUTES: Final = (
    "eligible_minutes",
    "down_minutes",
    "gap_minutes",
    "maintenance_minutes",
    "outside_minutes",
)
_OF_A_MONTH: Final = (
    "month", "state", "revision", "contract", "availability", "bounds", "coverage", "verdict", *_MINUTES,
    "to_come_minutes", "error_budget", "failure_count", "recovery_time_avg", "credit_percent", "credit_bounds",
    "digest",
)  # fmt: skip


def digest_of(tenant_id: str, name: str, digests: Iterable[tuple[str, str]]) -> str:
    """What tells that a statement of `name` is made of months (name, digest) that have not changed since."""
    inputs = {"months": [list(each) for each in digests], "period": name, "tenant": tenant_id}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def combined(
    name: str, months: Sequence[Document], end: str, *, ahead: Sequence[Document] = (), final: bool = True
) -> dict[str, Any]:
    """The document of the period `name`, which ends at `end`, from those of its months, in order, at least one.

    `ahead`: those that have not begun (`sla.statement_document.coming_document`). `final`: it is over, and so are they.
    """
    totals = {key: sum(m.get(key, 0.0) for m in months) for key in _MINUTES if any(key in m for m in months)}
    judged = _Judged(months, ahead)
    last, outages = months[-1], _outages(months)
    ended = [minutes for i in outages if (minutes := _recovery(i)) is not None]
    consumed = sum(m["error_budget"]["consumed_minutes"] for m in months)
    return {
        "tenant_id": last["tenant_id"],
        "name": last["name"],
        "month": None,
        "of": name,
        "state": "final" if final else "preliminary",
        "period": {"start": months[0]["period"]["start"], "end": end},
        "deleted_at": last.get("deleted_at"),
        "contract": _contract(months, ahead, judged.target),
        "availability": judged.availability,
        "availability_other_accounting": judged.other_availability,
        "bounds": {"low": judged.low, "high": judged.high},
        "coverage": judged.coverage,
        "verdict": judged.verdict.value,
        # Of one month's fee: a quarter may come to more than all of it.
        "credit_percent": _sum(m["credit_percent"] for m in months),
        "credit_bounds": {
            side: _sum(m.get("credit_bounds", {}).get(side, m["credit_percent"]) for m in months)
            for side in ("low", "high")
        },
        "credit_of": "one month's fee, added up over the months",
        **totals,
        **_to_come(months, ahead),
        "error_budget": {
            "total_minutes": judged.budget_minutes,
            "consumed_minutes": consumed,
            "remaining_minutes": round(judged.budget_minutes - consumed, 9),
        },
        "failure_count": len(outages),
        "recovery_time_avg": 60 * sum(ended) / len(ended) if ended else None,
        "flap_limit_seconds": last.get("flap_limit_seconds"),
        "months": [{key: m[key] for key in _OF_A_MONTH if key in m} for m in months],
        "days": [day for m in months for day in m["days"]],
        "incidents": outages,
        "gaps": _continued(months, "gaps"),
        "exclusions": _continued(months, "exclusions"),
        "exclusion_minutes": _by_category(months),
        "uncounted_exclusions": _continued(months, "uncounted_exclusions"),
        "withdrawn": _once(w for m in months for w in m.get("withdrawn", ())),
        "digest": digest_of(last["tenant_id"], name, ((m["month"], m["digest"]) for m in months)),
    }


def _micros(minutes: float) -> int:
    return round(minutes * 60e6)


class _Judged:
    """The figures that are not just added up. Times in whole microseconds, percentages 0–100."""

    def __init__(self, months: Sequence[Document], ahead: Sequence[Document]) -> None:
        self.eligible = sum(_micros(m["eligible_minutes"]) for m in months)
        down, gap = (sum(_micros(m[key]) for m in months) for key in ("down_minutes", "gap_minutes"))
        self._worst, self._best = _total(months, "low"), _total(months, "high")
        # What the contract of each month allows of the time that there was, and will be.
        targets = [_target(m) for m in (*months, *ahead)]
        times = [_whole(m) for m in (*months, *ahead)]
        budget = sum(allowed(target) * time for target, time in zip(targets, times, strict=True))
        self._budget = round(budget)
        self.budget_minutes = sum(map(_budget, (*months, *ahead))) if self.eligible else 0.0
        present = months[-1]["contract"]["target"]
        mixed = shared_target(targets, times, _target(months[-1]))
        self.target: float = present if mixed == _target(months[-1]) else 100 * mixed
        self.availability = _percent(self.eligible - gap - down, self.eligible - gap)
        self.coverage = _percent(self.eligible - gap, self.eligible)
        self.low, self.high = _percent(self._worst, self.eligible), _percent(self._best, self.eligible)
        other = sum(map(_other_eligible, months))
        self.other_availability = _percent(other - gap - down, other - gap)

    @property
    def verdict(self) -> Verdict:
        if not self.eligible:
            return Verdict.UNDETERMINED
        if self.eligible - self._worst <= self._budget:
            return Verdict.MET
        return Verdict.BREACHED if self.eligible - self._best > self._budget else Verdict.UNDETERMINED


def _target(month: Document) -> float:
    percent: float = month["contract"]["target"]
    return round(percent / 100, 12)


def _whole(month: Document) -> int:
    """What of a month is eligible, and will be: while it is not over it has its whole budget already."""
    return _micros(month.get("eligible_minutes", 0.0)) + _micros(month.get("to_come_minutes", 0.0))


def _budget(month: Document) -> float:
    """Minutes, of a month of which nothing was eligible yet as well."""
    told: float = month["error_budget"]["total_minutes"]
    rest: float = month.get("to_come_minutes", 0.0)
    return told if told else allowed(_target(month)) * rest


def _to_come(months: Sequence[Document], ahead: Sequence[Document]) -> dict[str, Any]:
    """What will yet be eligible; nothing of a period that is over, or that nobody knew so of."""
    days = [day for m in (*months, *ahead) for day in m.get("days_to_come", ())]
    if not days:
        return {}
    return {
        "to_come_minutes": sum(m.get("to_come_minutes", 0.0) for m in (*months, *ahead)),
        "days_to_come": days,
        "months_to_come": [{k: v for k, v in m.items() if k != "days_to_come"} for m in ahead],
    }


def _total(months: Sequence[Document], side: str) -> int:
    """The time that was up if everything nobody measured was down (`low`), and up (`high`)."""
    return sum(round((m["bounds"][side] or 0.0) / 100 * _micros(m["eligible_minutes"])) for m in months)


def _other_eligible(month: Document) -> int:
    """Eligible time by the accounting that the month's contract did not pick."""
    planned = _micros(month["maintenance_minutes"])
    excluded = month["contract"]["maintenance_accounting"] == "exclude"
    return _micros(month["eligible_minutes"]) + (planned if excluded else -planned)


def _percent(part: int, whole: int) -> float | None:
    return 100 * (part / whole) if whole > 0 else None


def _sum(values: Iterable[float | None]) -> float | None:
    """Of percentages that people wrote: without the digits that floats add."""
    known = [v for v in values if v is not None]
    return round(sum(known), DIGITS) if known else None


def _contract(months: Sequence[Document], ahead: Sequence[Document], target: float) -> dict[str, Any]:
    """The last month's that has begun, with the target by which the whole is judged; `versions`: all of them, each with
    its months."""
    versions: list[dict[str, Any]] = []
    for m in (*months, *ahead):
        # When the first month of a version began is not what it says.
        said = {key: value for key, value in m["contract"].items() if key != "begins"}
        if versions and versions[-1]["contract"] == said:
            versions[-1]["months"].append(m["month"])
        else:
            versions.append({"months": [m["month"]], "contract": said})
    return {**months[-1]["contract"], "target": target, "versions": versions}


def _recovery(incident: Document) -> float | None:
    """Minutes of down time of an incident that is over; statements of earlier releases say only what it cost."""
    found: float | None = incident.get("recovery_minutes", incident["down_minutes"])
    return found


def _outages(months: Sequence[Document]) -> list[dict[str, Any]]:
    """Each once, with what counts of it in all months: one that crosses is in both with its own begin."""
    found: dict[str, dict[str, Any]] = {}
    for incident in (i for m in months for i in m["incidents"]):
        before = found.get(incident["start"])
        if before is None:
            found[incident["start"]] = dict(incident)
            continue
        # A statement of an earlier release cut it, and says no more.
        counted = {
            "start": before.get("counted", before)["start"],
            "end": incident.get("counted", incident)["end"],
        }
        down = before["down_minutes"] + incident["down_minutes"]
        found[incident["start"]] = {**incident, "counted": counted, "down_minutes": down}
    return list(found.values())


def _by_category(months: Sequence[Document]) -> dict[str, float]:
    """Minutes left out by category; months of earlier releases left out nothing but maintenance."""
    found: Counter[str] = Counter()
    for m in months:
        found.update(m.get("exclusion_minutes", {"maintenance": m["maintenance_minutes"]}))
    return {category: minutes for category, minutes in found.items() if minutes}


def _continued(months: Sequence[Document], key: str) -> list[dict[str, Any]]:
    """Gaps or exclusions; what the end of a month cuts is one again."""
    found: list[dict[str, Any]] = []
    for m in months:
        for entry in m.get(key, ()):
            if entry["start"] == m["period"]["start"] and (before := _that_ends(found, entry)):
                before["end"] = entry["end"]
                if "minutes" in before:
                    before["minutes"] += entry["minutes"]
            else:
                found.append(dict(entry))
    return found


def _that_ends(found: list[dict[str, Any]], entry: Document) -> dict[str, Any] | None:
    """What ends where `entry` begins, and is the same otherwise."""
    same = {key: value for key, value in entry.items() if key not in ("start", "end", "minutes")}
    return next(
        (o for o in reversed(found) if o["end"] == entry["start"] and same.items() <= o.items()), None
    )


def _once(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for entry in entries:
        if entry not in found:
            found.append(entry)
    return found
