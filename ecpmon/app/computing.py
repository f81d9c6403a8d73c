"""What computes for a front, or composes a worker's mail."""

from __future__ import annotations

import socket
import sys
from functools import partial
from importlib import import_module
from typing import Final

from ecpmon.app.late import COMPUTED
from ecpmon.compute.nursery import tend
from ecpmon.compute.processes import Nursery, Processes
from ecpmon.logs import configure_direct_logging
from ecpmon.settings import Settings

# A nursery that is started anew, given its socket. This module's package imports all that computes.
_COMMAND: Final = (sys.executable, "-c", "from ecpmon.app.computing import nursery; nursery()")


def processes(settings: Settings) -> Processes:
    """Forks: call it before there are threads."""
    prepare = partial(configure_direct_logging, settings)
    # People wait for a front. Nobody does for a worker, which may have nothing to compose for a month.
    ahead = settings.role != "worker"
    return Processes(Nursery(prepare, _COMMAND, _preload, ahead=ahead), settings.compute_processes)


def _preload() -> None:
    """So that it is there in the second process that computes."""
    for module in COMPUTED:
        import_module(module)


def nursery() -> None:
    """The program `_COMMAND`, with the number of its socket as argument. It has an order as soon as it begins."""
    tend(socket.socket(fileno=int(sys.argv[1])), partial(configure_direct_logging, Settings()), _preload)
