"""The asynchronous client."""

from __future__ import annotations

import ssl as tls
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal, ParamSpec, TypeVar, overload

from ecpmon.client import deploying, requests
from ecpmon.client import types as t
from ecpmon.client.batches import AsyncBatch, OnRefused, OnRejected
from ecpmon.client.calls import API, Call, given, segment
from ecpmon.client.deploying import Progress
from ecpmon.client.errors import NotDelivered
from ecpmon.client.named import Requests
from ecpmon.client.pending import USUAL as USUAL_SIZES
from ecpmon.client.pending import Sizes
from ecpmon.client.retries import USUAL, Retries
from ecpmon.client.streams import Stream
from ecpmon.client.transport import Options, Token, Transport, root_of

P = ParamSpec("P")
T = TypeVar("T")


class AsyncECPClient(Requests):
    """`async with AsyncECPClient("https://ecp.example.com/api/v1", token=…) as client:`

    One event loop's. `base_url` with or without `/api/v1`. `token`: a text, or a function that is asked before every
    request, for tokens that end. `is_demo` None leaves the choice to the service's settings. `language`: of the
    messages in errors, such as `ko`. `timeout`: seconds of one attempt. Requests raise ECPError (see `errors`).
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
        self.transport = Transport(
            Options(root_of(base_url), is_demo, token, language, timeout, retries, ssl)
        )
        self._batches: set[AsyncBatch] = set()

    async def __aenter__(self) -> AsyncECPClient:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Deliver what batches still hold, then hang up. Raises NotDelivered of what they could not deliver."""
        left: list[NotDelivered] = []
        for batch in [*self._batches]:
            try:
                await batch.close()
            except NotDelivered as error:
                left.append(error)
        await self.transport.close()
        if left:
            raise NotDelivered([entry for error in left for entry in error.entries], left[0].because)

    async def _sent(self, make: Callable[P, Call[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.transport.send(make(*args, **kwargs))

    @overload
    async def deploy(
        self, tenant_id: str, method: t.Method = ..., *, wait: Literal[True],
        progress: Progress | None = ..., timeout: float | None = ..., **options: Any,
    ) -> t.Deployment: ...  # fmt: skip

    @overload
    async def deploy(
        self, tenant_id: str, method: t.Method = ..., *, wait: Literal[False] = ...,
        progress: Progress | None = ..., timeout: float | None = ..., **options: Any,
    ) -> t.DeploymentBegun: ...  # fmt: skip

    async def deploy(
        self,
        tenant_id: str,
        method: t.Method = "kubernetes",
        *,
        wait: bool = False,
        progress: Progress | None = None,
        timeout: float | None = 900.0,
        **options: Any,
    ) -> t.Deployment | t.DeploymentBegun:
        """Begin a deployment; with `wait` come back when it is over, `progress` hearing of every step meanwhile.

        Options: `include_monitoring`, `include_ingress`, `force` and its `reason`, `dry_run` (which is not waited for).
        Raises Conflict (another runs, or the error budget is spent), DeploymentFailed, TimeoutError: it goes on.
        """
        begun = await self.transport.send(requests.begin_deployment(tenant_id, method, **options))
        number = begun["deployment_id"]
        if not wait or number is None:
            return begun
        return await deploying.finished(self.transport, tenant_id, number, progress, timeout)

    def follow_deployment(self, deployment_id: str) -> Stream[t.DeploymentStep]:
        """The steps of a deployment, from where it is until it is over."""
        return deploying.steps(self.transport, deployment_id)

    def monitoring(
        self, tenant_id: str, metrics: Sequence[str] | None = None, *, interval: float = 5.0
    ) -> Stream[t.MonitoringMessage]:
        """Live metrics, every `interval` seconds; a change of the tenant's availability comes at once."""
        return Stream(self.transport, f"/ws/monitoring/{segment(tenant_id)}", _wanted(metrics, interval))

    def realtime(
        self, tenant_id: str, metrics: Sequence[str] | None = None, *, interval: float = 5.0
    ) -> Stream[t.RealtimeMessage]:
        """The same with the SLA figures of the last 24 hours in `sla_data`."""
        path = f"{API}/simulator/realtime/{segment(tenant_id)}"
        # Without a word it has the metrics that belong to it; asking for none would ask for all.
        first = None if metrics is None and interval == 5.0 else _wanted(metrics or REALTIME, interval)
        return Stream(self.transport, path, first)

    def alerts(self, tenant_id: str) -> Stream[t.AlertMessage]:
        """What is firing, then every change. After a reconnection what is firing then is told again."""
        return Stream(self.transport, f"/ws/alerts/{segment(tenant_id)}")

    def batch(
        self,
        sizes: Sizes = USUAL_SIZES,
        *,
        on_rejected: OnRejected | None = None,
        on_refused: OnRefused | None = None,
    ) -> AsyncBatch:
        """Measurements that are sent together. Close it, or this client, so that the last ones are delivered."""
        made = AsyncBatch(
            self.transport,
            sizes,
            on_rejected=on_rejected,
            on_refused=on_refused,
            on_closed=self._batches.discard,
        )
        self._batches.add(made)
        return made


REALTIME = ("cpu", "memory", "network_rps", "response_time", "error_rate", "up")


def _wanted(metrics: Sequence[str] | None, interval: float) -> dict[str, Any]:
    names = None if metrics is None else list(metrics)
    return {"action": "subscribe", **given(metrics=names, interval=round(interval * 1000))}
