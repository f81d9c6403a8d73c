"""The newest values of one tenant, told to its sockets: at once when its state changes, else at each one's interval."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol, cast

from ecpmon.api.answers.live import LiveMetrics, RealtimeMetrics, SlaFigures
from ecpmon.api.broadcast import Broadcast, Slice
from ecpmon.api.frames import Line, text_frame
from ecpmon.api.outboxes import Listener
from ecpmon.api.slots import Slots
from ecpmon.wire import dumps

DEFAULT_INTERVAL_MS: Final = 5_000
# Seconds without another message about metrics, but for a change of state: a short and a long message.
SHORT_REST: Final = 0.1
LONG_REST: Final = 1.0
SHORT_MESSAGE: Final = 50  # metrics
# Frames that are kept until a value changes, one for each choice of metrics.
_MAX_KEPT: Final = 64

Wanted = frozenset[str] | None
Figures = SlaFigures | None


@dataclass(slots=True)
class Subscription:
    """What one socket wants: metric keys (None: all of them) and seconds between messages; None: silence."""

    metrics: Wanted
    interval: float | None = DEFAULT_INTERVAL_MS / 1000


class Values(Protocol):
    """What is known of a tenant. `version` changes whenever a value does."""

    tenant_id: str

    @property
    def version(self) -> int: ...

    @property
    def size(self) -> int: ...

    def values(self, wanted: Wanted = None) -> dict[str, float]: ...

    def newest(self) -> datetime | None: ...


class Watcher(Listener):
    """A metrics socket. `owed`: it is still to be told the newest values; `missed`: states that it is to be told."""

    __slots__ = ("missed", "owed", "subscription", "told_at")

    def __init__(self, subscription: Subscription | None = None) -> None:
        super().__init__()
        self.subscription = subscription or Subscription(None)
        self.owed = True
        self.missed: tuple[str, ...] = ()
        self.told_at = float("-inf")


class LiveBroadcast(Broadcast[Watcher]):
    """`figures`: what the messages carry besides, as `sla_data`; asked for when there is something to tell."""

    def __init__(self, values: Values, now: Callable[[], datetime], patience: float, bound: int) -> None:
        super().__init__(patience)
        self._values = values
        self._now = now
        self.figures: Callable[[], Awaitable[Figures]] | None = None
        self._bound = bound
        self._states: deque[str] = deque(maxlen=bound)
        self._slots: Slots[Watcher] = Slots()
        self._frames: dict[Wanted, tuple[int, Figures, bytes]] = {}

    def changed(self, state: str) -> None:
        """Tell everybody a change of state; of very many untold ones the newest stay."""
        for watcher in self.listeners if self._task is None else ():
            self._miss(watcher, state)
        if self._task is not None:
            self._states.append(state)
            self.wake()

    def subscribed(self, watcher: Watcher) -> None:
        """Its subscription has changed: it is told as soon as it may be."""
        if watcher.subscription.interval is None:
            self._slots.drop(watcher)
        elif watcher in self.listeners and not watcher.owed:
            self._slots.put(watcher, watcher.told_at + self._rest(watcher))
            self.wake()

    def leave(self, listener: Watcher) -> None:
        super().leave(listener)
        self._slots.drop(listener)
        if not self.listeners:
            self._states.clear()

    def _rest(self, watcher: Watcher) -> float:
        wanted = watcher.subscription.metrics
        size = self._values.size if wanted is None else len(wanted)
        return SHORT_REST if size <= SHORT_MESSAGE else LONG_REST

    def _next(self) -> float | None:
        return self._slots.next()

    async def _turn(self) -> None:
        while self._states:
            await self._tell(list(self.listeners), self._states.popleft())
        if due := self._slots.take(asyncio.get_running_loop().time()):
            await self._tell(due, None)

    async def _tell(self, watchers: Iterable[Watcher], state: str | None) -> None:
        """One message to all of them, made once for each choice of metrics."""
        figures = None if self.figures is None else await self.figures()
        frames: dict[Wanted, bytes] = {}
        slice_, now = Slice(), asyncio.get_running_loop().time
        for watcher in watchers:
            if watcher not in self.listeners:
                continue
            wanted = watcher.subscription.metrics
            frame = frames.get(wanted)
            if frame is None:
                frame = frames[wanted] = self._frame(wanted, state, figures)
            self._give(watcher, frame, state, now())
            await slice_.pause()

    def _give(self, watcher: Watcher, frame: bytes, state: str | None, now: float) -> None:
        """Or keep it, when the socket is not open yet or its client does not read."""
        line = watcher.line
        if line is not None and not watcher.owed and not watcher.missed and line.free:
            line.write(frame)
            self._told(watcher, now)
            return
        if state is None:
            watcher.owed = True
        else:
            self._miss(watcher, state)
        if line is not None:
            self._is_behind(watcher)

    def _miss(self, watcher: Watcher, state: str) -> None:
        watcher.missed = (*watcher.missed, state)[-self._bound :]

    def _told(self, watcher: Watcher, now: float) -> None:
        watcher.told_at = now
        interval = watcher.subscription.interval
        if interval is not None:
            self._slots.put(watcher, now + max(interval, self._rest(watcher)))

    async def _catch_up(self, listener: Watcher, line: Line) -> bool:
        figures = None if self.figures is None else await self.figures()
        now = asyncio.get_running_loop().time()
        # It may have left while the figures were waited for.
        while (listener.owed or listener.missed) and line.free and listener in self.listeners:
            state = None
            if not listener.owed:
                state, listener.missed = listener.missed[0], listener.missed[1:]
            listener.owed = False
            line.write(self._frame(listener.subscription.metrics, state, figures))
            self._told(listener, now)
        return not listener.owed and not listener.missed

    def _frame(self, wanted: Wanted, state: str | None, figures: Figures) -> bytes:
        if state is not None:
            return self._made(wanted, state, figures)
        kept = self._frames.get(wanted)
        if kept is not None and kept[0] == self._values.version and kept[1] is figures:
            return kept[2]
        frame = self._made(wanted, None, figures)
        if self._values.newest() is not None:  # else it carries the present time
            if len(self._frames) >= _MAX_KEPT:
                self._frames.clear()
            self._frames[wanted] = self._values.version, figures, frame
        return frame

    def _made(self, wanted: Wanted, state: str | None, figures: Figures) -> bytes:
        message = metrics_message(self._values, wanted, state, self._now)
        if self.figures is None:
            return text_frame(dumps(message))
        told: RealtimeMetrics = {**message, "sla_data": figures}
        return text_frame(dumps(told))


def metrics_message(
    values: Values, wanted: Wanted, state: str | None, now: Callable[[], datetime]
) -> LiveMetrics:
    """The newest values; with `state` it is the message about a change and `up` is part of it in any case."""
    metrics = values.values(wanted)
    message: LiveMetrics = {
        "timestamp": values.newest() or now(),
        "tenant_id": values.tenant_id,
        "metrics": metrics,
    }
    if state is not None:
        metrics["up"] = 1.0 if state == "up" else 0.0
        message["state"] = cast("Literal['up', 'down', 'gap']", state)
    return message
