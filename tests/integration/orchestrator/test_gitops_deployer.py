"""The gitops deployer against real bare repositories, with the real git."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr
from structlog.testing import capture_logs

from ecpmon.errors import DeploymentFailed, EcpError, KubernetesUnavailable, ValidationFailed
from ecpmon.model.deployments import DeployedObject, DeploymentStatus, Release
from ecpmon.model.tenants import SlaTarget, Tenant, TenantStatus
from ecpmon.orchestrator.deployers.gitops import GitopsDeployer
from ecpmon.orchestrator.deployers.stored import RESTARTED_AT
from ecpmon.orchestrator.manifests import render, to_yaml
from ecpmon.orchestrator.sizing import plan_tenant
from tests.waiting import PATIENCE

NOW = datetime(2026, 3, 2, tzinfo=UTC)
TOKEN = "s3cr3t-t0ken-of-the-test"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        f"GIT_{who}_{what}": "colleague@localhost"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
}


def git(*arguments: str, folder: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, check=True)
    return done.stdout.decode()


class Remote:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}"
        folder.mkdir()
        git("init", "-q", "--bare", "-b", "main", folder=folder)

    def commits(self) -> int:
        return int(git("rev-list", "--count", "main", folder=self.folder))

    def files(self) -> list[str]:
        return git("ls-tree", "-r", "--name-only", "main", folder=self.folder).split()

    def manifest(self, tenant_id: str) -> str:
        return git("show", f"main:tenants/{tenant_id}/manifest.yaml", folder=self.folder)

    def push_from_elsewhere(self, work: Path, files: dict[str, str]) -> None:
        git("clone", "-q", self.url, str(work), folder=self.folder)
        for name, content in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(content, encoding="utf-8")
        git("add", "-A", folder=work)
        git("commit", "-q", "-m", "by a colleague", folder=work)
        git("push", "-q", "origin", "HEAD:main", folder=work)


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "remote.git")


@pytest.fixture
def deployer(remote: Remote, tmp_path: Path) -> GitopsDeployer:
    return GitopsDeployer(remote.url, tmp_path / "work", author="Deploys <deploys@example.com>")


def tenant(tenant_id: str = "acme", channels: int = 10) -> Tenant:
    requirements, target = {"callbot": channels}, SlaTarget(availability="99.9%")
    plan = plan_tenant(requirements, target)
    return Tenant(
        key=1,
        tenant_id=tenant_id,
        name=None,
        preset=plan.preset,
        is_demo=False,
        status=TenantStatus.PENDING,
        service_requirements=requirements,
        resources=plan.resources,
        sla_target=target,
        created_at=NOW,
        updated_at=NOW,
    )


def release(tenant_id: str = "acme", channels: int = 10, number: int = 1) -> Release:
    of = tenant(tenant_id, channels)
    objects = render(of, plan_tenant(of.service_requirements, of.sla_target))
    return Release(f"deployment-{number}", tenant_id, f"ecp-{tenant_id}", objects)


def text_of(wanted: Release) -> str:
    return to_yaml(map(dict, wanted.objects))


class Phases:
    def __init__(self) -> None:
        self.told: list[DeploymentStatus] = []

    async def __call__(
        self, phase: DeploymentStatus, message: str, objects: Sequence[DeployedObject] | None
    ) -> None:
        self.told.append(phase)


async def test_the_first_release_goes_to_an_empty_remote(deployer: GitopsDeployer, remote: Remote) -> None:
    phases = Phases()
    outcome = await deployer.apply(release(), phases)
    assert outcome.changed
    assert {o.status for o in outcome.objects} == {"created"}
    assert phases.told == [
        DeploymentStatus.CREATING_NAMESPACE,
        DeploymentStatus.CREATING_SERVICES,
        DeploymentStatus.SCALING_SERVICES,
        DeploymentStatus.VERIFYING,
    ]
    assert remote.files() == ["tenants/acme/manifest.yaml"]
    assert remote.manifest("acme") == text_of(release())
    log = git("log", "--format=%an <%ae>%n%B", "main", folder=remote.folder)
    assert log.startswith("Deploys <deploys@example.com>\nDeploy acme\n\nDeployment: deployment-1")


async def test_the_same_release_again_commits_nothing(
    deployer: GitopsDeployer, remote: Remote, tmp_path: Path
) -> None:
    await deployer.apply(release(), Phases())
    again = await deployer.apply(release(number=2), Phases())
    elsewhere = await GitopsDeployer(remote.url, tmp_path / "other").apply(release(number=3), Phases())
    assert (again.changed, elsewhere.changed, remote.commits()) == (False, False, 1)
    assert {o.status for o in again.objects} == {"unchanged"}


async def test_a_changed_release_says_what_changed(deployer: GitopsDeployer, remote: Remote) -> None:
    await deployer.apply(release(channels=10), Phases())
    outcome = await deployer.apply(release(channels=100), Phases())
    assert "configured" in {o.status for o in outcome.objects}
    assert remote.manifest("acme") == text_of(release(channels=100))
    smaller = Release("d", "acme", "ecp-acme", release(channels=100).objects[:-1])
    assert [o.status for o in (await deployer.apply(smaller, Phases())).objects].count("pruned") == 1


async def test_a_push_of_others_in_between_is_built_upon_and_our_file_wins(
    deployer: GitopsDeployer, remote: Remote, tmp_path: Path
) -> None:
    await deployer.apply(release(channels=10), Phases())
    race = 0
    commit = deployer._commit

    async def overtaken(*arguments: Any) -> str:
        nonlocal race
        made = await commit(*arguments)
        if race < 2:  # after our fetch, before our push
            race += 1
            files = {f"notes-{race}.md": "theirs", "tenants/acme/manifest.yaml": f"theirs: {race}\n"}
            await asyncio.to_thread(remote.push_from_elsewhere, tmp_path / f"colleague-{race}", files)
        return made

    deployer._commit = overtaken  # type: ignore[method-assign]
    outcome = await deployer.apply(release(channels=100), Phases())
    assert outcome.changed
    assert race == 2
    assert remote.files() == ["notes-1.md", "notes-2.md", "tenants/acme/manifest.yaml"]
    assert remote.manifest("acme") == text_of(release(channels=100))
    assert remote.commits() == 4


async def test_concurrent_tenants_all_end_at_their_last_release(remote: Remote, tmp_path: Path) -> None:
    """Two deployers with clones of their own and one sharing the first's folder."""
    deployers = [GitopsDeployer(remote.url, tmp_path / name) for name in ("one", "two", "one")]
    names, last = ["acme", "beta", "gamma", "delta"], {}
    chance = random.Random(7)

    async def releases(name: str, deployer: GitopsDeployer, sizes: list[int]) -> None:
        for size in sizes:
            await deployer.apply(release(name, size), Phases())
            last[name] = release(name, size)

    await asyncio.gather(
        *(
            releases(name, deployers[i % 3], chance.sample([5, 40, 80, 120], 3))
            for i, name in enumerate(names)
        )
    )
    assert {name: remote.manifest(name) for name in names} == {n: text_of(last[n]) for n in names}
    assert remote.files() == sorted(f"tenants/{name}/manifest.yaml" for name in names)


