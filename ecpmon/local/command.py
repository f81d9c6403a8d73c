"""Run a short program and look at its outcome; the one place where this package does so."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `argv` without a shell and without input; the caller checks `returncode`. Blocks.

    `env=None` inherits ours. Raises OSError when the program does not exist.
    """
    return subprocess.run(  # noqa: S603 - our own argument lists, never a shell
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
