"""Metrics of OTLP put to what a request brings. A generator of steps, each a millisecond or so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ecpmon.agents.arriving import Arriving
from ecpmon.agents.closely import Sample, Series
from ecpmon.agents.otlp import TENANT_ATTRIBUTE, Metric, Point, Temporality
from ecpmon.agents.series import NAME_LABEL, LeftOut, block_of
from ecpmon.agents.totals import FRONT, Added, Adding
from ecpmon.model.objectives import COUNT

AT_ONCE: Final = 50


def take_metrics(metrics: Iterable[Metric], arriving: Arriving, adding: Adding, front: int) -> Iterator[None]:
    """`front`: the number of this process. Raises Malformed."""
    count = 0
    for metric in metrics:
        delta = metric.temporality == Temporality.DELTA
        for point in metric.points:
            arriving.left_out[LeftOut.EXEMPLAR] += point.exemplars
            block = _block(metric.name, point, arriving.tenant_label, front if delta else None)
            if delta and not point.ended:
                _add_delta(block, point, arriving, adding)
            else:
                arriving.add(_series(block, point, point.began if metric.counts else 0))
            count += 1
            if not count % AT_ONCE:
                yield


def _block(name: str, point: Point, tenant_label: str, front: int | None) -> bytes:
    """Its labels, by which the series is known. A summary is told by its count alone."""
    labels = dict(point.labels)
    if (tenant := labels.pop(TENANT_ATTRIBUTE, "")) and tenant_label not in labels:
        labels[tenant_label] = tenant
    if front is not None:
        labels[FRONT] = str(front)
    told = point.value is not None or point.is_histogram or point.ended
    labels[NAME_LABEL] = name if told else name + COUNT
    return block_of(sorted(labels.items()))


def _series(block: bytes, point: Point, began: int = 0) -> Series:
    if point.ended:
        return Series(block, [Sample(point.ms, 0.0, stale=True)])
    if point.is_histogram:
        histogram = point.histogram()
        histogram.began = began
        return Series(block, histograms=[histogram])
    value = point.count if point.value is None else point.value
    return Series(block, [Sample(point.ms, value, began=began)])


def _add_delta(block: bytes, point: Point, arriving: Arriving, adding: Adding) -> None:
    if point.scale is not None:  # buckets of which each delta has others
        arriving.add(Series(block, histograms=[]))
        arriving.left_out[LeftOut.HISTOGRAM] += 1
        return
    values = (
        (point.count, *point.counts)
        if point.is_histogram
        else (point.count if point.value is None else point.value,)
    )
    made = adding.add((arriving.whose, block), point.start, point.time, values)
    if made is None:
        return  # it was sent again
    for told in _told(point, made):
        arriving.add(_series(block, told))


def _told(point: Point, made: Added) -> list[Point]:
    """The total, and before it the zero that it began with."""
    told = [(point.time, made.values)]
    if made.zero_at is not None:
        told.insert(0, (made.zero_at * 1_000_000, (0.0,) * len(made.values)))
    if not point.is_histogram:
        return [Point(time=at, value=values[0]) for at, values in told]
    return [Point(time=at, count=values[0], counts=[*values[1:]], bounds=point.bounds) for at, values in told]
