"""What can be said of a configuration without asking anybody."""

from __future__ import annotations

import difflib
import os
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ecpmon.app.doctor.findings import ERROR, OK, WARNING, Finding
from ecpmon.settings import Settings

_PREFIX: Final = "ECPMON_"
# Of the command line, not of the service.
_CLIENT: Final = frozenset({"ECPMON_URL", "ECPMON_TOKEN", "ECPMON_TOKEN_FILE", "ECPMON_CACHE_DIR"})
# Files a process has open besides its sockets.
_OTHERS: Final = 256


def configuration(environ: Mapping[str, str]) -> list[Finding]:
    """Variables that nobody reads: mostly a slip of the pen."""
    known = {f"{_PREFIX}{name.upper()}" for name in Settings.model_fields} | _CLIENT
    stray = sorted(name for name in environ if name.startswith(_PREFIX) and name not in known)
    if not stray:
        return [Finding(OK, "settings", "are right, and every ECPMON_ variable is known")]
    return [Finding(WARNING, "settings", f"nobody reads {name}", _meant(name, known)) for name in stray]


def _meant(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else "see docs/settings.md, or take it out"


def files(settings: Settings, folder: Path) -> Iterator[Finding]:
    """Limits and folders of this machine."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    needed = settings.max_sockets + _OTHERS
    if limit not in (resource.RLIM_INFINITY,) and limit < needed:
        yield Finding(
            WARNING, "open files", f"at most {limit}, and {needed} for {settings.max_sockets} sockets",
            f"raise the limit (`ulimit -n {needed}`, LimitNOFILE=), or lower ECPMON_MAX_SOCKETS",
        )  # fmt: skip
    for name, value in (("gitops_dir", settings.gitops_dir), ("run_dir", settings.run_dir)):
        if value is not None and not _writable(Path(value)):
            yield Finding(
                ERROR,
                name,
                f"{value} cannot be written",
                f"make it, or set {_PREFIX}{name.upper()} to another",
            )


def _writable(folder: Path) -> bool:
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
