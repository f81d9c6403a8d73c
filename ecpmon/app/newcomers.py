"""What every new tenant gets, whoever made it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from ecpmon.alerts.defaults import default_rules
from ecpmon.app.stores import Stores
from ecpmon.isolation import Isolation
from ecpmon.model.alerts import Action, WebhookAction
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.ports.service import Clock
from ecpmon.settings import Settings


def default_actions(settings: Settings) -> Sequence[Action]:
    """Whom the rules of a new tenant tell."""
    return (WebhookAction(settings.sla_webhook_url),) if settings.sla_webhook_url else ()


class Newcomers:
    """Evidence that holds as long as its source's interval says, objectives, and SLA rules."""

    def __init__(self, stores: Stores, settings: Settings, clock: Clock) -> None:
        self._stores = stores
        self._actions = default_actions(settings)
        self._clock = clock
        self._kept = False

    async def keep_intervals(self) -> None:
        """What is pulled holds as long as the settings of this process say, from now on, also of tenants that were
        there before."""
        if self._kept:
            return
        # What changes meanwhile is kept the next time.
        self._kept = True
        try:
            await self._keep_intervals()
        except BaseException:
            self._kept = False
            raise

    async def _keep_intervals(self) -> None:
        for source in (Source.SIMULATOR, Source.PROMETHEUS):
            holds = self._stores.intervals.holds(source, None)
            await self._stores.tenants.keep_interval(source, holds, timedelta(), self._clock.now())

    def intervals_changed(self) -> None:
        """The next `keep_intervals` has something to do."""
        self._kept = False

    async def welcome(self, tenant: Tenant) -> None:
        """All of it that the tenant lacks."""
        stores, source = self._stores, tenant.evidence_source
        if source is not Source.PUSH:
            holds, age = stores.intervals.evidence(tenant)
            await stores.tenants.add_regime(tenant, tenant.created_at, source, holds, age)
        await stores.objective_store.install_defaults(self._clock.now(), [tenant])
        rules = default_rules(tenant.tenant_id, self._actions)
        await stores.alerts.create_missing(rules, self._clock.now())

    async def welcome_missed(self) -> None:
        """Those that somebody inserted by hand."""
        await self.keep_intervals()
        stores = self._stores

        async def work(names: list[str]) -> dict[str, None]:
            for tenant_id in names:
                await self.welcome(await stores.tenants.get(tenant_id))
            return dict.fromkeys(names)

        wanting = await stores.alerts.tenants_without_sla_rules()
        await Isolation(stores.quarantine, "default_rules").one_by_one(wanting, work, self._clock.now())
