"""The tenants of the source documents, which a demo database begins with: made once, and deployed into its cluster."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import structlog

from ecpmon.app.newcomers import Newcomers
from ecpmon.app.stores import Stores
from ecpmon.errors import TenantAlreadyExists, TenantNotFound
from ecpmon.model.tenants import SlaTarget
from ecpmon.orchestrator.deployments import DeploymentService
from ecpmon.orchestrator.simulated import bring_out
from ecpmon.ports.orchestrator import SimulatorClient
from ecpmon.ports.service import Clock
from ecpmon.ports.tenants import NewTenant
from ecpmon.storage.demo_seeds import PgDemoSeeds

_log = structlog.get_logger(__name__)
SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Seed:
    """`preset` None: the one that is recommended."""

    tenant_id: str
    name: str
    description: str
    services: dict[str, int]
    target: dict[str, Any]
    preset: str | None = None


SEEDS: Final = (
    Seed(
        "global-call-center",
        "글로벌 콜센터",
        "글로벌 콜센터 AI 서비스",
        {"callbot": 25, "chatbot": 85, "advisor": 32},
        {"availability": "99.86%", "response_time": "265ms"},
        "large",
    ),
    Seed(
        "my-ai-service",
        "내 AI 서비스",
        "내 AI 서비스 설명",
        {"callbot": 50, "chatbot": 100, "advisor": 25, "stt": 30, "tts": 30},
        {"availability": "99.9%", "response_time": "200ms", "concurrent_users": 200},
    ),
    Seed(
        "ai-call-center-prod",
        "AI 콜센터 운영",
        "AI 콜센터 서비스",
        {"callbot": 100, "chatbot": 200, "advisor": 50, "stt": 100, "tts": 100},
        {"availability": "99.95%", "response_time": "150ms", "concurrent_users": 500},
    ),
)


class DemoTenants:
    """The job of a demo database. `simulator` None: they are made, and not deployed."""

    def __init__(
        self,
        stores: Stores,
        newcomers: Newcomers,
        deployments: DeploymentService,
        simulator: SimulatorClient | None,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._newcomers = newcomers
        self._deployments = deployments
        self._simulator = simulator
        self._clock = clock
        self._seeds = PgDemoSeeds(stores.database)
        self._done = False

    async def run_once(self) -> None:
        """Make what was never made, deploy what was never deployed. Nothing once all of it was."""
        if self._done:
            return
        known = await self._seeds.all()
        for seed in SEEDS:
            if seed.tenant_id not in known:
                await self._make(seed)
                await self._seeds.made(seed.tenant_id, self._clock.now())
        if self._simulator is not None:
            for seed in SEEDS:
                if not known.get(seed.tenant_id, False):
                    await self._deploy(seed.tenant_id, self._simulator)
        self._done = True

    async def _make(self, seed: Seed) -> None:
        # Importing what sizes them takes longer than the event loop may stand still.
        sizing = await asyncio.to_thread(import_module, "ecpmon.orchestrator.sizing")
        target = SlaTarget(**seed.target)
        plan = await asyncio.to_thread(sizing.plan_tenant, seed.services, target, seed.preset)
        new = NewTenant(
            tenant_id=seed.tenant_id,
            name=seed.name,
            preset=plan.preset,
            is_demo=True,
            service_requirements=seed.services,
            resources=plan.resources,
            sla_target=target,
            gpu_type=plan.gpu_type,
            description=seed.description,
        )
        try:
            made = await self._stores.tenants.create(new, f"dep-{uuid.uuid4().hex[:12]}", self._clock.now())
        except TenantAlreadyExists:
            return  # somebody else's, or ours from a turn that did not get further
        await self._newcomers.welcome(made)
        _log.info("demo_tenant_made", tenant=seed.tenant_id)

    async def _deploy(self, tenant_id: str, simulator: SimulatorClient) -> None:
        """Raises SimulatorUnavailable: the next turn tries again."""
        tenants = self._stores.tenants
        try:
            tenant = await tenants.get(tenant_id)
        except TenantNotFound:
            tenant = None  # somebody has deleted it meanwhile
        if tenant is not None and tenant.is_demo and tenant.deployed_to is None:
            store, intervals = self._deployments.store, self._stores.intervals
            await bring_out(tenant, simulator, store, tenants, intervals, self._clock, by="ecpmon")
        await self._seeds.deployed(tenant_id, self._clock.now())
