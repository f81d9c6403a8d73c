"""Fan-out to WebSockets: publishers never wait, memory per socket is bounded, slow ones are let go.

Metrics need no queue: a socket reads the newest values when it is ready to send, so older ones are coalesced
by themselves. Alerts are all told, from a bounded queue; a socket that overflows it is closed with 1013.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from aiohttp import WSCloseCode

from ecpmon.api.events import message_of_event, message_of_external
from ecpmon.api.keys import live_key
from ecpmon.api.sessions import TENANT_GONE, Admissions, Session
from ecpmon.api.shared import Shared
from ecpmon.errors import Overloaded
from ecpmon.model.availability import SpanState
from ecpmon.model.deployments import DeploymentRecord
from ecpmon.model.ingest import IngestResult, StateChange
from ecpmon.model.samples import Frame
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent, ExternalAlert
from ecpmon.ports.samples import Latest

FIGURES_SECONDS: Final = 2.0
FOLLOW_SECONDS: Final = 0.25
_MOST_TOLD: Final = 10_000


class Outbox:
    """What one socket still has to be told. `wake` is set when there is something."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.closed = asyncio.Event()
        self.close_code = 1000
        self.close_reason = ""

    def close(self, code: int, reason: str) -> None:
        """Ask the socket's own task to close it; the first code stands."""
        if not self.closed.is_set():
            self.close_code, self.close_reason = code, reason
            self.closed.set()


class ChangeOutbox(Outbox):
    """State changes for a metrics socket; of very many unsent ones the newest stay."""

    def __init__(self, bound: int) -> None:
        super().__init__()
        self._changes: deque[StateChange] = deque(maxlen=bound)

    def put(self, change: StateChange) -> None:
        self._changes.append(change)
        self.wake.set()

    def take(self) -> list[StateChange]:
        self.wake.clear()
        taken = list(self._changes)
        self._changes.clear()
        return taken


class AlertOutbox(Outbox):
    """Alert messages; past `bound` unsent ones the socket has stayed behind and is closed."""

    def __init__(self, bound: int) -> None:
        super().__init__()
        self._bound = bound
        self._messages: deque[dict[str, Any]] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: dict[str, Any]) -> None:
        if self.closed.is_set():
            return
        if len(self._messages) >= self._bound:
            self._messages.clear()
            self.close(WSCloseCode.TRY_AGAIN_LATER, "this consumer stays behind")
            return
        self._messages.append(message)
        self.wake.set()

    def take(self) -> list[dict[str, Any]]:
        self.wake.clear()
        taken = list(self._messages)
        self._messages.clear()
        return taken


class Feed:
    """The newest values of one watched tenant, shared by its sockets. Lives while somebody watches."""

    def __init__(self, tenant_id: str, number: int) -> None:
        self.tenant_id = tenant_id
        self.number = number
        self.outboxes: set[ChangeOutbox] = set()
        self.seeded = False
        self.seeding = asyncio.Lock()
        self.state: SpanState | None = None
        self.figures: Shared[dict[str, Any] | None] = Shared(FIGURES_SECONDS)
        self._values: dict[str, tuple[datetime, float]] = {}
        self._newest: datetime | None = None

    @property
    def size(self) -> int:
        return len(self._values)

    def absorb(self, frame: Frame) -> None:
        for sample in frame.samples:
            if sample.key.labels:
                continue  # a part of the tenant: sockets show the whole
            self._keep(live_key(sample.key.metric_type, sample.key.metric_name), frame.ts, sample.value)

    def seed(self, latest: dict[str, Latest]) -> None:
        for name, value in latest.items():
            self._keep(live_key(value.metric_type, name), value.ts, value.value)
        self.seeded = True

    def _keep(self, key: str, ts: datetime, value: float) -> None:
        """Late data never replaces newer values."""
        known = self._values.get(key)
        if known is None or known[0] <= ts:
            self._values[key] = (ts, value)
            self._newest = ts if self._newest is None else max(self._newest, ts)

    def change(self, change: StateChange) -> None:
        self.state = change.state
        for outbox in self.outboxes:
            outbox.put(change)

    def values(self, wanted: frozenset[str] | None = None) -> dict[str, float]:
        """Those of `wanted` that there are; None: all of them."""
        keys = self._values if wanted is None else wanted & self._values.keys()
        return {key: self._values[key][1] for key in keys}

    def newest(self) -> datetime | None:
        return self._newest