async def test_another_process_may_make_the_shared_clone_anew(
    deployer: GitopsDeployer, remote: Remote, tmp_path: Path
) -> None:
    await deployer.apply(release(), Phases())
    assert not (await GitopsDeployer(remote.url, tmp_path / "work").apply(release(), Phases())).changed
    shutil.rmtree(tmp_path / "work" / "clone.git")
    git("init", "-q", "--bare", str(tmp_path / "work" / "clone.git"), folder=tmp_path)
    assert (await deployer.apply(release(channels=100), Phases())).changed
    assert remote.manifest("acme") == text_of(release(channels=100))


async def test_delete_takes_the_folder_of_one_tenant(deployer: GitopsDeployer, remote: Remote) -> None:
    await deployer.delete("acme")  # an empty remote
    for name in ("acme", "acme-2"):
        await deployer.apply(release(name), Phases())
    await deployer.delete("acme")
    assert remote.files() == ["tenants/acme-2/manifest.yaml"]
    await deployer.delete("acme")
    assert remote.commits() == 3


async def test_the_folder_of_a_tenant_that_is_let_go_is_where_nothing_is_deployed_from(
    deployer: GitopsDeployer, remote: Remote
) -> None:
    for name in ("acme", "acme-2"):
        await deployer.apply(release(name), Phases())
    assert await deployer.let_go("acme")
    assert remote.files() == ["released/acme/manifest.yaml", "tenants/acme-2/manifest.yaml"]
    assert not await deployer.let_go("acme")
    assert await deployer.restart(tenant(), NOW) == 0
    assert remote.commits() == 3
    # Deployed this way again, or taken away, it is there no more.
    await deployer.apply(release(), Phases())
    assert remote.files() == ["tenants/acme-2/manifest.yaml", "tenants/acme/manifest.yaml"]
    await deployer.let_go("acme")
    await deployer.delete("acme")
    assert remote.files() == ["tenants/acme-2/manifest.yaml"]


