"""Whether a month has to be looked at again: what it follows from, as digests that outlive whoever made them. Pure.

A statement follows from its tenant's row, what is planned, and the spans of its time. Every turn compares `inputs`: of
the spans only their totals, which one question tells of all tenants. That spans were moved and their totals stayed is
told by `spans`, which costs reading them, and is compared from time to time (`is_old`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zlib import crc32

from ecpmon.model.maintenance import Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Tally
from ecpmon.ports.sla import Look

# The longest and the shortest time until spans are compared again: by tenant, so that they come by turns.
ANYWAY: Final = timedelta(days=1)
_EARLIEST: Final = ANYWAY / 2
# Another number where statements say something else of the same: then all are looked at again.
_SAID: Final = 1
# Months that an outage goes back, and that it goes on; mostly none.
_BEFORE: Final = 3
_AFTER: Final = 1
# What changes of a tenant without changing what was promised to it, or what it was.
_ASIDE: Final = frozenset({"status", "status_reason", "updated_at", "labels", "description", "deployed_spec"})


class Inputs:
    """Of one tenant; what its months have in common is digested once."""

    def __init__(self, tenant: Tenant, planned: Sequence[Maintenance]) -> None:
        own = {name: value for name, value in vars(tenant).items() if name not in _ASIDE}
        self._own = _digest(own, planned)

    def of(self, totals: Tally | None) -> bytes:
        """`totals` None: nothing was ever observed."""
        own = self._own.copy()
        own.update(repr(totals and (totals.eligible, totals.down, totals.gap)).encode())
        digest: bytes = own.digest()
        return digest


def span_digests(sums: Sequence[tuple[str, str]], months: Collection[str]) -> dict[str, bytes]:
    """Of the spans of each of `months` and those around it, as outages reach over its edges. Not of all others: with
    each span that retention drops, every month's would be another. `sums` as `StatementStore.span_sums` has them."""
    return {month: _digest(_around(sums, month)).digest() for month in months}


def _around(sums: Sequence[tuple[str, str]], month: str) -> list[tuple[str, str]]:
    first, last = _later(month, -_BEFORE), _later(month, _AFTER)
    return [of for of in sums if first <= of[0] <= last]


def _later(month: str, by: int) -> str:
    year, number = divmod(12 * int(month[:4]) + int(month[5:]) - 1 + by, 12)
    return f"{year:04}-{number + 1:02}"


def is_old(tenant_id: str, look: Look, now: datetime) -> bool:
    """Whether the spans of a month should be compared again. A clock that was ahead makes nobody wait."""
    share = crc32(tenant_id.encode()) / 2**32
    return not timedelta(0) <= now - look.looked_at < _EARLIEST + (ANYWAY - _EARLIEST) * share


def _digest(*what: Any) -> Any:
    return hashlib.sha256(repr((_SAID, *what)).encode())
