"""`make release`: the wheel, the chart, the lock and the bill of materials of one version, with their checksums.

    python -m release.build [--out dist] [--helm helm] [--tag v1.2.3]

The version is pyproject.toml's, and the chart's has to be the same; `--tag` refuses any other. Times in the wheel
and the bill are the commit's, so that whoever builds the commit again can compare.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import yaml

from release.licences import NoLicence
from release.locked import LOCK, ROOT
from release.sbom import bill

CHART = ROOT / "deploy" / "chart"


class CannotRelease(Exception):
    """Nothing that could be given away was made; the message says why."""


def version(tag: str | None = None) -> str:
    """The one version of all parts. Raises CannotRelease where they differ, or are not what the tag says."""
    ours: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    others = {"Chart.yaml: version": chart["version"], "Chart.yaml: appVersion": chart["appVersion"]}
    if tag is not None:
        others["the tag"] = tag.removeprefix("v")
    for where, said in others.items():
        if said != ours:
            raise CannotRelease(f"{where} says {said}, pyproject.toml {ours}: they have to be the same")
    return ours


def build(out: Path, helm: str, tag: str | None = None) -> list[Path]:
    """Everything in `out`, which is emptied first. Raises CannotRelease."""
    named, at = version(tag), committed()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(int(at.timestamp()))}
    wheel = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(ROOT)]
    _run([sys.executable, "-m", "pip", *wheel], environment)
    _run([helm, "package", str(CHART), "--destination", str(out)], environment)
    shutil.copyfile(LOCK, out / f"ecpmon-{named}.requirements.txt")
    (out / f"ecpmon-{named}.cdx.json").write_text(bill(named, at), encoding="utf-8")
    made = sorted(out.iterdir())
    sums = "".join(f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in made)
    (out / "SHA256SUMS").write_text(sums, encoding="utf-8")
    return made


def committed() -> datetime:
    """When what is checked out was committed, UTC. Raises CannotRelease outside of a repository."""
    told = _run(["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], dict(os.environ))
    return datetime.fromtimestamp(int(told), UTC)


def _run(command: list[str], environment: dict[str, str]) -> str:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CannotRelease(f"there is no {command[0]}: install it") from None
    if done.returncode:
        raise CannotRelease(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(prog="release.build")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--helm", default="helm")
    parser.add_argument("--tag", help="what is released, v and the version")
    chosen = parser.parse_args()
    try:
        made = build(chosen.out, chosen.helm, chosen.tag)
    except (CannotRelease, NoLicence) as problem:
        sys.exit(str(problem))
    print("\n".join(str(one) for one in made))


if __name__ == "__main__":
    main()