async def test_a_deployment_keeps_the_restarts_before_it(deployer: GitopsDeployer, remote: Remote) -> None:
    await deployer.apply(release(), Phases())
    await deployer.restart(tenant(), NOW)
    again = await deployer.apply(release(number=2), Phases())
    assert (again.changed, remote.commits()) == (False, 2)
    assert {o.status for o in again.objects} == {"unchanged"}
    await deployer.apply(release(channels=100), Phases())
    stored = [o for o in yaml.safe_load_all(remote.manifest("acme")) if o["kind"] == "Deployment"]
    stamps = [(o["spec"]["template"]["metadata"].get("annotations") or {}).get(RESTARTED_AT) for o in stored]
    assert stamps == [NOW.isoformat()] * len(stamps)


async def test_restarts_that_others_wrote_or_that_were_let_go_stay_as_they_are(
    deployer: GitopsDeployer, remote: Remote, tmp_path: Path
) -> None:
    await deployer.apply(release(), Phases())
    await deployer.restart(tenant(), NOW)
    stamped = remote.manifest("acme")
    bare = re.sub(r'restartedAt: "[^"]+"', "restartedAt: 2026-03-02T00:00:00Z", stamped)
    remote.push_from_elsewhere(tmp_path / "colleague", {"tenants/acme/manifest.yaml": bare})
    await deployer.apply(release(number=2), Phases())
    assert remote.manifest("acme") == stamped.replace("2026-03-02T00:00:00+00:00", "2026-03-02T00:00:00Z")
    await deployer.let_go("acme")
    await deployer.apply(release(number=3), Phases())
    assert remote.manifest("acme").count("restartedAt: ") == stamped.count("restartedAt: ") > 0
    assert remote.files() == ["tenants/acme/manifest.yaml"]


async def test_a_deployment_of_others_that_makes_no_pods_does_not_keep_the_rest_from_a_restart(
    deployer: GitopsDeployer, remote: Remote, tmp_path: Path
) -> None:
    await deployer.apply(release(), Phases())
    odd = f"{remote.manifest('acme')}---\nkind: Deployment\nmetadata: {{name: x}}\nspec: nothing\n"
    remote.push_from_elsewhere(tmp_path / "colleague", {"tenants/acme/manifest.yaml": odd})
    number = await deployer.restart(tenant(), NOW)
    assert number == sum(o["kind"] == "Deployment" for o in release().objects)
    assert remote.manifest("acme").count("restartedAt: ") == number


