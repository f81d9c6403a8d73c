"""Look for a PostgreSQL of the system that already comes with TimescaleDB."""

from __future__ import annotations

import re
from pathlib import Path

OLDEST_MAJOR = 15
_EXTENSIONS = ("timescaledb", "btree_gist")
_PROGRAMS = ("postgres", "initdb", "pg_ctl", "psql")


def find_system_postgres(root: Path = Path("/")) -> Path | None:
    """The folder of the newest usable server's programs below `root`, or None.

    Usable: major version 15 or newer, all programs we call, and the extensions timescaledb and btree_gist.
    """
    candidates = [*root.glob("usr/lib/postgresql/*/bin"), *root.glob("usr/pgsql-*/bin")]
    candidates += root.glob("usr/local/lib/postgresql/*/bin")
    usable = [
        (major, bin_dir) for bin_dir in candidates if (major := _major(bin_dir)) and _usable(major, bin_dir)
    ]
    return max(usable)[1] if usable else None


def _major(bin_dir: Path) -> int | None:
    match = re.fullmatch(r"(?:pgsql-)?(\d+)", bin_dir.parent.name)
    return int(match[1]) if match else None


def _usable(major: int, bin_dir: Path) -> bool:
    if major < OLDEST_MAJOR or not all((bin_dir / name).is_file() for name in _PROGRAMS):
        return False
    prefix = bin_dir.parent.parent.parent.parent  # <prefix>/lib/postgresql/<major>/bin
    places = (prefix / f"share/postgresql/{major}/extension", bin_dir.parent / "share/extension")
    return any(all((place / f"{name}.control").is_file() for name in _EXTENSIONS) for place in places)
