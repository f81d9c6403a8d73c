"""Deployments: asked for, gated by the error budget, carried out step by step, taken up again after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from ecpmon.errors import (
    BudgetExhausted,
    DeploymentFailed,
    EcpError,
    KubernetesUnavailable,
    TemporaryError,
)
from ecpmon.model.deployments import (
    NOT_BEGUN,
    DeployedObject,
    DeploymentRecord,
    DeploymentStatus,
    Release,
)
from ecpmon.model.tenants import Tenant, TenantStatus
from ecpmon.model.windows import ROLLING_WINDOWS, ErrorBudget
from ecpmon.ports.orchestrator import Deployer, DeploymentStore, LettingGo
from ecpmon.ports.service import Clock
from ecpmon.ports.sla import WindowSums
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla import gate, sums
from ecpmon.sla.evidence import Intervals
from ecpmon.sla.parts import Terms
from ecpmon.sla.windows import figures

if TYPE_CHECKING:
    from ecpmon.orchestrator.validation import Report

_log = structlog.get_logger(__name__)

# Signs of life within the time after which another process takes over.
BEATS: Final = 6
MAX_TRIES: Final = 5
RETRY_SECONDS: Final = 2.0
GATE_WINDOW: Final = ROLLING_WINDOWS["30d"]

TermsOf = Callable[[Tenant], Awaitable[Terms]]


class _Overtaken(Exception):
    """The deployment is over, or another process goes on with it: this one must not say anything more."""


class DeploymentService:
    """Asks, runs and resumes deployments. `deployers` by method; a method without one is refused.

    A deployment without a sign of life for `takeover` is gone on with by whichever process looks next.
    """

    def __init__(
        self,
        store: DeploymentStore,
        tenants: TenantStore,
        window_sums: WindowSums,
        terms_of: TermsOf,
        intervals: Intervals,
        deployers: Mapping[str, Deployer],
        clock: Clock,
        *,
        takeover: timedelta,
        carries_out: bool = True,
        surroundings: Mapping[str, Any] | None = None,
    ) -> None:
        """`carries_out` False: what is asked for here, another process takes up (`resume`). `surroundings`: what
        manifests are to know of the cluster, by the names of `ManifestOptions`, unless a deployment says otherwise."""
        self.surroundings = dict(surroundings or {})
        self._takeover = takeover
        self._carries_out = carries_out
        self.store = store
        self.deployers = deployers
        self._tenants = tenants
        self._sums = window_sums
        self._terms_of = terms_of
        self._intervals = intervals
        self._clock = clock
        self._running: dict[str, asyncio.Task[None]] = {}
        # Those whose deployer has begun: whether anything of the tenant ran before.
        self._touched: dict[str, bool] = {}

    async def check_gate(self, tenant: Tenant, *, force: bool, reason: str) -> str | None:
        """The reason to keep when the gate is overruled. Raises BudgetExhausted."""
        now, first = self._clock.now(), await self.store.first_completed(tenant)
        begins = now - GATE_WINDOW
        left, measured, coverage = await self._budget(tenant, max(begins, first or begins), now)
        decision = gate.decide(left, deployed=first is not None, measured=measured, force=force, why=reason)
        _log.info("deploy_gate", tenant=tenant.tenant_id, reason=decision.reason.value)
        if not decision.allowed:
            raise BudgetExhausted(
                "the tenant's error budget of 30 days is spent; deploy with force and a reason of at least "
                f"{gate.MIN_REASON} characters if it must be",
                details={
                    "tenant_id": tenant.tenant_id,
                    "reason": decision.reason.value,
                    "remaining_minutes": decision.remaining / 60,
                    "contract_version": tenant.promised.version,
                    "coverage": coverage,
                },
            )
        return reason.strip() if decision.reason is gate.GateReason.FORCED else None

    async def _budget(
        self, tenant: Tenant, start: datetime, now: datetime
    ) -> tuple[ErrorBudget, float, float | None]:
        """The tenant's error budget of `[start, now)`, and the seconds measured of it outside of maintenance; which
        share of it that is, in percent."""
        terms = await self._terms_of(tenant)
        asked = {tenant.tenant_id: sums.needed(start, now, terms)}
        found = (await self._sums.tallies(asked, now)).get(tenant.tenant_id, {})
        counted = sums.totals(found, start, now, terms)
        window = figures("30d", counted, start, now, tenant.sla_target.fraction, None, terms, None)
        return window.budget, counted.measured, None if window.coverage is None else 100 * window.coverage

    def check_method(self, method: str) -> Deployer:
        """The method's deployer. Raises KubernetesUnavailable when there is none."""
        deployer = self.deployers.get(method)
        if deployer is None:
            known = ", ".join(self.deployers) or "none"
            raise KubernetesUnavailable(
                f"nothing is configured to deploy by {method!r} (configured: {known}); see docs/settings.md"
            )
        return deployer

    async def unknown_kinds(self, method: str) -> frozenset[str]:
        """Kinds of manifests that would be left out by this method; none where nobody can be asked right now."""
        from ecpmon.orchestrator.deployers.cluster import EXTENSIONS

        objects = [{"kind": kind, "metadata": {"name": ""}} for kind in sorted(EXTENSIONS)]
        try:
            found = await self.check_method(method).left_out(objects)
        except EcpError:
            return frozenset()
        return frozenset(each.partition("/")[0] for each in found)

    async def request(
        self, tenant: Tenant, method: str, options: Mapping[str, Any], by: str, forced_because: str | None
    ) -> str:
        """Begin a deployment; its id. Raises Conflict while another one of the tenant runs."""
        self.check_method(method)
        deployment_id = f"dep-{uuid.uuid4().hex[:12]}"
        now = self._clock.now()
        begun_at = now if self._carries_out else NOT_BEGUN
        await self.store.request(tenant, deployment_id, method, options, by, forced_because, now, begun_at)
        if self._carries_out:
            self._begin(await self.store.get(deployment_id, (tenant.key,)))
        return deployment_id

    async def resume(self) -> None:
        """The job: begin what was asked for elsewhere, go on with what a dead process left unfinished."""
        now = self._clock.now()
        for record in await self.store.take_over(now - self._takeover, now):
            what = "deployment_resumed" if record.tries else "deployment_begun"
            _log.warning(what, deployment=record.deployment_id, tenant=record.tenant_id, tries=record.tries)
            # Ours, but silent for so long: the database was away. Its row belongs to the new try now.
            await self._cancel([task for name, task in self._running.items() if name == record.deployment_id])
            self._begin(record)

    async def stop(self) -> None:
        """Leave off; the rows tell the next process where."""
        await self._cancel(list(self._running.values()))
        for deployer in self.deployers.values():
            await deployer.close()

    @staticmethod
    async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def wait(self, deployment_id: str) -> None:
        """Until this process is done with it."""
        task = self._running.get(deployment_id)
        if task is not None:
            await asyncio.shield(task)

    # --- one deployment -------------------------------------------------------------------------------------

    def _begin(self, record: DeploymentRecord) -> None:
        name = record.deployment_id
        task = asyncio.create_task(self._carry_out(record), name=f"deployment {name}")
        self._running[name] = task

        def forget(_: asyncio.Task[None]) -> None:
            if self._running.get(name) is task:
                del self._running[name]
                self._touched.pop(name, None)

        task.add_done_callback(forget)

    async def _carry_out(self, record: DeploymentRecord) -> None:
        beating = asyncio.create_task(self._beat(record))
        try:
            await self._attempts(record)
        except _Overtaken:
            _log.warning("deployment_overtaken", deployment=record.deployment_id, tenant=record.tenant_id)
        except TemporaryError as error:  # how it ended cannot be stored: the row is taken up again later
            _log.warning("deployment_left", deployment=record.deployment_id, error=error.message)
        except Exception:  # noqa: BLE001 - a bug must not leave the tenant locked for ever
            _log.exception("deployment_broke", deployment=record.deployment_id, tenant=record.tenant_id)
            with contextlib.suppress(TemporaryError, _Overtaken):
                await self._end(record, DeploymentStatus.FAILED, "an error of ours; the log has the details")
        finally:
            beating.cancel()

    async def _attempts(self, record: DeploymentRecord) -> None:
        """Try until the other side is there, a bounded number of times."""
        for attempt in range(record.tries, MAX_TRIES):
            try:
                await self._once(record)
            except DeploymentFailed as error:
                over = DeploymentStatus.ROLLED_BACK if error.rolled_back else DeploymentStatus.FAILED
                broken = not error.rolled_back and self._was_touched(record)
                return await self._end(record, over, error.message, broken=broken)
            except TemporaryError as error:  # the cluster or our own database is away
                with contextlib.suppress(TemporaryError):
                    await self._say(record, DeploymentStatus.VALIDATING, error.message, level="warning")
                await asyncio.sleep(RETRY_SECONDS * 2**attempt)
            except EcpError as error:
                return await self._end(record, DeploymentStatus.FAILED, error.message)
            else:
                return None
        gave_up = "gave up: the other side does not answer"
        return await self._end(record, DeploymentStatus.FAILED, gave_up, broken=self._was_touched(record))

    async def _once(self, record: DeploymentRecord) -> None:
        from ecpmon.orchestrator.manifests import namespace_of

        await self._say(record, DeploymentStatus.VALIDATING, "rendering and validating the manifest")
        tenant = await self._tenants.get(record.tenant_id)
        if tenant.key != record.tenant:
            raise DeploymentFailed("the tenant was deleted; another one has its name now")
        objects, report = await asyncio.to_thread(rendered, tenant, {**self.surroundings, **record.options})
        if not report.valid:
            first = report.errors[0]
            raise DeploymentFailed(f"the manifest is not valid: {first.line()}")
        planned = [DeployedObject(o["kind"], o["metadata"]["name"], "pending") for o in objects]
        await self._say(
            record, DeploymentStatus.VALIDATING, f"{len(objects)} objects are valid", objects=planned
        )
        deployer = self.check_method(record.method)
        release = Release(record.deployment_id, tenant.tenant_id, namespace_of(tenant.tenant_id), objects)
        # Kept in the row: a process that takes over after a crash must roll back to what ran before the first try.
        before = await self.store.remember(record, await deployer.snapshot(release))
        if before is None:
            raise _Overtaken

        self._touched[record.deployment_id] = bool(before)

        async def progress(
            status: DeploymentStatus, message: str, seen: Sequence[DeployedObject] | None
        ) -> None:
            await self._say(record, status, message, objects=seen)

        outcome = await deployer.apply(replace(release, before=before), progress)
        where = tenant.deployed(record.method)
        holds, age = self._intervals.evidence(where)
        status = TenantStatus.DEPLOYING if outcome.unseen else TenantStatus.RUNNING
        await self._tenants.set_deployed(
            tenant, record.method, status.value, holds, age, self._clock.now(), outcome.unseen
        )
        for level, said in await self.let_go(tenant, record.method):
            await self._say(record, DeploymentStatus.VERIFYING, said, level=level)
        done = outcome.message or ("deployed" if outcome.changed else "nothing had to change")
        await self._say(record, DeploymentStatus.COMPLETED, done, objects=outcome.objects)

    def _was_touched(self, record: DeploymentRecord) -> bool:
        """Whether something of the tenant ran before that the deployer may have changed, in this try or one before."""
        return self._touched.get(record.deployment_id, bool(record.before))

    async def let_go(self, tenant: Tenant, method: str) -> list[tuple[str, str]]:
        """Whoever else brought the tenant out, and would go on doing so by itself, is to let go of it; what came of
        that: level and words."""
        told: list[tuple[str, str]] = []
        for place in await self.store.places(tenant):
            deployer = self.deployers.get(place)
            if place == method or not isinstance(deployer, LettingGo):
                continue
            try:
                if await deployer.let_go(tenant.tenant_id):
                    told.append(("info", f"{place} does not bring the tenant out any more"))
            except EcpError as error:
                said = f"{place} may still bring the tenant out beside this: {error.message}"
                _log.warning("not_let_go", tenant=tenant.tenant_id, place=place, error=error.message)
                told.append(("warning", said))
        return told

    async def _say(
        self,
        record: DeploymentRecord,
        status: DeploymentStatus,
        message: str,
        *,
        level: str = "info",
        objects: Sequence[DeployedObject] | None = None,
        broken: bool = False,
    ) -> None:
        told = await self.store.advance(
            record.tenant,
            record.deployment_id,
            status,
            message,
            self._clock.now(),
            level=level,
            objects=objects,
            tries=record.tries,
            broken=broken,
        )
        if not told:
            raise _Overtaken

    async def _end(
        self, record: DeploymentRecord, status: DeploymentStatus, message: str, *, broken: bool = False
    ) -> None:
        _log.warning("deployment_ended", tenant=record.tenant_id, status=status.value, message=message)
        await self._say(record, status, message, level="error", broken=broken)

    async def _beat(self, record: DeploymentRecord) -> None:
        while True:
            await asyncio.sleep(self._takeover.total_seconds() / BEATS)
            # A beat that cannot be stored is a beat missed: the next one tries again.
            with contextlib.suppress(EcpError):
                await self.store.beat(record, self._clock.now())


def rendered(tenant: Tenant, options: Mapping[str, Any]) -> tuple[tuple[dict[str, Any], ...], Report]:
    """The tenant's objects and what validation says of them. Raises as `plan_of` does."""
    from ecpmon.orchestrator.manifests import options_of, render, to_yaml
    from ecpmon.orchestrator.tuning import plan_of
    from ecpmon.orchestrator.validation import validate_manifest

    objects = render(tenant, plan_of(tenant), options_of(options))
    return tuple(objects), validate_manifest(tenant.tenant_id, to_yaml(objects))


def with_left_out(report: Report, objects: Sequence[Mapping[str, Any]], unknown: frozenset[str]) -> Report:
    """The report with a warning for each object that would be left out, its kind being unknown to the cluster."""
    from ecpmon.orchestrator.validation import Finding, Severity

    left_out = tuple(
        Finding(Severity.WARNING, "KIND_NOT_SERVED", n, f"{o['kind']}/{o['metadata']['name']}", "kind")
        for n, o in enumerate(objects)
        if o["kind"] in unknown
    )
    return replace(report, warnings=(*report.warnings, *left_out))
