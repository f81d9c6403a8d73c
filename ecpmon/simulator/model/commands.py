"""What somebody can do to the cluster. Every command acts at `state.now` and returns the new state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ecpmon.errors import Conflict, Forbidden, TenantNotFound, ValidationFailed
from ecpmon.simulator.model import effects
from ecpmon.simulator.model.deploying import clear_namespace, drop_deployment, open_tenant, put_deployment
from ecpmon.simulator.model.failures import CATALOGUE, Failure, FailureType, Reach
from ecpmon.simulator.model.hashing import digest
from ecpmon.simulator.model.keys import ObjectKey
from ecpmon.simulator.model.manifests import manifest_of
from ecpmon.simulator.model.namespaces import is_closing
from ecpmon.simulator.model.objects import ServiceSpec
from ecpmon.simulator.model.past import MAX_PAST
from ecpmon.simulator.model.scenarios import MAX_FAILURES, ScenarioStep
from ecpmon.simulator.model.state import ClusterState, Draft, first_events
from ecpmon.simulator.model.step import finish
from ecpmon.simulator.model.tenants import ExternalMetrics, PastRecord, Tenant, namespace_of
from ecpmon.simulator.model.times import Micros

MAX_EXTERNAL_SOURCES = 16


def tenant_of(state: ClusterState, tenant_id: str) -> Tenant:
    """The tenant; TenantNotFound when there is none."""
    try:
        return state.tenants[tenant_id]
    except KeyError:
        raise TenantNotFound(tenant_id) from None


def specs_of(state: ClusterState, tenant: Tenant) -> tuple[ServiceSpec, ...]:
    return tuple(state.deployments[tenant.key_of(name)].spec for name in tenant.services)


def put_tenant(state: ClusterState, tenant_id: str, services: Sequence[ServiceSpec]) -> ClusterState:
    """Deploy exactly `services`. The same call again changes nothing and returns `state` itself.

    Changed requests are rolled out pod by pod; removed services end; sessions and start-up times change
    without touching a pod.
    """
    tenant = state.tenants.get(tenant_id)
    if tenant is not None and specs_of(state, tenant) == tuple(services):
        return state
    draft = Draft(state)
    if is_closing(draft, namespace_of(tenant_id)):
        raise Conflict(f"the namespace of tenant {tenant_id!r} is being deleted; try again")
    tenant = open_tenant(draft, tenant_id)
    names = tuple(spec.name for spec in services)
    for gone in sorted(set(tenant.services) - set(names)):
        drop_deployment(draft, tenant.key_of(gone), graceful=True)
    for spec in services:
        found = draft.deployments.get(tenant.key_of(spec.name))
        if found is not None and found.tenant_id != tenant_id:
            # Somebody's deployment without the tenant's label stands in the place of the service.
            drop_deployment(draft, found.meta.key, graceful=True)
            found = None
        if found is None or found.spec != spec:
            put_deployment(draft, tenant.key_of(spec.name), manifest_of(spec, tenant_id), spec)
    draft.tenants[tenant_id] = replace(draft.tenants[tenant_id], services=names)
    draft.touched.add(tenant_id)
    return finish(draft)


def delete_tenant(state: ClusterState, tenant_id: str) -> ClusterState:
    """Remove the tenant with everything it owns; what its failures had broken for others recovers."""
    tenant_of(state, tenant_id)
    draft = Draft(state)
    drop_tenant(draft, tenant_id)
    return finish(draft)


def drop_tenant(draft: Draft, tenant_id: str) -> None:
    """End the tenant's failures and remove its namespace with all that is in it, at once."""
    end_all(draft, tenant_id)
    namespace = draft.tenants[tenant_id].namespace
    clear_namespace(draft, namespace)
    del draft.tenants[tenant_id]
    key = ObjectKey("namespaces", "", namespace)
    if draft.object(key) is not None:
        draft.drop_object(key)


