"""Restarting what a tenant runs, as `kubectl rollout restart` does: new pods of the same requests, rolled in."""

from __future__ import annotations

from dataclasses import replace

from ecpmon.simulator.model.commands import tenant_of
from ecpmon.simulator.model.controllers import reconcile, template_hash
from ecpmon.simulator.model.hashing import name_suffix
from ecpmon.simulator.model.objects import Deployment
from ecpmon.simulator.model.state import ClusterState, Draft
from ecpmon.simulator.model.step import finish
from ecpmon.simulator.model.times import Micros


def restart_tenant(state: ClusterState, tenant_id: str, stamp: Micros) -> tuple[ClusterState, int]:
    """Roll every deployment of the tenant over to new pods; the number of deployments.

    The same `stamp` again changes nothing, as the same `kubectl.kubernetes.io/restartedAt` would not.
    """
    tenant = tenant_of(state, tenant_id)
    keys = [f"{tenant.namespace}/{name}" for name in tenant.services]
    stale = [key for key in keys if state.deployments[key].template_hash != _hash(state, key, stamp)]
    if not stale:
        return state, len(keys)
    draft = Draft(state)
    draft.touched.add(tenant_id)
    for key in stale:
        draft.deployments[key] = _restamped(draft, draft.deployments[key], _hash(state, key, stamp))
        reconcile(draft, draft.deployments[key])
    return finish(draft), len(keys)


def _hash(state: ClusterState, key: str, stamp: Micros) -> str:
    spec = state.deployments[key].spec
    return name_suffix(9, state.seed, "restart", template_hash(state.seed, spec), stamp)


def _restamped(draft: Draft, found: Deployment, hashed: str) -> Deployment:
    meta = replace(found.meta, generation=found.meta.generation + 1, resource_version=draft.next_revision())
    return replace(found, meta=meta, template_hash=hashed, revision=found.revision + 1)
