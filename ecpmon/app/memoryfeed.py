"""What is held in memory goes as soon as the bus says that it was changed elsewhere (ADR 0010)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ecpmon.memory import Memory
from ecpmon.model.bus import BusKind, BusRow
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent
from ecpmon.ports.tokens import Caller
from ecpmon.storage.bus import BusReader


class MemoryFeed:
    """A listener of the bus. While it can be trusted to tell of every change, memories hold longer."""

    def __init__(
        self,
        tenants: Memory[str, Tenant],
        tokens: Memory[bytes, Caller],
        signed: Memory[bytes, Caller],
        alerts: Memory[int, tuple[AlertEvent, ...]],
        reader: BusReader,
    ) -> None:
        self._tenants = tenants
        self._tokens = tokens
        self._signed = signed
        self._alerts = alerts
        for memory in self._all:
            memory.trusted = lambda: reader.trusted

    @property
    def _all(self) -> tuple[Memory[Any, Any], ...]:
        return self._tenants, self._tokens, self._signed, self._alerts

    def rows(self, rows: Sequence[BusRow]) -> None:
        for row in rows:
            match row.kind:
                case BusKind.TENANT:
                    for name in row.body.get("names", ()):
                        self._tenants.drop(name)
                    # A name may mean another tenant now, or one where there was none.
                    self._signed.clear()
                    if row.body.get("gone"):
                        # A token tells which of its tenants are there.
                        self._tokens.clear()
                case BusKind.TOKEN:
                    self._tokens.clear()
                case BusKind.ALERT:
                    for number in row.tenants:
                        self._alerts.drop(number)

    def restart(self) -> None:
        for memory in self._all:
            memory.clear()

    def doubt(self) -> None:
        self.restart()
