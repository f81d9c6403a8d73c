"""What fronts committed, for the worker that leads: rules to evaluate, notifications to deliver, deployments to begin.

The jobs' own ticks find all of it a few seconds later; the bus makes it a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from ecpmon.app.rounds import Rounds
from ecpmon.app.triggers import AlertTrigger
from ecpmon.jobs import Leadership
from ecpmon.model.bus import BusKind, BusRow
from ecpmon.ports.tenants import TenantStore


class WorkFeed:
    """A listener of the bus. `wake_delivery` and `begin_deployments` are called when there is something to do, `coming`
    with the seconds at which there will be, as samples that are stored have come then."""

    def __init__(
        self,
        lease: Leadership,
        tenants: TenantStore,
        trigger: AlertTrigger,
        wake_delivery: Callable[[], None],
        begin_deployments: Callable[[], Awaitable[None]],
        coming: Callable[[Iterable[int]], None],
    ) -> None:
        self._lease = lease
        self._tenants = tenants
        self._trigger = trigger
        self._wake_delivery = wake_delivery
        self._begin_deployments = begin_deployments
        self._coming = coming
        self._names: dict[int, str] = {}
        self._touched: set[int] = set()
        self._changed: set[int] = set()
        self._deployments = False
        self.rounds = Rounds("work-feed", self._round)

    def rows(self, rows: Sequence[BusRow]) -> None:
        for row in rows:
            if row.kind == BusKind.SAMPLES and self._lease.held:
                self._coming(row.body.get("coming", ()))
            match row.kind:
                case BusKind.SAMPLES if row.body.get("judge") and self._lease.held:
                    self._touched.update(row.tenants)
                    self._changed.update(change[0] for change in row.body.get("changes", ()))
                case BusKind.TENANT:
                    for number in row.tenants:
                        self._names.pop(number, None)
                case BusKind.ALERT:
                    self._wake_delivery()
                case BusKind.DEPLOYMENT:
                    self._deployments |= self._lease.held and row.body.get("waits") is True
        if self._touched or self._deployments:
            self.rounds.wake()

    def restart(self) -> None:
        """What was missed is found by the ticks."""
        self._names.clear()

    def doubt(self) -> None:
        self._names.clear()

    async def _round(self) -> None:
        touched, changed = set(self._touched), set(self._changed)
        await self._learn(touched)
        self._touched -= touched
        self._changed -= changed
        self._trigger.notice(self._named(touched), self._named(changed))
        if self._deployments:
            self._deployments = False
            await self._begin_deployments()

    async def _learn(self, numbers: set[int]) -> None:
        if unknown := numbers - self._names.keys():
            self._names.update(await self._tenants.names_of(unknown))

    def _named(self, numbers: set[int]) -> list[str]:
        return [self._names[n] for n in numbers if n in self._names]
