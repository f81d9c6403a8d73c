"""Sending requests with aiohttp, and again where that is right.

Invariants:
- A request that nobody knows the fate of is sent again only if it is `repeatable`; one that was refused before anything
  was done (429, `OVERLOADED`) or never left is, whatever it asks for.
- All attempts of one request carry the same `X-Request-ID`, so that the service's log shows them together.
- The session belongs to the event loop that first used it, and to no other.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import uuid
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import aiohttp
import stamina

from ecpmon.client.calls import Answer, Call
from ecpmon.client.errors import ECPError, NotFound, Unreachable, did_nothing, error_of
from ecpmon.client.retries import USUAL, Retries, retry_after_of

T = TypeVar("T")
Token = str | Callable[[], str] | None
_API: Final = "/api/v1"
_REQUEST_ID: Final = "x-request-id"


@dataclass(frozen=True, slots=True)
class Options:
    """What a client was made with. `root`: the service's address, without `/api/v1`; `timeout` of one attempt."""

    root: str
    is_demo: bool | None = False
    token: Token = None
    language: str | None = None
    timeout: float = 30.0
    retries: Retries = USUAL
    ssl: ssl.SSLContext | None = None

    def headers(self) -> dict[str, str]:
        """Of every request. Without a demo mode the service's own default counts."""
        found = {"User-Agent": "ecpmon-client", "Accept": "*/*"}
        if self.is_demo is not None:
            found["X-Demo-Mode"] = "true" if self.is_demo else "false"
        if self.language is not None:
            found["Accept-Language"] = self.language
        token = self.token() if callable(self.token) else self.token
        if token is not None:
            found["Authorization"] = f"Bearer {token}"
        return found


def root_of(base_url: str) -> str:
    """The service's address: sockets and `/health` are not below `/api/v1`, which people give as the base."""
    root = base_url.rstrip("/").removesuffix(_API)
    if not root.startswith(("http://", "https://")):
        raise ValueError(f"{base_url!r} is no http:// or https:// address")
    return root


class Closing(Protocol):
    async def close(self) -> None: ...


class Transport:
    """The connections of one client."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._session: aiohttp.ClientSession | None = None
        self.closed = False
        # What ends with it.
        self.streams: weakref.WeakSet[Closing] = weakref.WeakSet()

    @property
    def session(self) -> aiohttp.ClientSession:
        if self.closed:
            raise RuntimeError("the client is closed")
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self.options.timeout)
            connector = aiohttp.TCPConnector(ssl=self.options.ssl or True)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=connector)
            # Unasked it sends PUT and DELETE once more when a connection breaks, and tells nobody: the second one finds
            # what the first has done. Its own test client turns that off the same way.
            self._session._retry_connection = False
        return self._session

    async def close(self) -> None:
        self.closed = True
        for stream in [*self.streams]:
            await stream.close()
        if self._session is not None:
            await self._session.close()

    async def send(self, call: Call[T], retries: Retries | None = None) -> T:
        """The answer to a request. Raises ECPError, of the last attempt."""
        policy, body = retries or self.options.retries, call.encoded()
        request_id = f"req-{uuid.uuid4().hex[:16]}"
        # Whether an attempt may have been carried out although it failed.
        unsure = False
        async for attempt in stamina.retry_context(
            on=policy.hook(call.repeatable, time.monotonic),
            attempts=policy.attempts,
            timeout=policy.seconds,
            wait_initial=policy.first_wait,
            wait_max=policy.longest_wait,
            wait_jitter=policy.first_wait,
        ):
            with attempt:
                try:
                    return call.read(await self._once(call, body, request_id))
                except NotFound:
                    if unsure and call.gone_is_done:
                        return call.read(Answer(204, {}, b""))
                    raise
                except ECPError as error:
                    unsure = unsure or not did_nothing(error)
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _once(self, call: Call[Any], body: bytes | None, request_id: str) -> Answer:
        headers = {**self.options.headers(), **call.headers, _REQUEST_ID: request_id}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        try:
            async with self.session.request(
                call.method, self.options.root + call.path, params=call.query, data=body, headers=headers,
                allow_redirects=False,
            ) as response:  # fmt: skip
                content = await response.read()
                answer = Answer(response.status, _lowered(response.headers), content)
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(_why(error), request_id=request_id, sent=False) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            timed_out = isinstance(error, TimeoutError)
            raise Unreachable(_why(error), request_id=request_id, sent=True, timed_out=timed_out) from error
        if answer.status >= 300:
            raise refused(answer, request_id)
        return answer

    async def socket(self, path: str) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket. Raises ECPError as requests do."""
        headers = self.options.headers()
        try:
            async with asyncio.timeout(self.options.timeout):
                return await self.session.ws_connect(
                    self.options.root + path, headers=headers, heartbeat=30, max_msg_size=2**20
                )
        except aiohttp.WSServerHandshakeError as error:
            lowered = _lowered(error.headers or {})
            raise refused(Answer(error.status, lowered, b""), lowered.get(_REQUEST_ID)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(_why(error), sent=False, timed_out=isinstance(error, TimeoutError)) from error


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__


def refused(answer: Answer, request_id: str | None) -> ECPError:
    """The error that an answer of 300 or more is."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        document = None
    return error_of(
        answer.status,
        document,
        request_id=answer.headers.get(_REQUEST_ID, request_id),
        retry_after=retry_after_of(answer.headers.get("retry-after")),
    )
