"""Webhooks by aiohttp: signed, bounded in time and size, never redirected, never into our own network."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp
import orjson

from ecpmon.alerts.notifiers.resolving import GuardedResolver, Lookups
from ecpmon.alerts.signing import signed_headers
from ecpmon.alerts.targets import AddressGuard, TargetRefused, check_headers, check_target
from ecpmon.model.alerts import (
    DeliveryOutcome,
    DeliveryReason,
    DeliveryResult,
    Notification,
    WebhookAction,
)

TIMEOUT: Final = timedelta(seconds=10)
ANSWER_BYTES: Final = 4096
EXCERPT: Final = 500
LONGEST_RETRY_AFTER: Final = timedelta(hours=1)
UNRESOLVED: Final = "the target's name leads to no address that webhooks may be sent to"
NO_HTTP: Final = "the target did not answer in HTTP"
_NO_ANSWER: Final = (
    (aiohttp.ClientConnectorCertificateError, "the target's TLS certificate is not valid for it"),
    (aiohttp.ClientSSLError, "no TLS connection to the target"),
    (aiohttp.ClientConnectorError, "no connection to the target"),
    (aiohttp.ServerDisconnectedError, "the target closed the connection without an answer"),
    (OSError, "the connection to the target broke"),
)
_OWN_HEADERS: Final = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "ecpmon",
    "Accept-Encoding": "identity",
}


class _AddressRefused(OSError):
    """Raised while connecting; aiohttp wraps it, so deliveries ask their gate instead of the exception."""


class _Gate:
    """Makes the sockets of one delivery, after a look at the address they will really connect to."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self.refusal: str | None = None

    def __call__(self, info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, address = info
        if refusal := self._guard.refusal(address[0]):
            self.refusal = refusal
            raise _AddressRefused(refusal)
        return socket.socket(family, kind, protocol)


class WebhookNotifier:
    """Delivers to `WebhookAction`s.

    `keys_of(tenant_key, now)` gives the keys that sign, the newest first. Every delivery has its own
    connection: alerts are rare, and nothing of one tenant's receiver (cookies, sockets) reaches another's.
    """

    def __init__(
        self,
        keys_of: Callable[[int, datetime], Awaitable[Sequence[bytes]]],
        guard: AddressGuard | None = None,
        timeout: timedelta = TIMEOUT,
        lookups: Lookups | None = None,
    ) -> None:
        self._keys_of = keys_of
        self._guard = guard or AddressGuard()
        self._lookups = lookups or Lookups()
        self._timeout = aiohttp.ClientTimeout(total=timeout.total_seconds())

    async def deliver(self, notification: Notification, now: datetime) -> DeliveryResult:
        """One signed POST or PUT. 2xx delivers; 5xx, 429 and network errors ask for a retry."""
        action = notification.action
        if not isinstance(action, WebhookAction):
            return _parked(DeliveryReason.NO_NOTIFIER, f"not a webhook: {action.type}")
        gate = _Gate(self._guard)
        try:
            check_target(action.url, self._guard)
            headers = dict(check_headers(action.headers))
            return await self._send(action, gate, headers, notification, now)
        except TargetRefused as error:
            return _parked(DeliveryReason.REFUSED_TARGET, error.message)
        except (aiohttp.InvalidURL, UnicodeError) as error:
            return _parked(DeliveryReason.REFUSED_TARGET, "nothing can be sent to this URL", str(error))
        except TimeoutError:
            return _retry(DeliveryReason.TIMEOUT, f"no answer within {self._timeout.total:g} s")
        except (aiohttp.ClientError, OSError) as error:
            if gate.refusal:
                return _parked(DeliveryReason.REFUSED_TARGET, gate.refusal)
            return _no_answer(error)

    def close(self) -> None:
        """Let go of the threads that look names up."""
        self._lookups.close()

    async def _send(
        self,
        action: WebhookAction,
        gate: _Gate,
        headers: dict[str, str],
        notification: Notification,
        now: datetime,
    ) -> DeliveryResult:
        body = orjson.dumps(notification.payload, option=orjson.OPT_SORT_KEYS)
        keys = await self._keys_of(notification.tenant_key, now)
        headers |= _OWN_HEADERS | signed_headers(keys, now, body, notification.idempotency_key)
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(self._lookups, self._guard, notification.tenant_key),
            socket_factory=gate,
            force_close=True,
            use_dns_cache=False,
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                trust_env=False,  # a proxy would connect for us, past the gate
                auto_decompress=False,  # an answer is read as it is: no bombs
            ) as session,
            session.request(
                action.method, action.url, data=body, headers=headers, allow_redirects=False
            ) as response,
        ):
            return _judge(response, await _excerpt(response), now)


async def _excerpt(response: aiohttp.ClientResponse) -> str:
    """The start of the answer for people to read; a broken rest does not undo the status."""
    read = b""
    try:
        while len(read) < ANSWER_BYTES and (chunk := await response.content.read(ANSWER_BYTES - len(read))):
            read += chunk
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
    text = read.decode(errors="replace")[:EXCERPT]
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def _judge(response: aiohttp.ClientResponse, answer: str, now: datetime) -> DeliveryResult:
    status = response.status
    if 200 <= status < 300:
        return DeliveryResult(DeliveryOutcome.DELIVERED, DeliveryReason.ACCEPTED, status, answer)
    if status == 429 or status >= 500:
        reason = DeliveryReason.THROTTLED if status == 429 else DeliveryReason.SERVER_ERROR
        wait = retry_after(response.headers.get("Retry-After"), now)
        return DeliveryResult(DeliveryOutcome.RETRY, reason, status, answer, retry_after=wait)
    if 300 <= status < 400:
        message = "the target redirects; redirects are not followed, give the final URL"
        return DeliveryResult(DeliveryOutcome.PARK, DeliveryReason.REDIRECTED, status, answer, message)
    return DeliveryResult(DeliveryOutcome.PARK, DeliveryReason.REJECTED, status, answer)


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """A Retry-After header, seconds or an HTTP date, as a pause of at most an hour; nonsense is None."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=min(int(text[:9]), 86_400)), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta(0)), LONGEST_RETRY_AFTER)


def _no_answer(error: Exception) -> DeliveryResult:
    """A failed connection in one of our own sentences: the exception may name addresses."""
    detail = f"{type(error).__name__}: {error}"[:EXCERPT]
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return _retry(DeliveryReason.UNRESOLVED, UNRESOLVED, detail)
    sentence = next((text for kind, text in _NO_ANSWER if isinstance(error, kind)), NO_HTTP)
    return _retry(DeliveryReason.NETWORK, sentence, detail)


def _parked(reason: DeliveryReason, error: str, detail: str = "") -> DeliveryResult:
    return DeliveryResult(DeliveryOutcome.PARK, reason, error=error, detail=detail)


def _retry(reason: DeliveryReason, error: str, detail: str = "") -> DeliveryResult:
    return DeliveryResult(DeliveryOutcome.RETRY, reason, error=error, detail=detail)
