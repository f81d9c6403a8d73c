"""Plots as JSON: the begins of steps are written once for every series of a grid, values all at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Final

import orjson

from ecpmon.ports.samples import Plot
from ecpmon.wire import rfc3339

# Grids are asked for again and again, by every tenant; the largest has some 11,000 steps.
_GRIDS: Final = 16


def points_of(plot: Plot) -> orjson.Fragment:
    """`[{"timestamp": …, "value": …}, …]`."""
    begins = plot.begins
    heads = _grid(begins) if isinstance(begins, range) else _heads(begins)
    # Finite numbers only are kept, so that a comma parts two of them.
    values = orjson.dumps(plot.values)[1:-1].split(b",")
    return orjson.Fragment(b"[" + b"".join(chain.from_iterable(zip(heads, values, strict=True)))[2:] + b"}]")


@lru_cache(maxsize=_GRIDS)
def _grid(begins: range) -> tuple[bytes, ...]:
    return _heads(begins)


def _heads(begins: Sequence[int]) -> tuple[bytes, ...]:
    """What stands before each value, the end of the point before it included."""
    return tuple(
        f'}},{{"timestamp":"{rfc3339(datetime.fromtimestamp(at, UTC))}","value":'.encode() for at in begins
    )
