"""The past that the tenants of `ecpmon up --history` are given, once.

What is owed is kept in a file from before a tenant is deployed until all of its past is there, with the instant up to
which it is told. An import that was ended goes on with the next `--history`: tenants that have all of theirs are left
alone, and the one in which it ended is told from its beginning, which says the same of the same instants.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

_FILE: Final = "past.json"


@dataclass(frozen=True, slots=True)
class Owed:
    """`duration` before `end` is to be told of these tenants."""

    tenants: tuple[str, ...]
    end: datetime
    duration: timedelta


# Tells it, and gives the number of observations.
Telling = Callable[[Owed], Awaitable[int]]


class Past:
    """Of the stack whose data is in `folder`; `duration`: what new tenants are given, None: nothing now."""

    def __init__(self, folder: Path, duration: timedelta | None, now: datetime) -> None:
        self._file = folder / _FILE
        self._duration = duration
        self._now = now.astimezone(UTC)

    def promise(self, tenant_id: str) -> None:
        """Before a tenant is deployed for the first time."""
        if self._duration is None:
            return
        owed = self.owed() or Owed((), self._now, self._duration)
        if tenant_id not in owed.tenants:
            self._keep(replace(owed, tenants=(*owed.tenants, tenant_id)))

    def owed(self) -> Owed | None:
        """What is still to be told, also from a start before; None: nothing."""
        if not self._file.exists():
            return None
        said = orjson.loads(self._file.read_bytes())
        duration = timedelta(seconds=said["duration_seconds"])
        return Owed(tuple(said["tenants"]), datetime.fromisoformat(said["end"]), duration)

    async def pay(self, owed: Owed, tell: Telling) -> int:
        """Have it told, tenant by tenant; of each it is owed until that has ended well."""
        total = 0
        for place, name in enumerate(owed.tenants):
            self._keep(replace(owed, tenants=owed.tenants[place:]))
            total += await tell(replace(owed, tenants=(name,)))
        self._file.unlink(missing_ok=True)
        return total

    def _keep(self, owed: Owed) -> None:
        said = {
            "tenants": owed.tenants,
            "end": owed.end.isoformat(),
            "duration_seconds": owed.duration.total_seconds(),
        }
        # Whole or not at all.
        new = self._file.with_suffix(".new")
        new.write_bytes(orjson.dumps(said))
        new.replace(self._file)
