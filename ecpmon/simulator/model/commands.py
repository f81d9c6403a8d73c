"""What somebody can do to the cluster. Every command acts at `state.now` and returns the new state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ecpmon.errors import Conflict, TenantNotFound, ValidationFailed
from ecpmon.simulator.model import effects
from ecpmon.simulator.model.controllers import reconcile, template_hash
from ecpmon.simulator.model.failures import Failure, FailureType
from ecpmon.simulator.model.hashing import digest, uid
from ecpmon.simulator.model.objects import (
    LABEL_SERVICE,
    LABEL_TENANT,
    Deployment,
    ExternalMetrics,
    Meta,
    PastRecord,
    ServiceSpec,
    Tenant,
    Traffic,
)
from ecpmon.simulator.model.past import MAX_PAST
from ecpmon.simulator.model.scenarios import ScenarioStep
from ecpmon.simulator.model.state import ClusterState, Draft, first_events
from ecpmon.simulator.model.step import finish
from ecpmon.simulator.model.times import Micros
from ecpmon.simulator.model.traffic import traffic_at
from ecpmon.simulator.model.workload import pod_sessions

MAX_EXTERNAL_SOURCES = 16


def tenant_of(state: ClusterState, tenant_id: str) -> Tenant:
    """The tenant; TenantNotFound when there is none."""
    try:
        return state.tenants[tenant_id]
    except KeyError:
        raise TenantNotFound(tenant_id) from None


def specs_of(state: ClusterState, tenant: Tenant) -> tuple[ServiceSpec, ...]:
    return tuple(state.deployments[f"{tenant.namespace}/{name}"].spec for name in tenant.services)


def put_tenant(state: ClusterState, tenant_id: str, services: Sequence[ServiceSpec]) -> ClusterState:
    """Deploy exactly `services`. The same call again changes nothing and returns `state` itself.

    Changed requests are rolled out pod by pod; removed services end; sessions and start-up times change
    without touching a pod.
    """
    tenant = state.tenants.get(tenant_id)
    if tenant is not None and specs_of(state, tenant) == tuple(services):
        return state
    draft = Draft(state)
    if tenant is None:
        tenant = Tenant(tenant_id, draft.ordinals, draft.now, ())
        draft.ordinals += 1
    names = tuple(spec.name for spec in services)
    for gone in sorted(set(tenant.services) - set(names)):
        _drop_deployment(draft, f"{tenant.namespace}/{gone}")
    draft.tenants[tenant_id] = replace(tenant, services=names)
    draft.touched.add(tenant_id)
    for spec in services:
        _put_deployment(draft, tenant, spec)
    return finish(draft)


def _put_deployment(draft: Draft, tenant: Tenant, spec: ServiceSpec) -> None:
    key = f"{tenant.namespace}/{spec.name}"
    found = draft.deployments.get(key)
    if found is None:
        deployment = _new_deployment(draft, tenant, spec)
    elif found.spec != spec:
        deployment = _changed_deployment(draft, found, spec)
    else:
        return
    draft.deployments[key] = deployment
    draft.pods_of.setdefault(key, ())
    reconcile(draft, deployment)


def _new_deployment(draft: Draft, tenant: Tenant, spec: ServiceSpec) -> Deployment:
    version = draft.next_revision()
    key = f"{tenant.namespace}/{spec.name}"
    meta = Meta(
        name=spec.name,
        namespace=tenant.namespace,
        uid=uid(draft.seed, "deployment", key, version),
        created_at=draft.now,
        resource_version=version,
        labels={LABEL_TENANT: tenant.tenant_id, LABEL_SERVICE: spec.name},
    )
    return Deployment(
        meta=meta,
        tenant_id=tenant.tenant_id,
        spec=spec,
        template_hash=template_hash(draft.seed, spec),
        revision=1,
        pod_sessions=pod_sessions(spec),
        traffic=Traffic(draft.now),
    )


def _changed_deployment(draft: Draft, found: Deployment, spec: ServiceSpec) -> Deployment:
    """A pod's capacity follows its CPU; more replicas of the same pod serve more sessions."""
    hashed = template_hash(draft.seed, spec)
    version = draft.next_revision()
    grown = spec.resources.cpu_millicores / found.spec.resources.cpu_millicores
    fresh = found.spec.sessions == 0 or found.spec.replicas == 0
    return replace(
        found,
        meta=replace(found.meta, generation=found.meta.generation + 1, resource_version=version),
        traffic=traffic_at(draft.seed, found, draft.now),
        spec=spec,
        template_hash=hashed,
        revision=found.revision + (hashed != found.template_hash),
        pod_sessions=pod_sessions(spec) if fresh else found.pod_sessions * grown,
    )


def delete_tenant(state: ClusterState, tenant_id: str) -> ClusterState:
    """Remove the tenant with everything it owns; what its failures had broken for others recovers."""
    tenant = tenant_of(state, tenant_id)
    draft = Draft(state)
    _end_all(draft, tenant_id)
    for name in tenant.services:
        _drop_deployment(draft, f"{tenant.namespace}/{name}")
    del draft.tenants[tenant_id]
    return finish(draft)


def _drop_deployment(draft: Draft, key: str) -> None:
    for pod in draft.pods_in(key):
        draft.drop_pod(pod.meta.key)
    draft.pods_of.pop(key, None)
    del draft.deployments[key]
    for name in [n for n, rs in draft.replica_sets.items() if rs.deployment == key]:
        del draft.replica_sets[name]


def inject(
    state: ClusterState, tenant_id: str, steps: Sequence[ScenarioStep]
) -> tuple[ClusterState, list[Failure]]:
    """Start the failures of `steps`, each `at` after now; those at 0 act within this very instant.

    Raises TenantNotFound, or ValidationFailed for a target service that the tenant does not have.
    """
    tenant = tenant_of(state, tenant_id)
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


def end_failures(state: ClusterState, tenant_id: str) -> tuple[ClusterState, list[str]]:
    """End the tenant's active failures now and forget those that were still to come; their ids."""
    tenant_of(state, tenant_id)
    ended = [f.failure_id for f in state.failures.values() if f.tenant_id == tenant_id]
    if not ended:
        return state, []
    draft = Draft(state)
    _end_all(draft, tenant_id)
    return finish(draft), ended


def _end_all(draft: Draft, tenant_id: str) -> None:
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
    if state.tenants:
        raise Conflict("the clock can only be set before any tenant exists; use advance")
    return replace(state, now=now, events=first_events(now))
