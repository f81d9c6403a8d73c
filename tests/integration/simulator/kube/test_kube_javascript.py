"""The official JavaScript client with the kubeconfig that we give out."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ecpmon.local.paths import cache_dir, service_user
from tests.integration.simulator.sim_process import Simulator
from tests.waiting import PATIENCE

# Fetched once into our cache. 2.0 needs a Node.js with zstd (22.15), and does not say so.
pytestmark = pytest.mark.long
CLIENT = "@kubernetes/client-node@1.4.0"
PROGRAM = """
import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromFile(process.argv[2]);
const core = config.makeApiClient(k8s.CoreV1Api);
const namespace = config.getContextObject(config.getCurrentContext()).namespace;
await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'from-js' }, data: { a: 'b' } } });
const watch = new k8s.Watch(config);
const seen = await new Promise((resolve, reject) => {
  watch.watch(`/api/v1/namespaces/${namespace}/configmaps`, {}, (kind, object) => {
    if (object.metadata.name === 'from-js') resolve(`${kind} ${object.data.a}`);
  }, reject).catch(reject);
});
console.log(seen);
process.exit(0);
"""


@pytest.fixture(scope="module")
def modules() -> Path:
    """The folder of the client's modules. Skips where there is no npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("there is no Node.js")
    folder = cache_dir(os.environ, service_user()) / CLIENT.replace("/", "-")
    if not (folder / "whole").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            npm,
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(folder),
            CLIENT,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"npm cannot fetch the client: {done.stderr[-200:]}"
        (folder / "whole").touch()
    return folder


def test_the_javascript_client_takes_our_kubeconfig(
    simulator: Simulator, modules: Path, tmp_path: Path
) -> None:
    (tmp_path / "kubeconfig").write_bytes(simulator.raw("GET", "/kubeconfig")[1])
    program = modules / "program.mjs"  # modules are looked for beside it
    program.write_text(PROGRAM)
    done = subprocess.run(
        ["node", program, tmp_path / "kubeconfig"],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "ADDED b\n"), done.stderr
