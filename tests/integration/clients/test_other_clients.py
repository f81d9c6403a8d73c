"""The clients in other languages against the real application, each by its own tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.clients.conftest import Application
from tests.node import node
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[3]
CLIENTS = ROOT / "clients"


def ran(command: list[str], folder: Path, application: Application, **more: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "ECP_BASE_URL": application.base_url, **more},
        capture_output=True, text=True, timeout=2 * PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_javascript(application: Application) -> None:
    # Node has a WebSocket of its own from version 22 on; before, it has to be asked for.
    command = [node(), "--experimental-websocket", "--test", "--test-reporter=tap", "test/snippets.mjs"]
    assert "# fail 0" in ran(command, CLIENTS / "javascript", application)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go compiler on this machine")
def test_go(application: Application, tmp_path: Path) -> None:
    folder = CLIENTS / "go"
    more = {"GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GO111MODULE": "on"}
    ran(["go", "vet", "./..."], folder, application, **more)
    assert "--- PASS: TestTheSDKOfTheReference" in ran(
        ["go", "test", "-v", "./..."], folder, application, **more
    )
