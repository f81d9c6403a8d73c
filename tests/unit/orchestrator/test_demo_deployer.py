"""What the demo deployer refuses, and what it remembers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ecpmon.errors import DeploymentFailed
from ecpmon.model.deployments import DeployedObject, DeploymentStatus, Release
from ecpmon.orchestrator.deployers.demo import DemoDeployer


async def silent(_: DeploymentStatus, __: str, ___: Sequence[DeployedObject] | None) -> None:
    """A `Progress`."""


def config_map(name: str, **data: Any) -> dict[str, Any]:
    labels = {"ecp.ai/managed-by": "ecp-orchestrator", "ecp.ai/tenant": "acme"}
    metadata = {"name": name, "namespace": "ecp-ai-acme", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def release(*objects: dict[str, Any]) -> Release:
    return Release("dep-1", "acme", "ecp-ai-acme", objects)


async def test_an_invalid_manifest_is_refused_and_forgotten() -> None:
    deployer = DemoDeployer()
    with pytest.raises(DeploymentFailed, match="ConfigMap/Not_A_Name"):
        await deployer.apply(release(config_map("Not_A_Name")), silent)
    outcome = await deployer.apply(release(config_map("a")), silent)
    assert outcome.objects == (DeployedObject("ConfigMap", "a", "created"),)


async def test_a_changed_release_says_what_changed() -> None:
    deployer = DemoDeployer()
    await deployer.apply(release(config_map("a"), config_map("b", x="1"), config_map("c")), silent)
    outcome = await deployer.apply(release(config_map("b", x="2"), config_map("c"), config_map("d")), silent)
    assert outcome.changed
    assert [(o.name, o.status) for o in outcome.objects] == [
        ("b", "configured"),
        ("c", "unchanged"),
        ("d", "created"),
        ("a", "pruned"),
    ]
