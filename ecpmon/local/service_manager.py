"""What a service manager such as systemd is told of us, and when (sd_notify(3), sd_watchdog_enabled(3)).

Messages are datagrams of `NAME=value` lines to the address in `NOTIFY_SOCKET`. States of the service:

    starting --every process has answered that it is ready--> running --asked to stop, or given up--> stopping
    `READY=1`, once                                                    `STOPPING=1`, once

In each of them `WATCHDOG=1` says that every process has answered since it was said last: one that is silent, or is not
there, keeps it back, and the manager ends us all when that lasts for `WATCHDOG_USEC`.

Invariant: only the process that the manager started tells it anything; what it was given is taken out of the
environment, so that no child of ours finds it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Final, Literal

import structlog

_log = structlog.get_logger(__name__)
# How often a service that is starting asks whether it is ready.
STARTING_SECONDS: Final = 0.25
# Of the time after which the manager loses patience.
_SHARE: Final = 3
Asked = Literal["/health", "/ready"]


class ServiceManager:
    """`address`: where it listens; None: nobody is told. `patience`: seconds; None: it has no end."""

    def __init__(self, address: str | None = None, patience: float | None = None) -> None:
        self._address = _named(address)
        self.patience = patience if self._address is not None else None

    @classmethod
    def of(cls, environ: MutableMapping[str, str], pid: int) -> ServiceManager:
        """The one that started this process, with what it said taken out of `environ`."""
        address, microseconds = environ.pop("NOTIFY_SOCKET", None), environ.pop("WATCHDOG_USEC", "")
        meant = environ.pop("WATCHDOG_PID", str(pid)) == str(pid)
        watched = meant and microseconds.isdecimal() and int(microseconds) > 0
        return cls(address, int(microseconds) / 1e6 if watched else None)

    @property
    def listens(self) -> bool:
        return self._address is not None

    def ready(self) -> bool:
        return self._tell("READY=1\nSTATUS=ready")

    def waiting(self, what: str) -> bool:
        """What the service waits for before it is ready, for people: `systemctl status` shows it."""
        return self._tell(f"STATUS={what}")

    def alive(self) -> bool:
        return self._tell("WATCHDOG=1")

    def stopping(self) -> bool:
        return self._tell("STOPPING=1\nSTATUS=stopping")

    def _tell(self, lines: str) -> bool:
        """Whether it was taken. Never waits: a manager that has no room for it is told again by whoever has to."""
        if self._address is None:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(lines.encode(), self._address)
            except OSError as error:
                _log.warning("service_manager_not_told", what=lines.partition("\n")[0], error=str(error))
                return False
        return True


def _named(address: str | None) -> str | None:
    """As the kernel takes it: an abstract name is written with `@`."""
    if not address:
        return None
    if address[0] not in "/@":  # AF_VSOCK, of a virtual machine: the service inside is not what it asks about
        _log.warning("service_manager_unknown", address=address)
        return None
    return "\0" + address[1:] if address[0] == "@" else address


class Reports:
    """What several processes answered, and what the manager is told of it. `names`: of the processes."""

    def __init__(self, manager: ServiceManager, names: Collection[str]) -> None:
        self._manager = manager
        self._names = frozenset(names)
        self._ready: set[str] = set()
        self._heard: set[str] = set()
        # Of whom the last question was whether it is alive.
        self._asked: set[str] = set()
        self._said = ""
        self.starting = manager.listens

    @property
    def wanted(self) -> bool:
        """Whether the manager wants to hear of processes at all."""
        return self.starting or self._manager.patience is not None

    def question(self, name: str) -> Asked:
        """What to ask a process next. Readiness hangs on others, and is never all that is asked."""
        if self.starting and name in self._asked and name not in self._ready:
            self._asked.discard(name)
            return "/ready"
        self._asked.add(name)
        return "/health"

    def answered(self, name: str, path: Asked, *, well: bool) -> None:
        if path == "/health" and well:
            self._hear(name)
        elif path == "/ready" and well:
            self._ready.add(name)
        if not self.starting:
            return
        if self._ready == self._names:
            self.starting = not self._manager.ready()
        else:
            self._wait()

    def ended(self, name: str) -> None:
        for names in (self._ready, self._heard, self._asked):
            names.discard(name)

    def stopping(self) -> None:
        self._manager.stopping()
        self.starting = False

    def _hear(self, name: str) -> None:
        self._heard.add(name)
        if self._heard == self._names and self._manager.alive():
            self._heard.clear()

    def _wait(self) -> None:
        said = f"waiting for {', '.join(sorted(self._names - self._ready))} to be ready"
        if said != self._said and self._manager.waiting(said):
            self._said = said


async def report(manager: ServiceManager, is_ready: Callable[[], Awaitable[bool]]) -> None:
    """The same of one process that is all, until cancelled: its loop itself says that it is alive."""
    if not manager.listens:
        return
    starting = True
    while True:
        manager.alive()
        if starting and await is_ready():
            starting = not manager.ready()
        if not starting and manager.patience is None:
            return
        await asyncio.sleep(STARTING_SECONDS if starting else (manager.patience or 0) / _SHARE)
