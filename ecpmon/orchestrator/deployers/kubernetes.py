"""Brings tenants out in a Kubernetes cluster: server-side apply, prune, wait, roll back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from ecpmon.errors import DeploymentFailed, EcpError, KubernetesUnavailable
from ecpmon.model.deployments import DeployedObject, DeploymentStatus, Outcome, Release
from ecpmon.model.tenants import Tenant
from ecpmon.orchestrator.deployers.cluster import (
    EXTENSIONS,
    FIELD_MANAGER,
    KINDS,
    Cluster,
    ClusterAddress,
    Document,
    Refused,
    kind_path,
    path_of,
)
from ecpmon.orchestrator.deployers.rollout import Stage, as_applied, owns_replicas, same_content
from ecpmon.orchestrator.deployers.watching import Watch
from ecpmon.orchestrator.deployers.work import (
    Work,
    is_ours,
    is_tenants,
    key_of,
    labels_of,
    not_known,
    scaled_by,
)
from ecpmon.orchestrator.manifests import namespace_of
from ecpmon.ports.orchestrator import Progress

RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
# Holds spec.replicas from when we let go of it until the autoscaler writes it for the first time.
_REPLICAS_MANAGER: Final = f"{FIELD_MANAGER}-replicas"
_CLAIM: Final = "PersistentVolumeClaim"
_PRUNED: Final = tuple(kind for kind in KINDS if kind != _CLAIM)
# What a rollback restores. Not services and claims: the server gives them addresses and volumes that must stay.
_RESTORED: Final = frozenset(KINDS) - {_CLAIM, "Service"}


class KubernetesDeployer:
    """`ports.Deployer` for a cluster. Times in seconds: `rollout_timeout` for one release, `poll` between looks."""

    def __init__(self, address: ClusterAddress, *, rollout_timeout: float = 600.0, poll: float = 1.0) -> None:
        self._cluster = Cluster(address)
        self._rollout_timeout = rollout_timeout
        self._poll = poll
        self._watch = Watch(self._cluster, rollout_timeout, poll)

    def move(self, url: str) -> None:
        """Another API server without authentication, before anything was asked of this one."""
        self._cluster.move(url)

    async def close(self) -> None:
        await self._cluster.close()

    async def snapshot(self, release: Release) -> tuple[Mapping[str, Any], ...]:
        """What of the tenant, or in the way of the release, is there now, without what the server writes."""
        space, wanted = release.namespace, {key_of(document) for document in release.objects}
        found: list[Document] = []
        try:
            namespace = await self._cluster.find(kind_path("Namespace", name=space))
            found += [namespace] if namespace is not None else []
            for kind in KINDS:
                for item in await self._items(kind, space):
                    ours = kind != _CLAIM and is_ours(item, release.tenant_id)
                    found += [item] if ours or key_of(item) in wanted else []
        except Refused as refused:
            raise DeploymentFailed(f"what runs now cannot be read: {refused}") from refused
        return tuple(as_applied(document) for document in found)

    async def apply(self, release: Release, progress: Progress) -> Outcome:
        """See `ports.Deployer`. Raises DeploymentFailed or KubernetesUnavailable."""
        release, left_out = await self._deployable(release)
        before = await self.snapshot(release) if release.before is None else release.before
        originals = {key_of(document): dict(document) for document in before}
        work = Work(release, progress, scaled_by(release), originals)
        if left_out:
            await work.tell(DeploymentStatus.CREATING_NAMESPACE, not_known(left_out))
        try:
            await self._apply_all(work)
            await self._prune(work, _PRUNED)
            await work.tell(DeploymentStatus.SCALING_SERVICES, "waiting until the services serve")
            await self._watch.wait(work, work.deployments)
            await work.tell(DeploymentStatus.VERIFYING, "checking what runs")
            await self._verify(work)
        except (DeploymentFailed, Refused) as error:
            raise await self._rolled_back(work, str(error)) from error
        await self._prune_claims(work)
        objects = tuple(work.objects.values())
        changed = any(found.status != "unchanged" for found in objects)
        said = "deployed" if changed else "everything was there already"
        return Outcome(changed, objects, f"{said}; {not_known(left_out)}" if left_out else said)

    async def left_out(self, objects: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """See `ports.Deployer`. Raises DeploymentFailed when the cluster does not say."""
        try:
            unknown = await self._cluster.without({o["kind"] for o in objects} & EXTENSIONS)
        except Refused as refused:
            raise DeploymentFailed(f"the cluster does not say which kinds it knows: {refused}") from refused
        return tuple("{}/{}".format(*key_of(o)) for o in objects if o["kind"] in unknown)

    async def _deployable(self, release: Release) -> tuple[Release, tuple[str, ...]]:
        """The release without what the cluster does not know the kinds of, and that."""
        unknown = frozenset(await self.left_out(release.objects))
        kept = tuple(o for o in release.objects if "{}/{}".format(*key_of(o)) not in unknown)
        return replace(release, objects=kept), tuple(sorted(unknown))

    async def seen(self, release: Release, progress: Progress) -> str:
        """Wait until somebody else has brought the release to the cluster and it serves; "" then, else why not."""
        return await self._watch.seen(release, progress)

    async def restart(self, tenant: Tenant, now: datetime) -> int:
        """See `ports.Deployer`: a new pod template, as `kubectl rollout restart` makes it."""
        stamp = now.astimezone(UTC).isoformat().replace("+00:00", "Z")
        change = {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: stamp}}}}}
        space = namespace_of(tenant.tenant_id)
        try:
            found = await self._cluster.items(kind_path("Deployment", space), labels_of(tenant.tenant_id))
            for deployment in found:
                path = kind_path("Deployment", space, deployment["metadata"]["name"])
                await self._cluster.merge(path, change)
        except Refused as refused:
            raise DeploymentFailed(f"the restart was refused: {refused}") from refused
        return len(found)

    async def delete(self, tenant_id: str) -> None:
        """Delete the tenant's namespace with all in it, and wait until it is gone.

        Raises DeploymentFailed when a namespace of that name is not ours.
        """
        path = kind_path("Namespace", name=namespace_of(tenant_id))
        try:
            found = await self._cluster.find(path)
            if found is None:
                return
            if not is_ours(found, tenant_id):
                raise DeploymentFailed(f"the namespace {namespace_of(tenant_id)} is not ours: left as it is")
            await self._cluster.delete(path)
            async with asyncio.timeout(self._rollout_timeout):
                while True:
                    if await self._cluster.find(path) is None:
                        return
                    await asyncio.sleep(self._poll)
        except Refused as refused:
            raise DeploymentFailed(f"the deletion was refused: {refused}") from refused
        except TimeoutError as error:
            message = f"the namespace {namespace_of(tenant_id)} is still terminating"
            raise KubernetesUnavailable(message) from error

    async def _apply_all(self, work: Work) -> None:
        await work.tell(DeploymentStatus.CREATING_NAMESPACE, f"namespace {work.release.namespace}")
        told = False
        for document in work.release.objects:
            if document["kind"] != "Namespace" and not told:
                await work.tell(DeploymentStatus.CREATING_SERVICES, f"{len(work.release.objects)} objects")
                told = True
            try:
                await self._apply_one(work, document)
            except Refused as refused:
                raise DeploymentFailed("{}/{}: {}".format(*key_of(document), refused)) from refused

    async def _apply_one(self, work: Work, document: Mapping[str, Any]) -> None:
        live = await self._gone_or_live(document)
        kind, name = key_of(document)
        if kind == "Namespace" and live is not None and not is_tenants(live, work.release.tenant_id):
            # Our labels on it would make it ours to delete.
            raise DeploymentFailed(f"the namespace {name} exists and is not ours")
        # As it was before the first try: an earlier one may have changed it already.
        before = work.originals.get((kind, name))
        work.before[kind, name] = before
        if kind == "Deployment" and name in work.scaled:
            after = await self._apply_scaled(document, live, work.scaled[name])
        else:
            after = await self._cluster.apply(document)
        unchanged = before is not None and same_content(before, after)
        work.note(after, "created" if before is None else "unchanged" if unchanged else "configured")
        if unchanged:
            del work.before[kind, name]  # nothing to roll back

    async def _gone_or_live(self, document: Mapping[str, Any]) -> Document | None:
        """What is there now. What is being deleted is waited for: applied to, it would go all the same.

        Raises DeploymentFailed when it does not go: its finalizers hold it, as a claim's while a pod uses it.
        """
        path = path_of(document)
        try:
            async with asyncio.timeout(self._rollout_timeout):
                while True:
                    live = await self._cluster.find(path)
                    if live is None or "deletionTimestamp" not in live["metadata"]:
                        return live
                    await asyncio.sleep(self._poll)
        except TimeoutError as error:
            held = ", ".join(live["metadata"].get("finalizers") or ()) if live else ""
            raise DeploymentFailed(
                "{}/{}: still being deleted after {:g} s{}".format(
                    *key_of(document), self._rollout_timeout, f", held by {held}" if held else ""
                )
            ) from error

    async def _apply_scaled(
        self, document: Mapping[str, Any], before: Document | None, least: int
    ) -> Document:
        """Apply a Deployment that an autoscaler scales: `spec.replicas`, or `least`, counts for the creation only.

        Just leaving it out of the next apply would reset it to 1, as its last owner gives it up. So another manager
        holds the number, as Kubernetes' documentation on handing over ownership has it.
        """
        first = {**document, "spec": {"replicas": least, **document["spec"]}}
        live = await self._cluster.apply(first) if before is None else before
        if owns_replicas(live, FIELD_MANAGER):
            held = {key: document[key] for key in ("apiVersion", "kind")}
            held["metadata"] = {key: document["metadata"][key] for key in ("name", "namespace")}
            held["spec"] = {"replicas": live["spec"]["replicas"]}
            try:
                await self._cluster.apply(held, _REPLICAS_MANAGER, force=False)
            except Refused as refused:
                if refused.status != 409:  # 409: the autoscaler owns it already
                    raise
        spec = {key: value for key, value in document["spec"].items() if key != "replicas"}
        return await self._cluster.apply({**document, "spec": spec})

    async def _prune_claims(self, work: Work) -> None:
        """Last of all: data that is gone cannot be rolled back."""
        try:
            await self._prune(work, [_CLAIM])
        except Refused as refused:
            raise DeploymentFailed(f"a volume claim cannot be pruned: {refused}") from refused

    async def _prune(self, work: Work, kinds: Sequence[str]) -> None:
        """Delete what carries both of our labels in this namespace and is not in the release."""
        release, wanted = work.release, {key_of(document) for document in work.release.objects}
        for kind, name in work.removed:  # an earlier try may have been here
            if kind in kinds:
                work.objects[kind, name] = DeployedObject(kind, name, "pruned")
        for kind in kinds:
            for item in await self._items(kind, release.namespace, labels_of(release.tenant_id)):
                name = item["metadata"]["name"]
                if (kind, name) in wanted or not is_ours(item, release.tenant_id):
                    continue
                await self._cluster.delete(kind_path(kind, release.namespace, name))
                work.objects[kind, name] = DeployedObject(kind, name, "pruned")

    async def _items(self, kind: str, space: str, labels: Mapping[str, str] | None = None) -> list[Document]:
        """With the kind, which lists leave out."""
        found = await self._cluster.items(kind_path(kind, space), labels)
        return [{**item, "apiVersion": KINDS[kind][0], "kind": kind} for item in found]

    async def _verify(self, work: Work) -> None:
        for deployment, rollout in await self._watch.rollouts(work.release.namespace, work.deployments):
            if rollout.stage is not Stage.DONE and not work.only_grows(deployment, rollout):
                raise DeploymentFailed(f"stopped serving again: {await self._watch.why(deployment)}")

    async def _rolled_back(self, work: Work, reason: str) -> DeploymentFailed:
        """Bring back what ran before; the error to raise."""
        if not work.before and not work.removed:  # what fails is what ran before
            return DeploymentFailed(reason, rolled_back=False)
        try:
            await self._roll_back(work)
        except KubernetesUnavailable:
            raise  # another try fails the same way, and rolls back then
        except (EcpError, Refused) as error:
            return DeploymentFailed(f"{reason} (and what ran before is not back: {error})", rolled_back=False)
        return DeploymentFailed(reason, rolled_back=True)

    async def _roll_back(self, work: Work) -> None:
        space = work.release.namespace
        for (kind, name), before in work.before.items():
            if before is None and kind == "Deployment":
                await self._cluster.delete(kind_path(kind, space, name))
            elif before is not None and kind in _RESTORED:
                # Applied by the same manager, so that what the failed release added goes away again.
                keep = kind != "Deployment" or name not in work.scaled
                await self._cluster.apply(as_applied(before, keep_replicas=keep))
        for document in work.removed.values():
            await self._cluster.apply(document)
        restored = [key for key, before in work.before.items() if before is not None] + [*work.removed]
        names = frozenset(name for kind, name in restored if kind == "Deployment")
        await self._watch.wait(work, names, telling=False)  # phases only go onwards
