"""Waiting until what was applied serves, and saying why it does not."""

from __future__ import annotations

import asyncio
from typing import Final

from ecpmon.errors import DeploymentFailed, EcpError, KubernetesUnavailable
from ecpmon.model.deployments import DeployedObject, DeploymentStatus, Release
from ecpmon.orchestrator.deployers.cluster import Cluster, Document, Refused, kind_path
from ecpmon.orchestrator.deployers.rollout import (
    Rollout,
    Stage,
    holds,
    judge,
    replica_failure,
    waiting_reasons,
)
from ecpmon.orchestrator.deployers.work import Work, key_of
from ecpmon.ports.orchestrator import Progress

# Looks in a row that may go unanswered while a rollout is waited for.
_UNANSWERED: Final = 5


class Watch:
    """Over one cluster. Seconds: `timeout` for one release, `poll` between looks."""

    def __init__(self, cluster: Cluster, timeout: float, poll: float) -> None:
        self._cluster = cluster
        self._timeout = timeout
        self._poll = poll

    async def wait(self, work: Work, names: frozenset[str], *, telling: bool = True) -> None:
        """Until the named Deployments are rolled out. Raises DeploymentFailed naming one that is not."""
        unanswered = 0
        try:
            async with asyncio.timeout(self._timeout):
                while True:
                    try:
                        if await self._look(work, names, telling):
                            return
                        unanswered = 0
                    except KubernetesUnavailable:
                        unanswered += 1
                        if unanswered > _UNANSWERED:
                            raise
                    await asyncio.sleep(self._poll)
        except TimeoutError as error:
            late = await self._unfinished(work.release.namespace, names)
            why = await self.why(late) if late else ""
            raise DeploymentFailed(
                f"not rolled out after {self._timeout:g} s: {why or 'no time left'}"
            ) from error

    async def _look(self, work: Work, names: frozenset[str], telling: bool) -> bool:
        done, news = True, False
        for deployment, rollout in await self.rollouts(work.release.namespace, names):
            name = deployment["metadata"]["name"]
            if rollout.stage is Stage.FAILED:
                raise DeploymentFailed(await self.why(deployment))
            done = done and rollout.stage is Stage.DONE
            if telling:
                news = work.note_replicas(name, rollout.replicas) or news
        if news:
            await work.tell(DeploymentStatus.SCALING_SERVICES, "waiting until the services serve")
        return done

    async def rollouts(self, space: str, names: frozenset[str]) -> list[tuple[Document, Rollout]]:
        """Raises DeploymentFailed when one of them has vanished."""
        found = [
            item
            for item in await self._cluster.items(kind_path("Deployment", space))
            if item["metadata"]["name"] in names
        ]
        missing = names - {item["metadata"]["name"] for item in found}
        if missing:
            raise DeploymentFailed(f"Deployment/{min(missing)} was deleted by somebody else")
        return [(item, judge(item)) for item in found]

    async def _unfinished(self, space: str, names: frozenset[str]) -> Document | None:
        rollouts = await self.rollouts(space, names)
        return next((item for item, rollout in rollouts if rollout.stage is not Stage.DONE), None)

    async def why(self, deployment: Document) -> str:
        """`Deployment/<name> 0/2 ready: <reasons>`."""
        metadata, rollout = deployment["metadata"], judge(deployment)
        selector = deployment["spec"]["selector"].get("matchLabels") or {}
        pods = await self._cluster.items(kind_path("Pod", metadata["namespace"]), selector)
        reasons = [r for r in (*waiting_reasons(pods), replica_failure(deployment)) if r]
        said = "; ".join(reasons) or rollout.reason or "its pods are not ready"
        return f"Deployment/{metadata['name']} {rollout.replicas} ready: {said}"

    async def seen(self, release: Release, progress: Progress) -> str:
        """Until the cluster holds the release, whoever brought it there, and it serves; "" then, else why not."""
        why, told = "nobody has looked yet", ""
        try:
            async with asyncio.timeout(self._timeout):
                while True:
                    objects, why = await self._standing(release)
                    if not why:
                        return ""
                    if why != told:
                        told = why
                        await progress(DeploymentStatus.SCALING_SERVICES, why, objects)
                    await asyncio.sleep(self._poll)
        except TimeoutError:
            return f"{why} (looked for {self._timeout:g} s)"

    async def _standing(self, release: Release) -> tuple[tuple[DeployedObject, ...], str]:
        """The release's Deployments as they are there, and why they do not all serve in its form; "": they do."""
        wanted = {key_of(o)[1]: o for o in release.objects if o["kind"] == "Deployment"}
        try:
            found = await self._cluster.items(kind_path("Deployment", release.namespace))
        except (EcpError, Refused) as error:
            return (), f"the cluster cannot be looked at: {error}"
        live = {item["metadata"]["name"]: item for item in found}
        objects, late = [], []
        for name, document in wanted.items():
            item = live.get(name)
            if item is None or not holds(item, document):
                late.append(name)
                objects.append(DeployedObject("Deployment", name, "pending"))
                continue
            rollout = judge(item)
            objects.append(DeployedObject("Deployment", name, "configured", rollout.replicas))
            if rollout.stage is not Stage.DONE:
                late.append(f"{name} {rollout.replicas} ready")
        return tuple(objects), f"not seen to run yet: {', '.join(late)}" if late else ""
