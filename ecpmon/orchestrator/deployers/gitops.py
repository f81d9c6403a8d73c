"""Deploys tenants by writing their manifests into a git repository that Argo CD follows.

"Completed" means pushed: the branch holds the release, read back from the remote. Argo CD brings the cluster there
in its own time (deploy/argocd). Where that cluster can be looked at (`Watcher`), it is waited for; else nobody has seen
the release run, and the outcome says so.

Commits are built by plumbing in a bare clone, without a work tree: nobody's attributes, filters or symbolic links
can change what is written, and a commit can be built anew on any head. When somebody else has pushed meanwhile, ours
is made again on top of theirs; in the tenant's own file ours wins, since the release is the wanted state.
"""

from __future__ import annotations

import asyncio
import fcntl
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Protocol

import structlog
from pydantic import SecretStr

from ecpmon.errors import DeploymentFailed, KubernetesUnavailable, ValidationFailed
from ecpmon.model.deployments import DeploymentStatus, Outcome, Release
from ecpmon.model.tenants import TENANT_ID_PATTERN, Tenant
from ecpmon.orchestrator.deployers.git import (
    Git,
    GitResult,
    checked_branch,
    checked_url,
    remote_failure,
    remote_words,
)
from ecpmon.orchestrator.deployers.stored import compare, documents, keep_stamps, stamp
from ecpmon.orchestrator.manifests import Manifest, to_yaml
from ecpmon.ports.orchestrator import Progress

_TRIES: Final = 16
_FETCHED: Final = "refs/remotes/origin/head"
_GONE: Final = "0" * 40
# Where the folders of tenants are that are deployed otherwise.
RELEASED: Final = "released"
_log = structlog.get_logger(__name__)

# Path -> new bytes, or None to remove it; empty: nothing to do.
Changes = Mapping[str, bytes | None]


class Watcher(Protocol):
    """Who can look at the cluster that Argo CD deploys to."""

    async def seen(self, release: Release, progress: Progress) -> str:
        """Wait until the release serves there; "" then, else why nobody has seen it."""
        ...


