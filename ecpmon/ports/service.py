"""The clock and health."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol


class Clock(Protocol):
    """The only way to learn the time."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...


class Health(Protocol):
    async def ready(self) -> dict[str, Any]:
        """Component -> state for `/ready`; `ok` is False while any of them is not."""
        ...
