"""A service manager's ear: a datagram socket as systemd has one, and what it was told."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Ear:
    def __init__(self, bound: socket.socket, address: str) -> None:
        self.address = address
        self._socket = bound
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        """All lines up to now."""
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.heard

    def count(self, line: str) -> int:
        return self.listen().count(line)


@contextmanager
def ear(folder: Path) -> Iterator[Ear]:
    """A path, or an abstract name for a folder whose name is too long for one."""
    path = str(folder / "notify")
    address = path if len(path) < 100 else f"@ecpmon-test-{folder.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.setblocking(False)
        bound.bind(address.replace("@", "\0", 1))
        yield Ear(bound, address)
