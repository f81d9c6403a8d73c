"""The asynchronous client."""

from __future__ import annotations

import ssl as tls
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from inspect import Parameter, signature
from types import TracebackType
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from ecpmon.client import deploying, evidence, operations, requests
from ecpmon.client import types as t
from ecpmon.client.batches import AsyncBatch, OnRefused, OnRejected
from ecpmon.client.calls import API, Call, given, segment
from ecpmon.client.deploying import Progress
from ecpmon.client.errors import NotDelivered
from ecpmon.client.pending import USUAL as USUAL_SIZES
from ecpmon.client.pending import Sizes
from ecpmon.client.retries import USUAL, Retries
from ecpmon.client.streams import Stream
from ecpmon.client.transport import Options, Token, Transport, root_of

P = ParamSpec("P")
T = TypeVar("T")
AsyncMethod = Callable[Concatenate["AsyncECPClient", P], Coroutine[Any, Any, T]]


def _sent(make: Callable[P, Call[T]]) -> AsyncMethod[P, T]:
    """A method that sends the request."""

    @wraps(make)
    async def method(self: AsyncECPClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.transport.send(make(*args, **kwargs))

    return as_method(make, method)


def as_method(make: Callable[..., Any], method: T) -> T:
    """`help()` shows the parameters and the answer of the request behind `self`."""
    shown = signature(make)
    parameters = [Parameter("self", Parameter.POSITIONAL_ONLY), *shown.parameters.values()]
    answer = str(shown.return_annotation).removeprefix("Call[").removesuffix("]")
    method.__signature__ = shown.replace(parameters=parameters, return_annotation=answer)  # type: ignore[attr-defined]
    return method


class AsyncECPClient:
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

    request = _sent(requests.request)

    get_tenants = _sent(requests.get_tenants)
    get_tenant = _sent(requests.get_tenant)
    create_tenant = _sent(requests.create_tenant)
    update_tenant = _sent(requests.update_tenant)
    delete_tenant = _sent(requests.delete_tenant)
    calculate_resources = _sent(requests.calculate_resources)
    get_recommendations = _sent(requests.get_recommendations)

    send_metrics = _sent(requests.send_metrics)
    send_batch = _sent(requests.send_batch)
    send_test_metrics = _sent(requests.send_test_metrics)
    get_monitoring = _sent(requests.get_monitoring)
    get_system_metrics = _sent(requests.get_system_metrics)

    get_manifest = _sent(requests.get_manifest)
    validate_manifest = _sent(requests.validate_manifest)
    get_deployment_status = _sent(requests.get_deployment_status)
    get_deployments = _sent(requests.get_deployments)
    report_deployment = _sent(requests.report_deployment)

    get_sla = _sent(evidence.get_sla)
    get_sla_analysis = _sent(evidence.get_sla_analysis)
    get_sla_summary = _sent(evidence.get_sla_summary)
    get_statement = _sent(evidence.get_statement)
    get_incidents = _sent(evidence.get_incidents)

    create_alert = _sent(evidence.create_alert)
    get_alerts = _sent(evidence.get_alerts)
    get_active_alerts = _sent(evidence.get_active_alerts)
    replace_alert = _sent(evidence.replace_alert)
    delete_alert = _sent(evidence.delete_alert)
    get_maintenance = _sent(evidence.get_maintenance)
    add_maintenance = _sent(evidence.add_maintenance)
    remove_maintenance = _sent(evidence.remove_maintenance)

    deploy_to_simulator = _sent(evidence.deploy_to_simulator)
    get_simulator_status = _sent(evidence.get_simulator_status)
    trigger_failure = _sent(evidence.trigger_failure)
    clear_failures = _sent(evidence.clear_failures)

    get_dashboard = _sent(operations.get_dashboard)
    get_settings = _sent(operations.get_settings)
    change_settings = _sent(operations.change_settings)
    get_audit = _sent(operations.get_audit)
    get_received_alerts = _sent(operations.get_received_alerts)

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