def inject(
    state: ClusterState, tenant_id: str, steps: Sequence[ScenarioStep], reach: Reach = Reach.CLUSTER
) -> tuple[ClusterState, list[Failure]]:
    """Start the failures of `steps`, each `at` after now; those at 0 act within this very instant.

    Raises TenantNotFound, Forbidden for a failure that goes further than `reach`, Conflict past the bound on a tenant's
    failures, or ValidationFailed for a target service that the tenant does not have.
    """
    tenant = tenant_of(state, tenant_id)
    _check_reach(steps, reach)
    held = sum(f.tenant_id == tenant_id for f in state.failures.values())
    if held + len(steps) > MAX_FAILURES:
        raise Conflict(f"a tenant has at most {MAX_FAILURES} failures, running or to come; end those it has")
    for item in steps:
        if item.target_service is not None and item.target_service not in tenant.services:
            message = f"tenant {tenant_id!r} has no service {item.target_service!r}"
            raise ValidationFailed(message, fields=[{"field": "target_service", "message": message}])
    draft = Draft(state)
    made = []
    for item in steps:
        failure = _failure(draft, tenant_id, item)
        draft.failures[failure.failure_id] = failure
        draft.push(failure.start, effects.START, failure.failure_id)
        draft.push(failure.end, effects.END, failure.failure_id)
        made.append(failure.failure_id)
    done = finish(draft)
    return done, [done.failures[failure_id] for failure_id in made]


def _check_reach(steps: Sequence[ScenarioStep], reach: Reach) -> None:
    for item in steps:
        if not reach.allows(CATALOGUE[item.failure_type].reach):
            raise Forbidden(
                f"{item.failure_type} strikes whatever tenants share: only administrators of all tenants may order it; "
                "pod_crash, network_partition and full_outage break a tenant and nobody else"
            )


def _failure(draft: Draft, tenant_id: str, item: ScenarioStep) -> Failure:
    start = draft.now + item.at
    number = digest(draft.seed, "failure", tenant_id, draft.next_revision(), start) & 0xFFFFFFFFFFFF
    return Failure(
        failure_id=f"f-{number:012x}",
        tenant_id=tenant_id,
        failure_type=FailureType(item.failure_type),
        severity=item.severity,
        start=start,
        end=start + item.duration,
        target_service=item.target_service,
    )


def end_failures(
    state: ClusterState, tenant_id: str, reach: Reach = Reach.CLUSTER
) -> tuple[ClusterState, list[str]]:
    """End the tenant's active failures now and forget those that were still to come; their ids.

    Those that go further than `reach` stay: who could not have ordered them does not end them.
    """
    tenant_of(state, tenant_id)
    ended = [
        f.failure_id for f in state.failures.values() if f.tenant_id == tenant_id and reach.allows(f.reach)
    ]
    if not ended:
        return state, []
    draft = Draft(state)
    for failure_id in ended:
        effects.end_failure(draft, draft.failures[failure_id])
    return finish(draft), ended


def end_all(draft: Draft, tenant_id: str) -> None:
    for failure in [f for f in draft.failures.values() if f.tenant_id == tenant_id]:
        effects.end_failure(draft, failure)


def put_external(
    state: ClusterState, tenant_id: str, source: str, metrics: Mapping[str, float]
) -> ClusterState:
    """Keep the newest numbers of each source. ValidationFailed beyond the bound on sources."""
    tenant = tenant_of(state, tenant_id)
    if source not in tenant.external and len(tenant.external) >= MAX_EXTERNAL_SOURCES:
        message = f"a tenant has at most {MAX_EXTERNAL_SOURCES} external sources"
        raise ValidationFailed(message, fields=[{"field": "source", "message": message}])
    external = {**tenant.external, source: ExternalMetrics(state.now, dict(metrics))}
    return replace(state, tenants={**state.tenants, tenant_id: replace(tenant, external=external)})


def write_past(state: ClusterState, tenant_id: str, start: Micros) -> ClusterState:
    """Extend the tenant's truth back to `start`, MAX_PAST at most; already written time stays as it is.

    The past ends where the live truth begins, or now for a tenant that was never ready.
    """
    tenant = tenant_of(state, tenant_id)
    past = tenant.past
    if past is None:
        end = tenant.truth[0][0] if tenant.truth else state.now
        if start >= end:
            return state
        past = PastRecord(max(start, end - MAX_PAST), end, specs_of(state, tenant))
    elif start < past.start and past.start > past.end - MAX_PAST:
        past = replace(past, start=max(start, past.end - MAX_PAST))
    else:
        return state
    return replace(state, tenants={**state.tenants, tenant_id: replace(tenant, past=past)})


def set_clock(state: ClusterState, now: Micros) -> ClusterState:
    """Move an empty cluster to another time; Conflict once it has a tenant."""
    if state.tenants or state.pods or state.terminating or len(state.events) > 1:
        raise Conflict("the clock can only be set before any tenant exists; use advance")
    return replace(state, now=now, events=first_events(now))
