"""What a child process is, and how it is spawned: own session, own user, log file, bound to our life."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ecpmon.errors import LocalStackError
from ecpmon.local.paths import ServiceUser

_LAUNCHER = Path(__file__).with_name("launch.py")
_LOG_LIMIT_BYTES = 10 * 1024**2
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

Probe = Callable[[], Awaitable[bool]]
"""Whether a child can do its work now. It must not raise."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A program to supervise. Times are seconds.

    `env` is the whole environment of the child. `prepare` runs before each start (blocking, in a thread).
    `death_signal` is what the kernel sends to the child when we die without a word.
    """

    name: str
    argv: tuple[str, ...]
    log_file: Path
    ready: Probe
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")
    user: ServiceUser | None = None
    prepare: Callable[[], None] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    stop_timeout: float = 10.0
    ready_timeout: float = 60.0


def launch_argv(argv: Sequence[str], user: ServiceUser | None, death_signal: signal.Signals) -> list[str]:
    """The command that runs `argv` as `user`, bound to the life of the process that spawns it."""
    uid, gid, groups = (user.uid, user.gid, sorted(user.groups)) if user else (-1, -1, [])
    group_list = ",".join(str(group) for group in groups)
    own = [str(os.getpid()), str(int(death_signal)), str(uid), str(gid), group_list]
    return [sys.executable, "-I", "-S", str(_LAUNCHER), *own, *argv]


def spawn(spec: ChildSpec, tell: Callable[[str], None] = lambda _: None) -> subprocess.Popen[bytes]:
    """Start the child in a session of its own, output appended to its log file.

    On a full disk it is started without one, and `tell` is told so. Call it from a thread that lives as long as the
    child should: the kernel's parent is the thread. Raises LocalStackError when the log file cannot be written for
    another reason.
    """
    with _open_log(spec, tell) as log:
        return subprocess.Popen(  # noqa: S603 - our own argument lists, never a shell
            launch_argv(spec.argv, spec.user, spec.death_signal),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=spec.cwd,
            env=dict(spec.env),
            start_new_session=True,
        )


def _open_log(spec: ChildSpec, tell: Callable[[str], None]) -> BinaryIO:
    path = spec.log_file
    try:
        rotate_log(path)
        return path.open("ab")
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise LocalStackError(
                f"cannot write the log file {path}: {error.strerror}",
                hint="fix the permissions of the folder, or choose another one",
            ) from error
        tell(f"{spec.name} runs without a log until its next start: the disk of {path} is full")
        return Path(os.devnull).open("ab")


def rotate_log(path: Path, limit: int = _LOG_LIMIT_BYTES) -> None:
    """Move a log file larger than `limit` bytes aside (one generation); create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > limit:
        path.replace(path.with_name(path.name + ".1"))


def log_tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log file; empty when there is none."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - 16_384))
            text = handle.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def signal_group(pid: int, signum: signal.Signals) -> None:
    """Send a signal to the process group led by `pid`; nothing happens when it is gone."""
    try:
        os.killpg(pid, signum)
    except ProcessLookupError:
        return