class Once:
    """What is heard of twice, from this process and over the bus in either order, is told once."""

    def __init__(self) -> None:
        self._here: OrderedDict[Hashable, None] = OrderedDict()
        self._elsewhere: OrderedDict[Hashable, None] = OrderedDict()

    def here(self, key: Hashable) -> bool:
        """Whether to tell what this process has just committed."""
        _remember(self._here, key)
        return key not in self._elsewhere

    def elsewhere(self, key: Hashable) -> bool:
        """Whether to tell what the bus says."""
        if key in self._here or key in self._elsewhere:
            return False
        _remember(self._elsewhere, key)
        return True


def _remember(keys: OrderedDict[Hashable, None], key: Hashable) -> None:
    keys[key] = None
    if len(keys) > _MOST_TOLD:
        keys.popitem(last=False)


class Hub:
    """One per database. Publishers call `samples_committed`, `alert`, `external`, `tenant_deleted`; for what other
    processes have committed, `values_elsewhere`, `change_elsewhere`, `alert_elsewhere`, `external_elsewhere`.
    """

    def __init__(
        self,
        *,
        send_timeout: float = 10.0,
        alert_bound: int = 256,
        change_bound: int = 16,
        admissions: Admissions | None = None,
    ) -> None:
        self.send_timeout = send_timeout
        self._alert_bound = alert_bound
        self._change_bound = change_bound
        self._admissions = admissions or Admissions()
        self._feeds: dict[str, Feed] = {}
        self._watched: dict[int, str] = {}
        self._listeners: defaultdict[str, set[AlertOutbox]] = defaultdict(set)
        self._heard: Counter[int] = Counter()
        self._once = Once()
        self._sessions: dict[Outbox, Session] = {}
        self.followed: Shared[DeploymentRecord] = Shared(FOLLOW_SECONDS)
        self._stopped = False

    @property
    def sockets(self) -> int:
        return len(self._sessions)

    def watched(self) -> Mapping[int, str]:
        """The tenants whose metrics somebody watches here: number -> name."""
        return self._watched

    def is_heard(self, number: int) -> bool:
        """Whether somebody here waits for alerts of this tenant."""
        return self._heard[number] > 0

    def sessions(self) -> list[tuple[Outbox, Session]]:
        """Every open socket, and what it was opened with."""
        return list(self._sessions.items())

    @contextmanager
    def watch(self, session: Session) -> Iterator[tuple[Feed, ChangeOutbox]]:
        """Join the feed of the session's tenant. Raises TooManySockets, Overloaded."""
        outbox, tenant_id = ChangeOutbox(self._change_bound), session.tenant_id
        with self._admitted(outbox, session):
            feed = self._feeds.get(tenant_id)
            if feed is None or feed.number != session.tenant:
                # What another tenant of that name has left is not for this one's eyes.
                if feed is not None:
                    self._watched.pop(feed.number, None)
                feed = self._feeds[tenant_id] = Feed(tenant_id, session.tenant)
                self._watched[feed.number] = tenant_id
            feed.outboxes.add(outbox)
            try:
                yield feed, outbox
            finally:
                feed.outboxes.discard(outbox)
                if not feed.outboxes and self._feeds.get(tenant_id) is feed:
                    self._forget(feed)

    @contextmanager
    def listen(self, session: Session) -> Iterator[AlertOutbox]:
        """Receive the alerts of the session's tenant. Raises TooManySockets, Overloaded."""
        outbox, tenant_id = AlertOutbox(self._alert_bound), session.tenant_id
        with self._admitted(outbox, session):
            self._listeners[tenant_id].add(outbox)
            self._heard[session.tenant] += 1
            try:
                yield outbox
            finally:
                self._heard[session.tenant] -= 1
                if not self._heard[session.tenant]:
                    del self._heard[session.tenant]
                self._listeners[tenant_id].discard(outbox)
                if not self._listeners[tenant_id]:
                    del self._listeners[tenant_id]

    @contextmanager
    def join(self, session: Session) -> Iterator[Outbox]:
        """A socket that is told nothing but that it must end. Raises TooManySockets, Overloaded."""
        outbox = Outbox()
        with self._admitted(outbox, session):
            yield outbox

    @contextmanager
    def _admitted(self, outbox: Outbox, session: Session) -> Iterator[None]:
        if self._stopped:
            raise Overloaded("the server is stopping")
        with self._admissions.admit(session):
            self._sessions[outbox] = session
            try:
                yield
            finally:
                del self._sessions[outbox]

    def samples_committed(self, result: IngestResult) -> None:
        """Newest values first, so that the message about a change already carries them."""
        if not self._feeds:
            return
        for frame in result.frames:
            if feed := self._feeds.get(frame.tenant_id):
                feed.absorb(frame)
        for change in result.changes:
            if feed := self._feeds.get(change.tenant_id):
                feed.change(change)

    def values_elsewhere(self, number: int, latest: dict[str, Latest]) -> None:
        """The newest values of a tenant, read again because another process has committed some."""
        if feed := self._feed_of(number):
            feed.seed(latest)

    def change_elsewhere(self, number: int, change: StateChange) -> None:
        if feed := self._feed_of(number):
            feed.change(change)

    def _feed_of(self, number: int) -> Feed | None:
        name = self._watched.get(number)
        return None if name is None else self._feeds.get(name)

    def _forget(self, feed: Feed) -> None:
        del self._feeds[feed.tenant_id]
        del self._watched[feed.number]

    def alert(self, event: AlertEvent) -> None:
        """Tell firing and resolved, and every step of a recovery; a rule's other changes concern nobody yet."""
        if self._once.here(event.event_id):
            self._tell_event(event)

    def alert_elsewhere(self, event: AlertEvent) -> None:
        if self._once.elsewhere(event.event_id):
            self._tell_event(event)

    def _tell_event(self, event: AlertEvent) -> None:
        told = event.kind == "recovery" or "firing" in (event.from_state, event.to_state)
        if event.from_state != event.to_state and told:
            self._tell(event.tenant_id, message_of_event(event))

    def external(self, alert: ExternalAlert) -> None:
        if self._once.here(_key(alert)):
            self._tell_external(alert)

    def external_elsewhere(self, alert: ExternalAlert) -> None:
        if self._once.elsewhere(_key(alert)):
            self._tell_external(alert)

    def alerts_missed(self) -> None:
        """Some may never be told: who waits for them is asked to connect again, and is then told what is firing."""
        for outboxes in self._listeners.values():
            for outbox in outboxes:
                outbox.close(WSCloseCode.TRY_AGAIN_LATER, "some alerts may have been missed; connect again")

    def _tell_external(self, alert: ExternalAlert) -> None:
        if alert.tenant_id is not None:
            self._tell(alert.tenant_id, message_of_external(alert))

    def _tell(self, tenant_id: str, message: dict[str, Any]) -> None:
        for outbox in self._listeners.get(tenant_id, ()):
            outbox.put(message)

    def tenant_created(self, tenant: Tenant) -> None:
        """Close what sockets are left of another tenant of that name, which may have been deleted elsewhere."""
        for outbox, session in self.sessions():
            if session.tenant_id == tenant.tenant_id and session.tenant != tenant.key:
                outbox.close(TENANT_GONE, "the tenant was deleted")

    def tenant_deleted(self, tenant: Tenant) -> None:
        """Close the tenant's sockets: a new tenant of that name is another tenant."""
        for outbox, session in self.sessions():
            if session.tenant == tenant.key:
                outbox.close(TENANT_GONE, "the tenant was deleted")
        if feed := self._feed_of(tenant.key):
            self._forget(feed)

    def close(self) -> None:
        """The server stops: every socket is closed with 1001, new ones are refused."""
        self._stopped = True
        for outbox in self._sessions:
            outbox.close(WSCloseCode.GOING_AWAY, "the server stops")


def _key(alert: ExternalAlert) -> Hashable:
    return alert.tenant_id, alert.fingerprint, alert.starts_at, alert.status
