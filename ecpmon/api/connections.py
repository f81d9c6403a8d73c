"""A WebSocket after its handshake: no task, no request and nothing of aiohttp's but its parser of frames.

Thousands of them are open for hours and say nothing, so each is one small object that the loop calls. The parser is
made when a client says something that is no bare pong.

Invariants:
- Of what a client says one message is looked at in a turn of the loop, no sooner than its allowance lets it, and in its
  order. What comes meanwhile stays with the parser, which stops reading at 128 KiB; TCP then holds up the sender.
- What is sent beside messages is bounded: a message in too many fragments, or one that never ends, is its last.
- Once it has said goodbye, or its client has, nobody else writes to it (`Place.quiet`).
- When the connection is gone its place is given back, whoever ended it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import structlog
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import WebSocketError, WebSocketReader

from ecpmon.api.broadcast import FAULT, STAYS_BEHIND
from ecpmon.api.context import CONTEXT
from ecpmon.api.errors import described
from ecpmon.api.frames import Line, close_frame, ping_frame, pong_frame, text_frame
from ecpmon.api.heartbeats import HEARTBEATS
from ecpmon.api.limits import LIMITS
from ecpmon.api.places import Place
from ecpmon.errors import BadRequest, EcpError
from ecpmon.wire import dumps

_log = structlog.get_logger(__name__)
MAX_MESSAGE: Final = 64 * 1024
# Bytes on the wire that are no message yet: what waits in the parser, a piece that is read at once, and a message in
# fragments of a hundred bytes.
MAX_UNFINISHED: Final = 512 * 1024
# So many bytes beside its payload cost as much as another message.
_PAID: Final = 16 * 1024
# What a frame has besides its payload, at most.
_FRAME: Final = 14
# So long a client has to answer a close frame.
CLOSE_GRACE = 2.0
# Whoever was not let in has no allowance.
UNWELCOME_SECONDS: Final = 0.1
_UNREAD: Final = 64 * 1024
# A pong without payload: two bytes, and the mask.
_PONG, _PONG_SIZE = b"\x8a\x80", 6
_A_PONG: Final = WSMessage(WSMsgType.PONG, b"", None)
_WORDS: Final = (WSMsgType.TEXT, WSMsgType.BINARY)
# What to do with what a client says: the answer, or None. Raises EcpError for what is wrong.
Say = Callable[[Any, Any], Mapping[str, object] | None]


class Connection(Line, asyncio.Protocol):
    """`place` None: it was not let in, and is only said goodbye to. `say` None: what its client says is not looked at.

    `_next`: the turn in which the next message is looked at; `_deadline`: by when its client has to have done
    something, which is to read its answers or, once it is `_closing`, to say goodbye.
    """

    __slots__ = (
        "_app", "_closing", "_deadline", "_group", "_heard", "_korean", "_next", "_place", "_queue", "_reader",
        "_reading_paused", "_request_id", "_say", "_unfinished",
    )  # fmt: skip

    def __init__(
        self, transport: asyncio.Transport, app: web.Application, request_id: str,
        place: Place[Any, Any, Any] | None = None, say: Say | None = None, *, korean: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(transport)
        self._app = app
        self._request_id = request_id
        self._place = place
        self._say = say
        # The language of its errors.
        self._korean = korean
        self._closing = self._reading_paused = False
        self._heard = True
        self._unfinished = 0
        self._queue: WebSocketDataQueue | None = None
        self._reader: WebSocketReader | None = None
        self._next: asyncio.Handle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._group = app[HEARTBEATS].add(self)
        if place is not None:
            place.outbox.on_close = self._asked_to_end

    # --- what aiohttp's queue asks of a protocol --------------------------------------------------------------

    def pause_reading(self) -> None:
        self._reading_paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._reading_paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # --- what the loop tells -----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if self._reader is None:
            if not self._waits and len(data) == _PONG_SIZE and data.startswith(_PONG):
                self._wait_for(_A_PONG)
                return
            self._queue = WebSocketDataQueue(
                cast(BaseProtocol, self), _UNREAD, loop=asyncio.get_running_loop()
            )
            self._reader = WebSocketReader(self._queue, MAX_MESSAGE, compress=False, decode_text=True)
        self._unfinished += len(data)
        self._reader.feed_data(data)
        self._listen()
        if self._unfinished > MAX_UNFINISHED and not self._closing:
            self._say_goodbye(WSCloseCode.MESSAGE_TOO_BIG, "send messages in fewer fragments")
            self._hang_up()

    # aiohttp hands over what came with the handshake.
    feed_data = data_received

    def feed_eof(self) -> None:
        """aiohttp thinks that the connection is lost; it is ours."""

    def resume_writing(self) -> None:
        """The client has read what it was sent."""
        if self._deadline is not None and not self._closing:
            self._forget_deadline()
            self._listen()

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._forget_deadline()
        if self._next is not None:
            self._next.cancel()
        self._app[HEARTBEATS].drop(self, self._group)
        self._queue = self._reader = self._next = None
        # It is forgotten with the place: nothing is left for the garbage collector.
        if (place := self._place) is not None:
            self._place = place.outbox.on_close = None
            place.leave()

    # --- signs of life -----------------------------------------------------------------------------------------

    def ask(self) -> None:
        self._heard = False
        if not self._closing and self.free:
            self.write(ping_frame())

    def look(self) -> None:
        if not self._heard and self._transport is not None:
            self._transport.abort()

    # --- what the client says ----------------------------------------------------------------------------------

    @property
    def _waits(self) -> bool:
        """Whether a message is to be looked at already, or an answer to be read first."""
        return self._next is not None or (self._deadline is not None and not self._closing)

    def _listen(self) -> None:
        """Look for the next message, unless one waits."""
        if self._waits or self._queue is None:
            return
        try:
            message = _first(self._queue)
        except WebSocketError as error:
            self._say_goodbye(error.code, str(error))
            self._hang_up()
            return
        if message is not None:
            # Control frames may come in the middle of a message in fragments.
            own = 0 if message.type is WSMsgType.CLOSE else len(message.data)  # a close frame's is its code
            beside = max(0, self._unfinished - own - _FRAME)
            self._unfinished = 0 if message.type in _WORDS else beside
            self._wait_for(message, 1 + beside // _PAID)

    def _wait_for(self, message: WSMessage, worth: int = 1) -> None:
        """Others get a turn before each message, and whoever says too much waits; to take leave costs nothing."""
        loop, seconds = (
            asyncio.get_running_loop(),
            0.0 if message.type is WSMsgType.CLOSE else self._pay(worth),
        )
        later = loop.call_later(seconds, self._take, message) if seconds else None
        self._next = later or loop.call_soon(self._take, message)

    def _pay(self, worth: int) -> float:
        """For a message of the client that costs as much as so many: the seconds until it may be looked at."""
        if self._place is None:
            return UNWELCOME_SECONDS
        now, limits = self._app[CONTEXT].clock.now(), self._app[LIMITS]
        return max(limits.message(self._place.session, now) for _ in range(worth))

    def _take(self, message: WSMessage) -> None:
        self._next = None
        if self._transport is None:
            return
        try:
            self._look_at(message)
        except Exception as error:  # noqa: BLE001 - a bug of ours ends this socket, and is logged
            _log.error("socket_broken", exc_info=error)
            self._end(WSCloseCode.INTERNAL_ERROR, FAULT)
        if self._place is not None and not self._closing and not self.free:
            # It does not read its answers: what else it says waits, and so do we, but not for ever.
            patience = self._place.broadcast.patience
            self._deadline = asyncio.get_running_loop().call_later(patience, self._let_go)
        self._listen()

    def _look_at(self, message: WSMessage) -> None:
        if message.type is WSMsgType.CLOSE:
            if not self._closing:
                self._say_goodbye(WSCloseCode.OK, "")
            self._hang_up()
        elif self._closing:
            return
        elif message.type is WSMsgType.PING:
            self.write(pong_frame(bytes(message.data)))
        elif message.type in _WORDS and self._say is not None:
            answer = self._answer(self._say, message)
            if answer is not None:
                self.write(text_frame(dumps(answer)))

    def _answer(self, say: Say, message: WSMessage) -> Mapping[str, object] | None:
        """A bad message is answered with an error, and the socket stays open."""
        try:
            return say(self._place, _decoded(message))
        except EcpError as error:
            now = self._app[CONTEXT].clock.now()
            return described(error, korean=self._korean, now=now, request_id=self._request_id)

    # --- the end -----------------------------------------------------------------------------------------------

    def _let_go(self) -> None:
        self._end(WSCloseCode.TRY_AGAIN_LATER, STAYS_BEHIND)

    def _end(self, code: int, reason: str) -> None:
        if self._place is not None:
            self._place.outbox.close(code, reason)

    def _asked_to_end(self) -> None:
        if self._place is not None:
            self.goodbye(self._place.outbox.close_code, self._place.outbox.close_reason)

    def goodbye(self, code: int, reason: str) -> None:
        """Close it; its client has a moment to take leave. One that does not even take the close frame is cut off."""
        if not self._closing and self._transport is not None:
            self._say_goodbye(code, reason)
            self._deadline = asyncio.get_running_loop().call_later(CLOSE_GRACE, self._hang_up)
            self._listen()

    def _say_goodbye(self, code: int, reason: str) -> None:
        self._closing = True
        self._forget_deadline()
        if self._place is not None:
            self._place.quiet()
        self.write(close_frame(code, reason))

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort() if self._transport.get_write_buffer_size() else self._transport.close()


def _first(queue: WebSocketDataQueue) -> WSMessage | None:
    """The next message, if it is there already. Raises WebSocketError for what is no message."""
    if not queue._buffer and queue.exception() is None:
        return None
    reading = queue.read()
    try:
        reading.send(None)
    except StopIteration as found:
        return cast(WSMessage, found.value)
    raise RuntimeError("a queue that is not empty waits")


def _decoded(message: WSMessage) -> Any:
    if message.type is not WSMsgType.TEXT:
        raise BadRequest("messages are JSON text")
    try:
        return json.loads(message.data)
    except (ValueError, RecursionError):
        raise BadRequest("the message is not JSON") from None
