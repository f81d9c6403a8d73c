"""Restarting a tenant where it runs: one `ports.Restarter` per place, chosen by where the tenant is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ecpmon.errors import PermanentError
from ecpmon.model.tenants import Tenant
from ecpmon.ports.orchestrator import Restarter


class NotDeployed(PermanentError):
    """The tenant runs nowhere that ecpmon knows of."""

    code = "NOT_DEPLOYED"
    status = 409


class NoDeployer(PermanentError):
    """The tenant runs where no deployer is configured here."""

    code = "NO_DEPLOYER"
    status = 409


class RestarterByPlace:
    """`ports.Restarter`: `places` maps a tenant's `deployed_to` to who restarts there."""

    def __init__(self, places: Mapping[str, Restarter]) -> None:
        self._places = dict(places)

    async def restart(self, tenant: Tenant, now: datetime) -> int:
        if tenant.deployed_to is None:
            raise NotDeployed(f"tenant {tenant.tenant_id!r} is not deployed")
        place = self._places.get(tenant.deployed_to)
        if place is None:
            raise NoDeployer(
                f"tenant {tenant.tenant_id!r} is deployed to {tenant.deployed_to}, and no deployer for that "
                "is configured here"
            )
        return await place.restart(tenant, now)
