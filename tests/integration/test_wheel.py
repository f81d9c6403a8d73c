"""The wheel alone, in an empty environment: command line, migrations, server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import bound
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel; its dependencies come from this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)],
        check=True,
        timeout=PATIENCE,
    )
    wheel = next(folder.glob("*.whl"))
    site = folder / "site"
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, timeout=PATIENCE
    )
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


def test_help_comes_from_the_wheel(installed: Path) -> None:
    assert "ecpmon up" in run(installed, "--help")
    # And the import that the source documents show.
    where = subprocess.run(
        [sys.executable, "-c", "import ecp_orchestrator as o, ecpmon; o.ECPClient; print(ecpmon.__file__)"],
        env=environment(installed), cwd=installed, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(installed) in where.stdout


def test_migrate_and_serve_from_the_wheel(
    installed: Path, make_database: Callable[[], str], free_port: Callable[[], int]
) -> None:
    dsn, port = make_database(), free_port()
    assert "migrations applied" in run(installed, "migrate", ECPMON_DATABASE_URL=dsn)
    assert "up to date" in run(installed, "migrate", ECPMON_DATABASE_URL=dsn)
    more = {"ECPMON_DATABASE_URL": dsn, "ECPMON_PORT": str(port), "ECPMON_AUTH": "none"}
    command = bound([sys.executable, "-m", "ecpmon", "serve"])
    server = subprocess.Popen(command, env=environment(installed, **more), cwd=installed)
    try:
        wait_until(lambda: ready(port), "it is ready")
    finally:
        server.terminate()
        assert server.wait(PATIENCE) == 0


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=PATIENCE) as answer:
            return json.load(answer)["ready"] is True
    except OSError:  # not listening yet, or 503
        return False
