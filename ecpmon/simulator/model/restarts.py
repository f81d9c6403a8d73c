"""Restarting what a tenant runs, as `kubectl rollout restart` does: new pods of the same requests, rolled in."""

from __future__ import annotations

from typing import Final

from ecpmon.simulator.model.commands import tenant_of
from ecpmon.simulator.model.deploying import put_deployment
from ecpmon.simulator.model.objects import Deployment, Manifest
from ecpmon.simulator.model.state import ClusterState, Draft
from ecpmon.simulator.model.step import finish
from ecpmon.simulator.model.times import Micros, rfc3339

RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"


def restart_tenant(state: ClusterState, tenant_id: str, stamp: Micros) -> tuple[ClusterState, int]:
    """Roll every deployment of the tenant over to new pods; the number of deployments.

    The same `stamp` again changes nothing: the pod template says already that it was restarted then.
    """
    tenant_of(state, tenant_id)
    mine = {key: found for key, found in state.deployments.items() if found.tenant_id == tenant_id}
    draft = Draft(state)
    for key, found in mine.items():
        stamped = _stamped(found, rfc3339(stamp))
        if stamped != found.manifest:
            put_deployment(draft, key, stamped, found.spec)
            draft.touched.add(tenant_id)
    return (finish(draft) if draft.touched else state), len(mine)


def _stamped(found: Deployment, at: str) -> Manifest:
    manifest = found.manifest
    template = manifest["spec"]["template"]
    metadata = template.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), RESTARTED_AT: at}
    stamped = {**template, "metadata": {**metadata, "annotations": annotations}}
    return {**manifest, "spec": {**manifest["spec"], "template": stamped}}