async def test_a_branch_that_is_not_there_is_refused_and_not_begun(remote: Remote, tmp_path: Path) -> None:
    remote.push_from_elsewhere(tmp_path / "colleague", {"README.md": "theirs"})
    astray = GitopsDeployer(remote.url, tmp_path / "astray", branch="mian")
    with pytest.raises(DeploymentFailed, match=r"no branch 'mian' \(it has main\).*ECPMON_GITOPS_BRANCH"):
        await astray.apply(release(), Phases())
    assert git("branch", "--list", folder=remote.folder).split() == ["*", "main"]


class Watcher:
    """Of a cluster where `why` is all that is to be seen."""

    def __init__(self, why: str) -> None:
        self.why = why

    async def seen(self, release: Release, progress: Any) -> str:
        await progress(DeploymentStatus.SCALING_SERVICES, "looking", ())
        return self.why


async def test_what_was_pushed_is_seen_to_run_or_the_outcome_says_why_not(
    remote: Remote, tmp_path: Path
) -> None:
    unseen = []
    for why in (None, "callbot 0/2 ready", ""):
        watcher = None if why is None else Watcher(why)
        outcome = await GitopsDeployer(remote.url, tmp_path / "work", watcher=watcher).apply(
            release(), Phases()
        )
        unseen.append(outcome.unseen)
    assert unseen[0].startswith("nobody has seen it run")
    assert unseen[1:] == ["callbot 0/2 ready", ""]


