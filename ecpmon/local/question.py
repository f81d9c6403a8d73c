"""Asks a process of this machine whether it is well, without ever waiting for it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

from ecpmon.local.service_manager import Asked

_REQUEST: Final = "GET {} HTTP/1.1\r\nHost: process\r\nConnection: close\r\n\r\n"
_WELL: Final = b"HTTP/1.1 200"


class Question:
    """One question over the socket at `path`. Readable (`fileno`) when there is an answer, or will never be one."""

    def __init__(self, path: Path, asked: Asked) -> None:
        """Raises OSError when nobody listens there, or too many wait already."""
        self.asked = asked
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.setblocking(False)
            self._socket.connect(str(path))
            self._socket.send(_REQUEST.format(asked).encode())
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def is_answered_well(self) -> bool:
        """Once it is readable."""
        try:
            return self._socket.recv(len(_WELL)) == _WELL
        except OSError:
            return False

    def close(self) -> None:
        self._socket.close()
