"""The newest values of a tenant that somebody watches: newest win, late ones change nothing, and what is ahead of its
time is told when that has come: with the next message that is due to each socket then.

Of several sources of one metric the tenant's evidence source is told while it speaks, else the one that spoke last, as
in `GET …/monitoring`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Final

from ecpmon.api.keys import live_key
from ecpmon.api.live import Figures, LiveBroadcast
from ecpmon.api.shared import Shared
from ecpmon.coming import Coming
from ecpmon.model.ingest import StateChange
from ecpmon.model.samples import Frame, Source
from ecpmon.ports.samples import Latest

FIGURES_SECONDS: Final = 2.0
# Values of a tenant that are ahead of their time.
MOST_COMING: Final = 5_000
# As far back as a socket that opens looks for values: evidence that is older than another source by more is not told.
WINDOW: Final = timedelta(minutes=5)
# When it was measured, and its value.
_Said = tuple[datetime, float]


def utc_now() -> datetime:
    return datetime.now(UTC)


_when = itemgetter(0)


class Feed:
    """The newest values of one watched tenant, shared by its sockets. Lives while somebody watches.

    `live` tells them to the sockets, `figured` to those that are told SLA figures with them.
    """

    def __init__(
        self,
        tenant_id: str,
        number: int,
        now: Callable[[], datetime] = utc_now,
        *,
        patience: float = 10.0,
        bound: int = 16,
    ) -> None:
        self.tenant_id = tenant_id
        self.number = number
        self._version = 0
        self._now = now
        self._coming: Coming[tuple[str, str], float] = Coming(MOST_COMING)
        self.live = LiveBroadcast(self, now, patience, bound)
        self.figured = LiveBroadcast(self, now, patience, bound)
        self.seeded = False
        self.seeding = asyncio.Lock()
        self.figures: Shared[Figures] = Shared(FIGURES_SECONDS)
        # By key and source.
        self._values: dict[str, dict[str, _Said]] = {}
        self._evidence: Source | None = None
        self._newest: datetime | None = None
        # When the last change of state that was told was.
        self._changed_at: datetime | None = None

    @property
    def version(self) -> int:
        self._come()
        return self._version

    @property
    def size(self) -> int:
        return len(self._values)

    def evidence(self, source: Source) -> None:
        """Which source is the tenant's evidence, as it is now."""
        if source is not self._evidence:
            self._evidence = source
            self._version += 1

    def _come(self) -> None:
        """What was ahead of its time, and is no more."""
        if self._coming:
            for (key, source), at, value in self._coming.due(self._now().timestamp()):
                self._keep(key, source, datetime.fromtimestamp(at, UTC), value)

    def absorb(self, frame: Frame) -> None:
        put = self._put_off if frame.ts > self._now() else self._keep
        for sample in frame.samples:
            if sample.key.labels:
                continue  # a part of the tenant: sockets show the whole
            key = live_key(sample.key.metric_type, sample.key.metric_name)
            put(key, frame.source, frame.ts, sample.value)

    def seed(self, latest: Iterable[tuple[str, Latest]], coming: Iterable[tuple[str, Latest]] = ()) -> None:
        for name, value in latest:
            self._keep(live_key(value.metric_type, name), value.source, value.ts, value.value)
        for name, value in coming:
            self._put_off(live_key(value.metric_type, name), value.source, value.ts, value.value)
        self.seeded = True

    def _put_off(self, key: str, source: str, ts: datetime, value: float) -> None:
        self._coming.put((key, source), ts.timestamp(), value)

    def _keep(self, key: str, source: str, ts: datetime, value: float) -> None:
        """Late data never replaces newer values of its source."""
        said = self._values.get(key)
        if said is None:
            said = self._values[key] = {}
        known = said.get(source)
        if known is None or known[0] <= ts:
            said[source] = (ts, value)
            self._newest = ts if self._newest is None else max(self._newest, ts)
            self._version += 1

    def change(self, change: StateChange) -> None:
        self._changed_at = change.at
        for broadcast in (self.live, self.figured):
            broadcast.changed(change.state.value)

    def change_elsewhere(self, change: StateChange) -> None:
        """Of another process, so it may be heard of after a later one of this process's own: then it is over, and to
        tell it now would leave everybody with a state that is not the last. One without a state before it says how
        things are.
        """
        if self._changed_at is None or change.previous is None or change.at >= self._changed_at:
            self.change(change)

    def values(self, wanted: frozenset[str] | None = None) -> dict[str, float]:
        """Those of `wanted` that there are; None: all of them."""
        self._come()
        keys = self._values if wanted is None else wanted & self._values.keys()
        return {key: self._shown(self._values[key])[1] for key in keys}

    def _shown(self, said: Mapping[str, _Said]) -> _Said:
        newest = max(said.values(), key=_when)
        own = said.get(self._evidence) if self._evidence is not None else None
        return newest if own is None or newest[0] - own[0] > WINDOW else own

    def newest(self) -> datetime | None:
        self._come()
        return self._newest
