"""The decoder of remote write, compiled where there is a compiler; without one everything works, slower.

    python -m ecpmon.agents.compiling        compile it here

Called when the package is built or installed (`ui/build.py`), so standard library only. `CC` names the compiler, and
`ECPMON_PURE` that none is wanted. One file serves every Python from 3.11 on (the stable ABI).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent
SOURCE: Final = FOLDER / "_taking.c"
TARGET: Final = FOLDER / "_taking.abi3.so"
_SECONDS: Final = 120


@dataclass(frozen=True)
class Compiled:
    """`tag`: of a wheel that holds it."""

    file: Path
    tag: str


def compile_decoder(warn: Callable[[str], None], target: Path = TARGET) -> Compiled | None:
    """Put it at `target`. None, and nothing there: there is no compiler, or it failed, which is told."""
    target.unlink(missing_ok=True)
    compiler = None if os.environ.get("ECPMON_PURE") else _compiler()
    if compiler is None:
        return None
    include = sysconfig.get_path("include")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".compiling-") as folder:
        made = Path(folder) / target.name
        command = [*compiler, "-O2", "-fPIC", "-shared", *_linking(), f"-I{include}"]
        try:
            done = subprocess.run(  # noqa: S603 - the system's compiler, and a source of our own
                [*command, "-o", os.fspath(made), os.fspath(SOURCE)],
                capture_output=True, text=True, timeout=_SECONDS, check=False,
            )  # fmt: skip
            failed = done.stderr.strip()[-300:] if done.returncode else None
        except (OSError, subprocess.TimeoutExpired) as error:
            failed = str(error)
        if failed is not None:
            warn(f"remote write is decoded in Python, as {compiler[0]} failed: {failed}")
            return None
        made.replace(target)  # whoever has loaded the old one keeps it
    return Compiled(target, f"cp311-abi3-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}")


def _compiler() -> list[str] | None:
    if named := os.environ.get("CC"):
        return shlex.split(named)
    found = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
    return [found] if found else None


def _linking() -> list[str]:
    """A module's symbols are the interpreter's, which is there when it is loaded."""
    return ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []


if __name__ == "__main__":
    done = compile_decoder(lambda text: print(text, file=sys.stderr))  # noqa: T201
    print("compiled" if done else "not compiled", file=sys.stderr)  # noqa: T201
