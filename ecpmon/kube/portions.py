"""Numbers that may be percentages (`25%`), as rollouts and disruption budgets have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import Causes, invalid, of_messages

# Text that is no percentage and still a number to Go.
_WHOLE: Final = re.compile(r"[-+]?[0-9]{1,18}")


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
    if isinstance(value, int):
        return value
    text = value or ""
    return int(text) if _WHOLE.fullmatch(text) else _percentage(text)


def _percentage(text: str) -> int:
    # Go gives up on what does not fit into its integers.
    return 0 if names.percent(text) or len(text) > 19 else int(text[:-1])
