"""Whose notifications are delivered next: a slot for every tenant before anybody's second. Pure, but for its memory.

What a tenant can take from others is bounded whatever its receivers do: a slow one holds its own slots. Slots beyond
a tenant's first, and slots of receivers in trouble, come from a shared half; the other half is kept for tenants that
have nothing under way, so that it takes as many slow tenants as it has slots to make one wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Final

from ecpmon.alerts.backoff import Breaker
from ecpmon.model.delivery import DeliveryQueue, Grant, QueueKey

MAIL_PREFIX: Final = "mailto:"


@dataclass(frozen=True, slots=True)
class Slots:
    """Deliveries at a time. `shared`: of `total`, those that are not kept for a tenant's first.

    `mail`: all mail goes through one server, which must not hold up webhooks when it hangs.
    """

    total: int = 128
    shared: int = 64
    per_tenant: int = 8
    per_receiver: int = 4
    mail: int = 32


@dataclass(slots=True)
class _Use:
    """What is taken while a round is dealt."""

    by_queue: Counter[QueueKey]
    by_tenant: Counter[int] = field(default_factory=Counter)
    total: int = 0
    shared: int = 0
    mail: int = 0

    def take(self, key: QueueKey, *, shared: bool) -> None:
        self.by_queue[key] += 1
        self.by_tenant[key[0]] += 1
        self.total += 1
        self.shared += shared
        self.mail += key[1].startswith(MAIL_PREFIX)


class Turns:
    """Deals slots out. It remembers who was served when, so that those who were served longest ago come first."""

    def __init__(self, slots: Slots | None = None, breaker: Breaker | None = None) -> None:
        self._slots = slots or Slots()
        self._breaker = breaker or Breaker()
        self._served: dict[int | QueueKey, int] = {}
        self._clock = count(1)

    def choose(
        self, queues: Iterable[DeliveryQueue], flying: Mapping[QueueKey, int], now: datetime
    ) -> list[Grant]:
        """What may be taken at `now` while `flying` are under way, in the order in which it was dealt."""
        ready = [q for q in queues if (self._breaker.rests_until(q) or now) <= now]
        self._forget({q.key for q in ready}, flying)
        by_tenant: dict[int, list[DeliveryQueue]] = {}
        for queue in sorted(ready, key=lambda q: self._served.get(q.key, 0)):
            by_tenant.setdefault(queue.tenant_key, []).append(queue)
        use = self._in_use(flying, {q.key for q in ready if q.failures})
        dealt: Counter[QueueKey] = Counter()
        order = sorted(by_tenant, key=lambda tenant: self._served.get(tenant, 0))
        while order and use.total < self._slots.total:
            order = [t for t in order if self._deal(by_tenant[t], use, dealt)]
        return [Grant(*key, number) for key, number in dealt.items()]

    def first(self, queues: Iterable[QueueKey], flying: Mapping[QueueKey, int]) -> list[Grant]:
        """A slot each for tenants of these queues that have nothing under way, of the half that is kept for them: what
        `choose` would give them before anything else, whoever else waits. Their receivers must not be in trouble."""
        use, found = self._in_use(flying, set()), list[Grant]()
        for key in queues:
            room = use.total < self._slots.total - self._slots.shared and not use.by_tenant[key[0]]
            if room and self._may(DeliveryQueue(*key), use, shared=False):
                use.take(key, shared=False)
                found.append(Grant(*key, 1))
                self._served[key] = self._served[key[0]] = next(self._clock)
        return found

    def _deal(self, queues: list[DeliveryQueue], use: _Use, dealt: Counter[QueueKey]) -> bool:
        """One slot for the tenant of these queues, for the first that may have one; False when none may."""
        for place, queue in enumerate(queues):
            shared = queue.failures > 0 or use.by_tenant[queue.tenant_key] > 0
            if self._may(queue, use, shared=shared):
                use.take(queue.key, shared=shared)
                dealt[queue.key] += 1
                self._served[queue.key] = self._served[queue.tenant_key] = next(self._clock)
                queues.append(queues.pop(place))
                return True
        return False

    def _may(self, queue: DeliveryQueue, use: _Use, *, shared: bool) -> bool:
        slots = self._slots
        return (
            use.total < slots.total
            and use.by_tenant[queue.tenant_key] < slots.per_tenant
            # A receiver in trouble is asked one thing at a time.
            and use.by_queue[queue.key] < (1 if queue.failures else slots.per_receiver)
            and not (shared and use.shared >= slots.shared)
            and not (queue.receiver.startswith(MAIL_PREFIX) and use.mail >= slots.mail)
        )

    def _in_use(self, flying: Mapping[QueueKey, int], troubled: set[QueueKey]) -> _Use:
        use = _Use(Counter())
        for key in sorted(flying, key=lambda key: key in troubled):
            for _ in range(flying[key]):
                use.take(key, shared=key in troubled or use.by_tenant[key[0]] > 0)
        return use

    def _forget(self, ready: set[QueueKey], flying: Mapping[QueueKey, int]) -> None:
        """Who has nothing to be served comes first when there is something again."""
        keys = ready | flying.keys()
        known = keys | {tenant for tenant, _ in keys}
        self._served = {k: at for k, at in self._served.items() if k in known}
