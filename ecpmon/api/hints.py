"""What is told with a success: it was done, and yet it will not do what its sender most likely wants.

Invariant: of a tenant that has ever said whether it is up nobody asks the database, but once; of others once a minute.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ecpmon.errors import EcpError
from ecpmon.model.samples import Block, Columns, Entry, SeriesKey, Source
from ecpmon.model.tenants import Tenant
from ecpmon.names import ERROR_RATE_METRIC, UP_METRIC
from ecpmon.ports.samples import MonitoringStore

AGAIN: Final = timedelta(minutes=1)
_MOST: Final = 100_000
_EVIDENCE: Final = frozenset((UP_METRIC, ERROR_RATE_METRIC))


@dataclass(frozen=True, slots=True)
class Hint:
    """Shown as it is."""

    code: str
    message: str


NO_EVIDENCE: Final = Hint(
    "NO_SLA_EVIDENCE",
    "nothing that was pushed says whether this tenant is up, so it has no availability and no SLA: push `up` (1 or 0) "
    "or `error_rate` (0 to 1) with each message, of the tenant or of each service (`up.NAME`), or give the tenant "
    "another sli_source",
)


class Hints:
    """Of one database. `quiet`: numbers of tenants for whom `of` would find nothing."""

    def __init__(self, monitoring: MonitoringStore) -> None:
        self._monitoring = monitoring
        self.quiet: set[int] = set()
        # Who had no evidence, and when that was.
        self._without: dict[int, datetime] = {}

    async def of(self, tenant: Tenant, pushed: Iterable[Entry], now: datetime) -> Hint | None:
        """After these were committed. None as well when the database does not say."""
        if tenant.evidence_source is not Source.PUSH:
            return None
        if any(map(_tells, pushed)):
            self._hush(tenant.key)
            return None
        asked = self._without.get(tenant.key)
        if asked is not None and timedelta() <= now - asked < AGAIN:
            return NO_EVIDENCE
        try:
            has_evidence, _ = await self._monitoring.has_said(tenant, _EVIDENCE)
        except EcpError:
            return None
        if has_evidence:
            self._hush(tenant.key)
            return None
        if len(self._without) >= _MOST:
            self._without.clear()
        self._without[tenant.key] = now
        return NO_EVIDENCE

    async def about(self, tenant: Tenant) -> list[Hint]:
        """As it is stored. Raises EcpError."""
        if tenant.evidence_source is not Source.PUSH:
            return []
        has_evidence, has_more = await self._monitoring.has_said(tenant, _EVIDENCE)
        return [NO_EVIDENCE] if has_more and not has_evidence else []

    def _hush(self, tenant: int) -> None:
        self._without.pop(tenant, None)
        if len(self.quiet) >= _MOST:
            self.quiet.clear()
        self.quiet.add(tenant)


def _tells(entry: Entry) -> bool:
    """Whether it says that the tenant, or a part of it, is up or down."""
    if isinstance(entry, Block):
        keys: Iterable[SeriesKey] = entry.shape.keys
    elif isinstance(entry.samples, Columns):
        keys = entry.samples.shape.keys
    else:
        keys = (sample.key for sample in entry.samples)
    return any(key.metric_name in _EVIDENCE for key in keys)
