"""Fan-out to WebSockets: publishers never wait, memory per socket is bounded, slow ones are let go.

Metrics need no queue: the newest values are told when it is time, so older ones are coalesced by themselves. Alerts are
all told, from a bounded queue; a socket that overflows it is closed with 1013. Who writes: `broadcast`.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from aiohttp import WSCloseCode

from ecpmon.api.alert_broadcast import AlertBroadcast, AlertListener
from ecpmon.api.answers.live import AlertMessage
from ecpmon.api.events import is_told, message_of_event, message_of_external
from ecpmon.api.feeds import Feed, utc_now
from ecpmon.api.fleet import AskRows, FleetBroadcast, FleetListener
from ecpmon.api.following import Ask, DeploymentKey, StepBroadcast, key_of
from ecpmon.api.live import Subscription, Watcher
from ecpmon.api.outboxes import Listener, Outbox
from ecpmon.api.places import Following, Listening, Overseeing, Place, Watching
from ecpmon.api.sessions import TENANT_GONE, Admissions, Session
from ecpmon.errors import Overloaded
from ecpmon.model.deployments import DeploymentRecord
from ecpmon.model.ingest import IngestResult, StateChange
from ecpmon.model.samples import newest_by
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent, ExternalAlert
from ecpmon.ports.samples import Latest

_MOST_TOLD: Final = 10_000


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
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.send_timeout = send_timeout
        self._alert_bound = alert_bound
        self._change_bound = change_bound
        self._admissions = admissions or Admissions()
        self._now = now
        self._feeds: dict[str, Feed] = {}
        self._watched: dict[int, str] = {}
        self._alerts: dict[str, AlertBroadcast] = {}
        self._heard: Counter[int] = Counter()
        self._once = Once()
        self._followed: dict[DeploymentKey, StepBroadcast] = {}
        self._fleet: FleetBroadcast | None = None
        self._sessions: dict[Outbox, Session] = {}
        self._stopped = False
        self._empty = asyncio.Event()
        self._empty.set()

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

    def watch(
        self, session: Session, subscription: Subscription | None = None, *, figured: bool = False
    ) -> Watching:
        """A place in the feed of the session's tenant. Raises TooManySockets, Overloaded."""
        watcher = Watcher(subscription)
        self._let_in(watcher, session)
        feed = self._feeds.get(session.tenant_id)
        if feed is None or feed.number != session.tenant:
            # What another tenant of that name has left is not for this one's eyes.
            if feed is not None:
                self._watched.pop(feed.number, None)
            feed = self._new_feed(session)
        return Watching(self, watcher, session, feed.figured if figured else feed.live, feed)

    def _new_feed(self, session: Session) -> Feed:
        name, number = session.tenant_id, session.tenant
        feed = Feed(name, number, self._now, patience=self.send_timeout, bound=self._change_bound)
        self._feeds[name] = feed
        self._watched[number] = name
        return feed

    def listen(self, session: Session, *, korean: bool = False) -> Listening:
        """A place among those who are told the tenant's alerts. Raises TooManySockets, Overloaded."""
        listener, tenant_id = AlertListener(korean=korean), session.tenant_id
        self._let_in(listener, session)
        broadcast = self._alerts.get(tenant_id)
        if broadcast is None:
            broadcast = self._alerts[tenant_id] = AlertBroadcast(self.send_timeout, self._alert_bound)
        self._heard[session.tenant] += 1
        return Listening(self, listener, session, broadcast)

    def follow(
        self, session: Session, record: DeploymentRecord, ask: Ask, *, korean: bool = False
    ) -> Following:
        """A place among those who are told the steps of a deployment, which `ask` reads. Raises as `listen`."""
        listener, key = AlertListener(korean=korean), key_of(record)
        self._let_in(listener, session)
        broadcast = self._followed.get(key)
        if broadcast is None:
            broadcast = StepBroadcast(record, ask, self.send_timeout, self._alert_bound)
            self._followed[key] = broadcast
        return Following(self, listener, session, broadcast)

    def oversee(self, session: Session, ask: AskRows) -> Overseeing:
        """A place among those who are told of all tenants, whose rows `ask` reads. Raises as `listen`."""
        listener = FleetListener(session.caller.tenants)
        self._let_in(listener, session)
        if self._fleet is None:
            self._fleet = FleetBroadcast(ask, self.send_timeout)
        return Overseeing(self, listener, session, self._fleet)

    def _let_in(self, listener: Listener, session: Session) -> None:
        if self._stopped:
            raise Overloaded("the server is stopping")
        self._admissions.enter(session)
        self._sessions[listener] = session
        self._empty.clear()

    # --- places given back: their sockets are gone, and have left their broadcasts (`places.Host`) -------------

    def unwatched(self, place: Watching) -> None:
        feed = place.feed
        if not feed.live and not feed.figured and self._feeds.get(feed.tenant_id) is feed:
            self._forget(feed)
        self._let_out(place)

    def unheard(self, place: Listening) -> None:
        session, broadcast = place.session, place.broadcast
        self._heard[session.tenant] -= 1
        if not self._heard[session.tenant]:
            del self._heard[session.tenant]
        if not broadcast and self._alerts.get(session.tenant_id) is broadcast:
            del self._alerts[session.tenant_id]
        self._let_out(place)

    def unfollowed(self, place: Following) -> None:
        if not place.broadcast and self._followed.get(place.broadcast.key) is place.broadcast:
            del self._followed[place.broadcast.key]
        self._let_out(place)

    def unseen(self, place: Overseeing) -> None:
        if not place.broadcast and self._fleet is place.broadcast:
            self._fleet = None
        self._let_out(place)

    def _let_out(self, place: Place[Any, Any, Any]) -> None:
        del self._sessions[place.outbox]
        self._admissions.leave(place.session)
        if not self._sessions:
            self._empty.set()

    def samples_committed(self, result: IngestResult) -> None:
        """Newest values first, so that the message about a change already carries them."""
        if not self._feeds:
            return
        for entry in result.frames:
            if feed := self._feeds.get(entry.tenant_id):
                come, coming = newest_by(entry, self._now())
                for frame in (come, *coming) if come else coming:
                    feed.absorb(frame)
        for change in result.changes:
            if feed := self._feeds.get(change.tenant_id):
                feed.change(change)

    def values_elsewhere(
        self,
        tenant: Tenant,
        latest: Iterable[tuple[str, Latest]],
        coming: Iterable[tuple[str, Latest]] = (),
    ) -> None:
        """The newest values of a tenant, read again because another process has committed some, or the tenant itself is
        another; `coming`: those whose time has not come."""
        if feed := self._feed_of(tenant.key):
            feed.evidence(tenant.evidence_source)
            feed.seed(latest, coming)

    def change_elsewhere(self, number: int, change: StateChange) -> None:
        if feed := self._feed_of(number):
            feed.change_elsewhere(change)

    def _feed_of(self, number: int) -> Feed | None:
        name = self._watched.get(number)
        return None if name is None else self._feeds.get(name)

    def _forget(self, feed: Feed) -> None:
        del self._feeds[feed.tenant_id]
        del self._watched[feed.number]

    def alert(self, event: AlertEvent) -> None:
        """Tell firing and resolved, how a flapping rule ends, and every step of a recovery; a rule's other changes
        concern nobody yet."""
        if self._once.here(event.event_id):
            self._tell_event(event)

    def alert_elsewhere(self, event: AlertEvent) -> None:
        if self._once.elsewhere(event.event_id):
            self._tell_event(event)

    def _tell_event(self, event: AlertEvent) -> None:
        if is_told(event):
            self._tell(event.tenant_id, message_of_event(event))

    def external(self, alert: ExternalAlert) -> None:
        if self._once.here(_key(alert)):
            self._tell_external(alert)

    def external_elsewhere(self, alert: ExternalAlert) -> None:
        if self._once.elsewhere(_key(alert)):
            self._tell_external(alert)

    def alerts_missed(self) -> None:
        """Some may never be told: who waits for them is asked to connect again, and is then told what is firing."""
        # One that is closed is taken off at once.
        for broadcast in list(self._alerts.values()):
            for listener in list(broadcast.listeners):
                listener.close(WSCloseCode.TRY_AGAIN_LATER, "some alerts may have been missed; connect again")

    def _tell_external(self, alert: ExternalAlert) -> None:
        if alert.tenant_id is not None:
            self._tell(alert.tenant_id, message_of_external(alert))

    def _tell(self, tenant_id: str, message: AlertMessage) -> None:
        if broadcast := self._alerts.get(tenant_id):
            broadcast.tell(message)

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
        for outbox in list(self._sessions):
            outbox.close(WSCloseCode.GOING_AWAY, "the server stops")

    async def empty(self) -> None:
        """Until the last socket is gone."""
        await self._empty.wait()


def _key(alert: ExternalAlert) -> Hashable:
    return alert.tenant_id, alert.fingerprint, alert.starts_at, alert.status
