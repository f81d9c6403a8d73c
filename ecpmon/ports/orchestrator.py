"""Deployers, the simulator, recoveries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, runtime_checkable

from ecpmon.model.alerts import Action
from ecpmon.model.deployments import DeployedObject, DeploymentRecord, DeploymentStatus, Outcome, Release
from ecpmon.model.recovery import AlertList, Recovery, RecoveryReason, RecoveryState
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent, ExternalAlert
from ecpmon.tenantlines import Durations

# How far somebody's failures may go: into the tenant they are ordered for, or into what all tenants share.
Reach = Literal["tenant", "cluster"]


class SimulatorClient(Protocol):
    """What we ask of the deployment simulator. Raises SimulatorUnavailable."""

    async def deploy(self, tenant: Tenant) -> Sequence[DeployedObject]:
        """Deploy the tenant's services; their namespace and deployments as the cluster has them now."""
        ...

    async def remove(self, tenant_id: str) -> None: ...

    async def status(self, among: Collection[str] | None) -> dict[str, Any]:
        """Capacity and use of the cluster. `among`: only what these tenants use; None: everybody."""
        ...

    async def start_scenario(self, tenant_id: str, scenario: str) -> None:
        """Begin one of the simulator's named series of timed failures, none of which reaches beyond the tenant."""
        ...

    async def trigger_failure(
        self,
        tenant_id: str,
        failure_type: str,
        duration_seconds: float | None,
        severity: float | None,
        reach: Reach,
    ) -> dict[str, Any]:
        """Raises Forbidden for a failure that goes further than `reach`."""
        ...

    async def clear_failures(self, tenant_id: str, reach: Reach) -> dict[str, Any]:
        """End the tenant's failures, as far as `reach` goes."""
        ...

    async def failure_types(self) -> dict[str, Any]: ...


class Restarter(Protocol):
    """Restarts what a tenant runs."""

    async def restart(self, tenant: Tenant, now: datetime) -> int:
        """Restart the tenant's deployments; their number. The same `now` again starts nothing new.

        Returns when the restart is ordered, not when it is done. Raises EcpError; `retryable` says whether
        the same call may succeed later.
        """
        ...


