"""Every request by its name, declared once for both clients: `ECPClient`'s methods wait for the answer,
`AsyncECPClient`'s are awaited.

What differs in more than that (deployments that are waited for, live messages, batches) each client has of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cached_property, partial, update_wrapper
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, assert_type, overload

from ecpmon.client import evidence, operations, requests
from ecpmon.client.calls import Call

if TYPE_CHECKING:
    from ecpmon.client import types as t
    from ecpmon.client.aio import AsyncECPClient
    from ecpmon.client.sync import ECPClient

P = ParamSpec("P")
T = TypeVar("T")


class Sent(Generic[P, T]):
    """A method of a client that sends the request which `make` makes of the method's parameters."""

    def __init__(self, make: Callable[P, Call[T]]) -> None:
        self._make = make

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Callable[..., Any]: ...

    @overload
    def __get__(self, client: AsyncECPClient, owner: type[Any]) -> Callable[P, Coroutine[Any, Any, T]]: ...

    @overload
    def __get__(self, client: ECPClient, owner: type[Any]) -> Callable[P, T]: ...

    def __get__(self, client: Any, owner: type[Any]) -> Callable[..., Any]:
        if client is None:
            return self._method
        return self._named(partial(client._sent, self._make))

    @cached_property
    def _method(self) -> Callable[..., Any]:
        """As a method of the class: what `help()` shows, and what a subclass may call."""

        def method(client: Any, /, *args: Any, **kwargs: Any) -> Any:
            return client._sent(self._make, *args, **kwargs)

        return self._named(method, Parameter("self", Parameter.POSITIONAL_ONLY))

    def _named(self, method: Any, *before: Parameter) -> Callable[..., Any]:
        """With the request's name and text, its parameters behind `before`, and its answer."""
        update_wrapper(method, self._make)
        shown = self._signature
        method.__signature__ = shown.replace(parameters=[*before, *shown.parameters.values()])
        return method  # type: ignore[no-any-return]

    @cached_property
    def _signature(self) -> Signature:
        found = signature(self._make)
        answer = str(found.return_annotation).removeprefix("Call[").removesuffix("]")
        return found.replace(return_annotation=answer)


class Requests:
    """What both clients have."""

    request = Sent(requests.request)

    get_tenants = Sent(requests.get_tenants)
    get_tenant = Sent(requests.get_tenant)
    create_tenant = Sent(requests.create_tenant)
    update_tenant = Sent(requests.update_tenant)
    delete_tenant = Sent(requests.delete_tenant)
    calculate_resources = Sent(requests.calculate_resources)
    get_recommendations = Sent(requests.get_recommendations)

    send_metrics = Sent(requests.send_metrics)
    send_batch = Sent(requests.send_batch)
    send_test_metrics = Sent(requests.send_test_metrics)
    get_monitoring = Sent(requests.get_monitoring)
    get_system_metrics = Sent(requests.get_system_metrics)

    get_manifest = Sent(requests.get_manifest)
    validate_manifest = Sent(requests.validate_manifest)
    get_deployment_status = Sent(requests.get_deployment_status)
    get_deployments = Sent(requests.get_deployments)
    report_deployment = Sent(requests.report_deployment)

    get_sla = Sent(evidence.get_sla)
    get_sla_analysis = Sent(evidence.get_sla_analysis)
    get_sla_summary = Sent(evidence.get_sla_summary)
    get_statement = Sent(evidence.get_statement)
    get_incidents = Sent(evidence.get_incidents)

    create_alert = Sent(evidence.create_alert)
    get_alerts = Sent(evidence.get_alerts)
    get_active_alerts = Sent(evidence.get_active_alerts)
    replace_alert = Sent(evidence.replace_alert)
    delete_alert = Sent(evidence.delete_alert)
    get_maintenance = Sent(evidence.get_maintenance)
    add_maintenance = Sent(evidence.add_maintenance)
    remove_maintenance = Sent(evidence.remove_maintenance)

    deploy_to_simulator = Sent(evidence.deploy_to_simulator)
    get_simulator_status = Sent(evidence.get_simulator_status)
    trigger_failure = Sent(evidence.trigger_failure)
    clear_failures = Sent(evidence.clear_failures)

    get_dashboard = Sent(operations.get_dashboard)
    get_settings = Sent(operations.get_settings)
    change_settings = Sent(operations.change_settings)
    get_audit = Sent(operations.get_audit)
    get_received_alerts = Sent(operations.get_received_alerts)


if TYPE_CHECKING:

    async def _as_checkers_see_it(waiting: ECPClient, awaited: AsyncECPClient) -> None:
        assert_type(waiting.get_tenant("acme"), t.Tenant)
        assert_type(await awaited.get_tenant(tenant_id="acme"), t.Tenant)
        assert_type(waiting.get_statement("acme", "2026-10", format="csv"), bytes)
        assert_type(await awaited.remove_maintenance("acme", "1", keep_past=True), None)
        waiting.get_tenant(1)  # type: ignore[arg-type]
        await awaited.get_sla("acme", wat=1)  # type: ignore[call-arg]