class GitopsDeployer:
    """`ports.Deployer` on the branch `branch` of `url`, through a private clone in `folder`.

    `timeout`: seconds per git call. `watcher`: of the cluster that Argo CD deploys to.
    Raises ValidationFailed when a setting is unsafe.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        branch: str = "main",
        token: SecretStr | None = None,
        author: str = "ecpmon <ecpmon@localhost>",
        timeout: float = 30.0,
        watcher: Watcher | None = None,
    ) -> None:
        self._url = checked_url(url)
        self._branch = checked_branch(branch)
        self._folder = folder
        self._git = Git(folder, author, token, timeout)
        self._timeout = timeout
        self._watcher = watcher
        self._lock = asyncio.Lock()
        self._ready = False

    async def close(self) -> None:
        """Nothing is held open between calls."""

    async def snapshot(self, release: Release) -> tuple[Mapping[str, Any], ...]:
        """A push is whole or not at all: nothing is rolled back."""
        return ()

    async def left_out(self, objects: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """All is written; what its cluster does not know, Argo CD says."""
        return ()

    async def apply(self, release: Release, progress: Progress) -> Outcome:
        """Push the release as the tenant's manifest; the same content again makes no commit."""
        path, wanted = _manifest_path(release.tenant_id), b""
        released = f"{RELEASED}/{release.tenant_id}/manifest.yaml"
        before: tuple[Manifest, ...] | None = None
        stamped: tuple[Manifest, ...] = ()

        async def write(head: str | None) -> Changes:
            nonlocal before, stamped, wanted
            files = await self._files(head, path, f"{RELEASED}/{release.tenant_id}/")
            stored, former = await self._blob(head, files, path), await self._blob(head, files, released)
            before = documents(stored)
            stamped = keep_stamps(before if stored else documents(former), release.objects)
            wanted = to_yaml(stamped).encode()
            gone = dict.fromkeys(name for name in files if name != path)
            return gone if stored == wanted else {**gone, path: wanted}

        await progress(DeploymentStatus.CREATING_NAMESPACE, "reading the git repository", None)
        await progress(DeploymentStatus.CREATING_SERVICES, f"writing {path}", None)
        commit = await self._push(
            f"Deploy {release.tenant_id}\n\nDeployment: {release.deployment_id}\n", write
        )
        objects = compare(before, stamped)
        done = (
            f"pushed {commit[:12]} to {self._branch}"
            if commit
            else f"{self._branch} holds this release already"
        )
        await progress(
            DeploymentStatus.SCALING_SERVICES, f"{done}; Argo CD brings it to the cluster", objects
        )
        unseen = await self._unseen(release, progress)
        await progress(DeploymentStatus.VERIFYING, "reading the pushed manifest back", objects)
        await self._verify(path, wanted)
        return Outcome(commit is not None, objects, f"{done}; {unseen}" if unseen else done, unseen)

    async def _unseen(self, release: Release, progress: Progress) -> str:
        """Why nobody has seen the release run; "" when somebody has."""
        if self._watcher is None:
            return (
                "nobody has seen it run: no ECPMON_KUBECONFIG leads to the cluster that Argo CD deploys to, and no "
                "pipeline has told (POST deployment-status)"
            )
        return await self._watcher.seen(release, progress)

    async def restart(self, tenant: Tenant, now: datetime) -> int:
        """Stamp the pod templates of the tenant's Deployments with `now`; their number, 0 when it is not there."""
        path, at, number = _manifest_path(tenant.tenant_id), now.astimezone(UTC).isoformat(), 0

        async def write(head: str | None) -> Changes:
            nonlocal number
            before = await self._read(head, path)
            objects = documents(before)
            if before is not None and objects is None:
                raise DeploymentFailed(
                    f"{path} in the git repository cannot be read; deploy the tenant again"
                )
            number, changed = stamp(objects or (), at)
            return {path: to_yaml(objects or ()).encode()} if changed else {}

        await self._push(f"Restart {tenant.tenant_id}\n\nRestarted at: {at}\n", write)
        return number

    async def delete(self, tenant_id: str) -> None:
        """Remove the tenant's folder; Argo CD prunes what it deployed from it."""

        async def write(head: str | None) -> Changes:
            return dict.fromkeys(await self._files(head, f"tenants/{tenant_id}/", f"{RELEASED}/{tenant_id}/"))

        _checked(tenant_id)
        await self._push(f"Remove {tenant_id}\n", write)

    async def let_go(self, tenant_id: str) -> bool:
        """Move the folder of a tenant that is deployed otherwise from now on: from there Argo CD deploys nothing, and
        what runs it leaves as it is. If the folder were just gone, it would take that along. False: there was none."""
        path, released = _manifest_path(tenant_id), f"{RELEASED}/{tenant_id}/manifest.yaml"

        async def write(head: str | None) -> Changes:
            files = await self._files(head, f"tenants/{tenant_id}/")
            stored = await self._read(head, path)
            moved = {} if stored is None else {released: stored}
            return {**dict.fromkeys(files), **moved} if files else {}

        return await self._push(f"Let go of {tenant_id}\n", write) is not None

    async def _blob(self, head: str | None, files: Sequence[str], path: str) -> bytes | None:
        return await self._git.local("cat-file", "blob", f"{head}:{path}") if path in files else None

    async def _files(self, head: str | None, *folders: str) -> list[str]:
        if head is None:
            return []
        listed = await self._git.local("ls-tree", "-r", "-z", "--name-only", head, "--", *folders)
        return [name.decode() for name in listed.split(b"\0") if name]

    async def _push(self, message: str, write: Callable[[str | None], Awaitable[Changes]]) -> str | None:
        """Commit what `write(head)` asks for on the remote's head and push it; the commit, None: nothing to do."""
        async with self._clone():
            for attempt in range(_TRIES):
                head = await self._fetch()
                changes = await write(head)
                if not changes:
                    return None
                commit = await self._commit(head, changes, message)
                result = await self._git.remote(
                    "push", "--porcelain", "--quiet", "--", self._url, f"{commit}:refs/heads/{self._branch}"
                )
                if result.code == 0:
                    await self._git.local("update-ref", _FETCHED, commit)
                    _log.info(
                        "gitops.pushed", commit=commit, branch=self._branch, what=message.splitlines()[0]
                    )
                    return commit
                _raise_unless_overtaken(result, self._git)
                _log.info("gitops.overtaken", attempt=attempt + 1, branch=self._branch)
                await asyncio.sleep(0.05 * attempt)
        raise KubernetesUnavailable(
            f"others pushed to {self._branch} before us {_TRIES} times in a row; try again in a moment"
        )

    async def _verify(self, path: str, wanted: bytes) -> None:
        async with self._clone():
            if await self._read(await self._fetch(), path) != wanted:
                raise DeploymentFailed(
                    f"{path} was changed by somebody else right after our push; deploy again"
                )

    @asynccontextmanager
    async def _clone(self) -> AsyncIterator[None]:
        """The clone for one caller at a time, of this process and of others with the same folder."""
        async with self._lock:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self._folder / "lock").open("w") as lock:
                await self._take(lock)
                if not self._ready or not self._git.clone.is_dir():
                    await self._git.create()
                # A git that failed or was killed may leave locks behind: then the next one starts afresh.
                self._ready = False
                yield
                self._ready = True

    async def _take(self, lock: IO[str]) -> None:
        try:
            async with asyncio.timeout(self._timeout * 4):
                while True:
                    try:
                        return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        await asyncio.sleep(0.05)
        except TimeoutError:
            raise KubernetesUnavailable(
                "another process keeps ECPMON_GITOPS_DIR busy; give each ecpmon a folder of its own"
            ) from None

    async def _fetch(self) -> str | None:
        """The remote's head with its files in the clone; None: the branch is not there yet."""
        ref = f"refs/heads/{self._branch}"
        listed = await self._git.remote("ls-remote", "--", self._url, ref)
        if listed.code != 0:
            raise remote_failure(listed)
        heads = [line.split("\t") for line in listed.out.decode().splitlines()]
        head = next((commit for commit, name in heads if name == ref), None)
        if head is None:
            await self._check_empty()
            return None
        if head == await self._fetched():
            return head
        fetched = await self._git.remote(
            "fetch", "--quiet", "--depth=1", "--no-tags", "--", self._url, f"+{ref}:{_FETCHED}"
        )
        if fetched.code != 0:
            raise remote_failure(fetched)
        return await self._fetched()

    async def _check_empty(self) -> None:
        """Only in an empty repository is the branch ours to begin: elsewhere a branch that is not there is a mistake,
        and nobody would follow the one that we began. Raises DeploymentFailed."""
        listed = await self._git.remote("ls-remote", "--heads", "--", self._url)
        if listed.code != 0:
            raise remote_failure(listed)
        heads = [
            line.partition("refs/heads/")[2] for line in listed.out.decode("utf-8", "replace").splitlines()
        ]
        if heads:
            known = ", ".join(sorted(heads)[:10])
            raise DeploymentFailed(
                f"the git remote has no branch {self._branch!r} (it has {known}); check ECPMON_GITOPS_BRANCH"
            )

    async def _fetched(self) -> str | None:
        """The head the clone holds. Asked of the clone each time: another process may have made it anew."""
        return await self._line("for-each-ref", "--format=%(objectname)", _FETCHED, stdin=b"") or None

    async def _read(self, head: str | None, path: str) -> bytes | None:
        if head is None or not await self._git.local("ls-tree", "-z", head, "--", path):
            return None
        return await self._git.local("cat-file", "blob", f"{head}:{path}")

    async def _commit(self, head: str | None, changes: Changes, message: str) -> str:
        index = self._git.clone / "index.next"
        index.unlink(missing_ok=True)
        own = {"GIT_INDEX_FILE": str(index)}
        await self._git.local("read-tree", head or "--empty", more=own)
        entries = b""
        for path, content in changes.items():
            blob, mode = _GONE, "0"
            if content is not None:
                blob, mode = await self._line("hash-object", "-w", "--stdin", stdin=content), "100644"
            entries += f"{mode} {blob}\t{path}".encode() + b"\0"
        await self._git.local("update-index", "--replace", "-z", "--index-info", stdin=entries, more=own)
        tree = (await self._git.local("write-tree", more=own)).decode().strip()
        parents = ("-p", head) if head else ()
        return await self._line("commit-tree", tree, *parents, stdin=message.encode())

    async def _line(self, *arguments: str, stdin: bytes) -> str:
        return (await self._git.local(*arguments, stdin=stdin)).decode().strip()


def _checked(tenant_id: str) -> str:
    if not re.fullmatch(TENANT_ID_PATTERN, tenant_id):
        raise ValidationFailed(f"{tenant_id!r} is no tenant id")
    return tenant_id


def _manifest_path(tenant_id: str) -> str:
    return f"tenants/{_checked(tenant_id)}/manifest.yaml"


def _raise_unless_overtaken(result: GitResult, git: Git) -> None:
    """Return when another push came first, which trying again cures."""
    refusals = [
        line for line in git.scrub(result.out.decode("utf-8", "replace")).splitlines() if line[:1] == "!"
    ]
    if not refusals:
        raise remote_failure(result)
    text = refusals[0].lower()
    if (
        "[rejected]" in text
        or "lock ref" in text
        or "failed to update ref" in text
        or "incorrect old" in text
    ):
        return
    said = "; ".join(filter(None, (refusals[0].split(chr(9))[-1][:300], remote_words(result.err))))
    raise DeploymentFailed(
        f"the git remote does not take our push ({said}); check the branch protection, hooks and that the account "
        "may write"
    )