@dataclass(frozen=True, slots=True)
class RecoveryStep:
    """A change of a recovery about to be stored, with what is told about it (as in `NewEvent`).

    `restarted` is the number of deployments when a restart was just confirmed. `goes_on` True: the claim is kept.
    `ended_at`: of what is over, when it was; None: now.
    """

    state: RecoveryState
    reason: RecoveryReason
    detail: str
    due_at: datetime | None
    message: str
    restarted: int | None = None
    notifications: tuple[tuple[str, Action], ...] = ()
    body: Mapping[str, Any] | None = None
    joined_to: str | None = None
    goes_on: bool = False
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is stored around an incident.

    `resolved`: Alertmanager has withdrawn every alert of it; `fingerprints` are of those that it has not, and `firing`
    is the newest of these: fingerprint and start. `restarts`:
    of the tenant for other incidents. `observed_at`: of the tenant's newest evidence. `beside`: an incident of the
    tenant that people were called for and that is not over; `beside_due`: whether it is due.
    """

    resolved: bool = False
    fingerprints: tuple[str, ...] = ()
    firing: tuple[str, datetime] | None = None
    restarts: int = 0
    observed_at: datetime | None = None
    beside: str | None = None
    beside_due: bool = False


class RecoveryStore(Protocol):
    async def begin(self, alerts: Sequence[ExternalAlert], now: datetime) -> list[tuple[str, RecoveryState]]:
        """Store incidents for firing alerts, due now; (tenant_id, state) of each row that was begun.

        The state is `checking`, or `joined` beside an incident under way. None is begun for an alert that was seen
        before, unless it is a new outage under the same alert, or whose tenant does not exist. What waits for its next
        look is looked at now.
        """
        ...

    async def claim(self, now: datetime, limit: int, lease: timedelta) -> list[Recovery]:
        """Recoveries of live tenants that are due, taken for `lease`."""
        ...

    async def mark_restart(self, recovery: Recovery, now: datetime) -> Recovery | None:
        """Record a try before it is made; its stamp is kept from the first. None when the claim was lost."""
        ...

    async def advance(self, recovery: Recovery, step: RecoveryStep, now: datetime) -> AlertEvent | None:
        """Store a change with its event and notifications in one transaction, and let go of the claim.

        None when nothing but the due time changed, or the claim was lost.
        """
        ...

    async def circumstances(
        self, recovery: Recovery, tenant: Tenant, since: datetime, now: datetime
    ) -> Circumstances:
        """Restarts are counted after `since`."""
        ...

    async def forget(self, before: datetime) -> None:
        """Delete rows with nothing left to do that were last changed before `before`."""
        ...

    async def between(
        self, tenant: Tenant, start: datetime, end: datetime, limit: int
    ) -> list[tuple[Recovery, int]]:
        """What was going on at some time in [start, end], the newest first, with the number of alerts that joined."""
        ...

    async def of_tenant(self, tenant: Tenant, limit: int) -> list[Recovery]:
        """Newest first."""
        ...


class AlertSource(Protocol):
    """Alertmanager, asked."""

    async def alerts(self, alert_name: str, tenants: Collection[str]) -> AlertList:
        """Those of this name that it has and that are about `tenants`, or name no tenant.

        Raises MonitoringUnavailable.
        """
        ...


class RecoveryDesk(Protocol):
    """Where alerts about tenants that are down are handed in."""

    async def alerted(self, alerts: Sequence[ExternalAlert], now: datetime) -> int:
        """Hand in every firing `ECPTenantDown`; how many were not seen before."""
        ...

    async def of_tenant(self, tenant: Tenant, limit: int) -> list[Recovery]: ...

    async def between(
        self, tenant: Tenant, start: datetime, end: datetime, limit: int
    ) -> list[tuple[Recovery, int]]:
        """As of `RecoveryStore`."""
        ...


# Phase, what happened in words, and the objects as far as known (None: as before).
Progress = Callable[[DeploymentStatus, str, "Sequence[DeployedObject] | None"], Awaitable[None]]


class Deployer(Protocol):
    """Brings tenants out, one way or another. All adapters pass one contract test."""

    async def snapshot(self, release: Release) -> tuple[Mapping[str, Any], ...]:
        """What a rollback of this release would restore; () where nothing needs to be. Raises KubernetesUnavailable."""
        ...

    async def apply(self, release: Release, progress: Progress) -> Outcome:
        """Make the cluster hold exactly the release's objects for this tenant, and wait until they serve.

        Tells each phase from `creating-namespace` on. The same release again changes nothing. Raises DeploymentFailed
        (`rolled_back` says whether what ran before runs again) or, when the other side is away, KubernetesUnavailable.
        """
        ...

    async def left_out(self, objects: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """Which of the objects, as `kind/name`, would be left out there, since nobody there knows their kinds.

        Raises KubernetesUnavailable.
        """
        ...

    async def restart(self, tenant: Tenant, now: datetime) -> int:
        """Restart the tenant's workloads; how many. The same `now` again restarts nothing."""
        ...

    async def delete(self, tenant_id: str) -> None:
        """Take everything of the tenant away; gone already is what was wanted."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class LettingGo(Protocol):
    """A deployer by which somebody brings a tenant out again and again, by himself, until it is let go."""

    async def let_go(self, tenant_id: str) -> bool:
        """Nobody brings the tenant out this way any more, and what runs is left as it is. False: nobody did."""
        ...


class DeploymentStore(Protocol):
    """Deployments as durable rows: one at a time per tenant, and no step backwards."""

    async def request(
        self,
        tenant: Tenant,
        deployment_id: str,
        method: str,
        options: Mapping[str, Any],
        requested_by: str,
        forced_because: str | None,
        now: datetime,
        begun_at: datetime | None = None,
    ) -> None:
        """`begun_at`: the first sign of life, NOT_BEGUN leaves it to whoever looks next; None: now.

        Raises Conflict while another deployment of the tenant runs.
        """
        ...

    async def advance(
        self,
        tenant: int,
        deployment_id: str,
        status: DeploymentStatus,
        message: str,
        now: datetime,
        *,
        level: str = "info",
        objects: Sequence[DeployedObject] | None = None,
        tries: int = 0,
        broken: bool = False,
    ) -> bool:
        """The next step of try number `tries`, with a log line. False: it is over, or another try goes on with it.

        Without success at the end the tenant is what it was before; `failed` if it was never deployed, or if it is
        `broken`: what ran before does not run any more.
        """
        ...

    async def beat(self, record: DeploymentRecord, now: datetime) -> None:
        """Somebody is working on it."""
        ...

    async def remember(
        self, record: DeploymentRecord, before: Sequence[Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any], ...] | None:
        """Keep what ran before, unless an earlier try has; what is kept. None: another try goes on with it."""
        ...

    async def take_over(self, silent_since: datetime, now: datetime) -> list[DeploymentRecord]:
        """Unfinished deployments that nobody has worked on since; they are the caller's now. All tenants: a job's."""
        ...

    async def get(self, deployment_id: str, among: Collection[int] | None) -> DeploymentRecord:
        """One of the tenants of these numbers (None: of any). Raises NotFound."""
        ...

    async def of_tenant(self, tenant: Tenant, limit: int) -> list[DeploymentRecord]:
        """Newest first."""
        ...

    async def running(self, tenant: Tenant) -> DeploymentRecord | None:
        """The one that is not over yet."""
        ...

    async def first_asked(self, tenant: int) -> DeploymentRecord | None:
        """The first deployment of the tenant of this number that anybody asked for; None: there was none yet."""
        ...

    async def typical_seconds(self, record: DeploymentRecord) -> float | None:
        """How long the tenant's last deployments by the same method took; None: none has completed."""
        ...

    async def first_completed(self, tenant: Tenant) -> datetime | None:
        """When the tenant's first successful deployment was over, whoever made it."""
        ...

    async def places(self, tenant: Tenant) -> list[str]:
        """The methods by which we have tried to bring the tenant out, whatever came of it."""
        ...

    async def durations(self) -> Mapping[str, Mapping[str, Durations]]:
        """How long the deployments of every live tenant took that were asked of us and completed, by the preset that
        it had then; for gauges. They are never forgotten while the tenant is there."""
        ...

    async def record_finished(
        self,
        tenant: Tenant,
        deployment_id: str,
        method: str,
        status: DeploymentStatus,
        message: str,
        by: str,
        now: datetime,
        heard_at: datetime | None = None,
    ) -> None:
        """A deployment that was made somewhere else, at `now`; `heard_at`: when that was told, for the audit log."""
        ...
