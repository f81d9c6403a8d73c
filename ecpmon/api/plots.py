"""Plots as JSON: the begins of steps are written once for every series of a grid, values all at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import orjson

from ecpmon.ports.samples import Plot
from ecpmon.wire import rfc3339

# Grids are asked for again and again, by every tenant; the largest has some 11,000 steps.
_GRIDS: Final = 16


def points_of(plot: Plot) -> orjson.Fragment:
    """`[{"timestamp": …, "value": …}, …]`."""
    begins = plot.begins
    text = _grid(begins) if isinstance(begins, range) else _text(begins)
    # Finite numbers only are kept, so that a comma parts two of them.
    return orjson.Fragment(text % tuple(orjson.dumps(plot.values)[1:-1].split(b",")))


@lru_cache(maxsize=_GRIDS)
def _grid(begins: range) -> bytes:
    return _text(begins)


def _text(begins: Sequence[int]) -> bytes:
    """All of it but the values, with a place for each."""
    points = (f'{{"timestamp":"{rfc3339(datetime.fromtimestamp(at, UTC))}","value":%b}}' for at in begins)
    return f"[{','.join(points)}]".encode()
