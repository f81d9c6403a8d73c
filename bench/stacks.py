"""Sampled stacks, in lines of `outermost;…;innermost count`, and what they say. Pure.

A frame is `function (path)`. Two things are told: who does the work (`parts`: the library or the folder of ours that
the innermost frame is of), and under which functions of ours or of libraries it is done (`under`, each with all that it
calls).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_LINE: Final = re.compile(r":\d+\)$")
_INSTALLED: Final = re.compile(r"(?:site|dist)-packages/([\w-]+)")
_OURS: Final = re.compile(r".*\b(ecpmon(?:/\w+(?=/))?)/")
# What is around everything says nothing.
_MOST: Final = 0.9


@dataclass(frozen=True, slots=True)
class Summary:
    """Shares of all samples, the largest first."""

    samples: int
    parts: Mapping[str, float]
    under: Mapping[str, float]


def summary(lines: Iterable[str]) -> Summary:
    parts, under, samples = Counter[str](), Counter[str](), 0
    for line in lines:
        stack, _, count = line.strip().rpartition(" ")
        frames = [_LINE.sub(")", frame) for frame in stack.split(";") if frame]
        if not frames:
            continue
        samples += int(count)
        parts[_part_of(frames[-1])] += int(count)
        # A function that calls itself is there once.
        for frame in {_named(frame) for frame in frames}:
            under[frame] += int(count)
    return Summary(samples, _shares(parts, samples), _shares(under, samples))


def _shares(counts: Counter[str], samples: int) -> dict[str, float]:
    return {what: count / samples for what, count in counts.most_common()}


def _part_of(frame: str) -> str:
    path = frame.partition(" (")[2].rstrip(")")
    if (installed := _INSTALLED.search(path)) and installed[1] != "ecpmon":
        return installed[1]
    ours = _OURS.search(path)
    return ours[1] if ours else "Python's own"


def _named(frame: str) -> str:
    name, _, path = frame.partition(" (")
    return f"{name}, {'/'.join(path.rstrip(')').split('/')[-2:])}"


def table(title: str, now: Mapping[str, float], before: Mapping[str, float] | None, rows: int) -> list[str]:
    """The largest shares in per cent; of an earlier commit beside them."""
    told = [what for what, share in now.items() if share <= _MOST]
    if before is not None:
        told = sorted({*told, *(w for w, share in before.items() if share <= _MOST)},
                      key=lambda w: -max(now.get(w, 0), before.get(w, 0)))  # fmt: skip
    columns: Sequence[Mapping[str, float]] = [now] if before is None else [before, now]
    heads = ["now"] if before is None else ["before", "now"]
    lines = [f"| {title} | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    return [
        *lines,
        *(f"| `{w}` | {' | '.join(f'{c.get(w, 0):.0%}' for c in columns)} |" for w in told[:rows]),
    ]
