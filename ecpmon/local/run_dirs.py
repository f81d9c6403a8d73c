"""The folder in which the processes of one `ecpmon serve` meet: its sockets, and what they count together.

It goes with whoever made it. Who was killed could not take it away: so its maker holds a lock on it as long as it or a
child of it lives, and whoever comes next takes away what nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "ecpmon-"
_LOCK: Final = "lock"


@contextmanager
def run_dir() -> Iterator[Path]:
    """A new one, 0700: nobody else comes in."""
    _sweep(Path(tempfile.gettempdir()))
    made = Path(tempfile.mkdtemp(prefix=_PREFIX))
    # Children inherit it, and the lock with it.
    lock = os.open(made / "new", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (made / "new").rename(made / _LOCK)  # nobody sees it before it is held
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def _sweep(folder: Path) -> None:
    """Take away folders of ours that nobody holds."""
    for left in folder.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError):  # of somebody else, or gone in this moment
            if left.parent.stat().st_uid == os.geteuid() and not _is_held(left):
                shutil.rmtree(left.parent, ignore_errors=True)


def _is_held(path: Path) -> bool:
    lock = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
