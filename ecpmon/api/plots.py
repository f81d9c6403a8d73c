"""Plots as JSON: the begins of steps are written once for every series of a grid, values all at once.

Of several sources of one metric, the tenant's evidence source is shown, else the one that said something last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, cast

import orjson

from ecpmon.api.answers.monitoring import Point
from ecpmon.api.keys import plot_key
from ecpmon.ports.samples import Plot
from ecpmon.slices import in_slices
from ecpmon.wire import rfc3339

# Grids are asked for again and again, by every tenant; the largest has some 11,000 steps.
_GRIDS: Final = 16


class Shown:
    """Series of one source each, by the key that they are shown under.

    `metrics`: their points; `summary`: averages over samples, not over steps, and the highest samples.
    """

    __slots__ = ("_plots", "metrics", "summary")

    def __init__(self) -> None:
        self._plots: dict[str, Plot] = {}
        self.metrics: dict[str, list[Point]] = {}
        self.summary: dict[str, float] = {}

    def add(self, plot: Plot) -> None:
        self._put(plot_key(plot.metric_type, plot.metric_name), plot, points_of(plot))

    def take(self, key: str, of: Shown) -> None:
        """A series of another one, as it is."""
        self._put(key, of._plots[key], of.metrics[key])

    def _put(self, key: str, plot: Plot, points: list[Point]) -> None:
        self._plots[key] = plot
        self.metrics[key] = points
        self.summary[f"avg_{key}"] = plot.mean
        self.summary[f"max_{key}"] = plot.high

    def newest(self) -> list[tuple[str, int]]:
        """Keys, and the begin of the last step of each."""
        return [(key, plot.begins[-1]) for key, plot in self._plots.items()]


async def main_of(sources: Mapping[str, Shown], evidence: str) -> tuple[Shown, dict[str, str]]:
    """Of each metric one source's series, and whose that is. Of two that are as new, the first by name."""
    found: dict[str, tuple[int, str]] = {}
    for source in sorted(sources):
        async for key, at in in_slices(sources[source].newest()):
            known = found.get(key)
            if known is None or source == evidence or (known[1] != evidence and at > known[0]):
                found[key] = at, source
    main, said_by = Shown(), dict[str, str]()
    async for key in in_slices(sorted(found)):
        said_by[key] = found[key][1]
        main.take(key, sources[said_by[key]])
    return main, said_by


def points_of(plot: Plot) -> list[Point]:
    """Written already."""
    begins = plot.begins
    text = _grid(begins) if isinstance(begins, range) else _text(begins)
    # Finite numbers only are kept, so that a comma parts two of them.
    written = orjson.Fragment(text % tuple(orjson.dumps(plot.values)[1:-1].split(b",")))
    return cast("list[Point]", written)


@lru_cache(maxsize=_GRIDS)
def _grid(begins: range) -> bytes:
    return _text(begins)


def _text(begins: Sequence[int]) -> bytes:
    """All of it but the values, with a place for each."""
    points = (f'{{"timestamp":"{rfc3339(datetime.fromtimestamp(at, UTC))}","value":%b}}' for at in begins)
    return f"[{','.join(points)}]".encode()
