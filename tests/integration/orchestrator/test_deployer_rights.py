"""The deployer with the rights of deploy/kubernetes/deployer.yaml and no others, which the simulator enforces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestServer

from ecpmon.errors import DeploymentFailed
from ecpmon.orchestrator.deployers.cluster import KINDS, Cluster, ClusterAddress
from ecpmon.orchestrator.deployers.kubernetes import KubernetesDeployer
from ecpmon.orchestrator.manifests import namespace_of
from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.server import create_app
from ecpmon.simulator.snapshot import SnapshotStore
from tests.integration.orchestrator.releases import (
    NOW,
    Told,
    made,
    rendered_release,
    small_release,
    tenant_of,
)

FILE = Path(__file__).parents[3] / "deploy" / "kubernetes" / "deployer.yaml"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/ecpmon-deployer"
TOKEN = "/api/v1/namespaces/ecpmon/serviceaccounts/ecpmon-deployer/token"
_COLLECTIONS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/ecpmon/serviceaccounts",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Of a cluster a hundred times as fast as the wall clock, with what the file makes."""
    engine = open_engine(SnapshotStore(tmp_path / "state"), EngineOptions(seed=7, speed=100))
    async with TestServer(create_app(engine)) as server:
        made = Cluster(ClusterAddress(url=f"http://127.0.0.1:{server.port}", timeout=60))
        for document in yaml.safe_load_all(FILE.read_text()):
            await made.call("POST", _COLLECTIONS[document["kind"]], body=document)
        yield made
        await made.close()


@pytest.fixture
async def deployer(admin: Cluster, tmp_path: Path) -> AsyncIterator[KubernetesDeployer]:
    """With a token of the file's service account, as an operator would give it one."""
    token = (await admin.call("POST", TOKEN, body={}))["status"]["token"]
    config = tmp_path / "kubeconfig"
    one = {"name": "one"}
    config.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{**one, "cluster": {"server": admin._address.url}}],
                "users": [{**one, "user": {"token": token}}],
                "contexts": [{**one, "context": {"cluster": "one", "user": "one"}}],
                "current-context": "one",
            }
        )
    )
    made = KubernetesDeployer(
        ClusterAddress(kubeconfig=str(config), timeout=60), rollout_timeout=600, poll=0.05
    )
    yield made
    await made.close()


async def test_the_rights_suffice_for_a_tenants_whole_life(
    deployer: KubernetesDeployer, admin: Cluster
) -> None:
    release = rendered_release("acme")
    outcome = await deployer.apply(release, Told())
    assert outcome.changed
    extra = made("acme", "v1", "ConfigMap", "leftover", data={"a": "1"})
    await admin.call("POST", f"/api/v1/namespaces/{namespace_of('acme')}/configmaps", body=extra)
    again = await deployer.apply(release, Told())
    assert [found.name for found in again.objects if found.status == "pruned"] == ["leftover"]
    assert await deployer.restart(tenant_of("acme"), NOW) == len(
        [document for document in release.objects if document["kind"] == "Deployment"]
    )
    await deployer.delete("acme")


async def test_a_failing_release_is_rolled_back_with_these_rights(deployer: KubernetesDeployer) -> None:
    settings = made("acme", "v1", "ConfigMap", "settings", data={"a": "1"})
    await deployer.apply(small_release("acme", settings), Told())
    broken = small_release(
        "acme", {**settings, "data": {"b": "2"}}, image="registry.example/web:does-not-exist"
    )
    with pytest.raises(DeploymentFailed, match=r"Deployment/web .*Image") as failed:
        await deployer.apply(broken, Told())
    assert failed.value.rolled_back


@pytest.mark.parametrize(
    ("resource", "verb", "words"),
    [
        (
            "deployments",
            "create",
            'cannot create resource "deployments" in API group "apps" in the namespace "ecp-',
        ),
        ("configmaps", "list", 'what runs now cannot be read: .*cannot list resource "configmaps"'),
        (
            "namespaces",
            "patch",
            'Namespace/.*: namespaces ".*" is forbidden: User "system:serviceaccount:ecpmon:',
        ),
    ],
)
async def test_a_right_that_is_missing_is_named(
    deployer: KubernetesDeployer, admin: Cluster, resource: str, verb: str, words: str
) -> None:
    role = await admin.call("GET", ROLE)
    (rule,) = [rule for rule in role["rules"] if resource in rule["resources"]]
    rule["resources"].remove(resource)
    left = [other for other in rule["verbs"] if other != verb]
    role["rules"] = [r for r in role["rules"] if r["resources"]] + [
        {**rule, "resources": [resource], "verbs": left}
    ]
    await admin.call("PUT", ROLE, body=role)
    with pytest.raises(DeploymentFailed, match=words):
        await deployer.apply(small_release("acme"), Told())


def test_the_file_knows_every_kind_that_a_tenant_has_and_no_other() -> None:
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(FILE.read_text()))
    (role,) = [document for document in documents if document["kind"] == "ClusterRole"]
    allowed = {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    kinds = {(version.rpartition("/")[0], plural) for version, plural in KINDS.values()}
    assert set(allowed) == kinds | {("", "namespaces"), ("", "pods")}
    assert all(allowed[kind] == {"get", "list", "create", "patch", "delete"} for kind in kinds)
