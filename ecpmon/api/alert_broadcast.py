"""Alerts of one tenant, all told in their order to each of its sockets, in the language of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ecpmon.api.broadcast import Broadcast, Slice
from ecpmon.api.frames import MOST_UNSENT, Line, joined, text_frame
from ecpmon.api.outboxes import Listener
from ecpmon.korean.templates import translated
from ecpmon.wire import dumps

# Messages that wait for the broadcaster itself; as many as 64 full backlogs of one socket.
MOST_WAITING: Final = 16_384
F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Told:
    """A message, and its frame in English. In Korean it is put where somebody wants it, which costs some 0.2 ms."""

    message: Mapping[str, Any]
    frame: bytes

    def to(self, listener: AlertListener) -> bytes:
        return self.korean() if listener.korean else self.frame

    def korean(self) -> bytes:
        """What people wrote, the names of rules and what another Alertmanager says, stays as it is."""
        return _frame(_in_korean(self.message))


class AlertListener(Listener):
    """`firing`: what it is told first; `backlog`: frames that it is still to be told. `korean`: its language."""

    __slots__ = ("backlog", "firing", "korean")

    def __init__(self, *, korean: bool = False) -> None:
        super().__init__()
        self.korean = korean
        self.firing: deque[bytes] = deque()
        self.backlog: deque[bytes] = deque()

    @property
    def unsent(self) -> bool:
        return bool(self.firing or self.backlog)

    def begin_with(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """However many they are, they are told before everything else."""
        self.firing.extend(_frame(_in_korean(m) if self.korean else m) for m in messages)


class AlertBroadcast(Broadcast[AlertListener]):
    """Past `bound` unsent messages a socket has stayed behind and is closed."""

    def __init__(self, patience: float, bound: int) -> None:
        super().__init__(patience)
        self._bound = bound
        self._waiting: deque[Told] = deque()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Tell everybody an alert."""
        if not self.listeners:
            return
        told = Told(message, _frame(message))
        if self._task is None:
            for listener in list(self.listeners):
                self._keep(listener, [told.to(listener)])
        elif len(self._waiting) >= MOST_WAITING:
            for listener in list(self.listeners):
                self._let_go(listener)
        else:
            self._waiting.append(told)
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
            told = _some(self._waiting, lambda one: len(one.frame))
            english = [one.frame for one in told]
            korean = await self._in_korean(told, slice_) or english
            together = joined(english), joined(korean)
            for listener in list(self.listeners):
                if listener in self.listeners:
                    line = listener.line
                    if line is not None and not listener.unsent and line.free:
                        line.write(together[listener.korean])
                    else:
                        self._keep(listener, korean if listener.korean else english)
                    await slice_.pause()

    async def _in_korean(self, told: Sequence[Told], slice_: Slice) -> list[bytes]:
        """Their frames; empty where nobody is told in Korean."""
        frames: list[bytes] = []
        if any(listener.korean for listener in self.listeners):
            for one in told:
                frames.append(one.korean())
                await slice_.pause()
        return frames

    def _keep(self, listener: AlertListener, frames: list[bytes]) -> None:
        if len(listener.backlog) + len(frames) > self._bound:
            self._let_go(listener)
            return
        listener.backlog.extend(frames)
        if listener.line is not None:
            self._is_behind(listener)

    async def _catch_up(self, listener: AlertListener, line: Line) -> bool:
        while listener.unsent and line.free:
            line.write(joined(_some(listener.firing or listener.backlog, len)))
        return not listener.unsent


def _frame(message: Mapping[str, Any]) -> bytes:
    return text_frame(dumps(message))


def _in_korean(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**message, "message": translated(message["message"])}


def _some(frames: deque[F], size_of: Callable[[F], int]) -> list[F]:
    """The first of them, as many as make one good write."""
    some, size = [frames.popleft()], 0
    while frames and (size := size + size_of(some[-1])) < MOST_UNSENT:
        some.append(frames.popleft())
    return some
