"""The data folder of one embedded stack, and the lock that keeps a second stack out of it."""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ecpmon.errors import LocalStackError
from ecpmon.local.paths import make_public_dir

_NEEDED_BYTES = 200 * 1024**2


@dataclass(frozen=True, slots=True)
class InstanceDir:
    """Paths inside a stack's data folder."""

    folder: Path

    @property
    def logs(self) -> Path:
        """One log file per part."""
        return self.folder / "logs"

    def part(self, name: str) -> Path:
        """The folder of one part's data."""
        return self.folder / name

    def prepare(self) -> None:
        """Create the folder. Raises LocalStackError when that fails or its disk is almost full."""
        try:
            make_public_dir(self.folder)
            # as root the unprivileged service user must pass through; what is secret inside is 0700
            self.folder.chmod(0o755 if os.geteuid() == 0 else 0o700)
            self.logs.mkdir(exist_ok=True)
            self.logs.chmod(0o700)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise LocalStackError(
                f"cannot write the data folder {self.folder}: {error.strerror or error}",
                hint="free some space or fix the permissions of that folder",
            ) from error
        if free < _NEEDED_BYTES:
            raise LocalStackError(
                f"the disk of {self.folder} is full: {free // 1024**2} MB are left",
                hint=f"free at least {_NEEDED_BYTES // 1024**2} MB, then start again; nothing was lost",
            )

    def lock(self) -> TextIO:
        """Take the instance's lock; it is held until the returned file is closed or we die.

        Raises LocalStackError when another process holds it.
        """
        handle = (self.folder / "lock").open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.seek(0)
            holder = handle.read().strip()
            handle.close()
            raise LocalStackError(
                f"a stack is running in {self.folder} already" + (f" (process {holder})" if holder else ""),
                hint="use that one, or stop it with Ctrl-C first; a second checkout can run beside it"
                " with `--port-offset 100`",
            ) from error
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        return handle