async def test_restart_stamps_the_pod_templates_once(deployer: GitopsDeployer, remote: Remote) -> None:
    assert await deployer.restart(tenant(), NOW) == 0
    await deployer.apply(release(), Phases())
    deployments = [o for o in release().objects if o["kind"] == "Deployment"]
    assert await deployer.restart(tenant(), NOW) == len(deployments) > 0
    assert await deployer.restart(tenant(), NOW) == len(deployments)
    assert remote.commits() == 2
    stored = [o for o in yaml.safe_load_all(remote.manifest("acme")) if o["kind"] == "Deployment"]
    stamps = {o["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT] for o in stored}
    assert stamps == {NOW.isoformat()}
    await deployer.restart(tenant(), NOW + timedelta(minutes=1))
    assert remote.commits() == 3


async def test_a_remote_that_is_away_may_come_back(
    deployer: GitopsDeployer, remote: Remote, tmp_path: Path
) -> None:
    await deployer.apply(release(), Phases())
    away = tmp_path / "away"
    shutil.move(remote.folder, away)
    with pytest.raises(KubernetesUnavailable, match="ECPMON_GITOPS_URL"):
        await deployer.apply(release(channels=100), Phases())
    shutil.move(away, remote.folder)
    assert (await deployer.apply(release(channels=100), Phases())).changed


async def test_a_push_that_a_hook_refuses_fails_for_good(deployer: GitopsDeployer, remote: Remote) -> None:
    hook = remote.folder / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'tenants are frozen until Monday' >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    with pytest.raises(DeploymentFailed, match=r"take our push \(.*declined.*frozen until Monday"):
        await deployer.apply(release(), Phases())


async def test_a_remote_that_never_answers_is_given_up(tmp_path: Path) -> None:
    hung_up = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()
        hung_up.set()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    deployer = GitopsDeployer(f"https://127.0.0.1:{port}/x.git", tmp_path / "work", timeout=0.5)
    with pytest.raises(KubernetesUnavailable, match="did not end within"):
        await deployer.delete("acme")
    async with asyncio.timeout(PATIENCE):  # git's helper is gone too
        await hung_up.wait()
    silent.close()
    await silent.wait_closed()


async def test_the_token_shows_nowhere(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrapper before git records every command line; the askpass helper is asked as git asks it."""
    seen, real, bin_ = tmp_path / "argv", shutil.which("git"), tmp_path / "bin"
    bin_.mkdir()
    wrapper = bin_ / "git"
    wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {seen}\nexec {real} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    work = tmp_path / "work"
    deployer = GitopsDeployer(remote.url, work, token=SecretStr(TOKEN))
    with capture_logs() as logs:
        await deployer.apply(release(), Phases())
        await deployer.restart(tenant(), NOW)
        bad = GitopsDeployer(f"file://{tmp_path}/{TOKEN}", tmp_path / "bad", token=SecretStr(TOKEN))
        with pytest.raises(EcpError) as caught:
            await bad.apply(release(), Phases())
    lines = seen.read_text(encoding="utf-8").splitlines()
    assert any("push" in line for line in lines)
    assert not [line for line in lines if TOKEN in line and f"/{TOKEN}" not in line]
    assert TOKEN not in str(caught.value)
    assert "***" in str(caught.value)
    assert logs
    assert TOKEN not in repr(logs) + "".join(capfd.readouterr()) + repr(deployer)
    files = [p for folder in (work, remote.folder) for p in folder.rglob("*") if p.is_file()]
    assert files
    assert not [p for p in files if TOKEN.encode() in p.read_bytes()]
    assert TOKEN not in git("log", "-p", "main", folder=remote.folder)
    asked = {"PATH": os.environ["PATH"], "ECPMON_ASKPASS_TOKEN": TOKEN}
    answer = subprocess.check_output([work / "askpass", "Password for 'https://x':"], env=asked, text=True)
    assert answer == TOKEN + "\n"


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@git.example.com/x.git",
        "ssh://git:hunter2@git.example.com/x.git",
        "--upload-pack=hunter2",
        "ext::sh -c hunter2",
        "ext::hunter2",
        "http://git.example.com/hunter2",
        "/srv/hunter2",
        "ssh://-oProxyCommand=hunter2/x",
        "git@-oProxyCommand=hunter2:x",
        "https:///hunter2",
    ],
)
def test_unsafe_remotes_are_refused_and_not_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationFailed) as caught:
        GitopsDeployer(url, tmp_path / "work")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["git@git.example.com:a/b.git", "ssh://git@h/x", "https://h/x", "file:///srv/x"]
)
def test_usual_remotes_are_taken(url: str, tmp_path: Path) -> None:
    GitopsDeployer(url, tmp_path / "work")


@pytest.mark.parametrize("branch", ["-f", "a..b", "a b", "", "x.lock", "a:b", "a//b", "+main"])
def test_odd_branches_are_refused(branch: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationFailed):
        GitopsDeployer("file:///srv/x", tmp_path / "work", branch=branch)


@pytest.mark.parametrize("tenant_id", ["../x", "a/b", "", "-x", ".git", "x\n"])
async def test_a_tenant_id_is_never_a_path(tenant_id: str, deployer: GitopsDeployer) -> None:
    with pytest.raises(ValidationFailed):
        await deployer.delete(tenant_id)


def test_the_application_set_follows_the_folders_that_are_written() -> None:
    path = Path(__file__).parents[3] / "deploy" / "argocd" / "application.yaml"
    (document,) = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    assert document["kind"] == "ApplicationSet"
    generator, source = (
        document["spec"]["generators"][0]["git"],
        document["spec"]["template"]["spec"]["source"],
    )
    assert generator["directories"] == [{"path": "tenants/*"}, {"path": "released/*"}]
    assert (generator["repoURL"], generator["revision"]) == (source["repoURL"], source["targetRevision"])
    assert source["directory"] == {"include": "manifest.yaml"}
    # What was let go stays as it is: only folders of tenants are synchronised, and take their objects along.
    assert document["spec"]["syncPolicy"] == {"preserveResourcesOnDeletion": True}
    template, patch = document["spec"]["template"], document["spec"]["templatePatch"]
    assert "finalizers" not in template["metadata"]
    assert "automated" not in template["spec"]["syncPolicy"]
    assert patch.startswith('{{- if hasPrefix "tenants/" .path.path }}')
    activated = yaml.safe_load("\n".join(patch.splitlines()[1:-1]))
    assert activated["metadata"]["finalizers"] == ["resources-finalizer.argocd.argoproj.io"]
    assert activated["spec"]["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True}
