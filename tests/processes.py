"""Commands for the processes that tests start: none of them outlives the test process, however that one ends."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from ecpmon.local.process import launch_argv


def bound(argv: Sequence[str | Path], at_our_death: signal.Signals = signal.SIGKILL) -> list[str]:
    """The command that runs `argv` and gets a signal from the kernel when the starting thread ends without a word."""
    return launch_argv([str(part) for part in argv], None, at_our_death)
