"""Run a program as a child that cannot outlive its parent. A script, never imported by the package.

`python -I -S launch.py PARENT_PID DEATH_SIGNAL UID GID GROUPS PROGRAM [ARG…]`; UID -1 keeps the current user.

A script of its own instead of a `preexec_fn`: no Python code runs between fork and exec in a parent with
threads. The order matters: the kernel forgets the parent-death signal at every change of credentials.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def _main(argv: list[str]) -> None:
    parent, signal_number, uid, gid = (int(value) for value in argv[:4])
    groups, command = argv[4], argv[5:]
    program = _find(command[0])  # now: the other user may not be able to read Python's library any more
    if uid >= 0:
        os.setgroups([int(group) for group in groups.split(",") if group])
        os.setgid(gid)
        os.setuid(uid)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above could take effect
        os._exit(143)
    try:
        os.execv(program, command)  # noqa: S606 - exec without a shell is the point
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        os._exit(127)


def _find(name: str) -> str:
    candidates = (os.path.join(folder, name) for folder in os.get_exec_path() if os.sep not in name)
    return next((path for path in candidates if os.access(path, os.X_OK)), name)


if __name__ == "__main__":
    _main(sys.argv[1:])
