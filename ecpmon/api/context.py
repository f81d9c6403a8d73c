"""What the API works with: one `Backend` per database, and the context they all share."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry

from ecpmon.api.hub import Hub
from ecpmon.model.tenants import Resources, SlaTarget, Tenant
from ecpmon.ports import (
    AlertStore,
    AvailabilityStore,
    Clock,
    ExternalAlertStore,
    Health,
    MonitoringStore,
    SampleWriter,
    SimulatorClient,
    TenantStore,
    TokenStore,
)
from ecpmon.settings import Settings


class ServicePlan(Protocol):
    """One service of a plan, as `orchestrator.sizing` gives it."""

    @property
    def service_name(self) -> str: ...
    @property
    def service_type(self) -> str: ...
    @property
    def replicas(self) -> int: ...
    @property
    def image(self) -> str: ...
    @property
    def cpu_request(self) -> str: ...
    @property
    def memory_request(self) -> str: ...


class Plan(Protocol):
    """What a tenant's requirements come to."""

    @property
    def preset(self) -> str: ...
    @property
    def resources(self) -> Resources: ...
    @property
    def gpu_type(self) -> str | None: ...
    @property
    def estimated_cost(self) -> str: ...
    @property
    def services(self) -> Sequence[ServicePlan]: ...


class Planner(Protocol):
    """`orchestrator.sizing.plan_tenant`. Raises EcpError for an unknown service or preset."""

    def __call__(
        self, service_requirements: Mapping[str, int], sla_target: SlaTarget, preset: str | None, /
    ) -> Plan: ...


async def _nothing(_: Tenant) -> None:
    return None


@dataclass(frozen=True)
class Backend:
    """Everything behind one mode (production or demo). `on_tenant_created` installs the default SLA rules."""

    demo: bool
    tenants: TenantStore
    writer: SampleWriter
    monitoring: MonitoringStore
    availability: AvailabilityStore
    alerts: AlertStore
    external_alerts: ExternalAlertStore
    health: Health
    hub: Hub
    simulator: SimulatorClient | None = None
    on_tenant_created: Callable[[Tenant], Awaitable[None]] = _nothing


def _no_stats() -> tuple[int, float]:
    return 0, 0.0


def _no_reset() -> None:
    return None


@dataclass(frozen=True)
class ApiContext:
    """What `create_api` needs.

    `reset_stats` starts counting the queries of the running request, `debug_stats` gives (queries,
    milliseconds) since then: `X-Debug-Info`. `requests_per_second` and `request_burst` bound each caller.
    """

    settings: Settings
    clock: Clock
    production: Backend
    tokens: TokenStore
    registry: CollectorRegistry
    planner: Planner
    demo: Backend | None = None
    debug_stats: Callable[[], tuple[int, float]] = _no_stats
    reset_stats: Callable[[], None] = _no_reset
    metrics_need_token: bool = False
    requests_per_second: float = 1_000.0
    request_burst: int = 2_000
    monotonic: Callable[[], float] = time.monotonic

    def backends(self) -> list[Backend]:
        return [self.production, *([self.demo] if self.demo else [])]


CONTEXT: web.AppKey[ApiContext] = web.AppKey("ecpmon_context", ApiContext)
