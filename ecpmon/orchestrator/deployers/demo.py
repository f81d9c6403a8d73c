"""Deployments that only seem to happen: the objects are checked and remembered, nothing leaves the process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ecpmon.errors import DeploymentFailed
from ecpmon.model.deployments import DeployedObject, DeploymentStatus, Outcome, Release
from ecpmon.model.tenants import Tenant
from ecpmon.orchestrator.manifests import to_yaml
from ecpmon.orchestrator.validation import validate_manifest
from ecpmon.ports.orchestrator import Progress

_PHASES = (
    (DeploymentStatus.CREATING_NAMESPACE, "the namespace would be created"),
    (DeploymentStatus.CREATING_SERVICES, "the services would be created"),
    (DeploymentStatus.SCALING_SERVICES, "the services would be scaled"),
    (DeploymentStatus.VERIFYING, "the manifest is valid"),
)


class DemoDeployer:
    """`ports.Deployer` for demonstrations. Remembers each tenant's objects as long as the process lives."""

    def __init__(self) -> None:
        self._tenants: dict[str, dict[tuple[str, str], str]] = {}

    async def close(self) -> None:
        """Nothing is held open."""

    async def snapshot(self, release: Release) -> tuple[Mapping[str, Any], ...]:
        """Nothing runs, so nothing is rolled back."""
        return ()

    async def left_out(self, objects: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """No cluster, so nothing that it does not know."""
        return ()

    async def apply(self, release: Release, progress: Progress) -> Outcome:
        """See `ports.Deployer`. Raises DeploymentFailed, naming the first findings of an invalid manifest."""
        await asyncio.to_thread(_check, release)
        before = self._tenants.get(release.tenant_id, {})
        after = {_key(document): json.dumps(document, sort_keys=True) for document in release.objects}
        objects = [_deployed(document, before) for document in release.objects]
        objects += [DeployedObject(*key, "pruned") for key in before if key not in after]
        for phase, message in _PHASES:
            await progress(phase, message, tuple(objects))
        self._tenants[release.tenant_id] = after
        return Outcome(any(o.status != "unchanged" for o in objects), tuple(objects), "demo: nothing runs")

    async def restart(self, tenant: Tenant, now: datetime) -> int:
        """The number of Deployments; nothing is there to restart."""
        return sum(kind == "Deployment" for kind, _name in self._tenants.get(tenant.tenant_id, {}))

    async def delete(self, tenant_id: str) -> None:
        self._tenants.pop(tenant_id, None)


def _key(document: Mapping[str, Any]) -> tuple[str, str]:
    return str(document["kind"]), str(document["metadata"]["name"])


def _check(release: Release) -> None:
    report = validate_manifest(
        release.tenant_id, to_yaml([dict(o) for o in release.objects]), namespace=release.namespace
    )
    if not report.valid:
        found = "; ".join(f"{f.object} {f.path}: {f.message}" for f in report.errors[:3])
        raise DeploymentFailed(f"the manifest is not valid: {found}")


def _deployed(document: Mapping[str, Any], before: Mapping[tuple[str, str], str]) -> DeployedObject:
    known = before.get(_key(document))
    same = known == json.dumps(document, sort_keys=True)
    # Replicas stay unknown: nothing runs, so nothing is ready.
    return DeployedObject(
        *_key(document), "created" if known is None else "unchanged" if same else "configured"
    )
