"""What a release is made of; and its wheel alone, in an empty environment: command line, migrations, server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from release.build import CannotRelease, build, committed, version
from release.locked import LOCK, pins
from release.sbom import bill
from tests.helm import helm_program
from tests.processes import bound
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make release` makes."""
    folder = tmp_path_factory.mktemp("release") / "dist"
    build(folder, str(helm_program()))
    return folder


@pytest.fixture(scope="module")
def installed(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel; its dependencies come from this environment."""
    (wheel,) = released.glob("*.whl")
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-deps"]
    subprocess.run([*pip, "--target", str(site), str(wheel)], check=True, timeout=PATIENCE)
    return site


def environment(site: Path, **more: str) -> dict[str, str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith("ECPMON_")}
    return {**keep, "PYTHONPATH": str(site), **more}


def run(site: Path, *arguments: str, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ecpmon", *arguments],
        env=environment(site, **more), cwd=site, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_pages_with_what_they_load_and_its_licences(installed: Path) -> None:
    ui = installed / "ecpmon/_data/ui"
    for name in ("console/console.html", "dist/uplot/uPlot.esm.js", "dist/preact-signals/LICENSE",
                 "pages/docs.html", "pages/redoc.html", "dist/swagger-ui-dist/swagger-ui-bundle.js",
                 "dist/swagger-ui-dist/LICENSE", "dist/swagger-ui-dist/NOTICE", "dist/redoc/redoc.standalone.js",
                 "dist/redoc/LICENSE", "dist/redoc/redoc.standalone.js.LICENSE.txt"):  # fmt: skip
        assert (ui / name).stat().st_size > 0, name


def test_a_release_is_of_one_version(released: Path) -> None:
    named = version()
    made = {one.name for one in released.iterdir()}
    (wheel,) = released.glob("*.whl")
    fixed = {f"ecpmon-{named}{end}" for end in (".tgz", ".requirements.txt", ".cdx.json")} | {"SHA256SUMS"}
    assert made == fixed | {wheel.name}
    assert wheel.name.startswith(f"ecpmon-{named}-")
    with tarfile.open(released / f"ecpmon-{named}.tgz") as chart:
        told = chart.extractfile("ecpmon/Chart.yaml")
        assert told is not None
        chart_says = yaml.safe_load(told.read())
    assert (chart_says["version"], chart_says["appVersion"]) == (named, named)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=released, check=True)
    with pytest.raises(CannotRelease, match="the tag"):
        version("v99.0.0")


def test_the_bill_of_materials_is_one_and_names_every_part(released: Path) -> None:
    (path,) = released.glob("*.cdx.json")
    text = path.read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["metadata"]["component"]["version"] == version()
    parts = {(one["name"], one.get("version")) for one in document["components"]}
    assert {(pin.name, pin.version) for pin in pins(LOCK.read_text()) if pin.name != "ecpmon"} <= parts
    assert {"swagger-ui-dist", "signals-core", "NanumSquareR"} <= {name for name, _ in parts}
    assert all(one["licenses"] for one in document["components"])
    assert text == bill(version(), committed()), "the same commit has the same bill"


def test_help_comes_from_the_wheel(installed: Path) -> None:
    assert "ecpmon up" in run(installed, "--help")
    # And the import that the source documents show.
    where = subprocess.run(
        [sys.executable, "-c", "import ecp_orchestrator as o, ecpmon; o.ECPClient; print(ecpmon.__file__)"],
        env=environment(installed), cwd=installed, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(installed) in where.stdout


def test_migrate_and_serve_from_the_wheel(
    installed: Path,
    released: Path,
    make_database: Callable[[], str],
    free_port: Callable[[], int],
    tmp_path: Path,
) -> None:
    dsn, port = make_database(), free_port()
    assert "migrations applied" in run(installed, "migrate", ECPMON_DATABASE_URL=dsn)
    assert "up to date" in run(installed, "migrate", ECPMON_DATABASE_URL=dsn)
    more = {"ECPMON_DATABASE_URL": dsn, "ECPMON_PORT": str(port), "ECPMON_AUTH": "none"}
    command = bound([sys.executable, "-m", "ecpmon", "serve"])
    server = subprocess.Popen(command, env=environment(installed, **more), cwd=installed)
    try:
        wait_until(lambda: ready(port), "it is ready")
        smoke = [str(ROOT / "deploy" / "ci" / "smoke.sh"), f"http://127.0.0.1:{port}"]
        done = subprocess.run(
            [*smoke, str(released)], capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        assert done.stdout.split() == ["alive", "ready", f"ecpmon-{version()}"]
        (tmp_path / "ecpmon-99.0.0.tgz").touch()
        done = subprocess.run(
            [*smoke, str(tmp_path)], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 1
        assert "not ecpmon-99.0.0" in done.stderr
    finally:
        server.terminate()
        assert server.wait(PATIENCE) == 0


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=PATIENCE) as answer:
            return json.load(answer)["ready"] is True
    except OSError:  # not listening yet, or 503
        return False
