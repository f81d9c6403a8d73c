"""What stands in query strings of several routes, as fields of a `contract.Query`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from ecpmon.sla.periods import WINDOW_NAMES

_UNITS: Final = {"m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = "([1-9][0-9]{0,4})([mhd])"
_NAME: Final = f" *({'|'.join(WINDOW_NAMES)}) *"
# How many entries, the newest first.
Limit = Annotated[int, Field(ge=1, le=1000)]


def duration_of(text: str) -> timedelta:
    """`5m`, `1h`, `30d`. Raises ValueError."""
    match = re.fullmatch(_DURATION, text)
    if match is None:
        raise ValueError("must be a duration such as 5m, 1h or 30d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _checked(text: str) -> str:
    duration_of(text)
    return text


# A duration as it was written, which is how it is shown.
Length = Annotated[
    str,
    AfterValidator(_checked),
    Field(json_schema_extra={"pattern": f"^{_DURATION}$", "examples": ["5m", "1h", "30d"]}),
]


def window_names(text: object) -> tuple[str, ...]:
    """The windows asked for, each once. Raises ValueError naming the known ones."""
    names = [name.strip() for name in str(text).split(",")]
    unknown = [name for name in names if name not in WINDOW_NAMES]
    if unknown:
        raise ValueError(f"unknown window {unknown[0][:20]!r}; known are {', '.join(WINDOW_NAMES)}")
    return tuple(dict.fromkeys(names))


# Names with commas between them.
Windows = Annotated[
    tuple[str, ...],
    BeforeValidator(window_names),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME}(,{_NAME})*$", "examples": ["1h,24h,30d,month"]}),
]
