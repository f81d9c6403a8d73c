"""What computes for a front. `python -m ecpmon.app.computing SOCKET` is a nursery that is started anew."""

from __future__ import annotations

import socket
import sys
from functools import partial
from importlib import import_module
from typing import Final

from ecpmon.compute.nursery import tend
from ecpmon.compute.processes import Nursery, Processes
from ecpmon.logs import configure_direct_logging
from ecpmon.settings import Settings

# This module's package imports all that computes.
_COMMAND: Final = (sys.executable, "-m", "ecpmon.app.computing")


def processes(settings: Settings) -> Processes:
    """Forks: call it before there are threads."""
    nursery = Nursery(partial(configure_direct_logging, settings), _COMMAND, _preload)
    return Processes(nursery, settings.compute_processes)


def _preload() -> None:
    """What a front imports when it is first asked for: so it is there in the second process that computes."""
    for module in ("ecpmon.statements.pages", "jsonschema"):
        import_module(module)


if __name__ == "__main__":
    tend(socket.socket(fileno=int(sys.argv[1])), partial(configure_direct_logging, Settings()), _preload)
