"""What the bus tells: that something was committed, by whom, about which tenants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class BusKind(StrEnum):
    """What a row tells of, and its body. Rows of other kinds are of a newer release: they are passed over."""

    SAMPLES = "samples"  # {"changes": [[tenant, at, state, previous], …], "judge": true}
    TENANT = "tenant"  # {"names": […], "gone": [number, …]}
    RULES = "rules"
    REGIMES = "regimes"
    TOKEN = "token"  # noqa: S105 - {"tokens": [number, …]}
    ALERT = "alert"  # {"events": [number, …]}; none when there is only something to deliver
    EXTERNAL = "external"  # {"alerts": [number, …]}
    SETTINGS = "settings"
    DEPLOYMENT = "deployment"  # {"deployment": id, "waits": whether nobody has begun it}


@dataclass(frozen=True, slots=True)
class BusRow:
    """`tenants`: numbers. `origin`: the process that wrote it and knows already; '' when nobody does."""

    seq: int
    origin: str
    kind: str
    tenants: tuple[int, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
