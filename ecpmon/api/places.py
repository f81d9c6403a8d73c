"""A socket's place in the hub: taken when it is let in, given back when its connection is gone.

There are thousands of them, each for hours: a place is one small object, and holds neither a request nor a task.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from ecpmon.api.alert_broadcast import AlertBroadcast, AlertListener
from ecpmon.api.broadcast import Broadcast
from ecpmon.api.feeds import Feed
from ecpmon.api.fleet import FleetBroadcast, FleetListener
from ecpmon.api.following import StepBroadcast
from ecpmon.api.live import LiveBroadcast, Watcher
from ecpmon.api.outboxes import Listener
from ecpmon.api.sessions import Session

L = TypeVar("L", bound=Listener)
B = TypeVar("B", bound=Broadcast[Any])
G = TypeVar("G")


class Host(Protocol):
    """Who gives places: the hub."""

    def unwatched(self, place: Watching) -> None: ...

    def unheard(self, place: Listening) -> None: ...

    def unfollowed(self, place: Following) -> None: ...

    def unseen(self, place: Overseeing) -> None: ...


class Place(ABC, Generic[L, B, G]):
    """`with place as given:` or `leave()`, which may be called again. `broadcast`: who tells it things."""

    __slots__ = ("_host", "broadcast", "outbox", "session")

    def __init__(self, host: Host, outbox: L, session: Session, broadcast: B) -> None:
        self._host: Host | None = host
        self.outbox = outbox
        self.session = session
        self.broadcast = broadcast
        broadcast.join(outbox)

    def quiet(self) -> None:
        """Nobody tells it anything from now on."""
        self.broadcast.leave(self.outbox)

    def leave(self) -> None:
        if self._host is not None:
            host, self._host = self._host, None
            self.quiet()
            self._give_back(host)

    @abstractmethod
    def _give_back(self, host: Host) -> None:
        """The host counts it no longer."""

    @abstractmethod
    def __enter__(self) -> G:
        """What the handler works with."""

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.leave()


class Watching(Place[Watcher, LiveBroadcast, tuple[Feed, Watcher]]):
    """Of a socket that follows a tenant's metrics."""

    __slots__ = ("feed",)

    def __init__(
        self, host: Host, watcher: Watcher, session: Session, broadcast: LiveBroadcast, feed: Feed
    ) -> None:
        super().__init__(host, watcher, session, broadcast)
        self.feed = feed

    def _give_back(self, host: Host) -> None:
        host.unwatched(self)

    def __enter__(self) -> tuple[Feed, Watcher]:
        return self.feed, self.outbox


class Listening(Place[AlertListener, AlertBroadcast, tuple[AlertBroadcast, AlertListener]]):
    """Of a socket that is told a tenant's alerts."""

    __slots__ = ()

    def _give_back(self, host: Host) -> None:
        host.unheard(self)

    def __enter__(self) -> tuple[AlertBroadcast, AlertListener]:
        return self.broadcast, self.outbox


class Following(Place[AlertListener, StepBroadcast, tuple[StepBroadcast, AlertListener]]):
    """Of a socket that is told a deployment's steps."""

    __slots__ = ()

    def _give_back(self, host: Host) -> None:
        host.unfollowed(self)

    def __enter__(self) -> tuple[StepBroadcast, AlertListener]:
        return self.broadcast, self.outbox


class Overseeing(Place[FleetListener, FleetBroadcast, tuple[FleetBroadcast, FleetListener]]):
    """Of a socket that is told of all tenants."""

    __slots__ = ()

    def _give_back(self, host: Host) -> None:
        host.unseen(self)

    def __enter__(self) -> tuple[FleetBroadcast, FleetListener]:
        return self.broadcast, self.outbox
