"""What administrators set over HTTP, as it counts now in this process."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ecpmon.model.operating import OperatingSettings, Stored


class Operating(Protocol):
    """`base`: what counts where nothing is set. A change counts in this process when `change` returns, in every other
    as soon as it hears of it; `started_with` is what this process found when it first could."""

    @property
    def base(self) -> OperatingSettings: ...

    @property
    def current(self) -> OperatingSettings: ...

    @property
    def started_with(self) -> OperatingSettings: ...

    async def stored(self) -> Stored:
        """As the database has it now."""
        ...

    async def change(self, change: OperatingSettings, now: datetime) -> Stored:
        """Store what `change` names, and log it; who is acting is asked of `ports.audit`."""
        ...
