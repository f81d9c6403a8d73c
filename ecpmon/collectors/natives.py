"""Native histograms as the API of Prometheus tells them, read as classic ones: a count, and what is within. Pure.

The API tells only buckets that hold something, and no schema. An exponential schema `s` has the bounds
`2 ** (k / 2 ** s)`, so from 1 on it follows from any of its buckets; buckets of whole octaves may be custom ones
(schema -53) as well, of which only the ends of those that hold something are known. Powers of two are bounds of every
schema from 0 on, also when a server makes its buckets coarser.

Invariant: a count is told of a bound that is one, and of no other: nothing is interpolated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

# Without others named: from 8 ms to two minutes for what counts in seconds. Powers of two.
POWERS: Final = tuple(2.0**k for k in range(-7, 8))
_FINEST, _COARSEST = 8, -4
_LARGE: Final = 1e300
_EXACT: Final = 1e-9
# Bounds that a reason names.
_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Bucket:
    """Observations from `lower` to `upper`, which is among them unless they are negative."""

    lower: float
    upper: float
    count: float


@dataclass(frozen=True, slots=True)
class Native:
    """One sample. `count` has observations that are no number too, which are in no bucket."""

    count: float
    buckets: tuple[Bucket, ...]

    def within(self, bound: float) -> float | None:
        """Observations of at most `bound`; None where that lies inside a bucket that holds some."""
        total = 0.0
        for bucket in self.buckets:
            if bucket.upper <= bound or math.isclose(bucket.upper, bound, rel_tol=_EXACT):
                total += bucket.count
            elif bucket.lower < bound and not math.isclose(bucket.lower, bound, rel_tol=_EXACT):
                return None
        return total


def natives_of(series: Mapping[str, Any]) -> list[tuple[float, Native]]:
    """The native histograms of a series, by their instants. Raises ValueError for what is none."""
    try:
        return [(float(at), _native(told)) for at, told in series.get("histograms", ())]
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError("Prometheus sent a histogram that is none") from error


def _native(told: Mapping[str, Any]) -> Native:
    buckets = tuple(
        Bucket(float(lower), float(upper), float(count))
        for _, lower, upper, count in told.get("buckets") or ()
    )
    return Native(float(told["count"]), buckets)


def schema_of(natives: Iterable[Native]) -> int | None:
    """The coarsest exponential schema that they are of; None: they have buckets of their own.

    0 where buckets of whole octaves, or none, do not say which, and -1 where they are of several.
    """
    told = []
    for native in natives:
        for bucket in native.buckets:
            # An exponential schema reaches as far as numbers do.
            if bucket.lower == -math.inf or (bucket.upper == math.inf and bucket.lower < _LARGE):
                return None
            if not 0 < bucket.lower < bucket.upper < math.inf:
                continue  # around zero, below it, or without end
            own = _schema(bucket)
            if own is None:
                return None
            told.append(own)
    return min(told, default=0)


def _schema(bucket: Bucket) -> int | None:
    octaves = math.log2(bucket.upper) - math.log2(bucket.lower)
    if octaves <= 0:
        return None
    schema = round(-math.log2(octaves))
    place = math.log2(bucket.upper) * 2.0**schema
    exact = math.isclose(octaves, 2.0**-schema, rel_tol=1e-6) and abs(place - round(place)) < 1e-6
    return max(schema, -1) if _COARSEST <= schema <= _FINEST and exact else None


def nearest(bound: float, natives: Sequence[Native]) -> tuple[float, ...]:
    """The bounds next to a positive `bound` that is none; nothing when it is one, or nobody can say."""
    schema = schema_of(natives)
    if schema is not None and schema > 0:
        place = math.log2(bound) * 2.0**schema
        if abs(place - round(place)) < 1e-6:
            return ()
        return tuple(2.0 ** (k / 2.0**schema) for k in (math.floor(place), math.ceil(place)))
    for native in natives:
        for bucket in native.buckets:
            if bucket.upper > bound > bucket.lower and native.within(bound) is None:
                return tuple(end for end in (bucket.lower, bucket.upper) if math.isfinite(end))
    return ()


def ends_of(natives: Iterable[Native]) -> list[float]:
    """The positive bounds that are known of custom buckets."""
    ends = {end for native in natives for b in native.buckets for end in (b.lower, b.upper)}
    return sorted(end for end in ends if 0 < end < math.inf)[:_MOST_NAMED]


def written(bound: float) -> str:
    """As the label `le` has it."""
    short = f"{bound:g}"
    return short if float(short) == bound else repr(bound)


def classic(
    natives: Sequence[tuple[float, Native]], bounds: Sequence[float]
) -> tuple[dict[str | None, list[tuple[float, float]]], str | None]:
    """By `le`, how many observations are within; None: all. Each with its instant. And what is wrong, if anything is.

    `bounds` empty: powers of two, which custom buckets need not have: theirs have to be named.
    """
    every = [native for _, native in natives]
    found: dict[str | None, list[tuple[float, float]]] = {None: [(at, n.count) for at, n in natives]}
    schema = schema_of(every)
    if not bounds and schema is None:
        known = ends_of(every)
        return (
            found,
            f"a native histogram with buckets of its own: name its `bounds`; known are {_named(known)}",
        )
    # Of buckets of several octaves not all powers of two are bounds.
    wanted = bounds or [bound for bound in POWERS if not nearest(bound, every)]
    why = None
    for bound in wanted:
        if near := nearest(bound, every):
            why = f"{bound:g} is no bound of the native histogram; the nearest are {_named(near)}"
            continue
        told = [(at, within) for at, native in natives if (within := native.within(bound)) is not None]
        found[written(bound)] = told
    return found, why


def _named(bounds: Iterable[float]) -> str:
    return " and ".join(written(bound) for bound in bounds)
