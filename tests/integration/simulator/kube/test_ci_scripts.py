"""A step of the workflows by itself: helm against the simulated cluster."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.helm import helm_program
from tests.integration.simulator.kube.conftest import Kubectl
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[4]
CI = ROOT / "deploy" / "ci"
newer = pytest.mark.parametrize("kubectl", ["newer"], indirect=True)
DIGEST = f"sha256:{'5' * 64}"


def environ(kubectl: Kubectl, folder: Path, **more: str) -> dict[str, str]:
    """With kubectl and helm, and the cluster's configuration as the text of a secret."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "kubectl").symlink_to(kubectl.program)
    (programs / "helm").symlink_to(helm_program())
    (folder / "tmp").mkdir()
    path = f"{programs}:{os.environ['PATH']}"
    text = kubectl.config.read_text()
    return {"PATH": path, "HOME": str(folder), "TMPDIR": str(folder / "tmp"), "KUBECONFIG_TEXT": text, **more}


def script(name: str, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CI / name), *arguments],
        env=env, capture_output=True, text=True, timeout=2 * PATIENCE, check=False,
    )  # fmt: skip


@newer
def test_the_chart_of_a_release_is_deployed_with_an_image_by_its_digest(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    kubectl("create", "namespace", "ci")
    kubectl(
        "-n",
        "ci",
        "create",
        "secret",
        "generic",
        "ecpmon",
        "--from-literal=ecpmon_database_url=postgresql://d/e",
    )
    dist = tmp_path / "dist"
    dist.mkdir()
    env = environ(kubectl, tmp_path, NAMESPACE="ci", REPOSITORY="registry.example.com/ecpmon", DIGEST=DIGEST)
    subprocess.run(["helm", "package", str(ROOT / "deploy/chart"), "-d", str(dist)], env=env, check=True)
    with (dist / "SHA256SUMS").open("w") as sums:
        subprocess.run("sha256sum *.tgz", shell=True, cwd=dist, stdout=sums, check=True)
    done = script("deploy.sh", str(dist), env=env)
    assert done.returncode == 0, done.stderr
    found = kubectl.json("-n", "ci", "get", "deployments")["items"]
    images = {one["spec"]["template"]["spec"]["containers"][0]["image"] for one in found}
    assert images == {f"registry.example.com/ecpmon@{DIGEST}"}
    assert "no sha256" in script("deploy.sh", str(dist), env=env | {"DIGEST": "latest"}).stderr
    next(dist.glob("*.tgz")).write_bytes(b"another")
    done = script("deploy.sh", str(dist), env=env)
    assert done.returncode != 0
    assert "FAILED" in done.stdout + done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []
