"""Which series that agents send are evidence of a tenant, by its evidence profile (docs/remote-write.md). Pure.

A profile names labels. `up` of targets with these, and `probe_success` of its probe, become the `up` of a component
each: an instance speaks for itself, and what several of them say together is for `sla.voices`: down when any is, and
while one of them is silent nobody knows. So a profile by which any instance is enough is none for series that are sent,
unless it names the one instance: no sender tells of all of them at one instant.

Staleness markers. A sender writes one of each series of a scrape that failed, and of each of a target that is there no
more; of `up`, which it writes itself, only of the latter. So by a marker `up` is over, and a probe with the `up` of its
target. Any other voice is silent by its marker: it was not heard, and is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ecpmon.model.samples import COMPONENT_LABEL, SeriesKey
from ecpmon.names import ERROR_RATE_METRIC, OVER, SILENT, UP_METRIC
from ecpmon.ports.profiles import Chosen, Selection
from ecpmon.sla.evidence import series_key

INSTANCE: Final = "instance"
_PROBED: Final = "probe_success"
# How many samples the scrape had: no target can replace it.
_SCRAPED: Final = "scrape_samples_scraped"
_UP: Final = series_key(UP_METRIC)
Labels = tuple[tuple[str, str], ...]


def end_of(key: SeriesKey) -> SeriesKey | None:
    """The series that says that this one ended, if it is evidence by itself."""
    if key.metric_name not in (UP_METRIC, ERROR_RATE_METRIC) or key.component is None:
        return None
    return _ended(key, OVER if key.metric_name == UP_METRIC else SILENT)


def may_end(key: SeriesKey) -> bool:
    """Whether its end may matter to a profile."""
    return key.metric_name in (UP_METRIC, _PROBED)


def _ended(key: SeriesKey, how: str) -> SeriesKey:
    return SeriesKey("custom", key.metric_name + how, key.labels)


def is_evidence(selection: Selection) -> bool:
    """Whether series that are sent can be evidence by it."""
    return selection.instances == "all" or INSTANCE in selection.match


@dataclass(frozen=True, slots=True)
class Choice:
    """Milliseconds since 1970: from `begin` to before `end`."""

    begin: float
    end: float
    match: frozenset[tuple[str, str]]
    probe: frozenset[tuple[str, str]] | None

    def said(self, keys: Sequence[SeriesKey], values: Sequence[float]) -> Iterable[tuple[SeriesKey, float]]:
        """What samples of one instant say of the tenant, as `up` of its components."""
        scraped: dict[Labels, float] | None = None
        for key, value in zip(keys, values, strict=True):
            if key.metric_name == UP_METRIC and self.match.issubset(key.labels):
                if scraped is None:
                    scraped = {
                        k.labels: v for k, v in zip(keys, values, strict=True) if k.metric_name == _SCRAPED
                    }
                # A target past its `sample_limit` was reached, and what it sends is not taken: nobody knows.
                if value > 0 or scraped.get(key.labels, 0) == 0:
                    yield _voice(key, ""), float(value > 0)
            elif self.probe is not None and key.metric_name == _PROBED and self.probe.issubset(key.labels):
                yield _voice(key, "probe "), float(value > 0)

    def ended(self, key: SeriesKey) -> list[SeriesKey]:
        """What is told by the end of a series of which `may_end` says so."""
        over, told = key.metric_name == UP_METRIC, []
        if over and self.match.issubset(key.labels):
            told.append(_ended(_voice(key, ""), OVER))
        if self.probe is not None and self.probe.issubset(key.labels):
            told.append(_ended(_voice(key, "probe "), OVER if over else SILENT))
        return told


def _voice(key: SeriesKey, kind: str) -> SeriesKey:
    name = kind + dict(key.labels).get(INSTANCE, "")
    return SeriesKey(_UP.metric_type, _UP.metric_name, ((COMPONENT_LABEL, name),)) if name.strip() else _UP


def choices_of(chosen: Iterable[Chosen]) -> Mapping[str, Sequence[Choice]]:
    """By tenant, those that are evidence."""
    found: dict[str, list[Choice]] = {}
    for each in chosen:
        selection = each.selection
        if selection is None or not is_evidence(selection):
            continue
        found.setdefault(each.tenant_id, []).append(
            Choice(
                _milliseconds(each.valid_from, 0.0),
                _milliseconds(each.valid_to, float("inf")),
                frozenset(selection.match.items()),
                frozenset(selection.probe.items()) if selection.probe else None,
            )
        )
    return found


def _milliseconds(at: datetime | None, instead: float) -> float:
    return instead if at is None else at.timestamp() * 1000
