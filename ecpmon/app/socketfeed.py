"""What other processes committed, told to the sockets of this one (ADR 0010).

A row of the bus names what to read again. That is done for tenants that are watched here alone, once per tenant and
round, and rounds do not overlap. Values come before the change of state that they explain.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final

from ecpmon.api.feeds import WINDOW
from ecpmon.api.hub import Hub
from ecpmon.app.rounds import Rounds
from ecpmon.errors import EcpError, TenantNotFound
from ecpmon.model.availability import SpanState
from ecpmon.model.bus import BusKind, BusRow
from ecpmon.model.ingest import StateChange
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertStore, ExternalAlertStore
from ecpmon.ports.samples import MonitoringStore
from ecpmon.ports.service import Clock
from ecpmon.ports.sla import AvailabilityStore
from ecpmon.ports.tenants import TenantStore

REST_SECONDS: Final = 0.05
# Of a tenant, as many as a socket holds; of alerts, as many as fit before sockets are better opened anew.
MOST_CHANGES: Final = 16
MOST_NUMBERS: Final = 1_000


class SocketFeed:
    """A listener of the bus (`app.listening`), of one database. `check`: looks after the sessions of all sockets."""

    def __init__(
        self,
        hub: Hub,
        *,
        tenants: TenantStore,
        monitoring: MonitoringStore,
        availability: AvailabilityStore,
        alerts: AlertStore,
        external: ExternalAlertStore,
        clock: Clock,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        self._hub = hub
        self._tenants = tenants
        self._monitoring = monitoring
        self._availability = availability
        self._alerts = alerts
        self._external = external
        self._clock = clock
        self._check = check
        self._touched: dict[int, deque[StateChange]] = {}
        # Of these samples are stored whose time has not come.
        self._coming: set[int] = set()
        # Of these a change may have been missed.
        self._missed: set[int] = set()
        # Numbers of rows, and the tenants they may be of.
        self._events: dict[int, tuple[int, ...]] = {}
        self._reports: dict[int, tuple[int, ...]] = {}
        self._check_due = False
        self.rounds = Rounds("socket-feed", self._round, rest=REST_SECONDS)

    # --- what the bus says ----------------------------------------------------------------------------------

    def rows(self, rows: Sequence[BusRow]) -> None:
        for row in rows:
            match row.kind:
                case BusKind.SAMPLES:
                    self._note_samples(row)
                case BusKind.ALERT:
                    self._note_numbers(self._events, row, "events")
                case BusKind.EXTERNAL:
                    self._note_numbers(self._reports, row, "alerts")
                case BusKind.TENANT:
                    self._check_due |= bool(row.body.get("gone")) and self._hub.sockets > 0
                    # Another source may be its evidence.
                    self._touch(row)
                case BusKind.TOKEN:
                    self._check_due |= self._hub.sockets > 0
        if self._touched or self._events or self._reports or self._check_due:
            self.rounds.wake()

    def restart(self) -> None:
        """We have missed something: values and states are read again, and every socket is told the state as it is; who
        waits for alerts must ask what is firing."""
        for number in self._hub.watched():
            self._touched.setdefault(number, deque(maxlen=MOST_CHANGES))
            self._missed.add(number)
            self._coming.add(number)
        self._hub.alerts_missed()
        self._check_due = True
        self.rounds.wake()

    def doubt(self) -> None:
        """Nothing here is believed for being remembered."""

    def _note_samples(self, row: BusRow) -> None:
        watched = self._hub.watched()
        if not watched:
            return
        touched = self._touch(row)
        if row.body.get("coming"):
            self._coming |= touched
        for number, at, state, previous in row.body.get("changes", ()):
            if name := watched.get(number):
                change = StateChange(
                    name,
                    datetime.fromisoformat(at),
                    SpanState(state),
                    SpanState(previous) if previous else None,
                )
                self._touched[number].append(change)

    def _touch(self, row: BusRow) -> set[int]:
        """The tenants of a row that somebody watches: their values are to be read again."""
        touched = self._hub.watched().keys() & set(row.tenants)
        for number in touched:
            self._touched.setdefault(number, deque(maxlen=MOST_CHANGES))
        return touched

    def _note_numbers(self, numbers: dict[int, tuple[int, ...]], row: BusRow, key: str) -> None:
        heard = tuple(n for n in row.tenants if self._hub.is_heard(n))
        if not heard:
            return
        numbers.update(dict.fromkeys(row.body.get(key, ()), heard))
        if len(numbers) > MOST_NUMBERS:
            numbers.clear()
            self._hub.alerts_missed()

    # --- rounds ---------------------------------------------------------------------------------------------

    async def _round(self) -> None:
        """What is done is taken off; what fails stays for the next round. Raises EcpError."""
        if self._check_due:
            await self._check()
            self._check_due = False
        await self._tell_events()
        await self._tell_reports()
        for number in list(self._touched):
            await self._tell_values(number)

    async def _tell_values(self, number: int) -> None:
        name, changes = self._hub.watched().get(number), self._touched.pop(number)
        if name is None:
            self._missed.discard(number)
            self._coming.discard(number)
            return
        try:
            tenant, now = await self._tenants.get(name), self._clock.now()
            if tenant.key == number:
                latest = await self._monitoring.latest(tenant, now - WINDOW, now)
                coming = await self._monitoring.coming(tenant, now) if number in self._coming else ()
                self._coming.discard(number)
                if number in self._missed:
                    changes.extend(await self._as_it_is(tenant, now))
                    self._missed.discard(number)
                self._hub.values_elsewhere(tenant, latest, coming)
        except TenantNotFound:
            self._missed.discard(number)
            self._coming.discard(number)
            return  # deleted meanwhile
        except EcpError:
            later = self._touched.get(number, ())
            self._touched[number] = deque([*changes, *later], maxlen=MOST_CHANGES)
            raise
        for change in changes:
            self._hub.change_elsewhere(number, change)

    async def _as_it_is(self, tenant: Tenant, now: datetime) -> list[StateChange]:
        """The last state that was observed, as if it had just changed: nobody knows whether it did."""
        spans = await self._availability.timeline(tenant, now - WINDOW, now, present=True)
        observed = [span for span in spans if span.state is not SpanState.GAP]
        return [StateChange(tenant.tenant_id, s.start, s.state, None) for s in observed[-1:]]

    async def _tell_events(self) -> None:
        numbers = dict(self._events)
        if numbers:
            found = await self._alerts.events(_all(numbers), list(numbers))
            _take_off(self._events, numbers)
            for event in found:
                self._hub.alert_elsewhere(event)

    async def _tell_reports(self) -> None:
        numbers = dict(self._reports)
        if numbers:
            found = await self._external.by_numbers(_all(numbers), list(numbers))
            _take_off(self._reports, numbers)
            for alert in found:
                self._hub.external_elsewhere(alert)


def _all(numbers: dict[int, tuple[int, ...]]) -> list[int]:
    return sorted({tenant for tenants in numbers.values() for tenant in tenants})


def _take_off(numbers: dict[int, Any], done: dict[int, Any]) -> None:
    for number in done:
        numbers.pop(number, None)
