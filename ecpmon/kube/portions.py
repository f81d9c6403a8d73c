"""Numbers that may be percentages (`25%`), as rollouts and disruption budgets have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecpmon.kube import names
from ecpmon.kube.causes import Causes, invalid, of_messages


def portion_causes(holder: Mapping[str, Any], key: str, path: str, *, at_most_all: bool) -> Causes:
    """Not negative, or a percentage; of some there are no more than 100 %. It may be absent."""
    value = holder.get(key)
    if value is None:
        return
    field = f"{path}.{key}"
    if isinstance(value, str):
        yield from of_messages(field, value, names.percent(value))
        if at_most_all and _percentage(value) > 100:
            yield invalid(field, value, "must not be greater than 100%")
    elif value < 0:
        yield invalid(field, value, "must be greater than or equal to 0")


def portion(value: int | str | None) -> int:
    """The number alone; 0 for what is none."""
    return value if isinstance(value, int) else _percentage(value or "")


def _percentage(text: str) -> int:
    # Go gives up on what does not fit into its integers.
    return 0 if names.percent(text) or len(text) > 19 else int(text[:-1])
