"""Whose a series is and what it is called here, from its labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ecpmon.agents.protobuf import Malformed, encoded_field, fields, span, text
from ecpmon.model.objectives import BOUND, created_of
from ecpmon.model.samples import SeriesKey, is_storable
from ecpmon.names import CANONICAL_METRICS

NAME_LABEL: Final = "__name__"
MAX_NAME: Final = 100
MOST_LABELS: Final = 100


class LeftOut(StrEnum):
    """Why a sample was not taken. Of `REFUSED` the sender is told, as somebody should do something about them."""

    NO_TENANT = "no_tenant"
    UNKNOWN_TENANT = "unknown_tenant"
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_RANGE = "out_of_range"
    STALE = "stale"
    EXEMPLAR = "exemplar"
    HISTOGRAM = "histogram"
    BAD_NAME = "bad_name"
    TOO_OLD = "too_old"
    IN_THE_FUTURE = "in_the_future"
    TOO_MANY_SERIES = "too_many_series"
    QUARANTINED = "quarantined"


REFUSED: Final = frozenset(
    {
        LeftOut.BAD_NAME,
        LeftOut.TOO_OLD,
        LeftOut.IN_THE_FUTURE,
        LeftOut.TOO_MANY_SERIES,
        LeftOut.QUARANTINED,
    }
)


@dataclass(frozen=True, slots=True)
class Named:
    """A series. `tenant` None: its labels name none; `key` None: it cannot be stored under that name."""

    tenant: str | None
    key: SeriesKey | None


def labels_in(data: bytes, at: int, end: int) -> list[tuple[str, str]]:
    """The labels of a block of label fields, as remote write 1.0 has them. Raises Malformed."""
    found = []
    for number, value in fields(data, at, end):
        if number != 1:
            raise Malformed("what stands between labels is none")
        name = told = ""
        for part, content in fields(data, *span(value)):
            if part == 1:
                name = text(data, content)
            elif part == 2:
                told = text(data, content)
        found.append((name, told))
    return found


def block_of(labels: Iterable[tuple[str, str]]) -> bytes:
    """Labels as such a block."""
    return b"".join(encoded_label(name.encode(), value.encode()) for name, value in labels)


def block_in(refs: Sequence[int], symbols: Sequence[bytes]) -> bytes:
    """References to symbols in pairs (remote write 2.0), as the labels that 1.0 would write. Raises Malformed."""
    if len(refs) % 2 or (refs and max(refs) >= len(symbols)):
        raise Malformed("labels refer to symbols that are not there")
    pairs = iter(refs)
    return b"".join(
        encoded_label(symbols[name], symbols[value]) for name, value in zip(pairs, pairs, strict=True)
    )


def encoded_label(name: bytes, value: bytes) -> bytes:
    return encoded_field(1, encoded_field(1, name) + encoded_field(2, value))


def named(labels: Iterable[tuple[str, str]], tenant_label: str) -> Named:
    """What a series with these labels is. A label that stands twice, or has no name, makes it none.

    Empty values are as labels that are not there. The metric names of the API mean the same here: `cpu` is `cpu_usage`.
    """
    given = [(name, value) for name, value in labels if value]
    found = dict(given)
    tenant = found.pop(tenant_label, None)
    return Named(tenant, _key(found, len(given) - (tenant is not None)))


def _key(labels: dict[str, str], count: int) -> SeriesKey | None:
    if len(labels) != count or count > MOST_LABELS or "" in labels:
        return None
    name = labels.pop(NAME_LABEL, "")
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        return None
    key = SeriesKey(*CANONICAL_METRICS.get(name, ("custom", name)), tuple(sorted(labels.items())))
    return key if is_storable(key) else None


def with_label(key: SeriesKey, suffix: str, label: tuple[str, str] | None = None) -> SeriesKey | None:
    """A series that is made of another: `requests` becomes `requests_bucket` with `le`. None: its name is too long."""
    labels: Mapping[str, str] = dict(key.labels) | (dict([label]) if label else {})
    return _key({**labels, NAME_LABEL: key.metric_name + suffix}, len(labels) + 1)


def began_by(key: SeriesKey) -> SeriesKey | None:
    """The series that says when this one began; all buckets of a histogram have one. None: its name is too long."""
    labels = {name: text for name, text in key.labels if name != BOUND}
    return _key({**labels, NAME_LABEL: created_of(key.metric_name)}, len(labels) + 1)
