"""kubectl from the distribution in two versions, and a real simulator process behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecpmon.local.apt import detect_architecture
from ecpmon.local.packages import KUBECTL, KUBECTL_NEWER, fetch_bundles
from ecpmon.local.paths import cache_dir, service_user

sys.path.append(str(Path(__file__).parent.parent))
from tests.integration.simulator.sim_process import Simulator, free_port
from tests.processes import bound
from tests.waiting import PATIENCE

TIMEOUT = PATIENCE
VERSIONS = {"stable": KUBECTL, "newer": KUBECTL_NEWER}


class Kubectl:
    """`kubectl(…)` runs the real program against one simulator and returns what it printed."""

    def __init__(self, program: Path, folder: Path, port: int) -> None:
        self.program = program
        self.folder = folder
        self.port = port
        self.config = folder / "kubeconfig"

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "KUBECONFIG": str(self.config)}

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.program), *arguments],
            input=stdin, capture_output=True, text=True, timeout=TIMEOUT, env=self.environ, check=False,
        )  # fmt: skip

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def fails(self, *arguments: str, stdin: str = "") -> str:
        """What it says on standard error."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, (arguments, done.stdout)
        return done.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json"))

    def apply(self, *documents: dict[str, Any], options: tuple[str, ...] = ()) -> str:
        return self("apply", *options, "-f", "-", stdin=yaml.safe_dump_all(documents))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on, with its output to read line by line."""
        return subprocess.Popen(
            bound([self.program, *arguments]),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environ,
        )  # fmt: skip


@pytest.fixture(scope="session")
def kubectl_programs() -> dict[str, Path]:
    cache, architecture = cache_dir(os.environ, service_user()), detect_architecture()
    fetch_bundles(cache, list(VERSIONS.values()), architecture, lambda _what, _done, _total: None)
    return {name: bundle.folder(cache, architecture) / "usr/bin/kubectl" for name, bundle in VERSIONS.items()}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """On the wall clock, ten times as fast: a rollout takes a second."""
    folder, port = tmp_path_factory.mktemp("kube") / "state", free_port()
    running = Simulator(folder, "--seed", "7", "--speed", "10", "--tls-port", str(port))
    running.tls_port = port
    yield running.start()
    running.kill()


@pytest.fixture(scope="module", params=list(VERSIONS))
def kubectl(
    request: pytest.FixtureRequest,
    kubectl_programs: dict[str, Path],
    simulator: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Kubectl:
    found = Kubectl(kubectl_programs[request.param], tmp_path_factory.mktemp("home"), simulator.port)
    status, text, _ = simulator.raw("GET", "/kubeconfig")
    assert status == 200
    found.config.write_bytes(text)
    return found
