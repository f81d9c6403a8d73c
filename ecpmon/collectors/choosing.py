"""Whose answers count for a tenant: those that hold for all, or those of the profile it has at that instant. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ecpmon.collectors.profiles import names_of, parts_of
from ecpmon.collectors.questions import Answer, Points, Readings
from ecpmon.names import ERROR_RATE_METRIC, UP_METRIC
from ecpmon.ports.profiles import Chosen
from ecpmon.ports.quarantine import Culprit
from ecpmon.sla.evidence import series_key

# Tenants are not called so: which of several choices of a tenant an answer belongs to.
_CHOICE: Final = "#"
_EVIDENCE: Final = frozenset({UP_METRIC, ERROR_RATE_METRIC})
_UP: Final = series_key(UP_METRIC)


def owned(chosen: Sequence[Chosen]) -> list[Chosen]:
    """The same, each under a name of its own."""
    return [
        Chosen(f"{c.tenant_id}{_CHOICE}{place}", c.valid_from, c.valid_to, c.selection)
        for place, c in enumerate(chosen)
    ]


def tenant_of(owner: str) -> str:
    return owner.partition(_CHOICE)[0]


def whose(troubles: Mapping[Culprit, str]) -> dict[Culprit, str]:
    return {(tenant_of(owner), subject): why for (owner, subject), why in troubles.items()}


def readings_of(answers: Iterable[Answer], chosen: Sequence[Chosen]) -> Readings:
    """What counts, by tenant. `chosen` as it was given to `owned`."""
    by_tenant: dict[str, list[Chosen]] = defaultdict(list)
    for each in chosen:
        by_tenant[each.tenant_id].append(each)
    found: Readings = {}
    parts: dict[str, dict[str, Points]] = defaultdict(dict)
    for answer in answers:
        for (owner, key), points in answer.readings.items():
            tenant, of_choice, place = owner.partition(_CHOICE)
            if answer.part:
                parts[owner][answer.part] = points
                continue
            if of_choice:
                left = _valid(chosen[int(place)], points)
            else:
                left = _of_all(by_tenant.get(tenant, ()), key.metric_name, points)
            found.setdefault((tenant, key), {}).update(left)
    for owner, own in parts.items():
        tenant, _, place = owner.partition(_CHOICE)
        choice = chosen[int(place)]
        if choice.selection is not None:
            together = _together(own, parts_of(choice.selection))
            found.setdefault((tenant, _UP), {}).update(_valid(choice, together))
    return found


def _of_all(choices: Iterable[Chosen], metric: str, points: Points) -> Points:
    """Without what was measured while a profile said the same itself."""
    for choice in choices:
        if choice.selection is not None and metric in _EVIDENCE | names_of(choice.selection):
            inside = _valid(choice, points)
            points = {at: point for at, point in points.items() if at not in inside}
    return points


def _valid(choice: Chosen, points: Points) -> Points:
    """Those that were measured while the choice held."""
    begin = choice.valid_from.timestamp() if choice.valid_from else 0.0
    end = choice.valid_to.timestamp() if choice.valid_to else float("inf")
    return {at: point for at, point in points.items() if begin <= point[1] < end}


def _together(own: Mapping[str, Points], needed: frozenset[str]) -> Points:
    """Down when any part says so, up when all do; the newest of what says it tells when."""
    found: Points = {}
    for at in {at for points in own.values() for at in points}:
        said = [points[at] for points in own.values() if at in points]
        down = [taken for value, taken in said if value <= 0]
        if down:
            found[at] = 0.0, max(down)
        elif all(at in own.get(part, {}) for part in needed):
            found[at] = 1.0, max(taken for _, taken in said)
    return found
