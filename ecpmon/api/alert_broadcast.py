"""Alerts of one tenant, all told in their order to each of its sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ecpmon.api.broadcast import Broadcast, Slice
from ecpmon.api.frames import MOST_UNSENT, Line, joined, text_frame
from ecpmon.api.outboxes import Listener
from ecpmon.wire import dumps

# Messages that wait for the broadcaster itself; as many as 64 full backlogs of one socket.
MOST_WAITING: Final = 16_384


class AlertListener(Listener):
    """`firing`: what it is told first; `backlog`: frames that it is still to be told."""

    __slots__ = ("backlog", "firing")

    def __init__(self) -> None:
        super().__init__()
        self.firing: deque[bytes] = deque()
        self.backlog: deque[bytes] = deque()

    @property
    def unsent(self) -> bool:
        return bool(self.firing or self.backlog)

    def begin_with(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """However many they are, they are told before everything else."""
        self.firing.extend(text_frame(dumps(m)) for m in messages)


class AlertBroadcast(Broadcast[AlertListener]):
    """Past `bound` unsent messages a socket has stayed behind and is closed."""

    def __init__(self, patience: float, bound: int) -> None:
        super().__init__(patience)
        self._bound = bound
        self._waiting: deque[bytes] = deque()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Tell everybody an alert."""
        if not self.listeners:
            return
        frame = text_frame(dumps(message))
        if self._task is None:
            for listener in list(self.listeners):
                self._keep(listener, [frame])
        elif len(self._waiting) >= MOST_WAITING:
            for listener in list(self.listeners):
                self._let_go(listener)
        else:
            self._waiting.append(frame)
            self.wake()

    def leave(self, listener: AlertListener) -> None:
        super().leave(listener)
        listener.firing.clear()
        listener.backlog.clear()
        if not self.listeners:
            self._waiting.clear()

    def _next(self) -> None:
        return None

    async def _turn(self) -> None:
        slice_ = Slice()
        while self._waiting:
            frames = _some(self._waiting)
            together = joined(frames)
            for listener in list(self.listeners):
                if listener in self.listeners:
                    line = listener.line
                    if line is not None and not listener.unsent and line.free:
                        line.write(together)
                    else:
                        self._keep(listener, frames)
                    await slice_.pause()

    def _keep(self, listener: AlertListener, frames: list[bytes]) -> None:
        if len(listener.backlog) + len(frames) > self._bound:
            self._let_go(listener)
            return
        listener.backlog.extend(frames)
        if listener.line is not None:
            self._is_behind(listener)

    async def _catch_up(self, listener: AlertListener, line: Line) -> bool:
        while listener.unsent and line.free:
            line.write(joined(_some(listener.firing or listener.backlog)))
        return not listener.unsent


def _some(frames: deque[bytes]) -> list[bytes]:
    """The first of them, as many as make one good write."""
    some, size = [frames.popleft()], 0
    while frames and (size := size + len(some[-1])) < MOST_UNSENT:
        some.append(frames.popleft())
    return some
