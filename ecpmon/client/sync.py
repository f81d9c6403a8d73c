"""The synchronous client: the asynchronous one, which an event loop in a thread of its own runs."""

from __future__ import annotations

import ssl as tls
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from ecpmon.client import types as t
from ecpmon.client.aio import AsyncECPClient
from ecpmon.client.batches import AsyncBatch, OnRefused, OnRejected
from ecpmon.client.calls import Call, instant
from ecpmon.client.deploying import Progress
from ecpmon.client.named import Requests
from ecpmon.client.pending import USUAL as USUAL_SIZES
from ecpmon.client.pending import Entry, Sizes
from ecpmon.client.retries import USUAL, Retries
from ecpmon.client.streams import Stream
from ecpmon.client.threads import LoopThread
from ecpmon.client.transport import Token

P = ParamSpec("P")
T = TypeVar("T")


class ECPClient(Requests):
    """`with ECPClient("https://ecp.example.com/api/v1", token=…) as client:`, or without `with` and closed at the end.

    Any thread may use it, and a process that was forked from one that had it. See AsyncECPClient for what it takes.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8001/api/v1",
        is_demo: bool | None = False,
        *,
        token: Token = None,
        language: str | None = None,
        timeout: float = 30.0,
        retries: Retries = USUAL,
        ssl: tls.SSLContext | None = None,
    ) -> None:
        def make() -> AsyncECPClient:
            return AsyncECPClient(
                base_url, is_demo, token=token, language=language, timeout=timeout, retries=retries, ssl=ssl
            )

        make()  # what cannot be is refused now
        self._make = make
        self._lock = threading.Lock()
        self._running: tuple[LoopThread, AsyncECPClient] | None = None
        self._closed = False

    def __enter__(self) -> ECPClient:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Deliver what batches still hold, then hang up. Raises NotDelivered of what they could not deliver."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, None
        if running is not None and running[0].here:
            loop, client = running
            try:
                loop.run(client.close())
            finally:
                loop.stop()

    def running(self) -> tuple[LoopThread, AsyncECPClient]:
        """Begun when it is first needed, and again after a fork."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the client is closed")
            if self._running is None or not self._running[0].here:
                loop, client = self._running = LoopThread(), self._make()
                # For who forgets to close it: no connection is left to the garbage collector.
                weakref.finalize(self, _hang_up, loop, client)
            return self._running

    def wait_for(self, work: Callable[[AsyncECPClient], Coroutine[Any, Any, T]]) -> T:
        """The result of something that the asynchronous client does."""
        loop, client = self.running()
        return loop.run(work(client))

    def _sent(self, make: Callable[P, Call[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return self.wait_for(lambda client: client.transport.send(make(*args, **kwargs)))

    @overload
    def deploy(
        self, tenant_id: str, method: t.Method = ..., *, wait: Literal[True],
        progress: Progress | None = ..., timeout: float | None = ..., **options: Any,
    ) -> t.Deployment: ...  # fmt: skip

    @overload
    def deploy(
        self, tenant_id: str, method: t.Method = ..., *, wait: Literal[False] = ...,
        progress: Progress | None = ..., timeout: float | None = ..., **options: Any,
    ) -> t.DeploymentBegun: ...  # fmt: skip

    def deploy(
        self, tenant_id: str, method: t.Method = "kubernetes", *, wait: bool = False, **more: Any
    ) -> t.Deployment | t.DeploymentBegun:
        """As `AsyncECPClient.deploy`; `progress` is called in a thread of the client's and must not use it."""

        async def begun(client: AsyncECPClient) -> t.Deployment | t.DeploymentBegun:
            if wait:
                return await client.deploy(tenant_id, method, wait=True, **more)
            answer: t.DeploymentBegun = await client.deploy(tenant_id, method, wait=False, **more)
            return answer

        return self.wait_for(begun)

    def follow_deployment(self, deployment_id: str) -> Messages[t.DeploymentStep]:
        """The steps of a deployment, from where it is until it is over."""
        return self._messages(lambda client: client.follow_deployment(deployment_id))

    def monitoring(
        self, tenant_id: str, metrics: Sequence[str] | None = None, *, interval: float = 5.0
    ) -> Messages[t.MonitoringMessage]:
        """Live metrics, every `interval` seconds; a change of the tenant's availability comes at once."""
        return self._messages(lambda client: client.monitoring(tenant_id, metrics, interval=interval))

    def realtime(
        self, tenant_id: str, metrics: Sequence[str] | None = None, *, interval: float = 5.0
    ) -> Messages[t.RealtimeMessage]:
        """The same with the SLA figures of the last 24 hours in `sla_data`."""
        return self._messages(lambda client: client.realtime(tenant_id, metrics, interval=interval))

    def alerts(self, tenant_id: str) -> Messages[t.AlertMessage]:
        """What is firing, then every change. After a reconnection what is firing then is told again."""
        return self._messages(lambda client: client.alerts(tenant_id))

    def subscribe_to_monitoring(
        self,
        tenant_id: str,
        callback: Callable[[t.MonitoringMessage], None],
        metrics: Sequence[str] | None = None,
        *,
        interval: float = 5.0,
    ) -> Subscription[t.MonitoringMessage]:
        """`callback` hears of every message, in a thread of its own, until the subscription is closed."""
        return Subscription(self.monitoring(tenant_id, metrics, interval=interval), callback)

    def subscribe_to_alerts(
        self, tenant_id: str, callback: Callable[[t.AlertMessage], None]
    ) -> Subscription[t.AlertMessage]:
        """The same of alerts."""
        return Subscription(self.alerts(tenant_id), callback)

    def batch(
        self,
        sizes: Sizes = USUAL_SIZES,
        *,
        on_rejected: OnRejected | None = None,
        on_refused: OnRefused | None = None,
    ) -> Batch:
        """Measurements that are sent together. Close it, or this client, so that the last ones are delivered."""
        loop, client = self.running()
        return Batch(self, loop, client.batch(sizes, on_rejected=on_rejected, on_refused=on_refused))

    def _messages(self, make: Callable[[AsyncECPClient], Stream[T]]) -> Messages[T]:
        loop, client = self.running()
        return Messages(self, loop, make(client))


def _hang_up(loop: LoopThread, client: AsyncECPClient) -> None:
    if loop.here and not client.transport.closed:
        loop.stop(client.transport.close)


class Messages(Iterator[T], Generic[T]):
    """`for message in messages`. `with` closes it, and so may another thread."""

    def __init__(self, client: ECPClient, loop: LoopThread, stream: Stream[T]) -> None:
        self._client = client  # it lives as long as we do
        self._loop = loop
        self._stream = stream

    def __enter__(self) -> Messages[T]:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Messages[T]:
        return self

    def __next__(self) -> T:
        """The next message. Raises AnsweredError when there will never be one, or we said something wrong."""
        found, message = self._loop.run(self._one())
        if not found or message is None:
            raise StopIteration
        return message

    async def _one(self) -> tuple[bool, T | None]:
        # A StopIteration cannot leave a coroutine.
        async for message in self._stream:
            return True, message
        return False, None

    @property
    def reconnects(self) -> int:
        """Sockets after the first one."""
        return self._stream.reconnects

    def close(self) -> None:
        with suppress(RuntimeError):  # the client is closed, and everything of it with it
            self._loop.run(self._stream.close())


class Subscription(Generic[T]):
    """Messages that a callback hears. `error`: why it has ended, if not by `close`."""

    def __init__(self, messages: Messages[T], callback: Callable[[T], None]) -> None:
        self.error: Exception | None = None
        self._messages = messages
        self._callback = callback
        self._thread = threading.Thread(target=self._run, name="ecp-subscription", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for message in self._messages:
                self._callback(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever closes or joins it is told
            self.error = error
            self._messages.close()

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended. Raises what ended it."""
        self._thread.join(timeout)
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """The callback is not called any more once this has returned, unless it is the callback that closes."""
        self._messages.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(10)


class Batch:
    """`with client.batch() as batch: batch.add(tenant_id, metrics)`. See AsyncBatch; any thread may add."""

    def __init__(self, client: ECPClient, loop: LoopThread, batch: AsyncBatch) -> None:
        self._client = client
        self._loop = loop
        self._batch = batch

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Entries that are neither delivered nor given back yet."""
        return len(self._batch)

    @property
    def accepted(self) -> int:
        return self._batch.accepted

    @property
    def rejected(self) -> int:
        return self._batch.rejected

    def add(self, tenant_id: str, metrics: t.Metrics, *, timestamp: datetime | str | None = None) -> None:
        """Take measurements of one instant, by default of now; waits while there is no room for them."""
        entry = Entry.of(tenant_id, metrics, instant(timestamp))
        look = self._batch.offer(entry)
        if look is None:
            self._loop.run(self._batch.put(entry))
        elif look:
            self._loop.soon(self._batch.look)

    def flush(self, timeout: float | None = None) -> None:
        """Deliver everything that is held. Raises NotDelivered, TimeoutError: the rest is still held."""
        self._loop.run(self._batch.flush(timeout))

    def close(self, timeout: float = 30.0) -> None:
        """Deliver the rest. Raises NotDelivered of what was not delivered within `timeout` seconds, or refused."""
        if not self._batch.closed:
            self._loop.run(self._batch.close(timeout))
