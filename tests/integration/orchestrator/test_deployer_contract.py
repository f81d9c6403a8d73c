"""What every `ports.Deployer` does. Another adapter: a fixture of its name, and the name in ADAPTERS."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ecpmon.model.deployments import DeploymentStatus
from ecpmon.orchestrator.deployers.demo import DemoDeployer
from ecpmon.orchestrator.deployers.gitops import GitopsDeployer
from ecpmon.ports.orchestrator import Deployer
from tests.integration.orchestrator.releases import NOW, Told, rendered_release, tenant_of
from tests.integration.orchestrator.test_gitops_deployer import Remote

ADAPTERS = ("kubernetes", "gitops", "demo")
PHASES = [
    DeploymentStatus.CREATING_NAMESPACE,
    DeploymentStatus.CREATING_SERVICES,
    DeploymentStatus.SCALING_SERVICES,
    DeploymentStatus.VERIFYING,
]


@pytest.fixture
def demo() -> DemoDeployer:
    return DemoDeployer()


@pytest.fixture
def gitops(tmp_path: Path) -> GitopsDeployer:
    return GitopsDeployer(Remote(tmp_path / "remote.git").url, tmp_path / "work")


@pytest.fixture(params=ADAPTERS)
def deployer(request: pytest.FixtureRequest) -> Deployer:
    found: Deployer = request.getfixturevalue(request.param)
    return found


async def test_the_first_apply_creates_everything_phase_by_phase(deployer: Deployer, tenant_id: str) -> None:
    told, release = Told(), rendered_release(tenant_id)
    outcome = await deployer.apply(release, told)
    assert outcome.changed
    assert [(o.kind, o.name, o.status) for o in outcome.objects] == [
        (o["kind"], o["metadata"]["name"], "created") for o in release.objects
    ]
    assert told.phases == PHASES
    assert told.objects == outcome.objects


async def test_the_same_release_again_changes_nothing(deployer: Deployer, tenant_id: str) -> None:
    release = rendered_release(tenant_id)
    await deployer.apply(release, Told())
    told = Told()
    again = await deployer.apply(release, told)
    assert {o.status for o in again.objects} == {"unchanged"}
    assert not again.changed
    assert told.phases == PHASES


async def test_a_restart_counts_the_same_twice(deployer: Deployer, tenant_id: str) -> None:
    release = rendered_release(tenant_id)
    tenant = tenant_of(tenant_id)
    assert await deployer.restart(tenant, NOW) == 0
    await deployer.apply(release, Told())
    number = sum(o["kind"] == "Deployment" for o in release.objects)
    assert number > 0
    for now in (NOW, NOW, NOW + timedelta(seconds=1)):
        assert await deployer.restart(tenant, now) == number


async def test_deleted_twice_is_deleted(deployer: Deployer, tenant_id: str) -> None:
    release = rendered_release(tenant_id)
    await deployer.apply(release, Told())
    await deployer.delete(tenant_id)
    await deployer.delete(tenant_id)
    assert await deployer.restart(tenant_of(tenant_id), NOW) == 0
    assert {o.status for o in (await deployer.apply(release, Told())).objects} == {"created"}


async def test_what_a_rollback_would_need_can_be_kept_in_a_row(deployer: Deployer, tenant_id: str) -> None:
    release = rendered_release(tenant_id)
    assert await deployer.snapshot(release) == ()
    outcome = await deployer.apply(replace(release, before=()), Told())
    assert {o.status for o in outcome.objects} == {"created"}
    before = await deployer.snapshot(release)
    assert json.loads(json.dumps(before)) == list(before)
    again = await deployer.apply(replace(release, before=before or None), Told())
    assert {o.status for o in again.objects} == {"unchanged"}
