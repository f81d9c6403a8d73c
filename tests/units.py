"""Unit files of deploy/systemd as systemd reads them, and the commands and environments that it would make of them."""

from __future__ import annotations

import shlex
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
SYSTEMD = ROOT / "deploy" / "systemd"
PROGRAM = "/opt/ecpmon/bin/ecpmon"


def read_unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """section -> directive -> its values in order."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and line[0] not in "#;":
            name, _, value = line.partition("=")
            found[section][name].append(value)
    return found


def command_of(unit: Path) -> list[str]:
    """What it starts, by this Python."""
    [line] = read_unit(unit)["Service"]["ExecStart"]
    program, *arguments = shlex.split(line)
    assert program == PROGRAM
    return [sys.executable, "-m", "ecpmon", *arguments]


def read_environment(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)


def credentials(unit: Path, folder: Path, target: Path) -> None:
    """Lay the files of `folder`, which stands for the one in /etc, out as systemd does for a service."""
    [line] = read_unit(unit)["Service"]["LoadCredential"]
    name, _, _ = line.partition(":")
    target.mkdir()
    for file in folder.iterdir():
        (target / f"{name}_{file.name}").write_bytes(file.read_bytes())
