"""Live subscriptions: a WebSocket that is opened again whenever it breaks.

Invariants:
- A stream ends by itself only when the service said that there is nothing more (a normal close), or that it will never
  be let in (unknown tenant, no right): the latter is raised.
- Whatever else ends a socket, the next one is opened after a wait that doubles up to `longest_wait`, or as long as the
  service asks; it is back at its beginning once a socket has brought a message.
- What happened between two sockets is not told afterwards: every socket begins with the present state.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

import aiohttp

from ecpmon.client.errors import AnsweredError, ECPError, error_of, passes
from ecpmon.client.transport import Transport

T = TypeVar("T")
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0
# The service's own close codes, as the answers that they stand for (api.md §8).
_REFUSALS: Final = {4401: (401, "UNAUTHORIZED"), 4403: (403, "FORBIDDEN"), 4404: (404, "TENANT_NOT_FOUND")}


class Stream(AsyncIterator[T], Generic[T]):
    """`async for message in stream`. `reconnects`: sockets after the first one. `async with` closes it."""

    def __init__(
        self,
        transport: Transport,
        path: str,
        first: Mapping[str, Any] | None = None,
        *,
        first_wait: float = FIRST_WAIT,
        longest_wait: float = LONGEST_WAIT,
    ) -> None:
        """`first`: what is said into every new socket."""
        self.reconnects = 0
        self._transport = transport
        self._path = path
        self._first = first
        self._waits = first_wait, longest_wait
        self._wait = first_wait
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._opened = False
        self._ended = asyncio.Event()
        transport.streams.add(self)

    def __aiter__(self) -> Stream[T]:
        return self

    async def __aenter__(self) -> Stream[T]:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        return self._socket is not None and not self._socket.closed

    async def close(self) -> None:
        """No more messages; whoever waits for one is told that the stream is over."""
        self._ended.set()
        if self._socket is not None:
            await self._socket.close()

    @property
    def _over(self) -> bool:
        return self._ended.is_set() or self._transport.closed

    async def __anext__(self) -> T:
        """The next message. Raises AnsweredError when the stream will never be let in, or was said something wrong."""
        while not self._over:
            try:
                message = await self._next()
            except ECPError as error:
                if not passes(error):
                    self._ended.set()
                    raise
                await self._rest(error)
                continue
            except RuntimeError:
                if self._over:  # the client was closed while a socket was being opened
                    break
                raise
            if message is not None:
                return message
        raise StopAsyncIteration

    async def _next(self) -> T | None:
        """A message; None: look again. Raises ECPError."""
        socket = self._socket or await self._open()
        said = await socket.receive()
        if said.type is aiohttp.WSMsgType.TEXT:
            self._wait = self._waits[0]
            return self._read(json.loads(said.data))
        self._socket = None
        code = socket.close_code
        if code == aiohttp.WSCloseCode.OK:
            self._ended.set()
        elif code in _REFUSALS:
            status, name = _REFUSALS[code]
            reason = said.extra or f"the socket was closed with {code}"
            raise error_of(status, {"error": {"code": name, "message": reason}}, request_id=None)
        elif not self._over:
            await self._rest(None)
        return None

    def _read(self, message: Any) -> T | None:
        if isinstance(message, dict) and "error" in message:
            # To what we have said: a subscription that cannot be.
            raise error_of(422, message, request_id=None)
        if isinstance(message, dict) and "action" in message:
            return None
        return message  # type: ignore[no-any-return]

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        socket = await self._transport.socket(self._path)
        if self._over:
            await socket.close()
            return socket
        self._socket = socket
        self.reconnects += self._opened
        self._opened = True
        if self._first is not None:
            # If it is closed already, why is what is received next.
            with suppress(aiohttp.ClientError, ConnectionError):
                await socket.send_json(self._first)
        return socket

    async def _rest(self, error: ECPError | None) -> None:
        """Not all at the same instant: a service that starts again is met by every client that it had."""
        asked = error.retry_after if isinstance(error, AnsweredError) else None
        wait = (self._wait if asked is None else asked) * random.uniform(1, 1.5)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), wait)
        self._wait = min(self._waits[1], self._wait * 2)
